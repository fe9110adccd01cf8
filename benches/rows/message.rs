//! Messages of bytes: small ones by the second, big ones by the byte, and the round trip over a pipe.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::crowd::Quota;
use crate::support::messages::{Which, flow};
use crate::support::size::Size;
use crate::support::stats::interleave;
use crate::support::trips::Place;
use crate::support::turns::{self, turns};

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = small(size, 64);
    rows.extend(small(size, 1024));
    rows.extend(big(size, 64 << 10, 0.6));
    rows.extend(big(size, 1 << 20, 0.8));
    rows.extend(pipe(size, Place::TwoCpus));
    rows.extend(pipe(size, Place::OneCpu));
    rows
}

/// `Queue<Vec<u8>>`; the scheduler decides where the parties run. The bars are for 64 bytes.
fn small(size: Size, bytes: usize) -> Rows {
    let sides = [Which::Ours, Which::IpcChannel, Which::Pipe, Which::SocketPair, Which::Crossbeam];
    let quota = Quota::Time(size.window());
    let mut measure = sides.map(|which| move || flow(which, bytes, false, quota));
    let mut measure = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut measure);
    let what = format!("Queue<Vec<u8>>, {}, 1 → 1", bytes_of(bytes));
    rows_of(&what, measured, |series| {
        let row = |side: usize| {
            let peer = (sides[side].name(), series[side][0].as_slice());
            let row = Row::ratio(&what, Unit::PerSecond, &series[0][0], peer);
            match sides[side] {
                Which::IpcChannel if bytes == 64 => row.bar(Bar::AtLeast(12.0)),
                Which::Pipe if bytes == 64 => row.bar(Bar::AtLeast(2.5)),
                _ => row,
            }
        };
        (1..sides.len()).map(row).collect()
    })
}

/// `send_bytes`, and a view or a copy; on a CPU each, as the ring that they are judged by.
fn big(size: Size, bytes: usize, bar: f64) -> Rows {
    let sides = [
        Which::OursView,
        Which::OursInto,
        Which::SpinningRing,
        Which::IpcChannel,
        Which::SocketPair,
        Which::Crossbeam,
    ];
    let quota = Quota::Time(size.window());
    let mut measure = sides.map(|which| {
        move || flow(which, bytes, true, quota).map(|rate| vec![rate[0] * bytes as f64])
    });
    let mut measure = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut measure);
    let what = format!("send_bytes, {}", bytes_of(bytes));
    rows_of(&what, measured, |series| {
        let (view, copy) = (&series[0][0], &series[1][0]);
        let peer = |side: usize| (sides[side].name(), series[side][0].as_slice());
        let row = |how: &str, ours: &[f64], side: usize| {
            Row::ratio(format!("{what}, {how}"), Unit::BytesPerSecond, ours, peer(side))
        };
        vec![
            row("recv_view", view, 2).bar(Bar::AtLeast(bar)),
            row("recv_bytes_into", copy, 2),
            row("recv_bytes_into", copy, 3),
            row("recv_bytes_into", copy, 4),
            row("recv_view", view, 5),
        ]
    })
}

fn pipe(size: Size, place: Place) -> Rows {
    use turns::Which::{OursPipe, OursPipeBytes, PacketPair};
    let sides = [OursPipe, OursPipeBytes, PacketPair];
    let mut measure = sides.map(|which| move || turns(which, place, size.turns()));
    let mut measure = measure.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut measure);
    let what = format!("pipe round trip of 64 B {}", place.name());
    rows_of(&what, measured, |series| {
        let peer = (PacketPair.name(), series[2][0].as_slice());
        let row = |how: &str, side: usize| {
            let ours = &series[side][0];
            let row = Row::ratio(format!("{what}, {how}"), Unit::Nanoseconds, ours, peer);
            row.bar(Bar::AtMost(1.15))
        };
        vec![row("values", 0), row("bytes", 1)]
    })
}

fn bytes_of(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}
