//! Round trips: a message there and its answer back, between two parties on two CPUs or on one.
//!
//! Every trip is timed by itself with `Instant`; the cost of the two clock readings, measured in the same party, is taken
//! off again, so that it does not flatter the slower side of a ratio.

use super::Figures;
use super::arena::arena;
use super::crowd::{self, Kind, Quota};
use super::kernel;
use super::ours;
use super::page::Page;
use super::rings::PipeEnds;
use super::stats::{median, percentile};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What carries the message and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Two `RingQueue<u64>`, `send` and `recv` as they wait by default.
    Ours,
    /// Two `RingQueue<u64>`, polled with `try_recv`.
    OursPolled,
    /// One word in one cache line, both sides spinning on it: the limit on two CPUs.
    Line,
    /// One futex word, one wake and one wait each way: the limit for sides that sleep.
    Futex,
    /// Two Unix pipes.
    Pipe,
    /// Two `crossbeam_channel::bounded`, between threads.
    Crossbeam,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Ours => "offspring",
            Which::OursPolled => "offspring-polled",
            Which::Line => "cache-line",
            Which::Futex => "futex",
            Which::Pipe => "pipe",
            Which::Crossbeam => "crossbeam",
        }
    }
}

/// Where the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Each on a CPU of its own.
    TwoCpus,
    /// Both on the same one.
    OneCpu,
}

impl Place {
    /// As rows say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::TwoCpus => "on two CPUs",
            Place::OneCpu => "on one CPU",
        }
    }

    /// The CPUs of the two sides, the asker's first.
    pub(crate) fn cpus(self) -> Result<(usize, usize), String> {
        let cpus = kernel::cpus();
        match self {
            Place::OneCpu => Ok((cpus[0], cpus[0])),
            Place::TwoCpus if cpus.len() < 2 => Err("needs two CPUs".to_string()),
            Place::TwoCpus => Ok((cpus[0], cpus[1])),
        }
    }
}

const WARM_UP: u64 = 200;

/// The capacity of the queues; a round trip has one message in flight.
const CAPACITY: usize = 16;

/// Times `trips` round trips; yields p50, p99 and the mean in nanoseconds.
pub(crate) fn round_trips(which: Which, place: Place, trips: u64) -> Figures {
    arena(|| match which {
        Which::Ours => {
            let (there, back) = (ours::queue::<[u64; 1]>(CAPACITY), ours::queue(CAPACITY));
            let ask = |word| {
                there.send([word]).expect("open");
                assert_eq!(back.recv().expect("open"), [word]);
            };
            let answer = |_| back.send(there.recv().expect("open")).expect("open");
            run(Kind::Processes, place, trips, ask, answer)
        }
        Which::OursPolled => {
            let (there, back) = (ours::queue::<[u64; 1]>(CAPACITY), ours::queue(CAPACITY));
            let poll = |queue: &ours::RingQueue<[u64; 1]>| {
                loop {
                    if let Ok(message) = queue.try_recv() {
                        return message;
                    }
                    spin_loop();
                }
            };
            let ask = |word| {
                there.send([word]).expect("open");
                assert_eq!(poll(&back), [word]);
            };
            let answer = |_| back.send(poll(&there)).expect("open");
            run(Kind::Processes, place, trips, ask, answer)
        }
        Which::Line => {
            let line = Page::new(AtomicU32::new(0));
            let spin_until = |word: u32| {
                while line.load(Ordering::Acquire) != word {
                    spin_loop();
                }
            };
            let ask = |trip: u64| {
                line.store(2 * trip as u32 + 1, Ordering::Release);
                spin_until(2 * trip as u32 + 2);
            };
            let answer = |trip: u64| {
                spin_until(2 * trip as u32 + 1);
                line.store(2 * trip as u32 + 2, Ordering::Release);
            };
            run(Kind::Processes, place, trips, ask, answer)
        }
        Which::Futex => {
            let word = Page::new(AtomicU32::new(0));
            let set = |value: u32| {
                word.store(value, Ordering::Release);
                kernel::futex_wake(&word, 1);
            };
            let sleep_until = |value: u32| {
                loop {
                    let seen = word.load(Ordering::Acquire);
                    if seen == value {
                        return;
                    }
                    kernel::futex_wait(&word, seen);
                }
            };
            let ask = |trip: u64| {
                set(2 * trip as u32 + 1);
                sleep_until(2 * trip as u32 + 2);
            };
            let answer = |trip: u64| {
                sleep_until(2 * trip as u32 + 1);
                set(2 * trip as u32 + 2);
            };
            run(Kind::Processes, place, trips, ask, answer)
        }
        Which::Pipe => {
            let (there, back) = (PipeEnds::new(), PipeEnds::new());
            let ask = |word: u64| {
                assert!(there.write(&[word]));
                assert_eq!(back.read(), Some([word]));
            };
            let answer = |_| assert!(back.write::<[u64; 1]>(&there.read().expect("open")));
            run(Kind::Processes, place, trips, ask, answer)
        }
        Which::Crossbeam => {
            let there = crossbeam_channel::bounded::<[u64; 1]>(CAPACITY);
            let back = crossbeam_channel::bounded::<[u64; 1]>(CAPACITY);
            let ask = |word| {
                there.0.send([word]).expect("open");
                assert_eq!(back.1.recv(), Ok([word]));
            };
            let answer = |_| back.0.send(there.1.recv().expect("open")).expect("open");
            run(Kind::Threads, place, trips, ask, answer)
        }
    })
}

/// Times `trips` calls of `ask`, each of which one of `answer` meets; yields p50, p99 and the mean in nanoseconds.
pub(crate) fn run(
    kind: Kind,
    place: Place,
    trips: u64,
    ask: impl Fn(u64) + Sync,
    answer: impl Fn(u64) + Sync,
) -> Figures {
    run_ends(kind, place, trips, || &ask, || &answer)
}

/// The same with what each party makes for itself.
pub(crate) fn run_ends<A: FnMut(u64), B: FnMut(u64)>(
    kind: Kind,
    place: Place,
    trips: u64,
    asker: impl Fn() -> A + Sync,
    answerer: impl Fn() -> B + Sync,
) -> Figures {
    let (asker_cpu, answerer_cpu) = place.cpus()?;
    let outcome = crowd::run(kind, 2, Quota::Ops(0), |party| {
        let is_asker = party.index == 0;
        kernel::pin(if is_asker { asker_cpu } else { answerer_cpu });
        if !is_asker {
            (0..WARM_UP + trips).for_each(answerer());
            return [0; 4];
        }
        time_trips(trips, asker()).map(|figure| (figure.max(0.0) * 1000.0) as u64)
    })?;
    let ns = |figure: usize| outcome.reports[0][figure] as f64 / 1000.0;
    Ok(vec![ns(0), ns(1), ns(2)])
}

/// Times `trips` calls of `ask` after some that do not count; yields p50, p99, the mean and the clock's own cost in nanoseconds.
pub(crate) fn time_trips(trips: u64, mut ask: impl FnMut(u64)) -> [f64; 4] {
    (0..WARM_UP).for_each(&mut ask);
    let clock_ns = clock_cost_ns();
    let mut samples = Vec::with_capacity(trips as usize);
    for trip in WARM_UP..WARM_UP + trips {
        let start = Instant::now();
        ask(trip);
        samples.push(start.elapsed().as_nanos() as f64 - clock_ns);
    }
    let mean = samples.iter().sum::<f64>() / trips as f64;
    [median(&samples), percentile(&samples, 99.0), mean, clock_ns]
}

/// What a pair of clock readings costs around nothing.
fn clock_cost_ns() -> f64 {
    let mut samples = Vec::with_capacity(1000);
    for _ in 0..1000 {
        let start = Instant::now();
        samples.push(start.elapsed().as_nanos() as f64);
    }
    samples.iter().sum::<f64>() / 1000.0
}

/// CPU time in nanoseconds that a process uses while it waits `time` for a message that then comes.
#[expect(clippy::disallowed_methods, reason = "the wait's length is what is slept through")]
pub(crate) fn cpu_while_waiting(time: Duration) -> Figures {
    arena(|| {
        let queue = ours::queue::<[u64; 1]>(CAPACITY);
        let outcome = crowd::run(Kind::Processes, 2, Quota::Ops(0), |party| {
            if party.index == 1 {
                std::thread::sleep(time);
                queue.send([7]).expect("open");
                return [0; 4];
            }
            let before_ns = kernel::cpu_ns();
            assert_eq!(queue.recv().expect("open"), [7]);
            [kernel::cpu_ns() - before_ns, 0, 0, 0]
        })?;
        Ok(vec![outcome.reports[0][0] as f64])
    })
}
