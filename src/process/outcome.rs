//! A child's outcome in shared memory: how far it came, and its result or its panic.
//!
//! The parent makes a cell before the fork, the child writes it once, the parent reads it after the child's death. It is
//! there besides the exit status because the status is not enough (`exit(0)` in a closure is no result) and can be lost
//! (SIGCHLD ignored, somebody else's `wait`).
//!
//! ```text
//!            parent               child                                parent, after the death
//!   FREE ───────────▶ RUNNING ─┬──────────▶ VALUE        result written ─────▶ taken, FREE
//!                              ├──────────▶ PANIC        report written
//!                              ├──────────▶ UNENCODABLE  why serde refused
//!                              ├──────────▶ UNWRITABLE   errno: no memory for the result
//!                              ├──────────▶ UNDECODABLE  why serde refused the arguments
//!                              ├──────────▶ EXITED       code given to exit()
//!                              └─(killed)─▶ RUNNING      only the exit status tells
//! ```
//!
//! Invariants. **C1** From the fork to the child's death only the child writes the cell, and of the child only the process
//! that was forked (its own forks are turned away by pid). **C2** The payload is complete before the state says so (release
//! store; the parent's acquire load pairs with it). **C3** The parent reads after the child's death only.
//!
//! A child killed in mid-write leaves RUNNING, and its half-written payload is discarded with the cell.
//!
//! Small payloads lie in the cell. Big ones go to the sheet's file, at an offset that is the cell's alone (files are sparse),
//! with `pwrite`: what cannot be backed is an error of the write, and no size makes anybody wait for a reader.

#![expect(unsafe_code, reason = "reads and writes cells in a mapping")]

use crate::process::board::Board;
use crate::process::last_words::{LastWords, WORDS_BYTES};
use crate::sys::Errno;
use crate::sys::sheet::lift_file_size_limit;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    /// The child has not said anything: it runs, or it was ended.
    Running = 1,
    Value = 2,
    Panic = 3,
    Unencodable = 4,
    Unwritable = 5,
    Exited = 6,
    Undecodable = 7,
}

/// Head of a cell; the last words follow it, and the inline payload them.
#[repr(C, align(64))]
pub(super) struct Head {
    /// [`Stage`]. Writer: parent before the fork, child once. Reader: parent after the death.
    stage: AtomicU32,
    /// Exit code or errno, by stage.
    number: AtomicU32,
    /// Length of the payload.
    bytes: AtomicU64,
    /// Not 0 as soon as something of the payload lies in the file.
    spilled: AtomicU32,
    /// The pid of a child that a fork server has made, or 0. Writer: the kernel, in the call that makes it. Reader: the client, when
    /// the server has replied or is dead.
    born: AtomicU32,
}

/// Size of a cell.
pub(super) const CELL_BYTES: usize = 2048;
/// What is before the payload.
const FRONT_BYTES: usize = size_of::<Head>() + WORDS_BYTES;
const INLINE_BYTES: usize = CELL_BYTES - FRONT_BYTES;
/// Each cell has this much of the sheet's offsets for itself, after the part that is mapped.
const SPILL_STRIDE_BYTES: u64 = 1 << 40;
/// How much of a big payload is gathered for one write.
const BLOCK_BYTES: usize = 256 * 1024;

const _: () = assert!(size_of::<Head>() == 64);
const _: () = assert!(CELL_BYTES.is_multiple_of(align_of::<Head>()));

/// One child's cell. Given back to its board on drop, in the process that made it.
pub(super) struct Cell {
    head: NonNull<Head>,
    index: u32,
    board: Arc<Board>,
}

// SAFETY: the head is atomics in a mapping that `board` keeps; the payload behind it follows C1 to C3.
unsafe impl Send for Cell {}
// SAFETY: as for Send; all methods take turns through the stage (C2, C3).
unsafe impl Sync for Cell {}

impl Cell {
    /// The cell at this place.
    ///
    /// # Safety
    /// - `head` is the start of `CELL_BYTES` in a mapping that `board` keeps, aligned for `Head`.
    /// - The cell with this index belongs to nobody else until this one is dropped, in the process that owns the board; in a copy of
    ///   that process it belongs to a child that is about to be born there.
    pub(super) unsafe fn new(head: NonNull<Head>, index: u32, board: Arc<Board>) -> Cell {
        Cell { head, index, board }
    }

    /// Makes it ready for a child: RUNNING.
    pub(super) fn begin(&self) {
        self.head().spilled.store(0, Ordering::Relaxed);
        self.head().born.store(0, Ordering::Relaxed);
        self.words().clear();
        self.head().stage.store(Stage::Running as u32, Ordering::Relaxed);
    }

    /// Its place on the board.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The board that it lies on.
    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Where the kernel notes the pid of a child that a fork server makes.
    pub(super) fn born(&self) -> &AtomicU32 {
        &self.head().born
    }

    /// What the child has said, with its exit code or errno.
    pub(super) fn stage(&self) -> (Stage, i32) {
        let stage = match self.head().stage.load(Ordering::Acquire) {
            2 => Stage::Value,
            3 => Stage::Panic,
            4 => Stage::Unencodable,
            5 => Stage::Unwritable,
            6 => Stage::Exited,
            7 => Stage::Undecodable,
            _ => Stage::Running,
        };
        (stage, self.head().number.load(Ordering::Relaxed).cast_signed())
    }

    /// Hands the payload to `read`. Only after the child's death, and a stage that has a payload.
    pub(super) fn payload<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, Errno> {
        let bytes = self.head().bytes.load(Ordering::Relaxed);
        let bytes = usize::try_from(bytes).map_err(|_| Errno::ENOMEM)?;
        if self.head().spilled.load(Ordering::Relaxed) == 0 {
            assert!(bytes <= INLINE_BYTES, "an inline payload of {bytes} bytes");
            // SAFETY: C2 and C3: the child has written these bytes and is dead; nobody else writes them (C1).
            let inline = unsafe { std::slice::from_raw_parts(self.inline(), bytes) };
            return Ok(read(inline));
        }
        // SAFETY: as above, for the cell's part of the file.
        let map = unsafe { self.board.sheet().map_read(self.spill_offset(), bytes) }?;
        Ok(read(&map))
    }

    /// Begins to write a payload; in the child.
    pub(super) fn writer(&self) -> PayloadWriter<'_> {
        PayloadWriter {
            cell: self,
            inline_bytes: 0,
            gathered: Vec::new(),
            spilled_bytes: 0,
            failure: None,
        }
    }

    /// Says how the child ended, for the stages without a payload; in the child.
    pub(super) fn say(&self, stage: Stage, number: i32) {
        self.head().number.store(number.cast_unsigned(), Ordering::Relaxed);
        self.head().stage.store(stage as u32, Ordering::Release);
    }

    fn head(&self) -> &Head {
        // SAFETY: `new`'s caller gave a live, aligned head, and all its fields are atomics.
        unsafe { self.head.as_ref() }
    }

    /// What the child leaves for its post-mortem.
    pub(super) fn words(&self) -> &LastWords {
        // SAFETY: a cell is CELL_BYTES long, and its head is smaller.
        let words = unsafe { self.head.add(1) }.cast::<LastWords>();
        // SAFETY: they lie there, aligned as the head is, and all their fields are atomics.
        unsafe { words.as_ref() }
    }

    fn inline(&self) -> *mut u8 {
        // SAFETY: a cell is CELL_BYTES long, and what is before the payload is smaller.
        unsafe { self.head.as_ptr().cast::<u8>().add(FRONT_BYTES) }
    }

    fn spill_offset(&self) -> u64 {
        (u64::from(self.index) + 1) * SPILL_STRIDE_BYTES
    }

    /// Gives a big payload's memory back; in the parent, after the child's death.
    pub(super) fn discard_payload(&self) {
        if self.head().spilled.swap(0, Ordering::Relaxed) != 0 {
            self.head().bytes.store(0, Ordering::Relaxed);
            // Nothing to do about a failure but to keep the memory until the cell is used again or the process ends.
            let _ = self.board.sheet().discard(self.spill_offset(), SPILL_STRIDE_BYTES);
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if self.board.is_own() {
            self.discard_payload();
            self.board.give_back(self.index);
        }
    }
}

/// Writes a payload: into the cell while it fits, from then on to the file in big blocks. A small one allocates nothing.
pub(super) struct PayloadWriter<'a> {
    cell: &'a Cell,
    inline_bytes: usize,
    gathered: Vec<u8>,
    spilled_bytes: u64,
    failure: Option<Errno>,
}

impl PayloadWriter<'_> {
    /// Stores the rest. `Err` where a write of the payload failed.
    pub(super) fn finish(mut self) -> Result<(), Errno> {
        if let Some(errno) = self.failure {
            return Err(errno);
        }
        self.spill_gathered()?;
        let bytes = self.inline_bytes as u64 + self.spilled_bytes;
        self.cell.head().bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Why a write failed, if one did.
    pub(super) fn failure(&self) -> Option<Errno> {
        self.failure
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let is_inline = self.spilled_bytes == 0 && self.gathered.is_empty();
        if is_inline && self.inline_bytes + bytes.len() <= INLINE_BYTES {
            // SAFETY: the sum is within the cell.
            let place = unsafe { self.cell.inline().add(self.inline_bytes) };
            // SAFETY: C1: the cell is this child's alone; the bytes fit, checked above.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
            self.inline_bytes += bytes.len();
            return Ok(());
        }
        if self.inline_bytes > 0 {
            // SAFETY: these bytes were written above, by this process.
            let inline =
                unsafe { std::slice::from_raw_parts(self.cell.inline(), self.inline_bytes) };
            self.gathered.extend_from_slice(inline);
            self.inline_bytes = 0;
        }
        if self.gathered.len() + bytes.len() > BLOCK_BYTES {
            self.spill_gathered()?;
        }
        if bytes.len() > BLOCK_BYTES {
            return self.spill(bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn spill_gathered(&mut self) -> Result<(), Errno> {
        let mut gathered = std::mem::take(&mut self.gathered);
        if !gathered.is_empty() {
            self.spill(&gathered)?;
            gathered.clear();
            self.gathered = gathered;
        }
        Ok(())
    }

    fn spill(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.spilled_bytes == 0 {
            lift_file_size_limit()?;
            // Before the first byte, so that the parent discards what a kill leaves behind.
            self.cell.head().spilled.store(1, Ordering::Relaxed);
        }
        self.cell.board.sheet().write_at(bytes, self.cell.spill_offset() + self.spilled_bytes)?;
        self.spilled_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl io::Write for PayloadWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(errno) => {
                self.failure = Some(errno);
                Err(io::Error::from(errno))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
