//! `fork(2)` and the ways out of a child: `_exit` at once, and a guard against the parent's exit handlers.

#![expect(unsafe_code, reason = "fork, _exit and exit handlers have no safe form")]

use super::procfs;
use nix::errno::Errno;
use std::cell::Cell;
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

/// A handler that runs first at `exit(code)` in the children of the forks made while this lives, before all handlers that are
/// registered by now: exit runs them last in, first out.
///
/// It is registered in the parent and taken back there on drop, because the same call costs the child two page faults (5 µs).
/// glibc hands the exit code to handlers of `__cxa_atexit` too, as the second argument (stdlib/exit.c). Taking it back means
/// to run it (`__cxa_finalize`); the thread that does so is told apart.
pub(crate) struct ExitGuard {
    token: *mut c_void,
}

thread_local! {
    static TAKING_BACK: Cell<bool> = const { Cell::new(false) };
}

unsafe extern "C" {
    fn __cxa_atexit(
        handler: extern "C" fn(*mut c_void, c_int),
        argument: *mut c_void,
        token: *mut c_void,
    ) -> c_int;
    fn __cxa_finalize(token: *mut c_void);
}

impl ExitGuard {
    /// Registers `handler`.
    pub(crate) fn new(handler: extern "C" fn(*mut c_void, c_int)) -> Result<ExitGuard, Errno> {
        // Compared only, never followed. By pid, so that a child does not take back the guard that it got from its parent.
        let token = std::ptr::without_provenance_mut(std::process::id() as usize);
        // SAFETY: the handler is a plain function that lives as long as the program and ignores its argument.
        match unsafe { __cxa_atexit(handler, std::ptr::null_mut(), token) } {
            0 => Ok(ExitGuard { token }),
            _ => Err(Errno::ENOMEM),
        }
    }

    /// Whether the handler is being called because this thread takes it back.
    pub(crate) fn is_being_taken_back() -> bool {
        TAKING_BACK.get()
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        TAKING_BACK.set(true);
        // SAFETY: runs and removes the handlers with this token: ours alone, since no shared object lies at such an address.
        unsafe { __cxa_finalize(self.token) };
        TAKING_BACK.set(false);
    }
}
