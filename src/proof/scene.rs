//! What the processes of one scenario say to each other, in a shared page of its own: markers, notes, the verdict.

#![expect(unsafe_code, reason = "promises that the board keeps the rules of ShmSafe")]

use super::outcome::{Fault, Outcome};
use crate::deadline::Deadline;
use crate::shm::{Shared, ShmSafe};
use crate::sys::futex::{self, Watch};
use crate::sys::ptrace;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How many bystanders a scenario may have.
pub(super) const SEATS: usize = 8;
/// How many numbered notes there are.
const NOTES: usize = 64;
/// How many values the log keeps.
const LOG_LENGTH: usize = 512;
const WORDS_BYTES: usize = 512;

/// `phase`: the victim prepares itself.
const BEFORE: u32 = 0;
/// `phase`: the victim is in what is being proved.
const WITHIN: u32 = 1;
/// `phase`: the victim has come to its end marker.
const AFTER: u32 = 2;

/// The shared page. Every field is written by any process of the scenario, with SeqCst except for the markers.
#[repr(C)]
struct Board {
    /// Of the victim, and of the first victim.
    phases: [AtomicU32; 2],
    released: AtomicU32,
    waiting: [AtomicU32; SEATS],
    ended: [AtomicU32; SEATS],
    outcome: AtomicU32,
    words_length: AtomicU32,
    effects: AtomicU64,
    notes: [AtomicU64; NOTES],
    logged: AtomicU64,
    log: [AtomicU64; LOG_LENGTH],
    words: [AtomicU8; WORDS_BYTES],
}

// SAFETY: atomics alone.
unsafe impl ShmSafe for Board {}

/// The stage of a [`Scenario`](super::Scenario), as one of its processes sees it.
///
/// The victim marks what is to be proved with [`begin`](Scene::begin) and [`end`](Scene::end); a bystander may wait with
/// [`hold`](Scene::hold) for the victim's death; all of them can leave [`note`](Scene::note)s for the check.
#[derive(Clone, Debug)]
pub struct Scene {
    board: Shared<Board>,
    seat: usize,
    /// Whose phase the markers set.
    part: usize,
}

/// `part` of the victim, and of whoever sets no markers.
const VICTIM: usize = 0;
/// `part` of the first victim.
const FIRST: usize = 1;

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("phases", &self.phases).finish_non_exhaustive()
    }
}

impl Scene {
    pub(super) fn new() -> crate::error::Result<Scene> {
        let board = Shared::new(Board {
            phases: [const { AtomicU32::new(BEFORE) }; 2],
            released: AtomicU32::new(0),
            waiting: [const { AtomicU32::new(0) }; SEATS],
            ended: [const { AtomicU32::new(0) }; SEATS],
            outcome: AtomicU32::new(0),
            words_length: AtomicU32::new(0),
            effects: AtomicU64::new(0),
            notes: [const { AtomicU64::new(0) }; NOTES],
            logged: AtomicU64::new(0),
            log: [const { AtomicU64::new(0) }; LOG_LENGTH],
            words: [const { AtomicU8::new(0) }; WORDS_BYTES],
        })?;
        Ok(Scene { board, seat: 0, part: VICTIM })
    }

    /// The victim: from here on it may die after each instruction. To be called once, outside any other marker.
    #[inline(always)]
    pub fn begin(&self) {
        self.board.phases[self.part].store(WITHIN, Ordering::Release);
        ptrace::trap();
    }

    /// The victim: it has done what is being proved; the last death is here.
    #[inline(always)]
    pub fn end(&self) {
        self.board.phases[self.part].store(AFTER, Ordering::Release);
        ptrace::trap();
    }

    /// A bystander: waits here until the victim is dead (or sleeps, or is held, as the scenario says). The harness does not
    /// let the victim begin before every bystander has come to its `hold` or sleeps in a futex call.
    pub fn hold(&self) {
        self.board.waiting[self.seat].store(1, Ordering::SeqCst);
        while self.board.released.load(Ordering::SeqCst) == 0 {
            let watch = Watch { word: &self.board.released, expected: 0 };
            futex::wait(watch, Deadline::after(Duration::from_secs(1)));
        }
        self.board.waiting[self.seat].store(0, Ordering::SeqCst);
    }

    /// Leaves a number for others to read; `index` is below 64, and all notes are 0 at first.
    #[inline(always)]
    pub fn note(&self, index: usize, value: u64) {
        self.board.notes[index].store(value, Ordering::SeqCst);
    }

    /// The number left under this index.
    #[inline(always)]
    pub fn noted(&self, index: usize) -> u64 {
        self.board.notes[index].load(Ordering::SeqCst)
    }

    /// Adds a number other than 0 to the log that all processes of the scenario share; it keeps 512.
    pub fn log(&self, value: u64) {
        let index = self.board.logged.fetch_add(1, Ordering::SeqCst) as usize;
        assert!(index < LOG_LENGTH, "the log keeps {LOG_LENGTH} values");
        self.board.log[index].store(value, Ordering::SeqCst);
    }

    /// All numbers logged so far. One that its process died of logging is left out.
    pub fn logged(&self) -> Vec<u64> {
        let count = (self.board.logged.load(Ordering::SeqCst) as usize).min(LOG_LENGTH);
        let values = self.board.log[..count].iter().map(|value| value.load(Ordering::SeqCst));
        values.filter(|&value| value != 0).collect()
    }

    /// Whether the victim died at its end marker, having done all.
    pub fn is_finished(&self) -> bool {
        self.board.phases[VICTIM].load(Ordering::Acquire) == AFTER
    }

    /// The same of the first victim of a double fault.
    pub fn is_first_finished(&self) -> bool {
        self.board.phases[FIRST].load(Ordering::Acquire) == AFTER
    }

    /// Whether the bystander with this index (in the order of the scenario) has returned from its body.
    pub fn has_ended(&self, bystander: usize) -> bool {
        self.board.ended[bystander].load(Ordering::SeqCst) != 0
    }

    /// Waits, yielding the CPU, until the first `count` bystanders have ended. The check's own deadline bounds this.
    pub fn await_ended(&self, count: usize) {
        while !(0..count).all(|bystander| self.has_ended(bystander)) {
            std::thread::yield_now();
        }
    }

    pub(super) fn seated(&self, seat: usize) -> Scene {
        Scene { board: self.board.clone(), seat, part: VICTIM }
    }

    /// The scene as the first victim of a double fault sees it.
    pub(super) fn for_first(&self) -> Scene {
        Scene { board: self.board.clone(), seat: 0, part: FIRST }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.board.phases[self.part].load(Ordering::Acquire) != BEFORE
    }

    /// Whether the process whose scene this is has come to its end marker.
    pub(super) fn is_over(&self) -> bool {
        self.board.phases[self.part].load(Ordering::Acquire) == AFTER
    }

    pub(super) fn is_waiting(&self, bystander: usize) -> bool {
        self.board.waiting[bystander].load(Ordering::SeqCst) != 0
    }

    pub(super) fn set_ended(&self) {
        self.board.ended[self.seat].store(1, Ordering::SeqCst);
    }

    pub(super) fn release(&self) {
        self.board.released.store(1, Ordering::SeqCst);
        futex::wake(&self.board.released, SEATS as u32);
    }

    /// Reports what went wrong; the first report stays.
    pub(super) fn accuse(&self, fault: &Fault) {
        let code = Outcome::ALL.iter().position(|&outcome| outcome == fault.outcome());
        let code = code.expect("ALL has all") as u32;
        let claimed = self.board.outcome.compare_exchange(
            0,
            code | 0x100,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if claimed.is_ok() {
            let length = fault.why().len().min(WORDS_BYTES);
            for (cell, &byte) in self.board.words.iter().zip(fault.why().as_bytes()) {
                cell.store(byte, Ordering::SeqCst);
            }
            self.board.words_length.store(length as u32, Ordering::SeqCst);
            self.board.outcome.store(code, Ordering::SeqCst);
        }
    }

    /// The reported fault, if any.
    pub(super) fn fault(&self) -> Option<Fault> {
        let code = self.board.outcome.load(Ordering::SeqCst) & 0xff;
        let outcome = Outcome::from_code(code).filter(|&outcome| outcome != Outcome::Ok)?;
        let length = self.board.words_length.load(Ordering::SeqCst) as usize;
        let words = self.board.words[..length].iter().map(|byte| byte.load(Ordering::SeqCst));
        let words: Vec<u8> = words.collect();
        Some(Fault::new(outcome, String::from_utf8_lossy(&words)))
    }

    pub(super) fn set_effects(&self, effects: u64) {
        self.board.effects.store(effects, Ordering::SeqCst);
    }

    pub(super) fn effects(&self) -> u64 {
        self.board.effects.load(Ordering::SeqCst)
    }
}
