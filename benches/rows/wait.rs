//! Waiting for a message: round trips on two CPUs and on one, and the CPU time that waiting burns.

use super::{Bar, Row, Rows, Unit, rows_of};
use crate::support::size::Size;
use crate::support::stats::interleave;
use crate::support::trips::{Place, Which, cpu_while_waiting, round_trips};

pub(crate) fn rows(size: Size) -> Rows {
    let mut rows = two_cpus(size);
    rows.extend(one_cpu(size));
    rows.extend(idle(size));
    rows
}

fn two_cpus(size: Size) -> Rows {
    let sides = [Which::Ours, Which::Line, Which::OursPolled, Which::Crossbeam];
    let mut sides = sides.map(|which| move || round_trips(which, Place::TwoCpus, size.trips()));
    let mut sides = sides.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut sides);
    rows_of("round trip on two CPUs", measured, |series| {
        let [ours, line, polled, crossbeam] = series else { unreachable!("four sides") };
        let ns = Unit::Nanoseconds;
        let line = (Which::Line.name(), line[0].as_slice());
        let crossbeam = (Which::Crossbeam.name(), crossbeam[0].as_slice());
        vec![
            Row::ratio("round trip on two CPUs, p50", ns, &ours[0], line).bar(Bar::AtMost(7.0)),
            Row::ratio("round trip on two CPUs, p99 to p50", ns, &ours[1], line)
                .bar(Bar::AtMost(14.0)),
            Row::ratio("round trip on two CPUs, p50", ns, &ours[0], crossbeam),
            Row::ratio("round trip on two CPUs, polled, p50", ns, &polled[0], line),
        ]
    })
}

fn one_cpu(size: Size) -> Rows {
    let sides = [Which::Ours, Which::Futex, Which::Crossbeam];
    let mut sides = sides.map(|which| move || round_trips(which, Place::OneCpu, size.trips()));
    let mut sides = sides.each_mut().map(|side| side as &mut dyn FnMut() -> _);
    let measured = interleave(size.rounds(), &mut sides);
    rows_of("round trip on one CPU", measured, |series| {
        let [ours, futex, crossbeam] = series else { unreachable!("three sides") };
        let futex = (Which::Futex.name(), futex[0].as_slice());
        let crossbeam = (Which::Crossbeam.name(), crossbeam[0].as_slice());
        let ns = Unit::Nanoseconds;
        vec![
            Row::ratio("round trip on one CPU, p50", ns, &ours[0], futex).bar(Bar::AtMost(1.3)),
            Row::ratio("round trip on one CPU, p50", ns, &ours[0], crossbeam),
        ]
    })
}

fn idle(size: Size) -> Rows {
    let measured = interleave(3, &mut [&mut || cpu_while_waiting(size.idle())]);
    let what = format!("CPU time of {} ms of waiting", size.idle().as_millis());
    rows_of(&what, measured, |series| {
        vec![Row::ours(&what, Unit::Nanoseconds, &series[0][0]).bar(Bar::AtMost(1e6))]
    })
}
