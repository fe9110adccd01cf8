//! The ring queue: messages per second in every shape, held ends, bursts, and the consumers' shares.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::crowd::Quota;
use crate::support::rings::{self, Message, Shape, Which};
use crate::support::size::Size;
use crate::support::stats::interleave;

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = Rows::new();
    for pairs in [1, 2, 4] {
        let bar = Bar::AtLeast(if pairs == 1 { 1.3 } else { 1.5 });
        rows.extend(against_crossbeam::<[u64; 1]>(size, Which::Ours, pairs, Some(bar)));
        rows.extend(against_crossbeam::<[u64; 8]>(size, Which::Ours, pairs, Some(bar)));
        rows.extend(against_crossbeam::<[u64; 128]>(size, Which::Ours, pairs, None));
    }
    for pairs in [2, 4] {
        rows.extend(shares::<[u64; 1]>(size, pairs));
        rows.extend(shares::<[u64; 8]>(size, pairs));
    }
    rows.extend(against_crossbeam::<[u64; 1]>(size, Which::OursBurst, 1, None));
    rows.extend(against_crossbeam::<[u64; 8]>(size, Which::OursBurst, 1, None));
    rows.extend(held::<[u64; 1]>(size));
    rows.extend(held::<[u64; 8]>(size));
    rows
}

fn against_crossbeam<T: Message>(size: Size, ours: Which, pairs: usize, bar: Option<Bar>) -> Rows {
    let (shape, quota) = (Shape::pairs(pairs), Quota::Time(size.window()));
    let measured = interleave(
        size.rounds(),
        &mut [&mut || rings::flow::<T>(ours, shape, quota), &mut || {
            rings::flow::<T>(Which::Crossbeam, shape, quota)
        }],
    );
    let burst = if ours == Which::OursBurst { " in bursts of 64" } else { "" };
    let what = format!("{} B{burst}, {pairs} → {pairs}", size_of::<T>());
    rows_of(&what, measured, |series| {
        let peer = (Which::Crossbeam.name(), series[1][0].as_slice());
        let row = Row::ratio(&what, Unit::PerSecond, &series[0][0], peer);
        vec![if let Some(bar) = bar { row.bar(bar) } else { row }]
    })
}

fn shares<T: Message>(size: Size, pairs: usize) -> Rows {
    let (shape, quota) = (Shape::pairs(pairs), Quota::Time(size.long_window()));
    let measured = interleave(
        3,
        &mut [&mut || rings::flow::<T>(Which::Ours, shape, quota), &mut || {
            rings::flow::<T>(Which::Crossbeam, shape, quota)
        }],
    );
    let what = format!("{} B, {pairs} → {pairs}, consumers' min/max share", size_of::<T>());
    rows_of(&what, measured, |series| {
        let row = Row::ours(&what, Unit::Share, &series[0][1]);
        vec![row.beside(Which::Crossbeam.name(), &series[1][1]).bar(Bar::AtLeast(0.2))]
    })
}

fn held<T: Message>(size: Size) -> Rows {
    let (shape, quota) = (Shape::pairs(1), Quota::Time(size.window()));
    let measured = interleave(
        size.rounds(),
        &mut [&mut || rings::flow::<T>(Which::OursHeld, shape, quota), &mut || {
            rings::flow::<T>(Which::Rtrb, shape, quota)
        }],
    );
    let what = format!("{} B, held ends, 1 → 1", size_of::<T>());
    rows_of(&what, measured, |series| {
        let peer = (Which::Rtrb.name(), series[1][0].as_slice());
        let row = Row::ratio(&what, Unit::PerSecond, &series[0][0], peer);
        vec![row.bar(Bar::AtLeast(0.9))]
    })
}
