//! The records' memory: a mirrored mapping, so that each record is contiguous.

#![expect(unsafe_code, reason = "reads and writes records in a mapping")]

use crate::error::{Error, Result};
use crate::queue::byte_ring::{ByteCore, Header, Records, UNIT_BYTES};
use crate::queue::gate;
use crate::shm::ShmSafe;
use crate::sys::eventfd::Bell;
use crate::sys::memory::page_bytes;
use crate::sys::mirror::Mirror;
use std::sync::Arc;

// SAFETY: atomics and numbers that do not change after `new`; see B1 to B6 for what a death leaves.
unsafe impl ShmSafe for ByteCore {}

const _: () = assert!(size_of::<ByteCore>() <= 1024 - 128);

/// The ring of bytes, as this process maps it.
#[derive(Clone, Debug)]
pub(super) struct Store {
    map: Arc<Mirror>,
    base: *mut u8,
    mask: u32,
    /// Of a pollable queue.
    pub(super) bell: Option<Arc<Bell>>,
}

// SAFETY: `base` points into `map`, which is Send and Sync and lives as long; who may touch which bytes is the ring's business (B4).
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// `bytes`, a power of two, or a page if that is more.
    pub(super) fn new(bytes: usize) -> Result<Store> {
        crate::shm::roster::ensure()?;
        let bytes = bytes.max(page_bytes());
        let units = u32::try_from(bytes as u64 / UNIT_BYTES).expect("checked by the caller");
        let map = Mirror::new(bytes)
            .map_err(|errno| Error::os("create", format!("queue of {bytes} bytes"), errno))?;
        Ok(Store { base: map.base(), map: Arc::new(map), mask: units - 1, bell: None })
    }

    pub(super) fn units(&self) -> u32 {
        (self.map.bytes() as u64 / UNIT_BYTES) as u32
    }

    /// The record at a position, in the lower half of the mapping; it may run into the upper half.
    #[inline(always)]
    fn at(&self, position: u32) -> *mut u8 {
        let offset = u64::from(position & self.mask) * UNIT_BYTES;
        // SAFETY: the masked position is inside the ring.
        unsafe { self.base.add(offset as usize) }
    }

    /// The payload of the record at a position.
    #[inline(always)]
    fn payload(&self, position: u32) -> *mut u8 {
        // SAFETY: behind the header, still inside the two halves.
        unsafe { self.at(position).add(UNIT_BYTES as usize) }
    }

    /// Copies a message into its record. The caller owns the producer end and the record is free, or has claimed it.
    #[inline(always)]
    pub(super) fn write(&self, position: u32, message: &[u8]) {
        debug_assert!(message.len() <= self.map.bytes() - UNIT_BYTES as usize);
        // SAFETY: the record has room for the message (`put` made it so), and until it is committed nobody else in any
        // process reads or writes it (B4).
        unsafe { self.payload(position).copy_from_nonoverlapping(message.as_ptr(), message.len()) };
    }

    /// Appends a message to `buffer`, which has room for it. The caller owns the consumer end, or the message is lent to it.
    #[inline(always)]
    pub(super) fn read(&self, position: u32, bytes: u64, buffer: &mut Vec<u8>) {
        let bytes = bytes as usize;
        let used = buffer.len();
        assert!(buffer.capacity() - used >= bytes, "no room for {bytes} bytes");
        // SAFETY: the buffer has that much behind its length.
        let end = unsafe { buffer.as_mut_ptr().add(used) };
        // SAFETY: a committed record of so many bytes (checked against the positions), which nobody writes before the caller has
        // taken or finished it (B4); the buffer is private memory.
        unsafe { end.copy_from_nonoverlapping(self.payload(position), bytes) };
        // SAFETY: just written.
        unsafe { buffer.set_len(used + bytes) };
    }

    /// Copies a message to the start of `buffer`, which is long enough. The caller as for [`read`](Self::read).
    #[inline(always)]
    pub(super) fn read_into(&self, position: u32, bytes: u64, buffer: &mut [u8]) {
        let buffer = &mut buffer[..bytes as usize];
        // SAFETY: as in `read`.
        unsafe {
            buffer.as_mut_ptr().copy_from_nonoverlapping(self.payload(position), buffer.len())
        };
    }

    /// The bytes of a message that is lent to the caller.
    ///
    /// # Safety
    /// It stays lent for as long as the slice lives.
    #[inline(always)]
    pub(super) unsafe fn bytes(&self, position: u32, bytes: u64) -> &[u8] {
        // SAFETY: a committed record inside the two halves, which nobody in any process writes while it is lent (B4).
        unsafe { std::slice::from_raw_parts(self.payload(position), bytes as usize) }
    }
}

impl Records for Store {
    #[inline(always)]
    fn header(&self, position: u32) -> &Header {
        let header = self.at(position).cast::<Header>();
        // SAFETY: aligned to 16, inside the mapping, and made of atomics, for which any bytes are a value. The ring looks at a header
        // only between `head` and `tail`, where nobody writes payload over it (B4).
        unsafe { &*header }
    }

    #[inline(always)]
    fn bell(&self) -> Option<&dyn gate::Bell> {
        self.bell.as_deref().map(|bell| bell as &dyn gate::Bell)
    }

    /// Somebody wrote into the ring past this crate; all that follows is a guess.
    #[cold]
    fn broken(&self) -> ! {
        eprintln!("offspring: a record of a queue is longer than the queue; aborting");
        std::process::abort();
    }
}
