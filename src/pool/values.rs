//! The results of a `map` as they come, each in its place. Numbers are copied chunk by chunk.

use crate::pool::chunk;
use crate::pool::error::TaskError;
use crate::pool::wire;
use serde::de::DeserializeOwned;

/// One place for each item; which have an error instead of a value is noted beside them.
#[derive(Debug)]
pub(super) enum Values<R> {
    /// Zero where there is none yet.
    Numbers(Vec<R>),
    Others(Vec<Option<R>>),
}

impl<R: DeserializeOwned> Values<R> {
    pub(super) fn with_capacity(items: usize) -> Values<R> {
        match wire::is_number::<R>() {
            true => Values::Numbers(Vec::with_capacity(items)),
            false => Values::Others(Vec::with_capacity(items)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Values::Numbers(values) => values.len(),
            Values::Others(values) => values.len(),
        }
    }

    /// Makes places for more.
    pub(super) fn extend(&mut self, items: usize) {
        match self {
            Values::Numbers(values) => wire::extend_by_zeros(values, items),
            Values::Others(values) => values.extend((0..items).map(|_| None)),
        }
    }

    /// Takes the values of the `count` items from `first` from a chunk's result, and their errors. If the bytes are not that, says why, and at
    /// which item.
    pub(super) fn take(
        &mut self,
        first: usize,
        count: u32,
        bytes: &[u8],
        errors: &mut Vec<(usize, TaskError)>,
    ) -> Result<(), (usize, TaskError)> {
        let mut next = first;
        let opened = match self {
            Values::Numbers(values) => {
                chunk::open_numbers::<R>(bytes, count).map(|(numbers, failures)| {
                    let places = &mut values[first..first + count as usize];
                    wire::bytes_of_numbers(places).copy_from_slice(numbers);
                    errors.extend(failures.into_iter().map(|(nth, error)| (first + nth, error)));
                })
            }
            Values::Others(values) => chunk::open::<R>(bytes, count, |result| {
                match result {
                    Ok(value) => values[next] = Some(value),
                    Err(error) => errors.push((next, error)),
                }
                next += 1;
            }),
        };
        opened.map_err(|text| (next, TaskError::Decode(text)))
    }

    /// All of them; every item has one.
    pub(super) fn into_all(self) -> Vec<R> {
        match self {
            Values::Numbers(values) => values,
            Values::Others(values) => values.into_iter().flatten().collect(),
        }
    }

    /// Each of them, or its error.
    pub(super) fn into_each(self, errors: Vec<(usize, TaskError)>) -> Vec<Result<R, TaskError>> {
        let untold = || Err(TaskError::Cancelled);
        let mut results: Vec<Result<R, TaskError>> = match self {
            Values::Numbers(values) => values.into_iter().map(Ok).collect(),
            Values::Others(values) => {
                values.into_iter().map(|value| value.map_or_else(untold, Ok)).collect()
            }
        };
        for (index, error) in errors {
            results[index] = Err(error);
        }
        results
    }
}
