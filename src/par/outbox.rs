//! What workers have to tell: results that are encoded, panics, results that do not encode.
//!
//! Each worker appends records to a stretch of the call's file (a sheet) that is its alone. A record is kind, item, length, bytes.
//! They are gathered and written when there are many, and at the end of each chunk.
//!
//! Invariant **O1**: `sent` in the seat counts bytes that are written, up to the end of a record (release store after the write;
//! the parent's acquire load pairs with it). The parent reads after the worker's end, and those bytes only. So a worker that
//! is killed in mid-write has not sent that record, and what it had not yet written is lost with it.

#![expect(unsafe_code, reason = "maps what a child has written")]

use crate::par::table::Seat;
use crate::process::PanicReport;
use crate::queue::codec;
use crate::sys::Errno;
use crate::sys::sheet::{Sheet, lift_file_size_limit};
use serde::Serialize;

/// Each seat has this much of the file's offsets for itself; files are sparse.
const STRIDE_BYTES: u64 = 1 << 40;
/// So much is gathered before it is written.
const GATHERED_BYTES: usize = 64 * 1024;
/// Kind, item, length.
const HEAD_BYTES: usize = 1 + 8 + 8;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The bytes are the result.
    Value = 1,
    /// The bytes are a [`PanicReport`].
    Panic = 2,
    /// The bytes are the text of serde's refusal.
    Unencodable = 3,
}

/// The worker's side.
pub(super) struct Outbox<'a> {
    sheet: &'a Sheet,
    seat: Seat<'a>,
    start: u64,
    sent: u64,
    /// Records that are not written yet; behind `whole`, one that is being made.
    gathered: Vec<u8>,
    whole: usize,
    /// Why a write failed, if one did.
    failure: Option<Errno>,
}

impl<'a> Outbox<'a> {
    /// An empty one, for whoever sits in this seat.
    pub(super) fn new(sheet: &'a Sheet, seat: Seat<'a>, number: usize) -> Outbox<'a> {
        let start = number as u64 * STRIDE_BYTES;
        Outbox { sheet, seat, start, sent: 0, gathered: Vec::new(), whole: 0, failure: None }
    }

    /// Tells a result, or that it does not encode. A panic of serde code goes on; then call [`panicked`](Self::panicked).
    pub(super) fn value<R: Serialize>(&mut self, item: usize, value: &R) {
        self.begin(Kind::Value, item);
        if let Err(error) = codec::encode(value, &mut self.gathered) {
            self.record(Kind::Unencodable, item, error.to_string().as_bytes());
            return;
        }
        self.end();
    }

    /// Tells a panic.
    pub(super) fn panicked(&mut self, item: usize, report: &PanicReport) {
        // Strings and numbers always encode.
        let bytes = postcard::to_stdvec(report).unwrap_or_default();
        self.record(Kind::Panic, item, &bytes);
    }

    fn record(&mut self, kind: Kind, item: usize, bytes: &[u8]) {
        self.begin(kind, item);
        self.gathered.extend_from_slice(bytes);
        self.end();
    }

    fn begin(&mut self, kind: Kind, item: usize) {
        self.gathered.truncate(self.whole);
        self.gathered.push(kind as u8);
        self.gathered.extend_from_slice(&(item as u64).to_le_bytes());
        self.gathered.extend_from_slice(&[0; 8]);
    }

    fn end(&mut self) {
        let head = self.whole;
        let bytes = (self.gathered.len() - head - HEAD_BYTES) as u64;
        self.gathered[head + 9..head + HEAD_BYTES].copy_from_slice(&bytes.to_le_bytes());
        self.whole = self.gathered.len();
        if self.whole >= GATHERED_BYTES {
            // What failed is told by the next flush.
            let _ = self.flush();
        }
    }

    /// Writes what was gathered. Once it has failed it fails for ever: what is missing is missing.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        if self.whole > 0 && self.failure.is_none() {
            self.failure = self.write().err();
        }
        self.gathered.clear();
        self.gathered.shrink_to(2 * GATHERED_BYTES);
        self.whole = 0;
        self.failure.map_or(Ok(()), Err)
    }

    fn write(&mut self) -> Result<(), Errno> {
        if self.sent == 0 {
            lift_file_size_limit()?;
        }
        if mutant!("par-sent-before-write") {
            self.seat.set_sent(self.sent + self.whole as u64);
        }
        self.sheet.write_at(&self.gathered[..self.whole], self.start + self.sent)?;
        self.sent += self.whole as u64;
        self.seat.set_sent(self.sent);
        Ok(())
    }
}

/// Hands all records of a seat whose worker has ended to `read`, and gives their memory back.
pub(super) fn read_all(
    sheet: &Sheet,
    seat: Seat<'_>,
    number: usize,
    mut read: impl FnMut(Kind, usize, &[u8]),
) -> Result<(), Errno> {
    let bytes = usize::try_from(seat.sent()).map_err(|_| Errno::ENOMEM)?;
    if bytes == 0 {
        return Ok(());
    }
    let start = number as u64 * STRIDE_BYTES;
    // SAFETY: O1: only this seat's worker wrote there, which has ended; the next one sits down after this call.
    let map = unsafe { sheet.map_read(start, bytes) }?;
    let mut rest = &map[..];
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD_BYTES>() {
        let number = |at: usize| head[at..at + 8].iter().rfold(0, |n, &b| n << 8 | u64::from(b));
        let kind = match head[0] {
            1 => Kind::Value,
            2 => Kind::Panic,
            _ => Kind::Unencodable,
        };
        let (payload, behind) = behind.split_at(number(9) as usize);
        read(kind, number(1) as usize, payload);
        rest = behind;
    }
    drop(map);
    // Nothing to do about a failure but to keep the memory until the call ends.
    let _ = sheet.discard(start, STRIDE_BYTES);
    Ok(())
}
