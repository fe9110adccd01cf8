//! Flushing the standard streams' buffers, Rust's and C's, so that a fork does not copy what is in them.

#![expect(unsafe_code, reason = "fflush is C's")]

use std::io::{self, Write};

/// Flushes all output buffers of this process. Failures (a closed pipe, a full disk) stay where they were: the next write
/// of the stream's owner meets them.
pub(crate) fn flush_all() {
    // Rust's stderr has no buffer.
    let _ = io::stdout().flush();
    flush_c();
}

/// Flushes the C library's output buffers alone.
pub(crate) fn flush_c() {
    // SAFETY: a null stream means all open output streams of the C library, which locks each.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
