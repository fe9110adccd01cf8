//! Who waits for whom at the lock for readers and writers: order, numbers, signals, stopped holders.

#![expect(unsafe_code, reason = "installs a signal handler")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use offspring::{Counter, LockError, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};
use crate::sync_rw::rwlock::{SHORT, is_held, is_late, pair};

/// How many threads can read at a time.
pub(crate) const READERS: usize = 64;

/// Readers that never all leave would keep a writer out for ever.
pub(crate) fn readers_do_not_overtake_a_waiting_writer() {
    By::each(|by| {
        let pair = pair();
        let stop = Shared::new(AtomicU32::new(0)).unwrap();
        let reads = Shared::new(Counter::new("reads")).unwrap();
        let work = |seat: usize, _: &Seats| {
            if seat == 0 {
                for _ in 0..200 {
                    pair.write().unwrap()[0] += 1;
                }
                stop.store(1, Ordering::SeqCst);
            }
            let mut held = pair.read().unwrap();
            while stop.load(Ordering::SeqCst) == 0 {
                // The others are inside meanwhile. (A second share of one's own would be had at all times.)
                drop(held);
                held = pair.read().unwrap();
                std::thread::yield_now();
                reads.add(1);
            }
        };
        crew(by, 4, work, |_| ());
        println!("{} reads beside 200 writes", reads.get());
        assert_eq!(pair.read().unwrap()[0], 200);
    });
}

/// One that is in gets further shares, however many wait to write; one that is not in does not.
pub(crate) fn shares_while_a_writer_waits() {
    By::each(|by| {
        let pair = pair();
        let share = pair.read().unwrap();
        let late = Shared::new(Counter::new("late readers")).unwrap();
        let work = |seat: usize, _: &Seats| {
            if seat == 0 {
                let mut all = pair.write().unwrap();
                all[0] = 1;
            } else {
                assert!(until(|| late.get() == 1, LONG));
                late.reset();
                assert!(is_held(&pair.try_read()));
                assert!(is_late(&pair.read_timeout(SHORT)));
                late.add(2);
                assert_eq!(pair.read().unwrap()[0], 1);
            }
        };
        crew(by, 2, work, |seats| {
            seats.await_asleep(0);
            late.add(1);
            assert!(until(|| late.get() == 2, LONG));
            seats.await_asleep(1);
            let more: Vec<_> = (0..3).map(|_| pair.read().unwrap()).collect();
            assert_eq!(pair.try_read().unwrap()[0], 0);
            assert!(is_held(&pair.try_write()));
            drop(share); // the first goes, the others keep the writer out
            assert!(is_held(&pair.try_write()));
            assert_eq!(more[1][0], 0);
            drop(more);
        });
        assert_eq!(pair.read().unwrap()[0], 1);
    });
}

/// Threads that hold all shares, until they are told to end; `then` decides what becomes of each share.
fn all_taken(pair: &crate::sync_rw::rwlock::Pair, forgets: bool, lead: impl FnOnce(&Barrier)) {
    let gate = Barrier::new(READERS + 1);
    std::thread::scope(|scope| {
        let hold = || {
            let share = pair.read().unwrap();
            gate.wait(); // all are in
            gate.wait(); // they may go
            match forgets {
                true => std::mem::forget(share),
                false => drop(share),
            }
        };
        let threads: Vec<_> = (0..READERS).map(|_| scope.spawn(hold)).collect();
        gate.wait();
        lead(&gate);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

pub(crate) fn sixty_fifth_reader() {
    let pair = pair();
    all_taken(&pair, false, |gate| {
        assert!(is_held(&pair.try_read()));
        assert!(is_late(&pair.read_timeout(SHORT)));
        assert!(is_held(&pair.try_write()));
        let work = |seat: usize, _: &Seats| match seat {
            0 => drop(pair.read().unwrap()),
            1 => drop(pair.read_timeout(LONG).unwrap()),
            _ => drop(pair.write().unwrap()),
        };
        crew(By::Threads, 3, work, |seats| {
            seats.await_all_asleep();
            gate.wait();
        });
    });
    drop(pair.try_write().unwrap());
}

/// Nobody gives them back; the threads end.
pub(crate) fn sixty_four_that_end_with_their_shares() {
    let pair = pair();
    for asks in 0..3 {
        all_taken(&pair, true, |gate| {
            let work = |_, _: &Seats| match asks {
                0 => drop(pair.read().unwrap()),
                1 => drop(pair.write().unwrap()),
                _ => {}
            };
            crew(By::Threads, 1, work, |seats| {
                if asks < 2 {
                    seats.await_asleep(0);
                }
                gate.wait();
            });
        });
        // Now nobody waits: the first to come finds 64 dead.
        drop(pair.try_read().unwrap());
    }
    drop(pair.try_write().unwrap());
}

/// From now on SIGUSR1 interrupts system calls, and does nothing else.
pub(crate) fn ignore_usr1() {
    extern "C" fn nothing(_: i32) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
}

/// Signals whose handlers run do not end a wait, and do not make it shorter or longer.
pub(crate) fn signals_end_no_wait() {
    ignore_usr1();
    let pair = pair();
    let share = pair.read().unwrap();
    let ways: [&dyn Fn(); 4] = [
        &|| pair.write().unwrap()[0] += 1,
        &|| pair.write_timeout(LONG).unwrap()[0] += 1,
        &|| assert!(pair.read().unwrap()[0] <= 2),
        &|| assert!(pair.read_timeout(LONG).unwrap()[0] <= 2),
    ];
    let kids: Vec<Kid> = ways
        .iter()
        .map(|way| {
            let kid = Kid::fork(way);
            assert!(until(|| asleep(kid.pid()), LONG));
            kid
        })
        .collect();
    for _ in 0..50 {
        for kid in &kids {
            kid.signal(Signal::SIGUSR1);
            assert!(until(|| asleep(kid.pid()), LONG));
        }
    }
    drop(share);
    kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    assert_eq!(pair.read().unwrap()[0], 2);
}

/// A stopped process is alive: nobody gets what it holds, and everybody is told in time.
pub(crate) fn stopped_holders_and_timeouts() {
    for writes in [false, true] {
        let pair = pair();
        let ready = Shared::new(Counter::new("ready")).unwrap();
        let holder = Kid::fork(|| {
            let guards = match writes {
                true => (Some(pair.write().unwrap()), None),
                false => (None, Some(pair.read().unwrap())),
            };
            ready.add(1);
            assert!(until(|| ready.get() == 2, LONG));
            drop(guards);
        });
        assert!(until(|| ready.get() == 1, LONG));
        holder.signal(Signal::SIGSTOP);
        for _ in 0..3 {
            assert!(is_late(&pair.write_timeout(SHORT)));
            assert!(is_held(&pair.try_write()));
            match writes {
                true => assert!(is_late(&pair.read_timeout(SHORT)) && is_held(&pair.try_read())),
                false => drop((pair.read_timeout(SHORT).unwrap(), pair.try_read().unwrap())),
            }
        }
        // A sleeper that is stopped, too, holds nobody back who comes later.
        let sleeper = Kid::fork(|| drop(pair.write().unwrap()));
        assert!(until(|| asleep(sleeper.pid()), LONG));
        sleeper.signal(Signal::SIGSTOP);
        assert!(is_late(&pair.write_timeout(SHORT)));
        ready.add(1);
        holder.signal(Signal::SIGCONT);
        assert_eq!(holder.join(), Ended::Exited(0));
        sleeper.signal(Signal::SIGCONT);
        assert_eq!(sleeper.join(), Ended::Exited(0));
        drop(pair.try_write().unwrap());
    }
}

/// Waiters that give up leave the others their wake-ups.
pub(crate) fn timeouts_beside_waiters() {
    let seed = seed();
    By::each(|by| {
        let pair = pair();
        let written = Shared::new(Counter::new("writes")).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..2_000 {
                let patience = match seat {
                    0 | 1 => Duration::from_micros(rng.below(80)),
                    _ => LONG,
                };
                let (writes, dawdles) = (rng.one_in(3), rng.one_in(8));
                let done = match writes {
                    true => pair.write_timeout(patience).map(|mut all| {
                        all[0] += 1;
                        written.add(1);
                        if dawdles {
                            std::thread::yield_now();
                        }
                    }),
                    false => match pair.read_timeout(patience) {
                        Ok(_share) => {
                            if dawdles {
                                std::thread::yield_now();
                            }
                            Ok(())
                        }
                        Err(LockError::TimedOut) => Err(LockError::TimedOut),
                        Err(error) => panic!("{error}"),
                    },
                };
                assert!(done.is_ok() || seat < 2 && is_late(&done), "{done:?}");
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(pair.try_write().unwrap()[0], written.get());
    });
}
