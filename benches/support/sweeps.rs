//! Going through data in parallel: ours by processes, rayon by threads, and one process alone.

use super::Figures;
use super::arena::arena;
use super::ours::{par, pool};
use super::stats::median;
use rayon::prelude::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Elements of a slice: 512 KiB.
const SLICE: usize = 64 << 10;
/// Workers of a pool.
const WORKERS: usize = 2;
/// Passes that count, in each arena.
const PASSES: usize = 5;

/// Who goes through the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `par_reduce`.
    OursReduce,
    /// `par_map_plain`, and a sum of the results.
    OursMap,
    /// `par_reduce`, the caller being one of the workers.
    OursCallerWorks,
    /// `Pool::map` over the bounds of slices; the workers inherit the array.
    OursPool,
    /// `par_chunks`.
    Rayon,
    /// One loop.
    One,
}

/// Where the array lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// A shared slice of atomics, which a pool's workers may read while anybody writes.
    Atomics,
    /// A `Vec` in huge pages.
    Huge,
    /// A `Vec` as it comes.
    Usual,
    /// A `SharedVec`.
    Shared,
}

/// What is done with a slice, the same for all.
#[inline(never)]
pub(crate) fn sum_of_squares(slice: &[u64]) -> u64 {
    slice.iter().fold(0, |sum, n| sum.wrapping_add(n.wrapping_mul(*n)))
}

/// The same with a slice that others may write to.
#[inline(never)]
pub(crate) fn sum_of_shared_squares(slice: &[AtomicU64]) -> u64 {
    let squares = slice.iter().map(|n| n.load(Ordering::Relaxed)).map(|n| n.wrapping_mul(n));
    squares.fold(0, u64::wrapping_add)
}

/// Nanoseconds for one pass over an array of so many bytes.
pub(crate) fn sweep(which: Which, memory: Memory, bytes: usize) -> Figures {
    let value = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let len = bytes / size_of::<u64>();
    arena(|| {
        let ns = match memory {
            Memory::Atomics => {
                assert_eq!(which, Which::OursPool, "the others take plain slices");
                let expected = (0..len).map(value).map(|n| n.wrapping_mul(n));
                let expected = expected.fold(0, u64::wrapping_add);
                let workers = pool::pool_with_shared_array(WORKERS, len, value);
                time_passes(expected, || pool::sum_shared_slices(&workers, SLICE))
            }
            Memory::Shared => {
                let array = par::SharedVec::new(len, value).expect("an array");
                passes(which, Box::leak(Box::new(array)))
            }
            Memory::Usual => passes(which, (0..len).map(value).collect::<Vec<u64>>().leak()),
            Memory::Huge => {
                let mut array = par::vec_in_huge_pages(len);
                array.extend((0..len).map(value));
                passes(which, array.leak())
            }
        };
        Ok(vec![ns])
    })
}

/// The arena's end frees the array.
fn passes(which: Which, array: &'static [u64]) -> f64 {
    let slices: Vec<&[u64]> = array.chunks(SLICE).collect();
    let expected = sum_of_squares(array);
    let workers = (which == Which::OursPool).then(|| pool::pool_with_array(WORKERS, array));
    let pass = || match which {
        Which::OursPool => pool::sum_slices(workers.as_ref().expect("made above"), SLICE),
        Which::OursReduce => par::reduce(&slices, false),
        Which::OursCallerWorks => par::reduce(&slices, true),
        Which::OursMap => par::map(&slices),
        Which::Rayon => {
            let sums = array.par_chunks(SLICE).map(sum_of_squares);
            sums.reduce(|| 0, u64::wrapping_add)
        }
        Which::One => sum_of_squares(black_box(array)),
    };
    time_passes(expected, pass)
}

fn time_passes(expected: u64, pass: impl Fn() -> u64) -> f64 {
    assert_eq!(pass(), expected);
    let time = |_| {
        let start = Instant::now();
        assert_eq!(black_box(pass()), expected);
        start.elapsed().as_nanos() as f64
    };
    median(&(0..PASSES).map(time).collect::<Vec<_>>())
}

/// So many turns of a generator.
pub(crate) type Item = u64;

/// Computes for some 0.2 ms on the average.
#[inline(never)]
pub(crate) fn compute(item: &Item) -> u64 {
    (0..*item).fold(*item | 1, |state, _| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        state ^ (state << 17)
    })
}

/// Nanoseconds for all items.
pub(crate) fn computing(in_parallel: bool, count: usize) -> Figures {
    arena(|| {
        let items: Vec<Item> = (0..count).map(|n| 20_000 + (n as u64 * 7919) % 140_000).collect();
        let one = || items.iter().map(compute).fold(0, u64::wrapping_add);
        let run = || if in_parallel { par::map_compute(&items) } else { black_box(one()) };
        let start = Instant::now();
        let result = run();
        let ns = start.elapsed().as_nanos() as f64;
        if in_parallel {
            assert_eq!(result, one());
        }
        Ok(vec![ns])
    })
}
