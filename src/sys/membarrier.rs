//! `membarrier(2)`: a full memory barrier on every CPU that runs a registered process.
//!
//! The expensive half of an asymmetric fence: a sleeper calls it so that wakers need no fence. Registration is per memory
//! descriptor and inherited by fork children (measured), so the root of the tree registers once, before its first fork.

#![expect(unsafe_code, reason = "membarrier has no wrapper")]

use nix::errno::Errno;

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

/// Registers this process, and so all its later descendants, as one whose CPUs run the barrier; Linux 4.16.
pub(crate) fn register() -> Result<(), Errno> {
    membarrier(REGISTER_GLOBAL_EXPEDITED)
}

/// Runs the barrier. On return every registered process has passed a full barrier since the call began.
pub(crate) fn barrier() -> Result<(), Errno> {
    membarrier(GLOBAL_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> Result<(), Errno> {
    // SAFETY: membarrier takes integers only and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    Errno::result(result).map(drop)
}
