//! Random deaths among those who wait, notify and set.

use std::ops::Range;
use std::time::Duration;

use offspring::{Condvar, Counter, Event, LockError, Mutex, MutexGuard, Region, Shared};

use crate::floors::LONG;
use crate::support::{Kid, Rng, seed, until};

const SLOTS: usize = 4;

/// What the lock guards: how many are in the buffer, how many were ever put in, and taken out.
type Buffer = [u64; 3];

fn entered<'a>(
    locked: Result<MutexGuard<'a, Buffer>, LockError<'a, Buffer>>,
) -> Option<MutexGuard<'a, Buffer>> {
    match locked {
        Ok(guard) => Some(guard),
        // Each operation is committed by its last store, of the number in the buffer; the other two are derived from it.
        Err(LockError::OwnerDied(died)) => {
            let mut guard = died.recover();
            guard[1] = guard[0] + guard[2];
            Some(guard)
        }
        Err(LockError::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Producers and consumers around one bounded buffer, killed at random moments and replaced. Everybody else goes on: the
/// consumers never sleep on a full buffer, nor the producers on an empty one, without any timeout.
pub(crate) fn buffer_with_deaths() {
    const SEATS: usize = 6;
    const DEATHS: u64 = 400;
    let seed = seed();
    let mut rng = Rng::new(seed);
    let shared = Shared::new((Mutex::new([0u64; 3]), (Condvar::new(), Condvar::new()))).unwrap();
    let (buffer, (filled, emptied)) = &*shared;
    let region = Region::new(1 << 14).unwrap();
    let done = region.place_slice(SEATS, |_| Counter::new("operations")).unwrap();
    let work = |seat: usize, seed: u64| {
        let mut rng = Rng::new(seed);
        let produces = seat.is_multiple_of(2);
        let (mine, theirs) = if produces { (emptied, filled) } else { (filled, emptied) };
        let blocked = |b: &Buffer| if produces { b[0] == SLOTS as u64 } else { b[0] == 0 };
        loop {
            let mut guard = entered(buffer.lock()).expect("no time limit");
            while blocked(&guard) {
                let waited = match rng.below(4) {
                    0 => {
                        let brief = Duration::from_micros(rng.below(200));
                        mine.wait_timeout(guard, brief).map(|(guard, _)| guard)
                    }
                    _ => mine.wait(guard),
                };
                guard = match entered(waited) {
                    Some(guard) => guard,
                    None => entered(buffer.lock()).expect("no time limit"),
                };
            }
            if produces {
                guard[1] += 1;
                guard[0] += 1;
            } else {
                guard[2] += 1;
                guard[0] -= 1;
            }
            // Before the unlock: so a death before it is one of an owner, of which all who wait are told.
            if rng.one_in(3) {
                theirs.notify_all()
            } else {
                theirs.notify_one()
            }
            drop(guard);
            done[seat].add(1);
        }
    };
    let spawn = |seat: usize, seed: u64| Kid::fork(|| work(seat, seed));
    let mut kids: Vec<Kid> = (0..SEATS).map(|seat| spawn(seat, seed ^ seat as u64)).collect();
    let sum = |range: Range<usize>| range.map(|seat| done[seat].get()).sum::<u64>();
    for death in 0..DEATHS {
        let target = sum(0..SEATS) + rng.below(30) + 1;
        if !until(|| sum(0..SEATS) >= target, LONG) {
            panic!("nobody gets anything done after {death} deaths: {:?}", buffer.try_lock());
        }
        let seat = rng.below(SEATS as u64) as usize;
        let fresh = spawn(seat, seed ^ (death + 100));
        std::mem::replace(&mut kids[seat], fresh).kill();
    }
    println!("{} operations", sum(0..SEATS));
}

/// Two phases, each opened by an event: the leader opens one and closes the other, and every follower passes each phase. The
/// followers are killed and replaced; then the leader is.
pub(crate) fn relay_with_deaths() {
    const SEATS: usize = 4;
    const DEATHS: u64 = 100;
    let seed = seed();
    let mut rng = Rng::new(seed);
    let region = Region::new(1 << 14).unwrap();
    let doors = region.place_slice(2, |_| Event::new()).unwrap();
    let passed = region.place_slice(SEATS, |_| Counter::new("doors passed")).unwrap();
    let follower = |seat: usize| {
        loop {
            for door in doors.iter() {
                door.wait();
                passed[seat].add(1);
            }
        }
    };
    // Dies anywhere; its successor opens both doors, one after the other, again.
    let leader = |seed: u64| {
        let mut rng = Rng::new(seed);
        loop {
            for door in 0..2 {
                doors[door].set();
                doors[1 - door].clear();
                if rng.one_in(2) {
                    std::thread::yield_now();
                }
            }
        }
    };
    let mut kids: Vec<Kid> = (0..SEATS).map(|seat| Kid::fork(|| follower(seat))).collect();
    let mut lead = Kid::fork(|| leader(seed));
    for death in 0..DEATHS {
        let before: Vec<u64> = passed.iter().map(Counter::get).collect();
        // Everybody passes, not only somebody.
        let all = || passed.iter().zip(&before).all(|(now, before)| now.get() > *before);
        assert!(until(all, LONG), "somebody passes no door after {death} deaths");
        if rng.one_in(3) {
            lead.kill();
            lead = Kid::fork(|| leader(seed ^ death));
        } else {
            let seat = rng.below(SEATS as u64) as usize;
            let fresh = Kid::fork(|| follower(seat));
            std::mem::replace(&mut kids[seat], fresh).kill();
        }
    }
    lead.kill();
}
