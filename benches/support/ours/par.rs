//! Our parallel calls.

use crate::support::sweeps::{Item, compute, sum_of_squares};
pub(crate) use offspring::SharedVec;
pub(crate) use offspring::par::vec_in_huge_pages;
use offspring::{Par, par_map_plain, par_reduce};

/// `par_reduce` over slices.
pub(crate) fn reduce(slices: &[&[u64]], caller_works: bool) -> u64 {
    let fold = |sum: u64, slice: &&[u64]| sum.wrapping_add(sum_of_squares(slice));
    let sum = match caller_works {
        false => par_reduce(slices, || 0, fold, u64::wrapping_add),
        true => Par::new().caller_works(true).reduce(slices, || 0, fold, u64::wrapping_add),
    };
    sum.expect("a sum")
}

/// `par_map_plain` over slices.
pub(crate) fn map(slices: &[&[u64]]) -> u64 {
    let sums = par_map_plain(slices, |slice| sum_of_squares(slice)).expect("sums");
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// `par_map_plain` over items that compute.
pub(crate) fn map_compute(items: &[Item]) -> u64 {
    let results = par_map_plain(items, compute).expect("results");
    results.into_iter().fold(0, u64::wrapping_add)
}
