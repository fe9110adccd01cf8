//! Flushing the standard streams' buffers, Rust's and C's, so that a fork does not copy what is in them.

#![expect(unsafe_code, reason = "fflush is C's")]

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// How long a full, non-blocking standard error is waited for.
const FULL_MS: u16 = 1000;

/// Writes all of `bytes` to standard error, by one call if the kernel takes them at once. Takes no lock, of Rust's or C's. What
/// cannot be written is lost, as with `eprintln!`.
pub(crate) fn write_stderr(mut bytes: &[u8]) {
    let stderr = io::stderr();
    while !bytes.is_empty() {
        match nix::unistd::write(&stderr, bytes) {
            Ok(0) => return,
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut fds, PollTimeout::from(FULL_MS)) {
                    Ok(1..) | Err(Errno::EINTR) => {}
                    _ => return,
                }
            }
            Err(_) => return,
        }
    }
}

/// Flushes all output buffers of this process. Failures (a closed pipe, a full disk) stay where they were: the next write
/// of the stream's owner meets them.
pub(crate) fn flush_all() {
    // Rust's stderr has no buffer.
    let _ = io::stdout().flush();
    flush_c();
}

/// Flushes the C library's output buffers alone, if there can be anything in them.
pub(crate) fn flush_c() {
    if c_streams_are_untouched() {
        return;
    }
    // SAFETY: a null stream means all open output streams of the C library, which locks each.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Whether the program has opened no C stream, and the standard ones hold no output. Most Rust programs never touch them,
/// and finding that out by `fflush` costs a child two page faults (5 µs).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn c_streams_are_untouched() -> bool {
    /// The head of `struct _IO_FILE`, which is part of glibc's ABI (bits/types/struct_FILE.h).
    #[repr(C)]
    struct Head {
        flags: libc::c_int,
        read: [*mut u8; 3],
        write_base: *mut u8,
        write_position: *mut u8,
    }
    unsafe extern "C" {
        /// The newest open stream; streams that the program opens come before the three standard ones.
        static _IO_list_all: *const Head;
        static stdout: *const Head;
        static stderr: *const Head;
        static _IO_2_1_stderr_: Head;
    }
    // SAFETY: glibc initialises these before `main`; a program may assign the last two, to streams.
    let (newest, out, err) = unsafe { (_IO_list_all, stdout, stderr) };
    if newest != &raw const _IO_2_1_stderr_ {
        return false;
    }
    [out, err].into_iter().all(|stream| {
        // SAFETY: an open stream; a racing writer in another thread flushes for itself.
        let head = unsafe { stream.as_ref() };
        head.is_none_or(|head| head.write_position == head.write_base)
    })
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn c_streams_are_untouched() -> bool {
    false
}
