//! Spawn and join, against bare fork and its relatives.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::size::Size;
use crate::support::spawns::{Which, spawns};
use crate::support::stats::{Series, interleave};

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = small_parent(size);
    rows.extend(parent_of(10 << 20, size.rounds(), size.spawns()));
    rows.extend(parent_of(size.big_bytes(), size.long_rounds(), size.big_spawns()));
    rows.extend(by_server(size));
    rows
}

fn small_parent(size: Size) -> Rows {
    let sides = [Which::Ours, Which::OursResult, Which::Fork, Which::PosixSpawn];
    let forked = measure(&sides, 0, size.rounds(), size.spawns());
    // Threads in an arena of their own: the others' parent has had one thread only, as bare fork's usually has.
    let threads = measure(&[Which::Thread], 0, size.rounds(), size.spawns());
    let measured = forked.and_then(|mut series| {
        series.extend(threads?);
        Ok(series)
    });
    rows_of("spawn + join", measured, |series| {
        let (ours, with_result, fork) = (&series[0][0], &series[1][0], &series[2][0]);
        let peer = |which: Which, index: usize| (which.name(), series[index][0].as_slice());
        let (ns, fork) = (Unit::Nanoseconds, (Which::Fork.name(), fork.as_slice()));
        vec![
            Row::ratio("spawn + join, empty", ns, ours, fork).bar(Bar::AtMost(1.10)),
            Row::ratio("spawn + join, with a result", ns, with_result, fork),
            Row::ratio("spawn + join, empty", ns, ours, peer(Which::PosixSpawn, 3)),
            Row::ratio("spawn + join, empty", ns, ours, peer(Which::Thread, 4)),
        ]
    })
}

/// A parent that has touched so many private bytes: the fork copies their page tables.
fn parent_of(resident: usize, rounds: usize, count: u64) -> Rows {
    let sides = [Which::Ours, Which::Fork];
    let what = format!("spawn + join, parent of {} MiB", resident >> 20);
    rows_of(&what, measure(&sides, resident, rounds, count), |series| {
        let fork = (Which::Fork.name(), series[1][0].as_slice());
        vec![Row::ratio(&what, Unit::Nanoseconds, &series[0][0], fork)]
    })
}

/// Through the fork server, by clients of three sizes: each round is an arena of its own.
fn by_server(size: Size) -> Rows {
    let clients = [10 << 20, size.big_bytes(), size.huge_bytes()];
    let count = size.spawns() * 4;
    let mut sides = clients.map(|bytes| move || spawns(&[Which::OursServer], bytes, 1, count));
    let mut sides = sides.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.long_rounds(), &mut sides);
    rows_of("spawn + join by a fork server", measured, |series| {
        let small = ("client of 10 MiB", series[0][0].as_slice());
        let rows = clients.iter().zip(series).skip(1).map(|(bytes, series)| {
            let what = format!("spawn + join by a fork server, client of {} MiB", bytes >> 20);
            Row::ratio(what, Unit::Nanoseconds, &series[0], small).bar(Bar::AtMost(1.10))
        });
        rows.collect()
    })
}

/// One arena's interleaved rounds, sorted by side.
fn measure(
    sides: &[Which],
    resident: usize,
    rounds: usize,
    count: u64,
) -> Result<Vec<Series>, String> {
    let figures = spawns(sides, resident, rounds, count)?;
    let of_side = |side: usize| figures.iter().copied().skip(side).step_by(sides.len()).collect();
    Ok((0..sides.len()).map(|side| vec![of_side(side)]).collect())
}
