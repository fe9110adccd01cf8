//! Others that are stopped, and signals that interrupt.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use offspring::{Counter, Event, LockError, Shared};

use super::condvar::pair;
use crate::floors::LONG;
use crate::support::{Ended, Kid, asleep, until};

const BRIEF: Duration = Duration::from_millis(20);

/// Stops the child, and waits until it has.
fn stop(kid: &Kid) {
    kid.signal(Signal::SIGSTOP);
    waitpid(Pid::from_raw(kid.pid()), Some(WaitPidFlag::WUNTRACED)).expect("wait for the stop");
}

/// The lock's owner is stopped inside, when the wait's time is over, or when a notification has come: the wait ends in time,
/// without the lock.
pub(crate) fn stopped_owner_and_wait_timeout() {
    for notifies in [false, true] {
        let pair = pair();
        let waiter = Kid::fork(|| {
            let mut guard = pair.0.lock().unwrap();
            guard[0] = 1;
            loop {
                let start = Instant::now();
                match pair.1.wait_timeout_while(guard, BRIEF, |go| go[1] == 0) {
                    Ok((again, result)) => {
                        assert!(result.timed_out()); // the owner did not come in time
                        guard = again;
                    }
                    Err(LockError::TimedOut) => return assert!(start.elapsed() >= BRIEF),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let inside = Shared::new(Counter::new("inside")).unwrap();
        let owner = Kid::fork(|| {
            loop {
                let guard = pair.0.lock().unwrap();
                if guard[0] == 1 {
                    if notifies {
                        pair.1.notify_all();
                    }
                    inside.add(1);
                    loop {
                        std::hint::black_box(&guard);
                        std::thread::park();
                    }
                }
                drop(guard);
                std::thread::yield_now();
            }
        });
        assert!(until(|| inside.get() == 1, LONG));
        stop(&owner);
        assert_eq!(waiter.join(), Ended::Exited(0));
        owner.kill();
        match pair.0.lock_timeout(LONG) {
            Err(LockError::OwnerDied(died)) => drop(died.recover()),
            other => panic!("expected a dead owner, got {other:?}"),
        }
    }
}

/// Others that wait are stopped: who sets, who notifies and who waits beside them does so in time.
pub(crate) fn stopped_peers_and_event() {
    let event = Shared::new(Event::new()).unwrap();
    let pair = pair();
    let stopped =
        [Kid::fork(|| event.wait()), Kid::fork(|| drop(pair.1.wait(pair.0.lock().unwrap())))];
    for kid in &stopped {
        assert!(until(|| asleep(kid.pid()), LONG));
        stop(kid);
    }
    let waits = Kid::fork(|| {
        event.wait();
        let guard = pair.0.lock().unwrap();
        drop(pair.1.wait_while(guard, |go| go[0] == 0).unwrap());
    });
    assert!(until(|| asleep(waits.pid()), LONG));
    event.set();
    event.clear();
    assert!(!event.wait_timeout(BRIEF));
    let guard = pair.0.lock().unwrap();
    let (mut guard, result) = pair.1.wait_timeout_while(guard, BRIEF, |go| go[1] == 0).unwrap();
    assert!(result.timed_out());
    guard[0] = 1;
    drop(guard);
    pair.1.notify_all();
    assert_eq!(waits.join(), Ended::Exited(0));
    for kid in stopped {
        kid.signal(Signal::SIGCONT);
        assert_eq!(kid.join(), Ended::Exited(0));
    }
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// A timer interrupts each blocking call many times; none of them returns for that.
pub(crate) fn signals_during_each_wait() {
    let event = Shared::new(Event::new()).unwrap();
    let pair = pair();
    let interrupted = Shared::new(Counter::new("signals")).unwrap();
    let waits: [&dyn Fn(); 4] = [
        &|| event.wait(),
        &|| assert!(event.wait_timeout(LONG)),
        &|| drop(pair.1.wait_while(pair.0.lock().unwrap(), |go| go[0] == 0).unwrap()),
        &|| {
            let guard = pair.0.lock().unwrap();
            let waited = pair.1.wait_timeout_while(guard, LONG, |go| go[0] == 0).unwrap();
            assert!(!waited.1.timed_out());
        },
    ];
    for (n, wait) in waits.into_iter().enumerate() {
        let kid = Kid::fork(|| {
            // No SA_RESTART: every call that can be interrupted is.
            let action =
                SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler is one atomic addition.
            unsafe { sigaction(Signal::SIGALRM, &action) }.expect("install a handler");
            let every = libc::timeval { tv_sec: 0, tv_usec: 300 };
            let timer = libc::itimerval { it_interval: every, it_value: every };
            // SAFETY: a valid timer; the old one is not wanted.
            let status =
                unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
            assert_eq!(status, 0);
            let reporter = || interrupted.add(SIGNALS.load(Ordering::Relaxed));
            wait();
            reporter();
        });
        assert!(until(|| asleep(kid.pid()), LONG));
        let start = Instant::now();
        // The signals are the child's own; time for some of them passes while this one looks.
        assert!(until(|| start.elapsed() > 10 * BRIEF / 4, LONG));
        match n {
            0 | 1 => event.set(),
            _ => {
                pair.0.lock().unwrap()[0] = 1;
                pair.1.notify_all();
            }
        }
        assert_eq!(kid.join(), Ended::Exited(0));
        event.clear();
        pair.0.lock().unwrap()[0] = 0;
    }
    assert!(interrupted.get() > 0, "no signal came");
}
