//! Stopped processes, and signals in the middle of a wait.
#![expect(unsafe_code, reason = "installs a signal handler")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use offspring::sync::{AcquireError, BarrierError};
use offspring::{Counter, Semaphore, Shared};

use super::barrier::barrier;
use super::semaphore::semaphore;
use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, asleep, has_ended, seed, until};

const SHORT: Duration = Duration::from_millis(5);

fn stop(kid: &Kid) {
    kid.signal(Signal::SIGSTOP);
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", kid.pid())).unwrap();
    assert!(until(|| stat().contains(") T"), LONG));
}

/// A process that makes permits come and go all the time is stopped at any moment, also inside the monitor's lock: who has a time
/// limit keeps it. A permit is free all the time, so a refusal can only come from a stopped owner of that lock.
pub(crate) fn stopped_in_the_middle() {
    let mut rng = Rng::new(seed());
    let semaphore = semaphore(2);
    let turns = Shared::new(Counter::new("turns")).unwrap();
    let kid = Kid::fork(|| {
        loop {
            semaphore.add_permits(1);
            semaphore.acquire().forget();
            turns.add(1);
        }
    });
    let mut inside = 0;
    for round in 0.. {
        assert!(round < 10_000, "never stopped inside");
        let target = turns.get() + rng.below(100);
        assert!(until(|| turns.get() > target, LONG));
        stop(&kid);
        match semaphore.acquire_timeout(SHORT) {
            Ok(permit) => {
                kid.signal(Signal::SIGCONT);
                drop(permit);
            }
            Err(error) => {
                assert_eq!(error, AcquireError::TimedOut);
                assert_eq!(semaphore.try_acquire().unwrap_err(), AcquireError::NoPermits);
                let known = semaphore.available_permits();
                assert!((1..=3).contains(&known), "{known}");
                inside += 1;
                if inside == 3 {
                    break;
                }
                kid.signal(Signal::SIGCONT);
            }
        }
    }
    // Killed there, it is a dead owner.
    kid.kill();
    assert!((2..=3).contains(&semaphore.available_permits()));
}

/// Holders and parties that are stopped: waits with a time limit end, and breaking and resetting need nobody's help.
pub(crate) fn stopped_parties() {
    let semaphore = semaphore(1);
    let barrier = barrier(3);
    let ready = Shared::new(Counter::new("ready")).unwrap();
    let kid = Kid::fork(|| {
        let _permit = semaphore.acquire();
        ready.add(1);
        assert_eq!(barrier.wait(), Err(BarrierError::TimedOut));
    });
    assert!(until(|| ready.get() == 1 && asleep(kid.pid()), LONG));
    stop(&kid);
    assert_eq!(semaphore.acquire_timeout(SHORT).unwrap_err(), AcquireError::TimedOut);
    assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::TimedOut));
    kid.signal(Signal::SIGCONT);
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(semaphore.available_permits(), 1);
    // A barrier moves on, and is reset, while one that was in it is stopped.
    barrier.reset();
    let kid = Kid::fork(|| assert_eq!(barrier.wait(), Err(BarrierError::Reset)));
    assert!(until(|| asleep(kid.pid()), LONG));
    stop(&kid);
    barrier.reset();
    let others = [(); 3].map(|()| Kid::fork(|| _ = barrier.wait().unwrap()));
    others.into_iter().for_each(|other| assert_eq!(other.join(), Ended::Exited(0)));
    kid.signal(Signal::SIGCONT);
    assert_eq!(kid.join(), Ended::Exited(0));
}

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Signals during each blocking call: nobody returns early, and nobody forgets what it waits for.
pub(crate) fn interrupted() {
    let action = SigAction::new(SigHandler::Handler(handle), SaFlags::empty(), SigSet::empty());
    let semaphore = semaphore(0);
    let barrier = barrier(2);
    let calls: [(&str, &dyn Fn()); 4] = [
        ("acquire", &|| semaphore.acquire().forget()),
        ("acquire_timeout", &|| semaphore.acquire_timeout(LONG).unwrap().forget()),
        ("wait", &|| _ = barrier.wait().unwrap()),
        ("wait_timeout", &|| _ = barrier.wait_timeout(LONG).unwrap()),
    ];
    for (name, call) in calls {
        println!("{name}");
        let handled = Shared::new(Counter::new("signals")).unwrap();
        let kid = Kid::fork(|| {
            // SAFETY: the handler adds to an atomic.
            unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
            handled.add(1);
            call();
            handled.add(HANDLED.load(Ordering::Relaxed));
        });
        assert!(until(|| handled.get() == 1, LONG));
        for _ in 0..50 {
            assert!(until(|| asleep(kid.pid()), LONG));
            kid.signal(Signal::SIGALRM);
        }
        assert!(until(|| asleep(kid.pid()), LONG));
        match name {
            "acquire" | "acquire_timeout" => Semaphore::add_permits(&semaphore, 1),
            _ => _ = barrier.wait().unwrap(),
        }
        assert_eq!(kid.join(), Ended::Exited(0));
        assert!(handled.get() > 10, "{} signals were handled", handled.get() - 1);
    }
    // Time limits that run out among signals: neither early nor never.
    let limit = Duration::from_millis(40);
    let kid = Kid::fork(|| {
        // SAFETY: as above.
        unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
        let waits: [&dyn Fn() -> bool; 2] =
            [&|| semaphore.acquire_timeout(limit).is_err(), &|| {
                barrier.wait_timeout(limit).is_err()
            }];
        for wait in waits {
            let start = Instant::now();
            assert!(wait() && start.elapsed() >= limit);
        }
    });
    assert!(until(|| asleep(kid.pid()), LONG));
    while !has_ended(kid.pid()) {
        if asleep(kid.pid()) {
            kid.signal(Signal::SIGALRM);
        }
    }
    assert_eq!(kid.join(), Ended::Exited(0));
}
