//! Holders and waiters of permits that die.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offspring::{Counter, Region, Semaphore, Shared};

use super::semaphore::semaphore;
use crate::floors::{By, LONG, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};

/// Forks a child that takes so many permits, and stays.
fn holder(semaphore: &Shared<Semaphore>, permits: usize) -> Kid {
    let ready = Shared::new(Counter::new("ready")).unwrap();
    let kid = Kid::fork(|| {
        let _permits: Vec<_> = (0..permits).map(|_| semaphore.acquire()).collect();
        ready.add(1);
        loop {
            std::thread::park();
        }
    });
    assert!(until(|| ready.get() == 1, LONG));
    kid
}

pub(crate) fn permits_of_the_dead_return() {
    let semaphore = semaphore(3);
    let kid = holder(&semaphore, 2);
    assert_eq!(semaphore.available_permits(), 1);
    kid.kill();
    assert_eq!(semaphore.available_permits(), 3);
    // Whoever looks takes them, also without patience.
    let kid = holder(&semaphore, 3);
    kid.kill();
    drop(semaphore.try_acquire().unwrap());
    // A thread that ends with a leaked permit; a process that exits with one.
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(semaphore.acquire())).join().unwrap();
    });
    let kid = Kid::fork(|| std::mem::forget(semaphore.acquire()));
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(semaphore.available_permits(), 3);
    // What a dead one had forgotten stays so.
    let kid = Kid::fork(|| {
        let permits = [semaphore.acquire(), semaphore.acquire()];
        let [first, second] = permits;
        first.forget();
        std::mem::forget(second);
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(semaphore.available_permits(), 2);
}

pub(crate) fn sleepers_get_a_dead_ones_permits() {
    By::each(|by| {
        let semaphore = semaphore(2);
        let kid = holder(&semaphore, 2);
        crew(
            by,
            4,
            |_, _| drop(semaphore.acquire()),
            |seats| {
                seats.await_all_asleep();
                kid.kill();
            },
        );
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// Two sleep while one holds. It gives back, and one of the two takes; when that one is killed, the other goes on. Nobody else
/// looks at the semaphore meanwhile.
pub(crate) fn a_new_holder_is_watched() {
    for _ in 0..20 {
        let semaphore = semaphore(1);
        let holder = Shared::new(AtomicU64::new(0)).unwrap();
        let permit = semaphore.acquire();
        let sleeper = || {
            let kid = Kid::fork(|| {
                let _permit = semaphore.acquire();
                holder.store(u64::from(std::process::id()), Ordering::SeqCst);
                loop {
                    std::thread::park();
                }
            });
            assert!(until(|| asleep(kid.pid()), LONG));
            kid
        };
        let mut kids = vec![sleeper(), sleeper()];
        drop(permit);
        assert!(until(|| holder.load(Ordering::SeqCst) != 0, LONG));
        assert!(until(|| kids.iter().all(|kid| asleep(kid.pid())), LONG));
        let pid = holder.swap(0, Ordering::SeqCst) as i32;
        let at = kids.iter().position(|kid| kid.pid() == pid).unwrap();
        kids.remove(at).kill();
        assert!(until(|| holder.load(Ordering::SeqCst) == kids[0].pid() as u64, LONG));
        kids.remove(0).kill();
        assert_eq!(semaphore.available_permits(), 1);
    }
}

pub(crate) fn killed_sleepers_take_nothing_with_them() {
    for dead in 0..3 {
        let semaphore = semaphore(1);
        let permit = semaphore.acquire();
        let mut kids: Vec<Kid> = (0..3)
            .map(|_| {
                let kid = Kid::fork(|| drop(semaphore.acquire()));
                assert!(until(|| asleep(kid.pid()), LONG));
                kid
            })
            .collect();
        kids.remove(dead).kill();
        drop(permit);
        kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
        assert_eq!(semaphore.available_permits(), 1);
    }
}

/// Processes that are killed at any moment, on two permits: what is confirmed to be out is never more than that.
pub(crate) fn random_kills() {
    const ROUNDS: u64 = 1_000;
    const SEATS: usize = 6;
    const PERMITS: u64 = 2;
    let seed = seed();
    let mut rng = Rng::new(seed);
    let region = Region::new(16 << 10).unwrap();
    let semaphore = region.place(Semaphore::new(PERMITS as u32)).unwrap();
    // What each holds for certain: odd while it does, noted after it got a permit and taken back before it gives it back. No number
    // comes twice, so numbers that two looks find were there all at once between them.
    let held = region.place_slice(SEATS, |_| AtomicU64::new(0)).unwrap();
    let look = || -> [u64; SEATS] { std::array::from_fn(|seat| held[seat].load(Ordering::SeqCst)) };
    let done = region.place(Counter::new("operations")).unwrap();
    let work = |seat: usize, seed: u64, life: u64| {
        let mut rng = Rng::new(seed);
        let mut note = life << 32;
        loop {
            let permit = match rng.below(4) {
                0 => semaphore.try_acquire().ok(),
                1 => semaphore.acquire_timeout(Duration::from_micros(rng.below(200))).ok(),
                _ => Some(semaphore.acquire()),
            };
            if let Some(permit) = permit {
                held[seat].store(note + 1, Ordering::SeqCst);
                let notes = look();
                let out = notes.iter().filter(|&note| note % 2 == 1).count();
                let is_certain = out > PERMITS as usize && look() == notes;
                assert!(!is_certain, "{out} permits are out");
                if rng.one_in(8) {
                    std::thread::yield_now();
                }
                note += 2;
                held[seat].store(note, Ordering::SeqCst);
                drop(permit);
            }
            done.add(1);
        }
    };
    let fork = |seat: usize, seed: u64, life: u64| Kid::fork(move || work(seat, seed, life));
    let mut kids: Vec<Kid> = (0..SEATS).map(|seat| fork(seat, seed ^ seat as u64, 0)).collect();
    for round in 0..ROUNDS {
        let target = done.get() + rng.below(40);
        assert!(until(|| done.get() >= target, LONG), "nobody gets on");
        let victim = rng.below(SEATS as u64) as usize;
        // Stopped first: its note is void before its permit returns.
        let kid = &kids[victim];
        kid.signal(nix::sys::signal::Signal::SIGSTOP);
        held[victim].store(0, Ordering::SeqCst);
        let fresh_seed = seed ^ (round + 100);
        let stopped = || std::fs::read_to_string(format!("/proc/{}/stat", kid.pid())).unwrap();
        assert!(until(|| stopped().contains(") T"), LONG), "{}", stopped());
        held[victim].store(0, Ordering::SeqCst);
        let kid = kids.remove(victim);
        assert_eq!(kid.kill(), Ended::Killed(nix::sys::signal::Signal::SIGKILL));
        kids.insert(victim, fork(victim, fresh_seed, round + 1));
    }
    let ends: Vec<Ended> = kids.into_iter().map(Kid::kill).collect();
    let killed = |end: &Ended| *end == Ended::Killed(nix::sys::signal::Signal::SIGKILL);
    assert!(ends.iter().all(killed), "{ends:?}");
    println!("{} operations, {ROUNDS} deaths", done.get());
    assert_eq!(semaphore.available_permits(), PERMITS as u32);
}
