//! One result of all items: folded by chunks, combined in order.

use crate::par::crew;
use crate::par::error::ParError;
use crate::par::map::decode;
use crate::par::options::Par;
use crate::par::worker::{Desk, Job};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::ops::Range;

/// Folds the items to one value, in children that are forked now.
///
/// Each chunk of neighbouring items is folded from `identity()` on, in a child; the caller combines the chunks' values **in the
/// order of the items**. So the result is that of one process if `combine` is associative and agrees with `fold`, commutative or
/// not; and for given workers (or a given [`Par::chunk`]) it is the same in every run, even of floats. No items give
/// `identity()`.
///
/// Everything else is as in [`par_map`](crate::par_map).
///
/// # Errors
/// As [`par_map`](crate::par_map). An item that fails takes its whole chunk's value with it; there is no partial result.
///
/// # Panics
/// If `combine` panics, or code that decodes. No child is left then.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers: Vec<u64> = (1..=1000).collect();
/// let sum = offspring::par_reduce(&numbers, || 0, |sum, n| sum + n * n, |a, b| a + b)?;
/// assert_eq!(sum, 333_833_500);
/// # Ok(()) }
/// ```
pub fn par_reduce<T, A>(
    items: &[T],
    identity: impl Fn() -> A,
    fold: impl Fn(A, &T) -> A,
    combine: impl Fn(A, A) -> A,
) -> Result<A, ParError>
where
    A: Serialize + DeserializeOwned,
{
    Par::new().reduce(items, identity, fold, combine)
}

impl Par {
    /// [`par_reduce`] with these options.
    ///
    /// # Errors
    /// As [`par_reduce`].
    ///
    /// # Panics
    /// As [`par_reduce`].
    pub fn reduce<T, A>(
        &self,
        items: &[T],
        identity: impl Fn() -> A,
        fold: impl Fn(A, &T) -> A,
        combine: impl Fn(A, A) -> A,
    ) -> Result<A, ParError>
    where
        A: Serialize + DeserializeOwned,
    {
        let (staff, plan) = self.staff(items.len());
        let mut values: Vec<Option<A>> = Vec::new();
        values.resize_with(plan.chunks(), || None);
        let job = Reduce { items, identity: &identity, fold };
        let harvest = crew::run(&staff, &plan, &job, type_name::<A>(), &mut |item, bytes| {
            values[plan.chunk_of(item)] = Some(decode(bytes)?);
            Ok(())
        })?;
        let is_there = |item, _| values[plan.chunk_of(item)].is_some();
        let missing = harvest.missing(&plan, true, &is_there);
        if !missing.is_empty() {
            return Err(ParError::of(items.len(), missing, Vec::new()));
        }
        let all = values.into_iter().map(|value| value.expect("nothing is missing"));
        Ok(all.reduce(combine).unwrap_or_else(identity))
    }
}

struct Reduce<'a, T, I, F> {
    items: &'a [T],
    identity: &'a I,
    fold: F,
}

impl<T, A: Serialize, I: Fn() -> A, F: Fn(A, &T) -> A> Job for Reduce<'_, T, I, F> {
    fn is_by_chunk(&self) -> bool {
        true
    }

    fn task(&self) -> &'static str {
        type_name::<F>()
    }

    fn run(&self, _chunk: usize, items: Range<usize>, desk: &mut Desk<'_>) {
        desk.once(items, |items, at| {
            let mut value = (self.identity)();
            for (item, thing) in items.clone().zip(&self.items[items]) {
                at.set(item);
                value = (self.fold)(value, thing);
            }
            value
        });
    }
}
