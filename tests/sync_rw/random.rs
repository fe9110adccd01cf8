//! Random deaths: processes that read and write, each killed at a random moment, and a checker of torn values.

use std::time::{Duration, Instant};

use offspring::{Counter, LockError, Region};

use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, asleep, seed, until};
use crate::sync_rw::rwlock::{Reading, Writing, pair};

const SEATS: u64 = 6;
const DEATHS: u64 = 1_000;

/// Writers write two halves, readers compare them. What was confirmed is there; each death may leave one write more.
pub(crate) fn kills() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let pair = pair();
    let region = Region::new(8192).unwrap();
    let confirmed = region.place(Counter::new("writes confirmed")).unwrap();
    let done = region.place(Counter::new("operations")).unwrap();
    let news = region.place(Counter::new("news")).unwrap();
    let read = |reading: Reading<'_>, rng: &mut Rng| match reading {
        Ok(share) => {
            let before = *share;
            assert_eq!(before[0], before[1], "torn, and no word of a dead writer");
            dawdle(rng);
            assert_eq!(*share, before, "changed while we read");
        }
        Err(LockError::OwnerDied(died)) => {
            assert!(!died.owner().panicked());
            news.add(1);
            let share = died.into_guard();
            let before = *share;
            dawdle(rng);
            assert_eq!(*share, before, "changed while we read");
        }
        Err(LockError::TimedOut | LockError::WouldBlock) => {}
    };
    let write = |writing: Writing<'_>, rng: &mut Rng| {
        let mut all = match writing {
            Ok(all) => {
                assert_eq!(all[0], all[1], "torn, and no word of a dead writer");
                all
            }
            Err(LockError::OwnerDied(died)) if rng.one_in(4) => return drop(died),
            Err(LockError::OwnerDied(died)) => {
                let mut all = died.recover();
                all[1] = all[0];
                all
            }
            Err(LockError::TimedOut | LockError::WouldBlock) => return,
        };
        all[0] += 1;
        dawdle(rng);
        all[1] += 1;
        if rng.one_in(8) {
            let share = offspring::RwLockWriteGuard::downgrade(all);
            assert_eq!(share[0], share[1]);
        } else {
            drop(all);
        }
        confirmed.add(1);
    };
    let work = |seed: u64| {
        let mut rng = Rng::new(seed);
        loop {
            let timeout = Duration::from_micros(rng.below(100));
            match rng.below(12) {
                0 => read(pair.try_read(), &mut rng),
                1 => read(pair.read_timeout(timeout), &mut rng),
                2 => {
                    let outer = pair.read();
                    read(pair.read(), &mut rng);
                    drop(outer);
                }
                3 => write(pair.try_write(), &mut rng),
                4 => write(pair.write_timeout(timeout), &mut rng),
                5..8 => write(pair.write(), &mut rng),
                _ => read(pair.read(), &mut rng),
            }
            done.add(1);
        }
    };
    let mut kids: Vec<Kid> = (0..SEATS).map(|n| Kid::fork(|| work(seed ^ n))).collect();
    let mut before = 0;
    for death in 0..DEATHS {
        let moment = Instant::now() + Duration::from_micros(1 << rng.below(12));
        assert!(until(|| Instant::now() >= moment, LONG));
        if death % 32 == 0 {
            let moves = until(|| done.get() > before + 32, LONG);
            let sleep: Vec<bool> = kids.iter().map(|kid| asleep(kid.pid())).collect();
            assert!(moves, "after {death} deaths nothing moves; asleep: {sleep:?}, {pair:?}");
            before = done.get();
        }
        let victim = rng.below(SEATS) as usize;
        let fresh = Kid::fork(|| work(seed ^ (death + SEATS)));
        let ended = std::mem::replace(&mut kids[victim], fresh).kill();
        assert_eq!(ended, Ended::Killed(nix::sys::signal::Signal::SIGKILL));
    }
    for kid in kids {
        assert_eq!(kid.kill(), Ended::Killed(nix::sys::signal::Signal::SIGKILL));
    }
    let all = match pair.try_write() {
        Ok(all) => all,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(error) => panic!("the dead still hold it: {error}"),
    };
    let (there, confirmed) = (all[0], confirmed.get());
    println!(
        "{there} writes, {confirmed} confirmed, {} reads with news, {} operations",
        news.get(),
        done.get()
    );
    assert!(there >= confirmed && there - confirmed <= DEATHS + SEATS);
}

/// Keeps the CPU busy for a while, up to some 10 µs.
fn dawdle(rng: &mut Rng) {
    if rng.one_in(4) {
        for _ in 0..rng.below(300) {
            std::hint::spin_loop();
        }
    }
}
