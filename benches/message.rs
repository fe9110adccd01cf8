//! Messages of bytes against the peers: by size, and round trips over a pipe.
//!
//! `cargo bench --bench message`; README.md beside this file states the method.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use std::time::Duration;
use support::crowd::Quota;
use support::messages::{Which, flow};
use support::size::Size;
use support::trips::Place;
use support::turns;

fn flows(criterion: &mut Criterion) {
    let small = [Which::Ours, Which::IpcChannel, Which::Pipe, Which::SocketPair, Which::Crossbeam];
    let big = [
        Which::OursView,
        Which::OursInto,
        Which::SpinningRing,
        Which::IpcChannel,
        Which::Pipe,
        Which::SocketPair,
        Which::Crossbeam,
    ];
    let mut group = criterion.benchmark_group("message");
    for (bytes, sides, pinned) in [
        (64, small.as_slice(), false),
        (1 << 10, &small, false),
        (64 << 10, &big, true),
        (1 << 20, &big, true),
    ] {
        group.throughput(Throughput::Bytes(bytes as u64));
        for &which in sides {
            group.bench_function(BenchmarkId::new(which.name(), bytes), |bencher| {
                bencher.iter_custom(|messages| {
                    let rate = flow(which, bytes, pinned, Quota::Ops(messages)).expect("a round");
                    Duration::from_secs_f64(messages as f64 / rate[0])
                });
            });
        }
    }
    group.finish();
}

fn round_trips(criterion: &mut Criterion) {
    use turns::Which::{OursPipe, OursPipeBytes, PacketPair};
    let mut group = criterion.benchmark_group("message/round-trip");
    for (label, place) in [("two-cpus", Place::TwoCpus), ("one-cpu", Place::OneCpu)] {
        for which in [OursPipe, OursPipeBytes, PacketPair] {
            group.bench_function(BenchmarkId::new(which.name(), label), |bencher| {
                bencher.iter_custom(|trips| {
                    let figures = turns::turns(which, place, trips).expect("a round");
                    Duration::from_secs_f64(figures[2] * trips as f64 / 1e9)
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = support::criterion(Size::from_env());
    flows(&mut criterion);
    round_trips(&mut criterion);
    criterion.final_summary();
}
