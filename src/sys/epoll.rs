//! Several descriptors as one, which is readable while any of them is.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// Descriptors whose readiness is one; close-on-exec.
#[derive(Debug)]
pub(crate) struct AnyOf(Epoll);

impl AnyOf {
    /// Readable while one of `fds` is, for as long as those are open.
    pub(crate) fn new(fds: &[BorrowedFd<'_>]) -> Result<AnyOf, Errno> {
        let any = AnyOf(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        for fd in fds {
            any.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        Ok(any)
    }

    /// No longer because of this one.
    pub(crate) fn leave_out(&self, fd: BorrowedFd<'_>) {
        // It fails if that was done before.
        let _ = self.0.delete(fd);
    }
}

impl AsFd for AnyOf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
