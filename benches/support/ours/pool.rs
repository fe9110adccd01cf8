//! Our pool.

use crate::support::kernel;
use crate::support::page::Page;
use crate::support::pools::{Deaths, trivial};
use crate::support::sweeps::{Item, compute, sum_of_shared_squares, sum_of_squares};
use offspring::pool::{MapOptions, Task};
use offspring::{Pool, Region, Semaphore, Shared};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// A pool whose workers have been forked.
pub(crate) fn pool(workers: usize) -> Pool {
    let pool = Pool::new(workers).expect("a pool");
    wait_for(&pool, workers);
    pool
}

/// A pool of one worker, which runs on `worker_cpu`, as its caller does on `own_cpu` from now on.
pub(crate) fn pinned_pool(own_cpu: usize, worker_cpu: usize) -> Pool {
    let pin_worker = move || kernel::pin(worker_cpu);
    let pool = Pool::builder().workers(1).initializer(pin_worker).build().expect("a pool");
    kernel::pin(own_cpu);
    wait_for(&pool, 1);
    pool
}

fn wait_for(pool: &Pool, workers: usize) {
    while pool.workers() < workers {
        std::thread::yield_now();
    }
}

/// Starts a pool, waits until all of its workers are ready for tasks, and ends it.
pub(crate) fn start_and_stop(workers: usize) {
    static READY: OnceLock<Shared<Semaphore>> = OnceLock::new();
    let new = || Shared::new(Semaphore::new(0)).expect("a semaphore");
    let ready = READY.get_or_init(new);
    let pool = Pool::builder().workers(workers).initializer(|| ready.add_permits(1));
    let pool = pool.build().expect("a pool");
    (0..workers).for_each(|_| ready.acquire().forget());
    pool.shutdown().expect("no failure");
}

/// Starts a pool, has it do one task, and ends it.
pub(crate) fn start_apply_and_stop(workers: usize) {
    let pool = Pool::new(workers).expect("a pool");
    assert_eq!(pool.apply(trivial, 1).expect("a result"), trivial(1));
    pool.shutdown().expect("no failure");
}

/// `map` of trivial items.
pub(crate) fn map_trivial(pool: &Pool, items: &[u64], chunk: Option<usize>) -> Vec<u64> {
    let options = MapOptions::new();
    let options = chunk.map_or(options, |chunk| options.chunk(chunk));
    pool.map_with(options, trivial, items.iter().copied()).expect("results")
}

/// `submit` and `wait`.
pub(crate) fn ask(pool: &Pool, item: u64) -> u64 {
    pool.submit(trivial, item).expect("open").wait().expect("a result")
}

/// Each item a task of its own, all submitted, then waited for; the sum of what they return.
pub(crate) fn compute_each(pool: &Pool, items: &[Item]) -> u64 {
    let submit = |&item: &Item| pool.submit(|item: Item| compute(&item), item).expect("open");
    let tasks: Vec<Task<u64>> = items.iter().map(submit).collect();
    tasks.into_iter().fold(0, |sum, task| sum.wrapping_add(task.wait().expect("a result")))
}

static ARRAY: OnceLock<&'static [u64]> = OnceLock::new();

/// A pool whose workers inherit `array`.
pub(crate) fn pool_with_array(workers: usize, array: &'static [u64]) -> Pool {
    ARRAY.set(array).expect("one array in an arena");
    pool(workers)
}

/// The sum over the inherited array, slice by slice; only their bounds travel.
pub(crate) fn sum_slices(pool: &Pool, slice_len: usize) -> u64 {
    let len = ARRAY.get().expect("set before").len();
    let sum = |slice: Range<usize>| ARRAY.get().map_or(0, |array| sum_of_squares(&array[slice]));
    sum_of_sums(pool, sum, len, slice_len)
}

static SHARED_ARRAY: OnceLock<Shared<[AtomicU64]>> = OnceLock::new();

/// A pool that shares an array with this process.
pub(crate) fn pool_with_shared_array(
    workers: usize,
    len: usize,
    value: impl Fn(usize) -> u64,
) -> Pool {
    let region = Region::new(len * size_of::<u64>()).expect("a region");
    let array = region.place_slice(len, |index| AtomicU64::new(value(index)));
    SHARED_ARRAY.set(array.expect("an array")).expect("one array in an arena");
    pool(workers)
}

/// The sum over the shared array, slice by slice; only their bounds travel.
pub(crate) fn sum_shared_slices(pool: &Pool, slice_len: usize) -> u64 {
    let len = SHARED_ARRAY.get().expect("set before").len();
    let sum = |slice: Range<usize>| {
        SHARED_ARRAY.get().map_or(0, |array| sum_of_shared_squares(&array[slice]))
    };
    sum_of_sums(pool, sum, len, slice_len)
}

fn sum_of_sums(
    pool: &Pool,
    sum: impl Fn(Range<usize>) -> u64 + Copy,
    len: usize,
    slice_len: usize,
) -> u64 {
    let slices = (0..len).step_by(slice_len).map(|first| first..len.min(first + slice_len));
    let sums = pool.map_with(MapOptions::new().chunk(1), sum, slices).expect("sums");
    sums.into_iter().fold(0, u64::wrapping_add)
}

static DEATHS: OnceLock<&'static Page<Deaths>> = OnceLock::new();

/// Waits for a task that sleeps until it is killed, having touched so many bytes, and returns when its death is known.
/// `submitted` is called between.
pub(crate) fn await_death(
    deaths: &'static Page<Deaths>,
    (own_cpu, worker_cpu): (usize, usize),
    resident: usize,
    submitted: impl FnOnce(),
) -> u64 {
    assert!(DEATHS.set(deaths).is_ok(), "one death in an arena");
    let pool = pinned_pool(own_cpu, worker_cpu);
    let victim = |resident: usize| {
        kernel::make_resident(resident);
        if let Some(deaths) = DEATHS.get() {
            deaths.tell_victim(std::process::id());
        }
        kernel::pause_for_ever();
    };
    let task: Task<()> = pool.submit(victim, resident).expect("open");
    submitted();
    let end = task.wait();
    let known_ns = kernel::monotonic_ns();
    let error = end.expect_err("a task that never returns");
    assert!(error.worker_death().is_some(), "{error}");
    known_ns
}
