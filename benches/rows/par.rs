//! Parallel calls, against rayon and against one process.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::size::Size;
use crate::support::stats::interleave;
use crate::support::sweeps::{Memory, Which, computing, sweep};

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = sweeps(size);
    let (items, rounds) = (size.items(), size.rounds());
    let sides: &mut [&mut dyn FnMut() -> _] =
        &mut [&mut || computing(true, items), &mut || computing(false, items)];
    rows.extend(rows_of("par_map, computing", interleave(rounds, sides), |series| {
        let one = ("one process", series[1][0].as_slice());
        let what = format!("par_map_plain, {items} items that compute (speed-up of 1.9)");
        let row = Row::ratio(what, Unit::Nanoseconds, &series[0][0], one);
        vec![row.bar(Bar::AtMost(1.0 / 1.9))]
    }));
    rows
}

fn sweeps(size: Size) -> Rows {
    let bytes = size.array_bytes();
    let sides = [
        (Which::OursReduce, Memory::Huge),
        (Which::OursMap, Memory::Huge),
        (Which::OursCallerWorks, Memory::Huge),
        (Which::Rayon, Memory::Huge),
        (Which::OursReduce, Memory::Usual),
        (Which::OursReduce, Memory::Shared),
        (Which::Rayon, Memory::Usual),
        (Which::One, Memory::Huge),
    ];
    let mut measure = sides.map(|(which, memory)| move || sweep(which, memory, bytes));
    let mut sides: Vec<&mut dyn FnMut() -> _> =
        measure.iter_mut().map(|side| side as &mut dyn FnMut() -> _).collect();
    rows_of("sum of squares", interleave(size.long_rounds(), &mut sides), |series| {
        let of = |side: usize| series[side][0].as_slice();
        let (huge, usual, one) = (("rayon", of(3)), ("rayon", of(6)), ("one process", of(7)));
        let row = |what: &str, side: usize, peer| {
            let what = format!("sum of squares of {} MiB, {what}", bytes >> 20);
            Row::ratio(what, Unit::Nanoseconds, of(side), peer)
        };
        vec![
            row("par_reduce", 0, huge).bar(Bar::AtMost(1.1)),
            row("par_map_plain", 1, huge).bar(Bar::AtMost(1.1)),
            row("par_reduce, the caller works", 2, huge),
            row("par_reduce", 0, one),
            row("pages of 4 KiB, par_reduce of a Vec", 4, usual),
            row("pages of 4 KiB, par_reduce of a SharedVec", 5, usual),
        ]
    })
}
