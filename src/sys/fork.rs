//! `fork(2)` and the ways out of a child: `_exit` at once, and a guard against the parent's exit handlers.

#![expect(unsafe_code, reason = "fork, _exit and on_exit have no safe form")]

use super::procfs;
use nix::errno::Errno;
use std::ffi::{c_int, c_void};

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The parent, with the child's pid.
    Parent(u32),
    /// The child.
    Child,
}

/// Forks through glibc, which runs the `pthread_atfork` handlers, keeps malloc usable and gives the child a robust list.
///
/// # Safety
/// - The process has one thread, or the caller answers for what the child does: a lock that another thread holds at this
///   moment stays locked in the child for ever.
/// - The child must never return into frames that own what only the parent may release; it ends in [`exit_now`].
pub(crate) unsafe fn fork() -> Result<Side, Errno> {
    // SAFETY: the caller answers for the threads and for the frames.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid.unsigned_abs())),
    }
}

/// Ends the process here: no exit handler, no destructor, no flush.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit may be called anywhere, in a child of a multi-threaded process too.
    unsafe { libc::_exit(code) }
}

/// Whether no other thread of this process can ever run user code again, without a race: only a thread could make another.
///
/// `unshare(CLONE_VM)` is a question here: it changes nothing in a process with one thread, and is EINVAL in any other
/// (kernel/fork.c, `check_unshare_flags`). EINVAL also comes while a thread that was already joined is on its last steps
/// in the kernel, and EPERM from some seccomp filters; then /proc tells which threads are past the point of no return.
pub(crate) fn has_one_thread() -> Result<bool, Errno> {
    // SAFETY: takes a flag word; with CLONE_VM alone it creates and changes nothing.
    if unsafe { libc::unshare(libc::CLONE_VM) } == 0 {
        return Ok(true);
    }
    Ok(procfs::living_threads()? <= 1)
}

/// Registers `handler` to run first at `exit(code)`, before every handler that is registered by now: those run last in,
/// first out.
pub(crate) fn at_exit_first(handler: extern "C" fn(c_int, *mut c_void)) -> Result<(), Errno> {
    unsafe extern "C" {
        /// on_exit(3): atexit with the exit code as an argument; glibc since 1.0.
        fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    // SAFETY: the handler is a plain function that lives as long as the program and ignores its argument.
    match unsafe { on_exit(handler, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Errno::ENOMEM),
    }
}
