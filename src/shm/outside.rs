//! The roster and the catalogue as bytes that were copied out of another process: for `observe`, which maps nothing.
//!
//! Any bytes are taken: what is read here may be torn, stale, or another program's. Nothing is believed but the layout word.

pub(crate) use crate::shm::catalogue::RECORD_BYTES;
use crate::shm::catalogue::{NAMED_MAX, PLACED_MAX, Record};
use crate::shm::roster::{
    self, CATALOGUE_OFFSET, ENTRIES_OFFSET, ENTRY_COUNT, Entry, Header, INDEX_BITS, NAME_BYTES,
};
use crate::shm::waits::{HOLDERS_MAX, TIMED, Wait};
use crate::sys::robust::{OWNER_DIED, TID_MASK};
use std::mem::offset_of;

pub(crate) const HEADER_BYTES: usize = offset_of!(Header, alarms);
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();
pub(crate) const PROCESS_NAME_BYTES: usize = NAME_BYTES;

/// The roster's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawHeader {
    pub(crate) layout: u64,
    pub(crate) name_at: u64,
    /// How many entries, from the first on, may ever have been used.
    pub(crate) entries: usize,
    /// How many records of the catalogue have been used, without and with a name.
    pub(crate) records: [usize; 2],
}

/// One thread's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawEntry {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    /// 0 unless it lives.
    pub(crate) tid: u32,
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) wait: Option<RawWait>,
}

/// What a thread has noted before it slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawWait {
    pub(crate) sequence: u32,
    pub(crate) since: u64,
    pub(crate) address: u64,
    pub(crate) kind: u32,
    pub(crate) timed: bool,
    pub(crate) holders: [u32; HOLDERS_MAX],
}

/// One thing that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRecord {
    pub(crate) file: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) count: u64,
    pub(crate) type_name: String,
    pub(crate) name: String,
}

/// `None` if these bytes are no roster.
pub(crate) fn header(bytes: &[u8]) -> Option<RawHeader> {
    if word(bytes, offset_of!(Header, magic)) != roster::MAGIC {
        return None;
    }
    let used = |at, max: usize| word(bytes, offset_of!(Header, entered) + at).min(max as u64);
    // Entries are taken in rotation, and those that are in use are skipped: a few lie beyond the cursor.
    let entries = half(bytes, offset_of!(Header, cursor)) as usize + 64;
    Some(RawHeader {
        layout: word(bytes, offset_of!(Header, layout)),
        name_at: word(bytes, offset_of!(Header, name_at)),
        entries: entries.min(ENTRY_COUNT),
        records: [used(0, PLACED_MAX) as usize, used(8, NAMED_MAX) as usize],
    })
}

/// Where the entries are in the roster.
pub(crate) fn entries_offset() -> u64 {
    ENTRIES_OFFSET as u64
}

/// Where the records without a name are in the roster, and those with one.
pub(crate) fn records_offsets() -> [u64; 2] {
    [CATALOGUE_OFFSET as u64, (CATALOGUE_OFFSET + PLACED_MAX * RECORD_BYTES) as u64]
}

/// One entry; `None` if it was never used.
pub(crate) fn entry(index: usize, bytes: &[u8]) -> Option<RawEntry> {
    let life = half(bytes, offset_of!(Entry, life));
    if life == 0 {
        return None;
    }
    let tid = if life & OWNER_DIED == 0 { life & TID_MASK } else { 0 };
    let sequence = half(bytes, offset_of!(Entry, wait_sequence));
    let wait_at = offset_of!(Entry, wait);
    let kind = half(bytes, wait_at + offset_of!(Wait, kind));
    let holder = |n| half(bytes, wait_at + offset_of!(Wait, holders) + n * 4);
    let wait = (sequence % 2 == 1).then(|| RawWait {
        sequence,
        since: word(bytes, offset_of!(Entry, wait_since)),
        address: word(bytes, wait_at + offset_of!(Wait, address)),
        kind: kind & !TIMED,
        timed: kind & TIMED != 0,
        holders: std::array::from_fn(holder),
    });
    Some(RawEntry {
        index: index as u32,
        generation: half(bytes, offset_of!(Entry, generation)),
        tid,
        pid: half(bytes, offset_of!(Entry, pid)),
        name: text(&bytes[offset_of!(Entry, name)..][..NAME_BYTES]),
        wait,
    })
}

impl RawEntry {
    /// Whether this roster id is its tenant's.
    pub(crate) fn has_id(&self, id: u32) -> bool {
        index_of(id) == self.index && roster::generation_of(id) == self.generation
    }
}

/// Which entry an id is of.
pub(crate) fn index_of(id: u32) -> u32 {
    id & ((1 << INDEX_BITS) - 1)
}

/// One record; `None` if nothing is in it, or somebody writes it.
pub(crate) fn record(bytes: &[u8]) -> Option<RawRecord> {
    let sequence = word(bytes, offset_of!(Record, sequence));
    if sequence == 0 || !sequence.is_multiple_of(2) {
        return None;
    }
    let (of_type, of_name) = (offset_of!(Record, type_name), offset_of!(Record, name));
    Some(RawRecord {
        file: word(bytes, offset_of!(Record, file)),
        offset: word(bytes, offset_of!(Record, offset)),
        bytes: word(bytes, offset_of!(Record, bytes)),
        count: word(bytes, offset_of!(Record, count)),
        type_name: text(&bytes[of_type..of_name]),
        name: text(&bytes[of_name..RECORD_BYTES]),
    })
}

/// A type's name without paths: `Mutex<u64>`.
pub(crate) fn without_paths(type_name: &str) -> String {
    let (mut short, mut word) = (String::new(), String::new());
    for c in type_name.chars() {
        match c {
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            ':' => word.clear(),
            c => {
                short.push_str(&std::mem::take(&mut word));
                short.push(c);
            }
        }
    }
    short + &word
}

/// A name as it is kept: zeros behind it.
pub(crate) fn text(bytes: &[u8]) -> String {
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Eight bytes of a copy; 0 where it is too short.
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_ne_bytes)
}

/// Four bytes of a copy; 0 where it is too short.
pub(crate) fn half(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_ne_bytes)
}
