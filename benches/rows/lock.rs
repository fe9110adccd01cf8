//! The lock: alone, contended, and recovered from a killed owner.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::crowd::Quota;
use crate::support::locks::{self, Which};
use crate::support::recovery::recovery;
use crate::support::size::Size;
use crate::support::stats::interleave;

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = alone(size);
    for (parties, share_bar) in [(2, 0.5), (4, 0.25), (8, 0.25)] {
        rows.extend(contended(size, parties, share_bar));
    }
    rows.extend(recovered("", 0, size.kills()));
    let label = format!(" of {} MiB", size.big_bytes() >> 20);
    rows.extend(recovered(&label, size.big_bytes(), size.long_rounds()));
    rows
}

fn alone(size: Size) -> Rows {
    let mut sides = Which::ALL.map(|which| move || locks::uncontended(which, size.lock_ops()));
    let mut sides = sides.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut sides);
    rows_of("lock + unlock, alone", measured, |series| {
        let row = |index: usize| {
            let peer = (Which::ALL[index].name(), series[index][0].as_slice());
            let row = Row::ratio("lock + unlock, alone", Unit::Nanoseconds, &series[0][0], peer);
            match Which::ALL[index] {
                Which::ParkingLot => row.bar(Bar::AtMost(0.65)),
                Which::PthreadRobust => row.bar(Bar::AtMost(0.45)),
                _ => row,
            }
        };
        (1..Which::ALL.len()).map(row).collect()
    })
}

fn contended(size: Size, parties: usize, share_bar: f64) -> Rows {
    let quota = Quota::Time(size.long_window());
    let measured = interleave(
        size.rounds(),
        &mut [&mut || locks::contended(Which::Ours, parties, quota), &mut || {
            locks::contended(Which::ParkingLot, parties, quota)
        }],
    );
    let what = format!("contended by {parties}");
    rows_of(&what, measured, |series| {
        let (ours, theirs) = (&series[0], &series[1]);
        let peer = Which::ParkingLot.name();
        vec![
            Row::ratio(&what, Unit::PerSecond, &ours[0], (peer, &theirs[0])).bar(Bar::AtLeast(1.0)),
            Row::ours(format!("{what}, min/max share"), Unit::Share, &ours[1])
                .beside(peer, &theirs[1])
                .bar(Bar::AtLeast(share_bar)),
        ]
    })
}

fn recovered(label: &str, resident: usize, kills: usize) -> Rows {
    let measured = interleave(
        kills,
        &mut [&mut || recovery(Which::Ours, resident), &mut || {
            recovery(Which::PthreadRobust, resident)
        }],
    );
    let what = format!("recovered from a killed owner{label}");
    rows_of(&what, measured, |series| {
        let (ours, theirs) = (&series[0][0], &series[1][0]);
        let peer = Which::PthreadRobust.name();
        let slowest = |samples: &[f64]| [samples.iter().copied().fold(0.0, f64::max)];
        vec![
            Row::ours(&what, Unit::Nanoseconds, ours).beside(peer, theirs).bar(Bar::AtMost(0.3e6)),
            // The library's net under a lost wake-up is a second wide: nothing may come near it.
            Row::ours(format!("{what}, slowest"), Unit::Nanoseconds, &slowest(ours))
                .beside(peer, &slowest(theirs))
                .bar(Bar::AtMost(100e6)),
        ]
    })
}
