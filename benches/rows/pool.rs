//! The pool, against rayon, Python's pool, two ring queues, and children forked by hand.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::pools::{self, Mapper, Team};
use crate::support::size::Size;
use crate::support::stats::interleave;
use crate::support::sweeps::{Memory, Which, sweep};
use crate::support::trips::{self, Place};

const NS: Unit = Unit::Nanoseconds;

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = mapped(size);
    rows.extend(one_by_one(size));
    rows.extend(round_trip(size, Place::TwoCpus));
    rows.extend(round_trip(size, Place::OneCpu));
    rows.extend(milliseconds(size));
    rows.extend(sweeps(size));
    rows.extend(start_and_stop(size));
    rows.extend(killed("", 0, size));
    let big = size.big_bytes();
    rows.extend(killed(&format!(" of {} MiB", big >> 20), big, size));
    rows
}

fn mapped(size: Size) -> Rows {
    let items = size.trivial_items();
    let sides: &mut [&mut dyn FnMut() -> _] =
        &mut [&mut || pools::map(Mapper::Ours, items), &mut || pools::map(Mapper::Rayon, items)];
    rows_of("Pool::map", interleave(size.rounds(), sides), |series| {
        let what = format!("Pool::map, {items} trivial items, each");
        let rayon = ("rayon", series[1][0].as_slice());
        vec![Row::ratio(what, NS, &series[0][0], rayon).bar(Bar::AtMost(2.0))]
    })
}

fn one_by_one(size: Size) -> Rows {
    let items = size.trivial_items();
    let what = format!("Pool::map, {items} chunks of one trivial item, each");
    let mut ours = || pools::map(Mapper::OursChunksOfOne, items);
    // Python takes fifteen times as long for an item.
    let mut python = || pools::map_in_python(items / 5);
    let mut sides: Vec<&mut dyn FnMut() -> _> = vec![&mut ours];
    if pools::has_python() {
        sides.push(&mut python);
    } else {
        eprintln!("no python3 with multiprocessing: the row beside its Pool is left out");
    }
    rows_of("chunks of one item", interleave(size.rounds(), &mut sides), |series| {
        let ours = &series[0][0];
        let mut rows = vec![Row::ours(&what, NS, ours).bar(Bar::AtMost(1000.0))];
        rows.extend(series.get(1).map(|python| {
            let python = ("Python's Pool", python[0].as_slice());
            Row::ratio(&what, NS, ours, python).bar(Bar::AtMost(1.0 / 15.0))
        }));
        rows
    })
}

fn round_trip(size: Size, place: Place) -> Rows {
    let count = size.turns();
    let sides: &mut [&mut dyn FnMut() -> _] =
        &mut [&mut || pools::round_trips(place, count), &mut || {
            trips::round_trips(trips::Which::Ours, place, count)
        }];
    let what = format!("submit + wait {}, p50", place.name());
    rows_of(&what, interleave(size.rounds(), sides), |series| {
        let queues = ("two RingQueues", series[1][0].as_slice());
        vec![Row::ratio(&what, NS, &series[0][0], queues).bar(Bar::AtMost(3.0))]
    })
}

fn milliseconds(size: Size) -> Rows {
    let (count, item) = (size.tasks(), pools::item_of_a_millisecond());
    let sides: &mut [&mut dyn FnMut() -> _] =
        &mut [&mut || pools::tasks(true, item, count), &mut || pools::tasks(false, item, count)];
    let what = format!("{count} tasks of 1 ms on 2 workers");
    rows_of(&what, interleave(size.rounds(), sides), |series| {
        let by_hand = ("split over 2 forks", series[1][0].as_slice());
        vec![Row::ratio(&what, NS, &series[0][0], by_hand).bar(Bar::AtMost(1.02))]
    })
}

fn sweeps(size: Size) -> Rows {
    let bytes = size.array_bytes();
    let sides = [
        (Which::OursPool, Memory::Atomics),
        (Which::Rayon, Memory::Usual),
        (Which::OursPool, Memory::Huge),
        (Which::Rayon, Memory::Huge),
    ];
    let mut measure = sides.map(|(which, memory)| move || sweep(which, memory, bytes));
    let mut sides = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    rows_of("sum of squares by a pool", interleave(size.long_rounds(), &mut sides), |series| {
        let row = |memory: &str, ours: usize, rayon: usize| {
            let what = format!("sum of squares of {} MiB, Pool, {memory}", bytes >> 20);
            let rayon = ("rayon", series[rayon][0].as_slice());
            Row::ratio(what, NS, &series[ours][0], rayon).bar(Bar::AtMost(1.1))
        };
        vec![row("shared atomics", 0, 1), row("an inherited Vec in huge pages", 2, 3)]
    })
}

fn start_and_stop(size: Size) -> Rows {
    let count = size.spawns();
    let mut sides = [Team::Ours, Team::OursOneTask, Team::Forks]
        .map(|team| move || pools::start_and_stop(team, 4, count));
    let mut sides = sides.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    rows_of("start and stop of a pool", interleave(size.rounds(), &mut sides), |series| {
        let forks = ("4 forks, 4 waits", series[2][0].as_slice());
        vec![
            Row::ratio("start and stop of a pool of 4", NS, &series[0][0], forks)
                .bar(Bar::AtMost(1.5)),
            Row::ratio("start, one task and stop of a pool of 4", NS, &series[1][0], forks),
        ]
    })
}

fn killed(label: &str, resident: usize, size: Size) -> Rows {
    let what = format!("outcome of a task whose worker{label} was killed");
    let measured = interleave(size.kills(), &mut [&mut || pools::outcome_of_killed(resident)]);
    rows_of(&what, measured, |series| {
        let ours = &series[0][0];
        let slowest = [ours.iter().copied().fold(0.0, f64::max)];
        vec![
            Row::ours(&what, NS, ours).bar(Bar::AtMost(1e6)),
            // No row for luck: the library's net under a lost wake-up is a second wide.
            Row::ours(format!("{what}, slowest"), NS, &slowest).bar(Bar::AtMost(100e6)),
        ]
    })
}
