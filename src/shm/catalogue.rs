//! What was placed in shared memory, for those who look from outside: file and offset, type, and a name if somebody gave one.
//!
//! The catalogue lies behind the roster's entries and does not grow: it remembers the last [`PLACED_MAX`] things that were placed and the
//! last [`NAMED_MAX`] that were named. Nobody in the tree reads it. Entering something costs a look at the clock's worth of stores, when
//! memory is made, and nothing afterwards.
//!
//! A record's `sequence` is odd while it is written. Who finds it so goes on to the next record: its writer may have been killed.

#![expect(unsafe_code, reason = "records in the roster's mapping")]

use crate::shm::roster::{self, CATALOGUE_OFFSET, Header};
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
    pub(super) _unused: u64,
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
    // SAFETY: committed by `ensure`, atomics alone, never unmapped.
    let header: &Header = unsafe { roster.header.as_ref() };
    for _ in 0..TRIES {
        let number = header.entered[is_named].fetch_add(1, Ordering::Relaxed);
        let index = first + (number % length as u64) as usize;
        let offset = CATALOGUE_OFFSET + index * RECORD_BYTES;
        if roster.mapping.commit(offset, RECORD_BYTES).is_err() {
            return;
        }
        // SAFETY: the offset is inside the mapping: the index is below the number of records.
        let record = unsafe { roster.mapping.base().add(offset) }.cast::<Record>();
        // SAFETY: aligned (asserted above), committed, and zeroed memory is a record; all processes use its atomics.
        if unsafe { &*record }.write(&thing) {
            return;
        }
    }
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
        write_text(&self.type_name, thing.type_name);
        write_text(&self.name, thing.name);
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
        true
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
