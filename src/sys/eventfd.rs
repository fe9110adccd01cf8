//! A counter in the kernel that is readable while it is not 0.

#![expect(unsafe_code, reason = "takes over a descriptor that must be an eventfd's")]

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An eventfd of which one only wants to know whether it is readable. No call on it waits.
#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    /// One that is readable; close-on-exec.
    pub(crate) fn ringing() -> Result<Bell, Errno> {
        EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Bell)
    }

    /// One that another process has made, and handed over.
    pub(crate) fn from_fd(fd: OwnedFd) -> Bell {
        // SAFETY: `OwnedFd` says that it is ours. If it were none of an eventfd, its reads and writes would fail or have no effect on
        // memory: the type only promises what the calls mean.
        Bell(unsafe { EventFd::from_owned_fd(fd) })
    }

    /// Makes it readable, also for those who wait for it to become so although it is (edge-triggered).
    pub(crate) fn ring(&self) {
        // It fails on a full counter only, which is readable.
        let _ = self.0.write(1);
    }

    /// Makes it not readable.
    pub(crate) fn silence(&self) {
        // It fails on an empty counter only.
        let _ = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
