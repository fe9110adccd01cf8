//! What an outsider reads of a pool: words out of copies of its head, seats, slots and morgue. The pool does not know of it.

use crate::pool::morgue;
use crate::pool::shop::{Head, Mode, NO_SLOT, Seat};
use crate::pool::slot::Slot;
use crate::pool::word::{Kind, Word};
use crate::process::Exit;
use crate::shm::outside::{half, word};
use std::mem::offset_of;

pub(crate) const HEAD_BYTES: usize = size_of::<Head>();
pub(crate) const SEAT_BYTES: usize = size_of::<Seat>();
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

/// The pool's own words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawPool {
    /// Roster id.
    pub(crate) supervisor: u32,
    pub(crate) stage: &'static str,
    pub(crate) target: u32,
    pub(crate) living: u32,
    pub(crate) seats_used: u32,
    pub(crate) replaced: u64,
    pub(crate) has_failed: bool,
}

/// A worker's place.
#[derive(Clone, Debug)]
pub(crate) struct RawSeat {
    /// Roster id.
    pub(crate) worker: u32,
    /// Which slot it tried to claim last.
    pub(crate) slot: Option<u32>,
    pub(crate) is_busy: bool,
    pub(crate) ends: u32,
    /// Roster id of the last that ended here, and how; no `Exit`: nobody knows.
    pub(crate) last_end: Option<(u32, Option<Exit>)>,
}

pub(crate) fn head(bytes: &[u8]) -> RawPool {
    let stage = match half(bytes, offset_of!(Head, mode)) {
        mode if mode == Mode::Open as u32 => "open",
        mode if mode == Mode::Terminating as u32 => "terminating",
        _ => "closing",
    };
    RawPool {
        supervisor: half(bytes, offset_of!(Head, supervisor)),
        stage,
        target: half(bytes, offset_of!(Head, target)),
        living: half(bytes, offset_of!(Head, living)),
        seats_used: half(bytes, offset_of!(Head, seats_used)),
        replaced: word(bytes, offset_of!(Head, replaced)),
        has_failed: half(bytes, Head::FAILURE_OFFSET) != 0,
    }
}

pub(crate) fn seat(bytes: &[u8]) -> RawSeat {
    let slot = half(bytes, offset_of!(Seat, slot));
    let end = word(bytes, offset_of!(Seat, last_end));
    RawSeat {
        worker: half(bytes, offset_of!(Seat, worker)),
        slot: (slot != NO_SLOT).then_some(slot),
        is_busy: half(bytes, offset_of!(Seat, busy)) != 0,
        ends: half(bytes, offset_of!(Seat, ends)),
        last_end: (end != 0)
            .then(|| ((end >> 32) as u32, morgue::exit_in(end & !(u64::MAX << 32)))),
    }
}

/// Of a slot's bytes: whether its task is being run, by whom (a roster id), and for which time.
pub(crate) fn running(bytes: &[u8]) -> Option<(u32, u32)> {
    let word = Word::from_bits(word(bytes, Slot::WORD_OFFSET));
    (word.kind == Kind::Running).then_some((word.holder, word.attempts))
}
