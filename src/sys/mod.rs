//! The kernel: the only door to libc, nix and memmap2. One call a function, `EINTR` handled, typed results.

pub(crate) mod atfork;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod fault;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod handover;
pub(crate) mod lifeline;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod mirror;
pub(crate) mod outside;
pub(crate) mod parcel;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod procfs;
#[cfg(feature = "kill-matrix")]
pub(crate) mod ptrace;
pub(crate) mod robust;
pub(crate) mod sheet;
pub(crate) mod sibling;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod spin;
pub(crate) mod stdio;
pub(crate) mod wait;

pub(crate) use nix::errno::Errno;
