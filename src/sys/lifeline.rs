//! A pipe whose last writer is the parent: when the parent ends in any way, the kernel SIGKILLs every child that holds on.
//!
//! The parent keeps one write end for all its children, and nobody reads. For each child it opens the read end through
//! /proc, so that the child has an open file description of its own, with SIGKILL as that description's signal of "something
//! changed" (F_SETSIG, O_ASYNC: fs/pipe.c, `pipe_release`, signals the readers when the last writer goes). The child makes
//! itself the one who gets the signal, and then closes the write end that it inherited: if the parent is dead by then, that
//! close is the last one and kills the child.
//!
//! The parent does what it can before the fork, because there the code is in the page tables and /proc's entries are cached:
//! the same calls took 20 µs more in the child.

#![expect(unsafe_code, reason = "F_SETSIG is not in nix, and raw descriptors survive a fork")]

use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// Makes a lifeline and returns its write end.
pub(crate) fn new() -> Result<OwnedFd, Errno> {
    let (_reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok(writer)
}

/// Opens a read end, by any end of it, with a description of its own, which will send SIGKILL when the last writer goes, to nobody yet. `Err`
/// where /proc is missing or no descriptor is left.
pub(crate) fn open_reader(end: RawFd) -> Result<OwnedFd, Errno> {
    // By the thread: a process whose first thread has ended has no descriptors under its own number.
    let path = format!("/proc/thread-self/fd/{end}");
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let reader = nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty())?;
    control(reader.as_raw_fd(), F_SETSIG, libc::SIGKILL)?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_ASYNC;
    control(reader.as_raw_fd(), libc::F_SETFL, flags)?;
    Ok(reader)
}

/// From now on the last writer's end kills the process `pid`, this one.
pub(crate) fn hold_on(reader: RawFd, pid: u32) -> Result<(), Errno> {
    control(reader, libc::F_SETOWN, pid.cast_signed())
}

/// Whether the last writer has gone. For a child that never had a copy of the write end: if this says no after [`hold_on`], the
/// signal is still to come.
pub(crate) fn is_cut(reader: RawFd) -> bool {
    let mut byte = 0_u8;
    // SAFETY: writes at most a byte, to a local. By `syscall`, see `control`.
    let read = unsafe { libc::syscall(libc::SYS_read, reader, &raw mut byte, 1) };
    // Nobody writes: it is EAGAIN while there is a writer, and the end of the stream afterwards.
    read == 0
}

/// Closes a descriptor that no value of this process owns: a fork copied it, or a static kept its number.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: takes an integer; the caller owns what it names. By `syscall`, see `control`.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Gives up ownership of a descriptor to a static of the caller's.
pub(crate) fn keep(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

/// Linux's number for it on all architectures; the C library guards it behind _GNU_SOURCE.
const F_SETSIG: libc::c_int = 10;

/// `fcntl`, by the one entry that the other calls of a child's start use as well: each part of libc that a child touches first
/// costs it a page fault.
fn control(fd: RawFd, command: libc::c_int, argument: libc::c_int) -> Result<(), Errno> {
    // SAFETY: these commands take an integer.
    Errno::result(unsafe { libc::syscall(libc::SYS_fcntl, fd, command, argument) }).map(drop)
}
