//! What the event promises while nobody dies.

use std::time::{Duration, Instant};

use offspring::{Counter, Event, Region, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::until;

pub(crate) fn set_wakes_all() {
    By::each(|by| {
        let event = Shared::new(Event::new()).unwrap();
        let work = |seat: usize, _: &Seats| match seat {
            0 => event.wait(),
            _ => assert!(event.wait_timeout(LONG)),
        };
        crew(by, 4, work, |seats| {
            seats.await_all_asleep();
            event.set();
        });
        assert!(event.is_set());
        event.wait();
    });
}

/// Nobody who waited misses a set that is taken back before he runs.
pub(crate) fn set_and_clear_at_once_wakes_all_who_wait() {
    By::each(|by| {
        let event = Shared::new(Event::new()).unwrap();
        let region = Region::new(1 << 12).unwrap();
        let woken = region.place_slice(3, |_| Counter::new("woken")).unwrap();
        let stop = region.place(Event::new()).unwrap();
        let work = |seat: usize, _: &Seats| {
            while !stop.is_set() {
                event.wait(); // perhaps twice in a round: before the flag goes down
                woken[seat].add(1);
            }
        };
        crew(by, 3, work, |seats| {
            for round in 0..20 {
                seats.await_all_asleep();
                let before: Vec<u64> = woken.iter().map(Counter::get).collect();
                if round == 19 {
                    stop.set();
                }
                event.set();
                event.clear();
                let all = || woken.iter().zip(&before).all(|(now, before)| now.get() > *before);
                assert!(until(all, LONG));
            }
        });
        assert!(!event.is_set());
    });
}

pub(crate) fn timeouts() {
    let event = Shared::new(Event::new()).unwrap();
    let (start, timeout) = (Instant::now(), Duration::from_millis(4));
    assert!(!event.wait_timeout(timeout));
    assert!(start.elapsed() >= timeout);
    assert!(!event.wait_deadline(start));
    assert!(!event.wait_timeout(Duration::ZERO));
    event.set();
    event.set();
    assert!(event.is_set() && event.wait_deadline(start) && event.wait_timeout(Duration::ZERO));
    event.clear();
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
}

/// Two events handed to and fro.
pub(crate) fn relay() {
    const ROUNDS: u64 = 3_000;
    By::each(|by| {
        let (there, back) =
            (Shared::new(Event::new()).unwrap(), Shared::new(Event::new()).unwrap());
        let work = |seat: usize, _: &Seats| {
            for _ in 0..ROUNDS {
                let (mine, theirs) = if seat == 0 { (&there, &back) } else { (&back, &there) };
                mine.wait();
                mine.clear();
                theirs.set();
            }
        };
        crew(by, 2, work, |_| there.set());
        assert!(there.is_set() && !back.is_set());
    });
}
