//! Signals by number and name, and SIGKILL in its two uses: now, and at the parent's death.

#![expect(unsafe_code, reason = "kill and prctl take raw numbers here")]

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// The number and name of each classic signal.
pub(crate) const NAMES: [(i32, &str); 31] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGSYS, "SIGSYS"),
];

/// The first real-time signal that the C library leaves to programs, and the last.
pub(crate) fn realtime() -> (i32, i32) {
    (libc::SIGRTMIN(), libc::SIGRTMAX())
}

/// SIGKILLs a process by its pid: this one, or a child that nobody can have reaped. Cannot fail for those.
pub(crate) fn kill(pid: u32) {
    // SAFETY: takes integers only.
    let _ = unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

/// Asks the kernel to SIGKILL this process when the thread that forked it ends. Cleared by fork, and by a change of user.
pub(crate) fn die_with_parent_thread() -> Result<(), Errno> {
    // SAFETY: takes integers only. By `syscall`: see `lifeline`'s `control`.
    let set = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    Errno::result(set).map(drop)
}

/// The pid of this process, without std's or nix's code.
pub(crate) fn pid() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }.unsigned_abs()
}

/// The pid of this process's parent.
pub(crate) fn parent_pid() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getppid() }.unsigned_abs()
}

/// Ignores SIGINT and lets SIGTERM end this process, whatever was set before: for processes that others stop in order.
pub(crate) fn leave_interrupts_to_others() -> Result<(), Errno> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: no handler is installed, only taken away.
    unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }?;
    // SAFETY: as above.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigDfl) }.map(drop)
}

/// Whether this thread is the process's first one.
pub(crate) fn is_main_thread() -> bool {
    nix::unistd::gettid() == nix::unistd::getpid()
}

/// A thread's signal mask, to be put back.
pub(crate) struct Mask(SigSet);

impl Mask {
    /// Blocks SIGINT in this thread, and returns the mask before.
    pub(crate) fn block_interrupt() -> Result<Mask, Errno> {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Mask)
    }

    /// Puts it back, in the thread or in its copy in a child.
    pub(crate) fn restore(&self) {
        // Cannot fail: it was in place before.
        let _ = self.0.thread_set_mask();
    }
}
