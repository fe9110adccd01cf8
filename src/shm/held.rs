//! Which locks a dead process held when it died.
//!
//! Two looks tell it, one after the other, and neither takes a lock or waits:
//!
//! 1. at the owner words of all locks in the catalogue that this process maps too: those of its threads (by the roster) were not
//!    taken over yet;
//! 2. at the *takeovers*: whoever takes a lock over from a dead owner notes that before it does. So what is not found by the first look,
//!    because its word names an heir already, is found by the second.
//!
//! - H1 A takeover is noted before the owner word leaves the dead owner's id. (The note is true whoever wins the word then.)
//! - H2 An owner word is read before the takeovers are: H1 makes that enough. Locks of which more than [`TAKEOVERS_MAX`] were taken over
//!   since are forgotten.
//!
//! Other threads of this process may want to unmap memory meanwhile: they wait for the end of the look (`live.rs`).

use crate::shm::catalogue::{self, Record};
use crate::shm::live::{Look, place_of};
use crate::shm::outside::without_paths;
use crate::shm::roster;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How many takeovers are remembered.
const TAKEOVERS_MAX: usize = 64;
/// How many locks are looked at; those with a name come first.
const LOOKS_MAX: usize = 4096;
/// How many are named.
const HELD_MAX: usize = 32;
/// What is an id in an owner word.
const ID_MASK: u32 = (1 << 30) - 1;

/// The last locks that were taken over from the dead. Zeroed memory is an empty list.
#[repr(C, align(64))]
pub(super) struct Takeovers {
    cursor: AtomicU64,
    _unused: [u64; 7],
    last: [Takeover; TAKEOVERS_MAX],
}

/// One of them. `dead` is 0 while the rest is written.
#[repr(C)]
struct Takeover {
    dead: AtomicU64,
    file: AtomicU64,
    offset: AtomicU64,
    _unused: u64,
}

/// A lock that a dead process held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// As it was named; empty if it was not.
    pub(crate) name: String,
    /// Without paths.
    pub(crate) type_name: String,
    /// In this process.
    pub(crate) address: usize,
}

impl Takeover {
    fn is_of(&self, dead: u32, place: (u64, u64)) -> bool {
        self.dead.load(Ordering::Acquire) == u64::from(dead) && self.place() == place
    }

    fn place(&self) -> (u64, u64) {
        (self.file.load(Ordering::Relaxed), self.offset.load(Ordering::Relaxed))
    }
}

/// Notes that a dead thread's lock, with its owner word at this address, is about to be taken over (H1).
#[cold]
pub(crate) fn note_takeover(dead: u32, address: usize) {
    let (Some(roster), Some(place)) = (roster::mapped(), place_of(address)) else {
        return;
    };
    let takeovers = &roster.header().takeovers;
    if takeovers.last.iter().any(|other| other.is_of(dead, place)) {
        return;
    }
    let number = takeovers.cursor.fetch_add(1, Ordering::Relaxed);
    let note = &takeovers.last[number as usize % TAKEOVERS_MAX];
    note.dead.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    note.file.store(place.0, Ordering::Relaxed);
    note.offset.store(place.1, Ordering::Relaxed);
    note.dead.store(u64::from(dead), Ordering::Release);
}

/// The locks that a process held when it died. See the top of the file.
pub(crate) fn held_by(pid: u32) -> Vec<Held> {
    let Some(roster) = roster::mapped() else { return Vec::new() };
    let is_its = |id: u32| id != 0 && roster::pid_of(id) == Some(pid) && roster::is_dead(id);
    let look = Look::new();
    let (mut places, mut room) = (Vec::new(), LOOKS_MAX);
    for [file, offset, bytes, count, locks] in
        catalogue::records().filter_map(|record| record.seen(Record::numbers))
    {
        let all = count.saturating_mul(locks);
        let Some(map) = (all > 0).then(|| look.find(file)).flatten() else { continue };
        let steps = (0..bytes).step_by((bytes / all).max(4) as usize);
        for place in steps.map(|step| offset + step).take(room) {
            room -= 1;
            let word = look.word(map, place as usize);
            if word.is_some_and(|word| is_its(word & ID_MASK)) {
                places.push((file, place));
            }
        }
    }

    // H2.
    fence(Ordering::Acquire);
    for note in &roster.header().takeovers.last {
        let dead = note.dead.load(Ordering::Acquire);
        let place = note.place();
        fence(Ordering::Acquire);
        if note.dead.load(Ordering::Relaxed) == dead && is_its(dead as u32) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places.dedup();
    let held =
        places.into_iter().filter_map(|(file, place)| called(file, place, look.find(file)?.1));
    held.take(HELD_MAX).collect()
}

/// What lies at a place, if it is a lock of the user's, or in something of the user's.
fn called(file: u64, place: u64, base: usize) -> Option<Held> {
    let address = base + place as usize;
    // Those with a name come first.
    for record in catalogue::records() {
        let lies_here = |numbers: &[u64; 5]| {
            let &[at, offset, bytes, ..] = numbers;
            at == file && (offset..offset.saturating_add(bytes)).contains(&place)
        };
        if record.seen(Record::numbers).as_ref().is_none_or(|numbers| !lies_here(numbers)) {
            continue;
        }
        let seen = record.seen(|record| (record.numbers(), record.names()));
        let Some((numbers, [type_name, mut name])) = seen.filter(|seen| lies_here(&seen.0)) else {
            continue;
        };
        let [_, offset, bytes, count, locks] = numbers;
        if locks == 0 && type_name.starts_with("offspring::") {
            continue; // the inner lock of a queue
        }
        let inside = place - offset;
        let all = count.saturating_mul(locks);
        if all > 1 && !name.is_empty() {
            name = format!("{name}[{}]", inside / (bytes / all).max(1));
        } else if locks == 0 && inside != 0 && !name.is_empty() {
            name = format!("{name}+{inside}");
        }
        return Some(Held { name, type_name: without_paths(&type_name), address });
    }
    None
}
