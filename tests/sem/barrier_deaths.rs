//! Parties that die while they wait, and others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offspring::sync::BarrierError;
use offspring::{Barrier, Builder, Region, Shared};

use super::barrier::barrier;
use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};

/// A child that waits at the barrier, and sleeps.
fn waiter(barrier: &Shared<Barrier>) -> Kid {
    let kid = Kid::fork(|| _ = barrier.wait());
    assert!(until(|| asleep(kid.pid()), LONG));
    kid
}

#[track_caller]
fn died_as(error: BarrierError, pid: i32) {
    let BarrierError::Died(party) = &error else { panic!("expected a death, got {error}") };
    assert_eq!(party.pid(), Some(pid as u32));
    assert!(error.to_string().contains(&pid.to_string()));
}

/// Those who sleep are told whose death it was, and so is whoever comes.
pub(crate) fn killed_waiter_is_named() {
    By::each(|by| {
        let barrier = barrier(4);
        let kid = waiter(&barrier);
        let pid = kid.pid();
        let work = |_: usize, _: &Seats| died_as(barrier.wait().unwrap_err(), pid);
        crew(by, 2, work, |seats| {
            seats.await_all_asleep();
            kid.kill();
        });
        died_as(barrier.wait_timeout(LONG).unwrap_err(), pid);
        assert!(barrier.is_broken());
        barrier.reset();
        crew(by, 4, |_, _| _ = barrier.wait().unwrap(), |_| ());
    });
}

/// The only one that waits is killed: `wait` and `wait(timeout)` of the next ones end at once, and so does `is_broken`.
pub(crate) fn killed_waiter_with_nobody_asleep() {
    for look in 0..4 {
        let barrier = barrier(2);
        let name = "a party";
        let child: offspring::Child<()> =
            Builder::new().name(name).spawn(|| _ = barrier.wait()).unwrap();
        assert!(until(|| asleep(child.pid()), LONG));
        let pid = child.pid() as i32;
        child.kill().unwrap();
        assert!(child.join().is_err());
        match look {
            0 => died_as(barrier.wait().unwrap_err(), pid),
            1 => died_as(barrier.wait_timeout(LONG).unwrap_err(), pid),
            2 => died_as(barrier.wait_timeout(Duration::ZERO).unwrap_err(), pid),
            _ => assert!(barrier.is_broken() && barrier.waiting() == 0),
        }
        let text = barrier.wait().unwrap_err().to_string();
        assert_eq!(
            text,
            format!("wait at a barrier: process {pid} (a party) died while it waited")
        );
    }
}

/// A party is stopped while it waits; the round completes, others come and go, die, and reset: it learns that its round was complete.
pub(crate) fn a_round_that_is_over_stays_so() {
    use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
    type After<'a> = (&'a str, &'a dyn Fn(&Shared<Barrier>));
    let afters: [After<'_>; 5] = [
        ("nothing", &|_| ()),
        ("abort", &|barrier| barrier.abort()),
        ("reset", &|barrier| barrier.reset()),
        ("a death in the next round", &|barrier| {
            waiter(barrier).kill();
            assert!(barrier.is_broken());
        }),
        ("more rounds and resets", &|barrier| {
            for _ in 0..8 {
                crew(By::Processes, 2, |_, _| _ = barrier.wait().unwrap(), |_| ());
                barrier.reset();
                assert!(barrier.wait_timeout(Duration::ZERO).is_err());
                barrier.reset();
            }
        }),
    ];
    for (what, after) in afters {
        println!("{what}");
        let barrier = barrier(2);
        let kid = Kid::fork(|| assert_eq!(barrier.wait().unwrap().index(), 0));
        assert!(until(|| asleep(kid.pid()), LONG));
        kid.signal(SIGSTOP);
        assert!(barrier.wait().unwrap().is_leader());
        after(&barrier);
        kid.signal(SIGCONT);
        assert_eq!(kid.join(), Ended::Exited(0));
    }
    // And the other way round: it was broken, and rounds that complete later do not change that.
    let barrier = barrier(2);
    let kid = Kid::fork(|| assert_eq!(barrier.wait(), Err(BarrierError::Reset)));
    assert!(until(|| asleep(kid.pid()), LONG));
    kid.signal(SIGSTOP);
    barrier.reset();
    for _ in 0..5 {
        crew(By::Processes, 2, |_, _| _ = barrier.wait().unwrap(), |_| ());
        barrier.reset();
    }
    kid.signal(SIGCONT);
    assert_eq!(kid.join(), Ended::Exited(0));
}

/// Parties that are killed at any moment: each round completes for all who live, or breaks for all.
pub(crate) fn random_kills() {
    const ROUNDS: u64 = 300;
    const PARTIES: usize = 4;
    const MEETINGS: u64 = 3;
    let seed = seed();
    let mut rng = Rng::new(seed);
    let (mut completed, mut broken) = (0, 0);
    for round in 0..ROUNDS {
        let region = Region::new(64 << 10).unwrap();
        let barrier = region.place(Barrier::new(PARTIES)).unwrap();
        // Per party: how many meetings were complete; and that it has seen the break.
        let met = region.place_slice(PARTIES, |_| AtomicU64::new(0)).unwrap();
        let work = |seat: usize| {
            for meeting in 0..MEETINGS {
                match barrier.wait() {
                    Ok(_) => met[seat].store(meeting + 1, Ordering::SeqCst),
                    Err(BarrierError::Died(_)) => return,
                    Err(BarrierError::Aborted) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let mut kids: Vec<Kid> = (0..PARTIES).map(|seat| Kid::fork(move || work(seat))).collect();
        for _ in 0..rng.below(60_000) {
            std::hint::spin_loop();
        }
        let victim = rng.below(PARTIES as u64) as usize;
        kids.remove(victim).kill();
        // The victim may have died between two rounds: then nobody but us knows that it will not come.
        if round % 2 == 0 {
            barrier.abort();
        } else {
            let over = || {
                let most = (0..PARTIES).map(|seat| met[seat].load(Ordering::SeqCst)).max();
                barrier.is_broken() || most == Some(MEETINGS) || barrier.waiting() == PARTIES - 1
            };
            assert!(until(over, LONG));
            barrier.abort();
        }
        kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
        let met: Vec<u64> = (0..PARTIES)
            .filter(|&seat| seat != victim)
            .map(|seat| met[seat].load(Ordering::SeqCst))
            .collect();
        assert!(met.iter().all(|&count| count == met[0]), "mixed: {met:?}");
        if met[0] == MEETINGS { completed += 1 } else { broken += 1 }
    }
    println!("{completed} completed, {broken} broken");
}
