//! What a thread sleeps on, noted in its roster entry for those who look from outside.
//!
//! Written on the slow path alone, right before the kernel is asked to sleep, and ended right after. The fields are separate words:
//!
//! - N1 `sequence` is odd from after the last field is written until the sleep is over, and even while fields are written. A
//!   reader that finds the same odd number and the same fields in two looks, one after the other, has seen one note, whole.
//! - N2 A note may precede its sleep, and outlive it, by some instructions: it says "about to sleep, asleep, or just woken".
//!   While it stands, its thread does nothing else.
//! - N3 A death leaves the note as it is; the next tenant of the entry ends it.

use crate::shm::roster;
use crate::sys::futex;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How many of those who have what is waited for are noted.
pub(crate) const HOLDERS_MAX: usize = 5;
/// In `kind`: the wait has a deadline.
pub(crate) const TIMED: u32 = 1 << 8;

/// The words of a note, besides its number and its time, which lie where the entry has room.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Wait {
    /// Of what it waits for, in its own memory.
    pub(super) address: AtomicU64,
    /// An `Awaits`, and [`TIMED`].
    pub(super) kind: AtomicU32,
    /// Roster ids of those who have what it waits for; 0 ends the list.
    pub(super) holders: [AtomicU32; HOLDERS_MAX],
}

const _: () = assert!(size_of::<Wait>() == 32);

/// The note of one entry.
pub(super) struct Note<'a> {
    pub(super) sequence: &'a AtomicU32,
    /// When the sleep began: nanoseconds of CLOCK_MONOTONIC_COARSE.
    pub(super) since: &'a AtomicU64,
    pub(super) wait: &'a Wait,
}

thread_local! {
    /// The last sleep ended by the backstop: if the next one is on the same object, it is the same wait.
    static GOES_ON: Cell<bool> = const { Cell::new(false) };
}

/// Notes that the calling thread is about to sleep.
#[inline(never)]
pub(crate) fn begin(kind: u32, address: usize, holders: &[u32]) {
    let Some(Note { sequence, since, wait }) = roster::my_note() else { return };
    let address = address as u64;
    let is_same = wait.address.load(Ordering::Relaxed) == address
        && wait.kind.load(Ordering::Relaxed) == kind;
    // No field before the even number that is there (N1).
    fence(Ordering::Release);
    if !(GOES_ON.take() && is_same) {
        since.store(futex::coarse_nanos(), Ordering::Relaxed);
    }
    wait.address.store(address, Ordering::Relaxed);
    wait.kind.store(kind, Ordering::Relaxed);
    let ids = holders.iter().copied().chain(std::iter::repeat(0));
    for (place, id) in wait.holders.iter().zip(ids) {
        place.store(id, Ordering::Relaxed);
    }
    let number = sequence.load(Ordering::Relaxed);
    sequence.store(number.wrapping_add(1), Ordering::Release);
}

/// The sleep is over; `in_vain`: by the backstop, nothing has happened.
#[inline(never)]
pub(crate) fn end(in_vain: bool) {
    let Some(Note { sequence, .. }) = roster::my_note() else { return };
    GOES_ON.set(in_vain);
    let number = sequence.load(Ordering::Relaxed);
    sequence.store(number.wrapping_add(1), Ordering::Release);
}
