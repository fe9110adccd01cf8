//! What was placed in shared memory, for those who look from outside: file and offset, type, and a name if somebody gave one.
//!
//! The catalogue lies behind the roster's entries and does not grow: it remembers the last [`PLACED_MAX`] things that were placed and the
//! last [`NAMED_MAX`] that were named. In the tree itself it is read for post-mortems alone (`held.rs`). Entering something costs a look at
//! the clock's worth of stores, when memory is made, and nothing afterwards.
//!
//! A record's `sequence` is odd while it is written. Who finds it so goes on to the next record: its writer may have been killed.

#![expect(unsafe_code, reason = "records in the roster's mapping")]

use crate::shm::outside::text;
use crate::shm::roster::{self, CATALOGUE_OFFSET, Roster};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How many things without a name are remembered.
pub(crate) const PLACED_MAX: usize = 2048;
/// How many names are.
pub(crate) const NAMED_MAX: usize = 1024;
pub(crate) const RECORD_BYTES: usize = size_of::<Record>();
pub(super) const CATALOGUE_BYTES: usize = (PLACED_MAX + NAMED_MAX) * RECORD_BYTES;
/// How many bytes of a type's name are kept, and of a given name.
pub(super) const TYPE_BYTES: usize = 160;
pub(super) const GIVEN_BYTES: usize = 48;
/// How many records are tried.
const TRIES: u64 = 8;

/// One thing that was placed. Zeroed memory is no thing.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Record {
    pub(super) sequence: AtomicU64,
    /// The inode of the memfd.
    pub(super) file: AtomicU64,
    /// Where in the file it begins.
    pub(super) offset: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// How many values: 1, or the length of a slice.
    pub(super) count: AtomicU64,
    /// How many locks each value has that begin with their owner word, one behind the other, without gaps; 0 if it is not made of locks.
    pub(super) locks: AtomicU64,
    pub(super) type_name: [AtomicU64; TYPE_BYTES / 8],
    pub(super) name: [AtomicU64; GIVEN_BYTES / 8],
}

const _: () = assert!(size_of::<Record>() == 256 && CATALOGUE_OFFSET.is_multiple_of(256));

/// What is entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing<'a> {
    pub(super) file: u64,
    pub(super) offset: usize,
    pub(super) bytes: usize,
    pub(super) count: usize,
    pub(super) type_name: &'a str,
    /// Empty: none.
    pub(super) name: &'a str,
}

/// Enters something. If memory is short, it is simply not known outside.
pub(super) fn enter(thing: Thing<'_>) {
    let Some(roster) = roster::mapped() else { return };
    let is_named = usize::from(!thing.name.is_empty());
    let (first, length) = [(0, PLACED_MAX), (PLACED_MAX, NAMED_MAX)][is_named];
    for _ in 0..TRIES {
        let number = roster.header().entered[is_named].fetch_add(1, Ordering::Relaxed);
        let index = first + (number % length as u64) as usize;
        let offset = CATALOGUE_OFFSET + index * RECORD_BYTES;
        if roster.mapping.commit(offset, RECORD_BYTES).is_err()
            || record(roster, index).write(&thing)
        {
            return;
        }
    }
}

/// What was entered, as far as it is remembered: first what has a name. The caller must not hand out what [`Record::seen`] has not checked.
pub(super) fn records() -> impl Iterator<Item = &'static Record> {
    let tables = roster::mapped().into_iter().flat_map(|roster| {
        let tables = [(1, PLACED_MAX, NAMED_MAX), (0, 0, PLACED_MAX)];
        tables.map(|(entered, first, max)| {
            let used = roster.header().entered[entered].load(Ordering::Relaxed).min(max as u64);
            let offset = CATALOGUE_OFFSET + first * RECORD_BYTES;
            // It is committed but for the last ones, whose writers may be about to do that.
            let is_there = roster.mapping.commit(offset, used as usize * RECORD_BYTES).is_ok();
            (roster, first..first + if is_there { used as usize } else { 0 })
        })
    });
    tables.flat_map(|(roster, range)| range.map(|index| record(roster, index)))
}

fn record(roster: &'static Roster, index: usize) -> &'static Record {
    assert!(index < PLACED_MAX + NAMED_MAX, "{index} is no record");
    // SAFETY: the offset is inside the mapping: the index is below the number of records.
    let record = unsafe { roster.mapping.base().add(CATALOGUE_OFFSET + index * RECORD_BYTES) };
    // SAFETY: aligned (asserted above), never unmapped, committed by the caller, and zeroed memory is a record; all processes use its
    // atomics.
    unsafe { &*record.cast::<Record>() }
}

/// How many locks a value of this type is: those that begin with their owner word, and arrays of them.
fn locks_in(type_name: &str) -> u64 {
    if let Some((element, count)) =
        type_name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.rsplit_once("; "))
    {
        return locks_in(element).saturating_mul(count.parse().unwrap_or(0));
    }
    let kind = type_name.strip_prefix("offspring::sync::").unwrap_or_default();
    let kinds = ["mutex::Mutex<", "rwlock::RwLock<", "reentrant::ReentrantMutex<"];
    u64::from(kind == "raw_mutex::RawMutex" || kinds.iter().any(|prefix| kind.starts_with(prefix)))
}

impl Record {
    /// False if somebody else writes it, or died in that.
    fn write(&self, thing: &Thing<'_>) -> bool {
        let sequence = self.sequence.load(Ordering::Relaxed);
        let odd = sequence.wrapping_add(1);
        if !sequence.is_multiple_of(2)
            || self
                .sequence
                .compare_exchange(sequence, odd, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        fence(Ordering::Release);
        self.file.store(thing.file, Ordering::Relaxed);
        self.offset.store(thing.offset as u64, Ordering::Relaxed);
        self.bytes.store(thing.bytes as u64, Ordering::Relaxed);
        self.count.store(thing.count as u64, Ordering::Relaxed);
        self.locks.store(locks_in(thing.type_name), Ordering::Relaxed);
        write_text(&self.type_name, thing.type_name);
        write_text(&self.name, thing.name);
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
        true
    }

    /// A look at it; `None` if there is nothing, or somebody wrote it meanwhile, or died in that.
    pub(super) fn seen<T>(&self, look: impl FnOnce(&Record) -> T) -> Option<T> {
        let before = self.sequence.load(Ordering::Acquire);
        if before == 0 || !before.is_multiple_of(2) {
            return None;
        }
        let seen = look(self);
        fence(Ordering::Acquire);
        (self.sequence.load(Ordering::Relaxed) == before).then_some(seen)
    }

    /// File, offset, bytes, number of values, locks in each.
    pub(super) fn numbers(&self) -> [u64; 5] {
        [&self.file, &self.offset, &self.bytes, &self.count, &self.locks]
            .map(|word| word.load(Ordering::Relaxed))
    }

    /// The type's name, and the given one.
    pub(super) fn names(&self) -> [String; 2] {
        [&self.type_name[..], &self.name[..]].map(|words| {
            let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
            text(&bytes.collect::<Vec<u8>>())
        })
    }
}

/// Of a text that is too long, the beginning.
fn write_text(words: &[AtomicU64], text: &str) {
    let text = &text.as_bytes()[..text.floor_char_boundary(words.len() * 8)];
    for (index, word) in words.iter().enumerate() {
        let mut bytes = [0; 8];
        let part = text.get(index * 8..).unwrap_or_default();
        let length = part.len().min(8);
        bytes[..length].copy_from_slice(&part[..length]);
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::locks_in;

    #[test]
    fn locks_are_known_by_their_types() {
        assert_eq!(locks_in("offspring::sync::mutex::Mutex<[u64; 4]>"), 1);
        assert_eq!(locks_in("offspring::sync::rwlock::RwLock<u8>"), 1);
        assert_eq!(locks_in("[[offspring::sync::raw_mutex::RawMutex; 3]; 5]"), 15);
        assert_eq!(locks_in("[offspring::sync::reentrant::ReentrantMutex<u64>; 2]"), 2);
        for other in ["offspring::sync::event::Event", "mine::Mutex<u8>", "[u8; 7]", "[]", ""] {
            assert_eq!(locks_in(other), 0, "{other}");
        }
    }
}
