//! Which shared files this process maps, and where. Private to the process; its forks have a copy, as they have the mappings.
//!
//! No lock, which a fork could copy in a locked state: a place is taken by a compare-exchange. It is there for post-mortems alone, which
//! find by it where something lies that another process has placed.

use crate::shm::roster;
use crate::sys::Errno;
use crate::sys::memory::private_words;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What is mapped beyond so many files is not known here.
const MAPPINGS_MAX: usize = 4096;
/// For an inode, while the rest is written.
const BUSY: u64 = u64::MAX;

/// Three words each: the inode, which is written last, and first when the mapping goes, 0 for a free place; base; bytes.
const WORDS: usize = 3;

/// Where the mappings are noted. In memory of its own, of which only what is used costs anything: a static of this size drives those apart
/// that each child writes.
pub(super) struct Places {
    words: &'static [AtomicU64],
    /// Where a free place is likely.
    hint: AtomicUsize,
    /// No place from here on was ever taken.
    used: AtomicUsize,
}

impl Places {
    pub(super) fn new() -> Result<Places, Errno> {
        let words = private_words(MAPPINGS_MAX * WORDS)?;
        Ok(Places { words, hint: AtomicUsize::new(0), used: AtomicUsize::new(0) })
    }

    fn at(&self, index: usize) -> [&AtomicU64; WORDS] {
        std::array::from_fn(|word| &self.words[index * WORDS + word])
    }
}

/// That a file is mapped, for as long as this lives. To be dropped before it is unmapped.
#[derive(Debug)]
pub(super) struct Live(Option<usize>);

impl Live {
    /// The roster is mapped.
    pub(super) fn new(file: u64, base: usize, bytes: usize) -> Live {
        let Some(roster) = roster::mapped().filter(|_| file != 0) else { return Live(None) };
        let places = &roster.places;
        let hint = places.hint.load(Ordering::Relaxed).min(MAPPINGS_MAX);
        let take = |index: &usize| {
            let [file, ..] = places.at(*index);
            file.load(Ordering::Relaxed) == 0
                && file.compare_exchange(0, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let Some(index) = (hint..MAPPINGS_MAX).chain(0..hint).find(take) else { return Live(None) };
        let words = places.at(index);
        words[1].store(base as u64, Ordering::Relaxed);
        words[2].store(bytes as u64, Ordering::Relaxed);
        words[0].store(file, Ordering::Release);
        places.hint.store(index + 1, Ordering::Relaxed);
        places.used.fetch_max(index + 1, Ordering::Release);
        Live(Some(index))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let (Some(index), Some(roster)) = (self.0, roster::mapped()) {
            roster.places.at(index)[0].store(0, Ordering::Release);
            roster.places.hint.store(index, Ordering::Relaxed);
        }
    }
}

/// All mappings: inode, address, bytes. Any may be gone by now.
pub(super) fn all() -> impl Iterator<Item = (u64, usize, usize)> {
    roster::mapped().into_iter().flat_map(|roster| {
        let used = roster.places.used.load(Ordering::Acquire).min(MAPPINGS_MAX);
        (0..used).filter_map(|index| {
            let words = roster.places.at(index);
            let file = words[0].load(Ordering::Acquire);
            let [base, bytes] = [1, 2].map(|word| words[word].load(Ordering::Relaxed) as usize);
            (file != 0 && file != BUSY).then_some((file, base, bytes))
        })
    })
}

/// Whether it is mapped still.
pub(super) fn has(file: u64, base: usize) -> bool {
    all().any(|(other, at, _)| (other, at) == (file, base))
}
