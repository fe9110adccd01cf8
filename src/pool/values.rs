//! The results of a `map` as they come, each in its place. Numbers are copied chunk by chunk.

use crate::pool::chunk;
use crate::pool::error::TaskError;
use crate::pool::wire;
use serde::de::DeserializeOwned;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A place for each item. Each gets a value or an error, once.
#[derive(Debug)]
pub(super) struct Values<R> {
    places: Places<R>,
    errors: Vec<(usize, TaskError)>,
    /// How many have got one or the other.
    settled: usize,
}

#[derive(Debug)]
enum Places<R> {
    /// Zero where there was an error.
    Numbers(Vec<MaybeUninit<R>>),
    Others(Vec<Option<R>>),
}

impl<R: DeserializeOwned> Values<R> {
    pub(super) fn with_capacity(items: usize) -> Values<R> {
        let places = match wire::is_number::<R>() {
            true => Places::Numbers(Vec::with_capacity(items)),
            false => Places::Others(Vec::with_capacity(items)),
        };
        Values { places, errors: Vec::new(), settled: 0 }
    }

    pub(super) fn len(&self) -> usize {
        match &self.places {
            Places::Numbers(places) => places.len(),
            Places::Others(places) => places.len(),
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Makes places for more.
    pub(super) fn extend(&mut self, items: usize) {
        let len = self.len() + items;
        match &mut self.places {
            Places::Numbers(places) => places.resize_with(len, MaybeUninit::uninit),
            Places::Others(places) => places.resize_with(len, || None),
        }
    }

    /// The error of each of these.
    pub(super) fn fail(&mut self, which: Range<usize>, error: &TaskError) {
        if let Places::Numbers(places) = &mut self.places {
            wire::fill_by_zeros(&mut places[which.clone()]);
        }
        self.settled += which.len();
        self.errors.extend(which.map(|index| (index, error.clone())));
    }

    /// Takes the values, or the errors, of the `count` items from `first` from a chunk's result.
    pub(super) fn take(&mut self, first: usize, count: u32, bytes: &[u8]) {
        let all = first..first + count as usize;
        let (errors, mut next) = (&mut self.errors, first);
        let opened = match &mut self.places {
            Places::Numbers(places) => {
                chunk::open_numbers::<R>(bytes, count).map(|(numbers, failures)| {
                    wire::fill_by_numbers(&mut places[all.clone()], numbers);
                    errors.extend(failures.into_iter().map(|(nth, error)| (first + nth, error)));
                    next = all.end;
                })
            }
            Places::Others(places) => chunk::open::<R>(bytes, count, |result| {
                match result {
                    Ok(value) => places[next] = Some(value),
                    Err(error) => errors.push((next, error)),
                }
                next += 1;
            }),
        };
        self.settled += next - first;
        if let Err(text) = opened {
            self.fail(next..all.end, &TaskError::Decode(text));
        }
    }

    /// All values; the error of the first item, in their order, that has one.
    pub(super) fn into_all(self) -> Result<Vec<R>, TaskError> {
        self.check();
        // Of those that were cancelled after an error, none is why.
        let first =
            |(index, error): &(usize, TaskError)| (matches!(error, TaskError::Cancelled), *index);
        if let Some((_, error)) = self.errors.into_iter().min_by_key(first) {
            return Err(error);
        }
        Ok(match self.places {
            Places::Numbers(places) => wire::filled(places),
            Places::Others(places) => places.into_iter().flatten().collect(),
        })
    }

    /// Each value, or its error.
    pub(super) fn into_each(self) -> Vec<Result<R, TaskError>> {
        self.check();
        // Every place without a value has an error below.
        let untold = || Err(TaskError::Cancelled);
        let mut results: Vec<Result<R, TaskError>> = match self.places {
            Places::Numbers(places) => wire::filled(places).into_iter().map(Ok).collect(),
            Places::Others(places) => {
                places.into_iter().map(|value| value.map_or_else(untold, Ok)).collect()
            }
        };
        for (index, error) in self.errors {
            results[index] = Err(error);
        }
        results
    }

    fn check(&self) {
        assert_eq!(self.settled, self.len(), "items of a map without a value and without an error");
    }
}
