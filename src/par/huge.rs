//! Memory that is cheap to fork.

use crate::sys::memory::wish_huge_pages;

/// An empty vector with room for `capacity` elements, in huge pages if the machine gives any: for the big inputs of parallel calls.
///
/// A fork copies the page tables of private memory, and each page that a worker touches for the first time costs, too. With pages
/// of 4 KiB that is more than reading them: a call over 256 MiB takes twice as long as it need to. With pages of 2 MiB there
/// are so few that both cost nothing. Up to that many elements it is an ordinary `Vec`; where it has to grow, the wish is
/// forgotten.
///
/// Huge pages are given if `/sys/kernel/mm/transparent_hugepage/enabled` says `madvise` or `always`, which is usual. Otherwise
/// this is `Vec::with_capacity`.
///
/// # Panics
/// As [`Vec::with_capacity`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut numbers = offspring::par::vec_in_huge_pages(1_000_000);
/// numbers.extend(0..1_000_000u64);
/// let sum = offspring::par_reduce(&numbers, || 0, |sum, n| sum + n, |a, b| a + b)?;
/// assert_eq!(sum, 499_999_500_000);
/// # Ok(()) }
/// ```
pub fn vec_in_huge_pages<T>(capacity: usize) -> Vec<T> {
    let mut made: Vec<T> = Vec::with_capacity(capacity);
    let room = made.spare_capacity_mut();
    wish_huge_pages(room.as_mut_ptr().cast(), size_of_val(room));
    made
}
