//! A task's place in shared memory: its word, what is to be run, and room for a small argument and a small result.
//!
//! The argument is written by the client before `QUEUED` and read by workers; the result by the worker that runs the task, before
//! its commit, and read by the client after that. P3 in the README keeps late writers out of a slot that has a new tenant.

#![expect(unsafe_code, reason = "copies payloads into and out of shared bytes")]

use crate::pool::annex::Annex;
use crate::pool::job;
use crate::pool::word::{Kind, Word};
use crate::shm::{ShmCell, ShmSafe};
use crate::sys::Errno;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What fits into the slot; more goes to the annex.
pub(super) const INLINE_BYTES: usize = 224;
/// In a length: the payload is on the stage.
const STAGED: u64 = 1 << 63;

/// A small payload.
#[derive(Debug)]
#[repr(transparent)]
struct Inline(ShmCell<[u8; INLINE_BYTES]>);

/// See the top of the file.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Slot {
    /// The committing word.
    word: AtomicU64,
    /// The addresses of the job's code and of its name, the same in all processes of the pool. Written by the client.
    pub(super) job: AtomicU64,
    name: AtomicU64,
    /// Until when it must be done, in ns since the pool's beginning; 0: whenever. Written by the client.
    pub(super) deadline: AtomicU64,
    argument_bytes: AtomicU64,
    result_bytes: AtomicU64,
    /// Who waits: [`SLEEPER`], [`POLLER`].
    pub(super) watched: AtomicU32,
    /// Whether its number is in the ring. Set by the client, cleared by the worker that takes it out.
    pub(super) in_ring: AtomicU32,
    /// After how many attempts a death is final. Written by the client.
    pub(super) max_attempts: AtomicU32,
    argument: Inline,
    result: Inline,
}

/// Somebody sleeps until it has an outcome, or is about to.
pub(super) const SLEEPER: u32 = 1;
/// Somebody polls the pool's descriptor for it.
pub(super) const POLLER: u32 = 2;

const _: () = assert!(size_of::<Slot>() == 512);

// SAFETY: atomics, and bytes for which any value is one; who writes those bytes when is told at the top of the file.
unsafe impl ShmSafe for Slot {}

/// Which payload of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Argument,
    Result,
}

impl Slot {
    /// For those who look from outside.
    pub(super) const WORD_OFFSET: usize = std::mem::offset_of!(Slot, word);

    pub(super) fn new() -> Slot {
        let empty = || Inline(ShmCell::new([0; INLINE_BYTES]));
        Slot {
            word: AtomicU64::new(Word::free(1).to_bits()),
            job: AtomicU64::new(0),
            name: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            argument_bytes: AtomicU64::new(0),
            result_bytes: AtomicU64::new(0),
            watched: AtomicU32::new(0),
            in_ring: AtomicU32::new(0),
            max_attempts: AtomicU32::new(1),
            argument: empty(),
            result: empty(),
        }
    }

    /// Where the task stands. SeqCst: the last look of one who has announced that it waits (P4).
    #[inline(always)]
    pub(super) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::SeqCst))
    }

    /// The word as sleepers compare it.
    pub(super) fn raw_word(&self) -> &AtomicU64 {
        &self.word
    }

    /// The committing step; false if somebody else was faster.
    #[inline(always)]
    pub(super) fn step(&self, from: Word, to: Word) -> bool {
        let (from, to) = (from.to_bits(), to.to_bits());
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// A step of the client's alone: to `QUEUED`, to `FREE`.
    #[inline(always)]
    pub(super) fn set(&self, word: Word) {
        self.word.store(word.to_bits(), Ordering::Release);
    }

    /// Whether a death now would be the end of the task.
    pub(super) fn is_last_attempt(&self, word: Word) -> bool {
        word.attempts >= self.max_attempts.load(Ordering::Relaxed)
    }

    /// The type of the task's function.
    #[cold]
    pub(super) fn task(&self) -> &'static str {
        match self.name.load(Ordering::Relaxed) {
            0 => "",
            // SAFETY: `prepare` wrote it, from a Job, in a process of which this one is a fork, or in this one.
            name => unsafe { job::name_at(name) },
        }
    }

    fn place(&self, part: Part) -> (&AtomicU64, &Inline) {
        match part {
            Part::Argument => (&self.argument_bytes, &self.argument),
            Part::Result => (&self.result_bytes, &self.result),
        }
    }

    /// Writes a payload. The caller is the only one who may: the client before `QUEUED`, the task's worker before its commit.
    #[inline]
    pub(super) fn write(
        &self,
        annex: &Annex,
        index: u32,
        part: Part,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let (length, inline) = self.place(part);
        length.store(bytes.len() as u64, Ordering::Relaxed);
        if bytes.len() > INLINE_BYTES {
            if annex.write(index, part, bytes)? {
                self.set_staged(part, bytes.len());
            }
            return Ok(());
        }
        let place = inline.0.get().cast::<u8>();
        // SAFETY: the bytes fit (checked above), and nobody else in any process reads or writes them now: P3, and the commit that
        // makes them readable comes after this.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Notes that a payload of so many bytes lies on the stage.
    pub(super) fn set_staged(&self, part: Part, bytes: usize) {
        self.place(part).0.store(STAGED | bytes as u64, Ordering::Relaxed);
    }

    /// Hands a payload to `read`: from the slot, from the stage, or from `buffer` after it was copied there from the file. The word says
    /// that it is whole, and nobody writes it before the caller is done.
    #[inline]
    pub(super) fn read<T>(
        &self,
        annex: &Annex,
        index: u32,
        part: Part,
        buffer: &mut Vec<u8>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Errno> {
        let (length, inline) = self.place(part);
        let length = length.load(Ordering::Relaxed);
        let bytes = usize::try_from(length & !STAGED).map_err(|_| Errno::ENOMEM)?;
        let is_staged = length & STAGED != 0;
        if is_staged && let Some(staged) = annex.staged(index, part, bytes) {
            return Ok(read(staged));
        }
        if bytes > INLINE_BYTES {
            annex.read(index, part, is_staged, bytes, buffer)?;
            return Ok(read(buffer));
        }
        let place = inline.0.get().cast::<u8>();
        // SAFETY: inside the slot (checked above), written before the word said so (release, acquire), and not written while the
        // caller reads: only the next tenant's client and worker would, and the caller keeps the slot (P3).
        Ok(read(unsafe { std::slice::from_raw_parts(place, bytes) }))
    }

    /// Gives the memory of big payloads back to the machine.
    pub(super) fn discard(&self, annex: &Annex, index: u32) {
        for part in [Part::Argument, Part::Result] {
            let length = self.place(part).0.swap(0, Ordering::Relaxed);
            if length & STAGED == 0 {
                annex.discard(index, part, length);
            }
        }
    }

    /// Prepares the slot for a new task; by the client, which has the slot.
    #[inline]
    pub(super) fn prepare(&self, [run, name]: [u64; 2], deadline: u64, max_attempts: u32) {
        debug_assert!(self.word().kind == Kind::Free, "a slot with a task in it");
        self.job.store(run, Ordering::Relaxed);
        self.name.store(name, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.max_attempts.store(max_attempts, Ordering::Relaxed);
        self.watched.store(0, Ordering::Relaxed);
        self.in_ring.store(1, Ordering::Relaxed);
    }
}
