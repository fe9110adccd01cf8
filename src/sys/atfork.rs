//! What must run in a child of any `fork()` of this process, also of one that is not ours.

#![expect(unsafe_code, reason = "pthread_atfork")]

use nix::errno::Errno;

/// Runs `handler` in every later child of libc's `fork`, in the child's only thread, before `fork` returns there.
/// A raw `clone` or `vfork` runs no handler. See pthread_atfork(3).
pub(crate) fn on_fork_child(handler: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the handler is a plain function of this binary, which no one unloads; ours touch thread-locals only, which is
    // allowed in the child of a multi-threaded process too.
    match unsafe { libc::pthread_atfork(None, None, Some(handler)) } {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}
