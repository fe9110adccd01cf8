//! The processes that the harness forks: who they are, whether they sleep, how they end.

#![expect(unsafe_code, reason = "forks")]

use super::outcome::Fault;
use super::scene::Scene;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sys::fork::{Side, exit_now, fork};
use crate::sys::pidfd;
use crate::sys::ptrace::{self, Stop};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A forked process of the scenario. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) pid: u32,
    name: String,
    fd: Option<OwnedFd>,
}

impl Actor {
    /// Forks a process that runs `role` and ends. A panic in it is reported on the scene as a fault.
    pub(super) fn fork(name: &str, scene: &Scene, role: impl FnOnce()) -> Result<Actor> {
        let os = |errno| Error::os("fork", name.to_owned(), errno);
        // SAFETY: `Scenario::run` has made sure that this process has one thread; the child ends in `exit_now`.
        match unsafe { fork() }.map_err(os)? {
            Side::Child => {
                let outcome = catch_unwind(AssertUnwindSafe(role));
                if let Err(payload) = &outcome {
                    let words = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    let words = words.or_else(|| payload.downcast_ref::<String>().cloned());
                    let words = words.unwrap_or_else(|| "panicked".to_owned());
                    scene.accuse(&Fault::broken(format!("{name} panicked: {words}")));
                }
                exit_now(if outcome.is_ok() { 0 } else { 101 })
            }
            Side::Parent(pid) => {
                let fd = Some(pidfd::open(pid).map_err(os)?);
                Ok(Actor { pid, name: name.to_owned(), fd })
            }
        }
    }

    /// Waits for the end; a fault of kind hang if it does not come in time, after which the process is killed.
    pub(super) fn await_end(mut self, timeout: Duration) -> std::result::Result<(), Fault> {
        let fd = self.fd.as_ref().expect("present until the end");
        let ended = pidfd::wait_ended(fd.as_fd(), Deadline::after(timeout));
        if !ended.expect("poll a pidfd") {
            let place = if is_asleep(self.pid) { "asleep" } else { "awake" };
            return Err(Fault::hang(format!("{} was still {place} at the deadline", self.name)));
        }
        match self.reap() {
            None | Some(Stop::Exited(0)) => Ok(()),
            Some(end) => Err(Fault::broken(format!("{} ended: {end:?}", self.name))),
        }
    }

    /// Whether it has ended; it is reaped later.
    pub(super) fn has_ended(&self) -> bool {
        let fd = self.fd.as_ref().expect("present until the end");
        pidfd::has_ended(fd.as_fd()).expect("poll a pidfd")
    }

    /// Kills it, if it lives, and waits until it is gone.
    pub(super) fn kill(mut self) {
        self.reap();
    }

    /// Kills it if it lives, waits until it is gone, and says how it ended, unless it was reaped before.
    fn reap(&mut self) -> Option<Stop> {
        let fd = self.fd.take()?;
        // A dead one takes no harm.
        let _ = pidfd::send_signal(fd.as_fd(), ptrace::KILL);
        // A traced one may have a stop to report first, or have been reaped by a wait for its next stop.
        let mut stops = std::iter::from_fn(|| ptrace::wait(self.pid).ok());
        stops.find(|stop| matches!(stop, Stop::Exited(_) | Stop::Killed(_)))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.reap();
    }
}

/// Whether a process sleeps in a futex or socket call, by what /proc says now.
pub(super) fn is_asleep(pid: u32) -> bool {
    let sleeping = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    };
    if !sleeping() {
        return false;
    }
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|word| word.trim().parse::<i64>().ok());
    number.is_some_and(|number| ptrace::SLEEPING_CALLS.contains(&number)) && sleeping()
}

/// Polls until the condition holds; false if it does not by the end of `timeout`.
pub(super) fn until(mut condition: impl FnMut() -> bool, timeout: Duration) -> bool {
    let started = Instant::now();
    for round in 0.. {
        if condition() {
            return true;
        }
        if started.elapsed() > timeout {
            break;
        }
        give_way(round);
    }
    condition()
}

/// Lets others run between two polls: by a yield at first, then by a nap, for a yield may be ignored when CPUs are scarce.
pub(super) fn give_way(round: u32) {
    const YIELDS: u32 = 20;
    if round < YIELDS {
        std::thread::yield_now();
    } else {
        #[expect(
            clippy::disallowed_methods,
            reason = "between two polls; nothing is assumed about its length"
        )]
        std::thread::sleep(Duration::from_micros(20));
    }
}
