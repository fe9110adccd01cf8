//! A bare forked child, for tests of the floors below `process/`.
#![expect(unsafe_code, reason = "it forks")]

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A child of this process. Dropping it kills and reaps it.
///
/// ```text
/// let kid = Kid::fork(|| queue.send(7).unwrap());
/// assert_eq!(kid.join(), Ended::Exited(0));
/// ```
pub(crate) struct Kid(Option<Pid>);

/// How a [`Kid`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It ran to its end (0), panicked (101), or called `exit`.
    Exited(i32),
    /// A signal ended it.
    Killed(Signal),
}

impl Kid {
    /// Forks a child that runs `body` and then leaves by `_exit`: with 0, or with 101 if `body` panics.
    pub(crate) fn fork(body: impl FnOnce()) -> Kid {
        let _ = std::io::stdout().flush();
        // SAFETY: a case runs in a process of one thread, so the child finds every lock free.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => Kid(Some(child)),
            ForkResult::Child => {
                let status = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 101 };
                let _ = std::io::stdout().flush();
                // SAFETY: `_exit` has no preconditions.
                unsafe { libc::_exit(status) }
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.0.expect("not yet joined").as_raw()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.0.expect("not yet joined"), signal).expect("signal a kid");
    }

    /// SIGKILLs it and waits until it is gone.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.join()
    }

    /// Waits for its end.
    pub(crate) fn join(mut self) -> Ended {
        let pid = self.0.take().expect("not yet joined");
        end_of(pid)
    }
}

impl Drop for Kid {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let _ = kill(pid, Signal::SIGKILL);
            end_of(pid);
        }
    }
}

/// Reaps `pid`.
fn end_of(pid: Pid) -> Ended {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ended::Exited(status),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Killed(signal),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => panic!("waitpid {pid}: {errno}"),
        }
    }
}
