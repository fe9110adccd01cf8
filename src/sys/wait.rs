//! Reaping one child, and never another's: `waitid(P_PIDFD)`.

#![expect(unsafe_code, reason = "nix's waitid rejects real-time signals after it has reaped")]

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How the kernel says that a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// By `_exit` with this code.
    Exited(i32),
    /// By the signal with this number.
    Signaled(i32),
}

/// Reaps the child, waiting until it has ended. ECHILD if somebody else has reaped it, or SIGCHLD is ignored.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Result<Status, Errno> {
    loop {
        match waitid(libc::P_PIDFD, pidfd.as_raw_fd().unsigned_abs(), libc::WEXITED) {
            Ok(Some(status)) => return Ok(status),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reaps the child if it has ended; `None` if it lives.
pub(crate) fn try_reap(pidfd: BorrowedFd<'_>) -> Result<Option<Status>, Errno> {
    waitid(libc::P_PIDFD, pidfd.as_raw_fd().unsigned_abs(), libc::WEXITED | libc::WNOHANG)
}

/// Whether the child is stopped, by SIGSTOP and its like; one that a debugger holds is not. Reaps nothing.
pub(crate) fn is_stopped(pidfd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let flags = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    let stop = waitid(libc::P_PIDFD, pidfd.as_raw_fd().unsigned_abs(), flags)?;
    Ok(stop.is_some())
}

/// Reaps a child that has no pidfd, by its pid.
pub(crate) fn reap_pid(pid: u32) -> Result<(), Errno> {
    loop {
        match waitid(libc::P_PID, pid, libc::WEXITED) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

fn waitid(kind: libc::idtype_t, id: u32, flags: i32) -> Result<Option<Status>, Errno> {
    // SAFETY: siginfo_t is plain data; zero pid means "nobody" to the reader below.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is a siginfo_t on this stack, which the call fills.
    let result = unsafe { libc::waitid(kind, id, &mut info, flags) };
    Errno::result(result)?;
    // SAFETY: waitid fills the fields of a SIGCHLD, or leaves the zeros.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: filled, as the pid shows.
    let status = unsafe { info.si_status() };
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => Status::Exited(status),
        _killed_dumped_or_stopped => Status::Signaled(status),
    }))
}
