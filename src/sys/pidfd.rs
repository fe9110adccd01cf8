//! A process as a file descriptor: pollable, and never mistaken for a later process with the same pid.

#![expect(unsafe_code, reason = "pidfd calls have no wrapper in nix")]

use crate::deadline::Deadline;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Opens the process; close-on-exec by the kernel's choice. Linux 5.3.
pub(crate) fn open(pid: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A descriptor that polls as an ended process does, for a child that was gone before it could be opened.
pub(crate) fn ended() -> Result<OwnedFd, Errno> {
    EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC).map(OwnedFd::from)
}

/// Sends a signal to the process; ESRCH once it was reaped, even if its pid lives again.
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: a null siginfo asks the kernel to fill it in as kill(2) does.
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags)
    };
    Errno::result(sent).map(drop)
}

/// Waits until the process has ended (it need not be reaped), or the deadline passes: then `false`.
pub(crate) fn wait_ended(pidfd: BorrowedFd<'_>, deadline: Deadline) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    loop {
        match ppoll(&mut fds, deadline.remaining().map(TimeSpec::from), None) {
            Ok(0) if deadline.has_passed() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the process has ended, without waiting.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    loop {
        match ppoll(&mut fds, Some(TimeSpec::new(0, 0)), None) {
            Err(Errno::EINTR) => {}
            ready => return ready.map(|count| count > 0),
        }
    }
}
