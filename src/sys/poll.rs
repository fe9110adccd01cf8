//! Waiting until descriptors are ready: `ppoll(2)` until a deadline, which signals do not shorten.

use crate::deadline::Deadline;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::BorrowedFd;

/// Waits until one of them can be read without waiting, or has hung up, or cannot be waited for; the indices of all that are so.
/// None at the deadline.
pub(crate) fn readable(fds: &[BorrowedFd<'_>], deadline: Deadline) -> Result<Vec<usize>, Errno> {
    let mut fds: Vec<PollFd<'_>> =
        fds.iter().map(|&fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    wait(&mut fds, deadline)?;
    // Bits that nix does not know are news as well.
    let is_ready = |fd: &PollFd<'_>| fd.revents().is_none_or(|events| !events.is_empty());
    Ok(fds.iter().enumerate().filter(|(_, fd)| is_ready(fd)).map(|(index, _)| index).collect())
}

/// The same for one, without an allocation.
pub(crate) fn is_readable(fd: BorrowedFd<'_>, deadline: Deadline) -> Result<bool, Errno> {
    wait(&mut [PollFd::new(fd, PollFlags::POLLIN)], deadline)
}

/// Waits until there is room to write, or nobody who would read. `false` at the deadline.
pub(crate) fn is_writable(fd: BorrowedFd<'_>, deadline: Deadline) -> Result<bool, Errno> {
    wait(&mut [PollFd::new(fd, PollFlags::POLLOUT)], deadline)
}

fn wait(fds: &mut [PollFd<'_>], deadline: Deadline) -> Result<bool, Errno> {
    loop {
        match ppoll(fds, deadline.remaining().map(TimeSpec::from), None) {
            Ok(0) if deadline.has_passed() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            ready => return ready.map(|count| count > 0),
        }
    }
}
