//! Which shared files this process maps, and where. Private to the process; its forks have a copy, as they have the mappings.
//!
//! No lock, which a fork could copy in a locked state: a place is taken by a compare-exchange. It is there for post-mortems alone, which
//! find by it where something lies that another process has placed.
//!
//! - V1 What a [`Look`] has found stays mapped until the look ends. Looking is announced before a place is read; a place is emptied before
//!   it is asked whether somebody looks. Both are SeqCst: one of the two sees the other, and then the look passes over the mapping, or
//!   whoever is about to unmap it waits for the end of the look, which waits for nobody.
//! - V2 A look that a fork has copied is nobody's: the child forgets it, and so never waits for it.

#![expect(unsafe_code, reason = "reads words in mappings by their addresses")]

use crate::shm::roster::{self, Roster};
use crate::sys::Errno;
use crate::sys::memory::private_words;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

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
            roster.places.at(index)[0].store(0, Ordering::SeqCst);
            roster.places.hint.store(index, Ordering::Relaxed);
            while LOOKS.load(Ordering::SeqCst) != 0 {
                std::thread::yield_now(); // V1
            }
        }
    }
}

/// How many threads of this process look.
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// In the child of a fork (V2).
pub(super) fn forget_looks() {
    if LOOKS.load(Ordering::Relaxed) != 0 {
        LOOKS.store(0, Ordering::Relaxed);
    }
}

/// One mapping: inode, address, bytes.
pub(super) type Mapped = (u64, usize, usize);

/// The file and the offset in it of what lies at an address, in memory that the caller uses.
pub(super) fn place_of(address: usize) -> Option<(u64, u64)> {
    let (file, base, _) =
        all(roster::mapped()?).find(|&(_, base, bytes)| (base..base + bytes).contains(&address))?;
    Some((file, (address - base) as u64))
}

/// All mappings; any may be gone by now, if nobody looks.
fn all(roster: &'static Roster) -> impl Iterator<Item = Mapped> {
    let used = roster.places.used.load(Ordering::Acquire).min(MAPPINGS_MAX);
    (0..used).filter_map(|index| {
        let words = roster.places.at(index);
        let file = words[0].load(Ordering::SeqCst);
        let [base, bytes] = [1, 2].map(|word| words[word].load(Ordering::Relaxed) as usize);
        (file != 0 && file != BUSY).then_some((file, base, bytes))
    })
}

/// A look at all mappings, none of which goes before it ends. It must be short.
pub(super) struct Look {
    /// In the order of inodes.
    maps: Vec<Mapped>,
    /// Where the last one was found.
    last: Cell<usize>,
}

impl Look {
    pub(super) fn new() -> Look {
        LOOKS.fetch_add(1, Ordering::SeqCst);
        let maps = roster::mapped().into_iter().flat_map(all).collect();
        let mut look = Look { maps, last: Cell::new(0) };
        look.maps.sort_unstable();
        look
    }

    /// Where a file is mapped.
    pub(super) fn find(&self, file: u64) -> Option<Mapped> {
        let last = self.last.get();
        // Mostly it is the same one, or that which was made next.
        let near = [last, last + 1]
            .into_iter()
            .find(|&index| self.maps.get(index).is_some_and(|&(other, ..)| other == file));
        let index = near.or_else(|| self.maps.binary_search_by_key(&file, |map| map.0).ok())?;
        self.last.set(index);
        Some(self.maps[index])
    }

    /// A word of a mapping that [`find`](Self::find) has given; `None` if it does not lie in it, or across two.
    pub(super) fn word(&self, (_, base, bytes): Mapped, offset: usize) -> Option<u32> {
        offset.checked_add(size_of::<u32>()).filter(|&end| end <= bytes)?;
        let word = std::ptr::with_exposed_provenance_mut::<u32>(base + offset);
        if !word.is_aligned() {
            return None;
        }
        // SAFETY: inside of a mapping (compared above) that stays while `self` lives (V1), sealed against being cut, aligned; whoever uses
        // owner words does so by atomic operations.
        Some(unsafe { AtomicU32::from_ptr(word) }.load(Ordering::Acquire))
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        LOOKS.fetch_sub(1, Ordering::Release);
    }
}
