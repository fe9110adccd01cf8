//! Which items make up which chunk. Fixed before the fork, so that every worker means the same by a chunk's number.
//!
//! Chunks are what workers claim, so they should be many (the last one to finish decides) and not too many (each costs a claim
//! and, at worst, a write). They begin at a 32nd of a worker's share and get smaller towards the end, down to single items:
//! a worker that comes late to the last ones keeps the others waiting for one item only.

use std::ops::Range;

/// The bounds of the chunks; chunk `c` is `bounds[c]..bounds[c + 1]`.
pub(super) struct Plan {
    bounds: Vec<usize>,
}

/// A worker's even share is cut into so many pieces at first.
const PIECES: usize = 32;

impl Plan {
    /// For `items` items: chunks of `chunk` items if that is given, else as the head of this file says.
    ///
    /// # Panics
    /// For more than 2^32 - 1 chunks.
    pub(super) fn new(items: usize, workers: usize, chunk: Option<usize>) -> Plan {
        let largest = chunk.unwrap_or_else(|| (items / workers.saturating_mul(PIECES)).max(1));
        let mut bounds = vec![0];
        let mut at = 0;
        while at < items {
            let left = items - at;
            let length = match chunk {
                Some(length) => length,
                None => largest.min(left / (2 * workers)).max(1),
            };
            at += length.min(left);
            bounds.push(at);
        }
        assert!(u32::try_from(bounds.len()).is_ok(), "more than 2^32 - 1 chunks");
        Plan { bounds }
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The items of a chunk.
    pub(super) fn items(&self, chunk: usize) -> Range<usize> {
        self.bounds[chunk]..self.bounds[chunk + 1]
    }

    /// The chunk that an item is in.
    pub(super) fn chunk_of(&self, item: usize) -> usize {
        self.bounds.partition_point(|&bound| bound <= item) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn every_item_is_in_one_chunk() {
        for items in [0, 1, 2, 63, 64, 65, 1000, 100_003] {
            for workers in [1, 2, 3, 200] {
                for chunk in [None, Some(1), Some(7), Some(usize::MAX)] {
                    let plan = Plan::new(items, workers, chunk);
                    let all: Vec<usize> = (0..plan.chunks()).flat_map(|c| plan.items(c)).collect();
                    assert!(all.iter().copied().eq(0..items), "{items} {workers} {chunk:?}");
                    let is_found = |c: usize| plan.items(c).all(|item| plan.chunk_of(item) == c);
                    assert!((0..plan.chunks()).all(is_found));
                }
            }
        }
    }

    #[test]
    fn chunks_are_some_hundred_and_the_last_are_single() {
        let plan = Plan::new(1_000_000, 2, None);
        assert!((64..200).contains(&plan.chunks()), "{}", plan.chunks());
        assert!((plan.chunks() - 4..plan.chunks()).all(|chunk| plan.items(chunk).len() == 1));
        assert!((0..plan.chunks()).all(|chunk| plan.items(chunk).len() <= 1_000_000 / 64));
    }
}
