//! A buffer of this thread, for encoding before and decoding after the ring's locks.

use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A larger buffer is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Runs `work` with an empty buffer. The thread's own is taken out meanwhile: what `work` calls may do the same.
#[inline]
pub(super) fn with<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let result = work(&mut buffer);
    if buffer.capacity() <= KEPT_BYTES_MAX {
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
    result
}
