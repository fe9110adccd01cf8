//! Where payloads go that do not fit into a slot: onto the *stage* if they are of middle size, else into the file.
//!
//! The stage is a part of the same memfd that is mapped, by each process when it first needs it: no system call for a payload, and
//! no copy for the one who reads. Its memory is committed before it is mapped, so that no access is a SIGBUS. Only some slots
//! have a place on it, those that are handed out first.

#![expect(unsafe_code, reason = "copies payloads into and out of shared bytes")]

use crate::pool::slot::Part;
use crate::sys::Errno;
use crate::sys::sheet::{Sheet, Window, lift_file_size_limit};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// How many slots have a place on the stage.
pub(super) const PLACES: u32 = 32;
/// What fits into a place: an argument, or a result.
pub(super) const PLACE_BYTES: usize = 32 << 10;
/// In the file, each payload has this much of the offsets for itself. Files are sparse.
const STRIDE_BYTES: u64 = 1 << 38;
/// A payload in the file keeps its memory for the next one, up to this size.
const KEPT_BYTES: u64 = 64 << 10;
/// Offsets behind those of the payloads of all slots.
const STAGE_OFFSET: u64 = 1 << 60;
const REPORTS_OFFSET: u64 = 1 << 61;
const CODE_OFFSET: u64 = REPORTS_OFFSET + (1 << 60);
const OBITUARIES_OFFSET: u64 = 1 << 62;
/// The most that a failed initialiser's report can have.
pub(super) const REPORT_BYTES_MAX: usize = 1 << 15;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Annex {
    sheet: Sheet,
    /// `None` if there was no memory for it.
    stage: OnceLock<Option<Window>>,
}

impl Annex {
    pub(super) fn new(sheet: Sheet) -> Annex {
        Annex { sheet, stage: OnceLock::new() }
    }

    /// Where a slot's payload is on the stage.
    fn place(&self, index: u32, part: Part) -> Option<*mut u8> {
        if index >= PLACES {
            return None;
        }
        let bytes = 2 * PLACES as usize * PLACE_BYTES;
        let window = self.stage.get_or_init(|| self.sheet.map_shared(STAGE_OFFSET, bytes).ok());
        let first = window.as_ref()?.base();
        let before = nth(index, part) as usize * PLACE_BYTES;
        // SAFETY: the window has places for so many (the index was compared), and the result stays inside.
        Some(unsafe { first.add(before) })
    }

    /// Writes a slot's payload; true if it is on the stage. The caller is the only one who may: see `slot.rs`.
    pub(super) fn write(&self, index: u32, part: Part, bytes: &[u8]) -> Result<bool, Errno> {
        if bytes.len() <= PLACE_BYTES
            && let Some(place) = self.place(index, part)
        {
            // SAFETY: the bytes fit (compared above), and nobody else in any process reads or writes this place now: that is
            // the caller's promise.
            unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            return Ok(true);
        }
        lift_file_size_limit()?;
        self.sheet.write_at(bytes, offset(index, part)).map(|()| false)
    }

    /// Lets `write` fill a slot's place on the stage, if it has one. The caller is the only one who may, as for [`write`](Self::write).
    pub(super) fn fill<T>(
        &self,
        index: u32,
        part: Part,
        write: impl FnOnce(&mut [u8]) -> T,
    ) -> Option<T> {
        let place = self.place(index, part)?;
        // SAFETY: inside the stage, and nobody else in any process reads or writes this place now: the caller's promise.
        Some(write(unsafe { std::slice::from_raw_parts_mut(place, PLACE_BYTES) }))
    }

    /// A payload of so many bytes on the stage, if this process can map that. Nobody writes it before the caller is done: see `slot.rs`.
    pub(super) fn staged(&self, index: u32, part: Part, bytes: usize) -> Option<&[u8]> {
        let place = self.place(index, part).filter(|_| bytes <= PLACE_BYTES)?;
        // SAFETY: inside the stage (compared), written before the task's word said so (release, acquire), and not written while
        // the caller reads: the caller's promise.
        Some(unsafe { std::slice::from_raw_parts(place, bytes) })
    }

    /// Copies a payload out of the file.
    pub(super) fn read(
        &self,
        index: u32,
        part: Part,
        is_staged: bool,
        bytes: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        buffer.clear();
        buffer.try_reserve_exact(bytes).map_err(|_| Errno::ENOMEM)?;
        buffer.resize(bytes, 0);
        let offset = match is_staged {
            true => STAGE_OFFSET + nth(index, part) * PLACE_BYTES as u64,
            false => offset(index, part),
        };
        self.sheet.read_at(buffer, offset)
    }

    /// Gives the memory of a big payload in the file back to the machine.
    pub(super) fn discard(&self, index: u32, part: Part, bytes: u64) {
        if bytes > KEPT_BYTES {
            // Nothing to do about a failure but to keep the memory until the pool ends.
            let _ = self.sheet.discard(offset(index, part), STRIDE_BYTES);
        }
    }

    /// Writes what a failed initialiser in `seat` said; not more than [`REPORT_BYTES_MAX`].
    pub(super) fn write_report(&self, seat: u32, report: &[u8]) -> Result<(), Errno> {
        lift_file_size_limit()?;
        self.sheet.write_at(report, report_offset(seat))
    }

    /// Writes what a worker left behind, as the so-many-th of the morgue; not more than [`REPORT_BYTES_MAX`].
    pub(super) fn write_obituary(&self, nth: usize, bytes: &[u8]) -> Result<(), Errno> {
        let length = (bytes.len() as u32).to_ne_bytes();
        self.sheet.write_at(&[&length, bytes].concat(), obituary_offset(nth))
    }

    /// Reads it. Whoever asks for one that is being written gets a mixture.
    pub(super) fn read_obituary(&self, nth: usize) -> Result<Vec<u8>, Errno> {
        let mut length = [0; 4];
        self.sheet.read_at(&mut length, obituary_offset(nth))?;
        let mut bytes = vec![0; REPORT_BYTES_MAX.min(u32::from_ne_bytes(length) as usize)];
        self.sheet.read_at(&mut bytes, obituary_offset(nth) + length.len() as u64)?;
        Ok(bytes)
    }

    pub(super) fn read_report(&self, seat: u32, report: &mut [u8]) -> Result<(), Errno> {
        self.sheet.read_at(report, report_offset(seat))
    }

    /// Writes where the workers have code.
    pub(super) fn write_code(&self, ranges: &[u8]) -> Result<(), Errno> {
        lift_file_size_limit()?;
        self.sheet.write_at(ranges, CODE_OFFSET)
    }

    pub(super) fn read_code(&self, ranges: &mut [u8]) -> Result<(), Errno> {
        self.sheet.read_at(ranges, CODE_OFFSET)
    }
}

impl AsFd for Annex {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sheet.as_fd()
    }
}

fn nth(index: u32, part: Part) -> u64 {
    2 * u64::from(index) + part as u64
}

fn offset(index: u32, part: Part) -> u64 {
    nth(index, part) * STRIDE_BYTES
}

fn obituary_offset(nth: usize) -> u64 {
    OBITUARIES_OFFSET + nth as u64 * 2 * REPORT_BYTES_MAX as u64
}

fn report_offset(seat: u32) -> u64 {
    REPORTS_OFFSET + u64::from(seat) * 2 * REPORT_BYTES_MAX as u64
}
