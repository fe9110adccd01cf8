//! A fork whose child is a child of the *caller's parent*: `clone(CLONE_PARENT)`.
//!
//! The C library's `fork` has no such flag, so what it does for its child is done here:
//!
//! - the thread id that the C library keeps of the child's thread is set by the kernel (CLONE_CHILD_SETTID), and cleared at its end;
//! - the robust list is registered anew: the kernel starts a child without one.
//!
//! What is not done: `pthread_atfork` handlers do not run, nor are locks of the C library taken. So the caller has one thread, which
//! holds none.
//!
//! Where the C library keeps the id is asked of the kernel (PR_GET_TID_ADDRESS, which needs CONFIG_CHECKPOINT_RESTORE) and checked
//! against the id. Elsewhere there are no siblings.

#![expect(unsafe_code, reason = "clone, and what a C library does around it")]

use super::fork::Side;
use super::robust::{self, Head};
use nix::errno::Errno;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

/// Linux's number for it; not in all versions of the libc crate.
const PR_GET_TID_ADDRESS: libc::c_int = 40;

/// What a thread needs to make siblings. Neither `Send` nor `Sync`: it is about the thread that asked for it, and about its copies
/// in children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Siblings {
    tid: NonNull<libc::pid_t>,
    head: Option<Head>,
}

impl Siblings {
    /// Of the calling thread. ENOSYS where the C library or the kernel does not tell what is needed.
    pub(crate) fn of_this_thread() -> Result<Siblings, Errno> {
        let mut address: *mut libc::pid_t = std::ptr::null_mut();
        // SAFETY: writes a pointer to a local.
        let asked = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address) };
        let tid = NonNull::new(address).filter(|_| asked == 0).ok_or(Errno::ENOSYS)?;
        // SAFETY: the kernel will write there at the end of this thread, so it is a word of this thread's own memory.
        let value = unsafe { tid.read_volatile() };
        // Some C libraries have another word cleared at a thread's end (musl: the lock of its list of threads).
        if value.cast_unsigned() != robust::tid() {
            return Err(Errno::ENOSYS);
        }
        Ok(Siblings { tid, head: Head::registered()? })
    }

    /// Forks; the child's parent is that of this process, as are its notices and its exit status. Its pid is in `born` if it came
    /// into being, whatever happens to this process: the kernel writes it in the same call.
    ///
    /// # Safety
    /// - The process has one thread, the one that `self` is of or its copy in a child.
    /// - The child must never return into frames that own what only this process may release; it ends in `exit_now`.
    /// - `born` stays mapped during the call (its value in this process is not used by Rust code meanwhile).
    pub(crate) unsafe fn clone(self, born: &AtomicU32) -> Result<Side, Errno> {
        let flags = libc::CLONE_PARENT
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_SETTID
            | libc::CLONE_CHILD_CLEARTID
            | libc::SIGCHLD;
        let (stack, tid) = (std::ptr::null_mut::<u8>(), self.tid.as_ptr());
        // The fourth and the fifth argument change places between architectures; the other one, a place for thread-locals, is
        // not looked at without CLONE_SETTLS.
        // SAFETY: no CLONE_VM: the child has a copy of all memory, this stack included. The caller answers for the rest.
        let cloned = unsafe {
            libc::syscall(
                libc::SYS_clone,
                libc::c_long::from(flags),
                stack,
                born.as_ptr(),
                tid,
                tid,
            )
        };
        match Errno::result(cloned)? {
            0 => {
                if let Some(head) = self.head {
                    // SAFETY: the only thread of the child; the head was that of the thread that called (the caller's promise).
                    // It cannot fail; if it did, this crate's locks would bring a list of their own.
                    let _ = unsafe { head.register_anew() };
                }
                Ok(Side::Child)
            }
            pid => Ok(Side::Parent(pid as u32)),
        }
    }
}
