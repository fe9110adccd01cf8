//! Conditions, events, semaphores and the lock of many readers: with nobody else there, and in turn with another.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::alone::{self, alone};
use crate::support::size::Size;
use crate::support::stats::interleave;
use crate::support::trips::Place;
use crate::support::turns::{self, turns};

pub(crate) fn rows(size: Size) -> Rows {
    use alone::Which::{OursRead, OursWrite, ParkingLotRead, ParkingLotWrite, StdRead, StdWrite};
    use turns::Which::{EventFd, OursCondvar, OursEvent, PthreadCondvar};
    let mut rows = Rows::new();
    let at_most_one = Some(Bar::AtMost(1.0));
    rows.extend(lock(
        size,
        "RwLock read + unlock, alone",
        OursRead,
        [(ParkingLotRead, at_most_one), (StdRead, None)],
    ));
    rows.extend(lock(
        size,
        "RwLock write + unlock, alone",
        OursWrite,
        [(ParkingLotWrite, None), (StdWrite, None)],
    ));
    rows.extend(one_instruction(size));
    for place in [Place::TwoCpus, Place::OneCpu] {
        let what = format!("Condvar ping-pong {}", place.name());
        rows.extend(in_turn(size, &what, place, [OursCondvar, PthreadCondvar], at_most_one));
        let what = format!("Event, there and back {}", place.name());
        rows.extend(in_turn(size, &what, place, [OursEvent, EventFd], None));
    }
    rows
}

fn lock(
    size: Size,
    what: &str,
    ours: alone::Which,
    peers: [(alone::Which, Option<Bar>); 2],
) -> Rows {
    let sides = [ours, peers[0].0, peers[1].0];
    let mut measure = sides.map(|which| move || alone(which, size.lock_ops()));
    let mut measure = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut measure);
    rows_of(what, measured, |series| {
        let row = |(index, &(which, bar)): (usize, &(alone::Which, Option<Bar>))| {
            let peer = (which.name(), series[index + 1][0].as_slice());
            Row { bar, ..Row::ratio(what, Unit::Nanoseconds, &series[0][0], peer) }
        };
        peers.iter().enumerate().map(row).collect()
    })
}

/// What should cost about one atomic instruction, against one.
fn one_instruction(size: Size) -> Rows {
    use alone::Which::{FetchAdd, OursIsSet, OursSemaphore, OursSet, OursSetClear, OursWait};
    let sides = [
        (OursSemaphore, "Semaphore acquire + release, each"),
        (OursSetClear, "Event set + clear, each"),
        (OursSet, "Event set, when it is set"),
        (OursIsSet, "Event is_set"),
        (OursWait, "Event wait, when it is set"),
        (FetchAdd, ""),
    ];
    let mut measure = sides.map(|(which, _)| move || alone(which, size.lock_ops()));
    let mut measure = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut measure);
    rows_of("Semaphore and Event, alone", measured, |series| {
        let (peer, ours) = series.split_last().expect("six sides");
        let row = |(series, (_, what)): (&Vec<Vec<f64>>, (_, &str))| {
            let peer = (FetchAdd.name(), peer[0].as_slice());
            Row::ratio(what, Unit::Nanoseconds, &series[0], peer).bar(Bar::AtMost(1.5))
        };
        ours.iter().zip(sides).map(row).collect()
    })
}

fn in_turn(
    size: Size,
    what: &str,
    place: Place,
    [ours, peer]: [turns::Which; 2],
    bar: Option<Bar>,
) -> Rows {
    let measured = interleave(
        size.rounds(),
        &mut [&mut || turns(ours, place, size.turns()), &mut || turns(peer, place, size.turns())],
    );
    rows_of(what, measured, |series| {
        let (p50, p99) = (0, 1);
        let row = |what: String, figure: usize| {
            let theirs = (peer.name(), series[1][figure].as_slice());
            Row::ratio(what, Unit::Nanoseconds, &series[0][figure], theirs)
        };
        vec![Row { bar, ..row(format!("{what}, p50"), p50) }, row(format!("{what}, p99"), p99)]
    })
}
