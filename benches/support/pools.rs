//! Many tasks on a few processes: our pool, and what stands beside it: rayon, Python's pool, children forked by hand.

use super::Figures;
use super::arena::arena;
use super::kernel;
use super::ours::pool as ours;
use super::page::Page;
use super::stats::median;
use super::sweeps::{Item, compute};
use super::trips::{Place, time_trips};
use rayon::prelude::*;
use std::hint::black_box;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// As the report's machines have CPUs.
const WORKERS: usize = 2;
/// Passes over the items that count, in each arena.
const PASSES: usize = 5;

/// What is done with an item that is not worth a task.
#[inline(never)]
pub(crate) fn trivial(item: u64) -> u64 {
    black_box(item).wrapping_mul(3) ^ 1
}

/// Who maps trivial items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapper {
    /// `Pool::map`.
    Ours,
    /// `Pool::map_with`, chunks of one item.
    OursChunksOfOne,
    /// `par_iter`.
    Rayon,
}

/// Nanoseconds per trivial item; the median of some passes after one that does not count.
pub(crate) fn map(who: Mapper, items: usize) -> Figures {
    arena(|| {
        let items: Vec<u64> = (0..items as u64).collect();
        let expected: Vec<u64> = items.iter().map(|&item| trivial(item)).collect();
        let ns = match who {
            Mapper::Rayon => {
                time_passes(&expected, || items.par_iter().map(|&item| trivial(item)).collect())
            }
            Mapper::Ours | Mapper::OursChunksOfOne => {
                let chunk = (who == Mapper::OursChunksOfOne).then_some(1);
                let pool = ours::pool(WORKERS);
                time_passes(&expected, || ours::map_trivial(&pool, &items, chunk))
            }
        };
        Ok(vec![ns / items.len() as f64])
    })
}

fn time_passes(expected: &[u64], pass: impl Fn() -> Vec<u64>) -> f64 {
    assert_eq!(pass(), expected);
    let time = |_| {
        let start = Instant::now();
        let results = black_box(pass());
        let ns = start.elapsed().as_nanos() as f64;
        assert_eq!(results, expected);
        ns
    };
    median(&(0..PASSES).map(time).collect::<Vec<_>>())
}

/// Prints the nanoseconds per item of `Pool.map(chunksize=1)`; arguments: workers, items.
const PYTHON: &str = "
import multiprocessing, sys, time
def trivial(item): return item * 3 ^ 1
workers, count = int(sys.argv[1]), int(sys.argv[2])
with multiprocessing.get_context('fork').Pool(workers) as pool:
    pool.map(trivial, range(100), chunksize=1)
    start = time.perf_counter_ns()
    results = pool.map(trivial, range(count), chunksize=1)
    ns = time.perf_counter_ns() - start
assert results == [trivial(item) for item in range(count)]
print(ns / count)
";

/// Whether there is a Python with `multiprocessing`.
pub(crate) fn has_python() -> bool {
    let output = Command::new("python3").args(["-c", "import multiprocessing"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Nanoseconds per trivial item of Python's `Pool.map` with chunks of one item.
pub(crate) fn map_in_python(items: usize) -> Figures {
    let (workers, items) = (WORKERS.to_string(), items.to_string());
    // The limit is for Python's own hangs: what it forked goes with it.
    let command = ["60", "python3", "-c", PYTHON, &workers, &items];
    let output = Command::new("timeout").args(command).output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = || format!("python3: {}", String::from_utf8_lossy(&output.stderr));
    text.trim().parse().map(|ns| vec![ns]).map_err(|_| failed())
}

/// Times `trips` times `submit` and `wait` on a pool of one; yields p50, p99 and the mean in nanoseconds.
pub(crate) fn round_trips(place: Place, trips: u64) -> Figures {
    arena(|| {
        let (own_cpu, worker_cpu) = place.cpus()?;
        let pool = ours::pinned_pool(own_cpu, worker_cpu);
        let figures = time_trips(trips, |item| assert_eq!(ours::ask(&pool, item), trivial(item)));
        Ok(figures[..3].to_vec())
    })
}

/// An item on which `compute` takes a millisecond, on this machine in this minute.
pub(crate) fn item_of_a_millisecond() -> Item {
    let probe: Item = 1_000_000;
    let time = |_| {
        let start = Instant::now();
        black_box(compute(black_box(&probe)));
        start.elapsed().as_nanos() as f64
    };
    let fastest = (0..20).map(time).fold(f64::INFINITY, f64::min);
    (probe as f64 * 1e6 / fastest) as Item
}

/// Nanoseconds for `count` tasks of `item`: on a running pool, or split over as many children, forked and waited for.
pub(crate) fn tasks(in_pool: bool, item: Item, count: usize) -> Figures {
    arena(|| {
        let items = vec![item; count];
        let expected = compute(&item).wrapping_mul(count as u64);
        if in_pool {
            let pool = ours::pool(WORKERS);
            let start = Instant::now();
            let sum = ours::compute_each(&pool, &items);
            let ns = start.elapsed().as_nanos() as f64;
            assert_eq!(sum, expected);
            return Ok(vec![ns]);
        }
        let sum = Page::new(AtomicU64::new(0));
        let start = Instant::now();
        let work = |part: &[Item]| {
            let part = part.iter().map(compute).fold(0, u64::wrapping_add);
            sum.fetch_add(part, Ordering::Relaxed);
        };
        let parts = items.chunks(count.div_ceil(WORKERS));
        let pids: Vec<_> = parts.map(|part| kernel::fork(|| work(part))).collect();
        pids.into_iter().try_for_each(kernel::wait)?;
        let ns = start.elapsed().as_nanos() as f64;
        assert_eq!(sum.load(Ordering::Relaxed), expected);
        Ok(vec![ns])
    })
}

/// What is started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Team {
    /// A pool, ended when all of its workers are forked.
    Ours,
    /// A pool that does one task between.
    OursOneTask,
    /// Bare children that do nothing.
    Forks,
}

/// Nanoseconds for a start and an end of a team of so many; the median of `count` in a row.
pub(crate) fn start_and_stop(team: Team, size: usize, count: u64) -> Figures {
    arena(|| {
        let once = || match team {
            Team::Ours => ours::start_and_stop(size),
            Team::OursOneTask => ours::start_apply_and_stop(size),
            Team::Forks => {
                let pids: Vec<_> = (0..size).map(|_| kernel::fork(|| ())).collect();
                pids.into_iter().try_for_each(kernel::wait).expect("children that do nothing");
            }
        };
        once();
        let time = |_| {
            let start = Instant::now();
            once();
            start.elapsed().as_nanos() as f64
        };
        Ok(vec![median(&(0..count).map(time).collect::<Vec<_>>())])
    })
}

/// What victim and killer write down.
pub(crate) struct Deaths {
    victim: AtomicU32,
    killed_ns: AtomicU64,
}

impl Deaths {
    /// The victim is ready.
    pub(crate) fn tell_victim(&self, pid: u32) {
        self.victim.store(pid, Ordering::Release);
    }
}

/// Nanoseconds from just before `kill(worker, SIGKILL)` until the waiter has the task's outcome.
///
/// The worker keeps `resident` bytes and sleeps in its task; the waiter is asleep in `wait` (procfs says so).
pub(crate) fn outcome_of_killed(resident: usize) -> Figures {
    static DEATHS: OnceLock<Page<Deaths>> = OnceLock::new();
    let cpus = kernel::cpus();
    // On a CPU each: else the waiter may have to queue behind the teardown of the process whose death woke it.
    let places = (cpus[0], cpus[cpus.len() - 1]);
    arena(|| {
        let fresh = || Page::new(Deaths { victim: 0.into(), killed_ns: 0.into() });
        let deaths = DEATHS.get_or_init(fresh);
        let waiter = std::process::id() as libc::pid_t;
        let mut killer = 0;
        let known_ns = ours::await_death(deaths, places, resident, || {
            killer = kernel::fork(|| {
                while deaths.victim.load(Ordering::Acquire) == 0 {
                    doze();
                }
                kernel::wait_until_asleep(waiter).expect("a waiter that sleeps");
                deaths.killed_ns.store(kernel::monotonic_ns(), Ordering::Release);
                kernel::kill(deaths.victim.load(Ordering::Acquire) as libc::pid_t);
            });
        });
        kernel::wait(killer)?;
        Ok(vec![(known_ns - deaths.killed_ns.load(Ordering::Acquire)) as f64])
    })
}

#[expect(clippy::disallowed_methods, reason = "looks at the victim are spaced out")]
fn doze() {
    std::thread::sleep(Duration::from_millis(1));
}
