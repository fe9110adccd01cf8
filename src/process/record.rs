//! What a parent keeps of one child: pid, pidfd, cell, and how it ended once that is known.
//!
//! The handle ([`Child`](crate::Child)) and the [family](super::family) share it. It goes from Running to Ended once, under
//! its lock, by whoever reaps the child first; that one alone calls `waitid` with success.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::news;
use crate::process::exit::{Exit, JoinError, Signal};
use crate::process::lifeline::Leash;
use crate::process::outcome::{Cell, Stage};
use crate::process::panic::{PanicReport, ProcessInfo};
use crate::process::post_mortem::{HeldLock, PostMortem};
use crate::sys::Errno;
use crate::sys::wait::Status;
use crate::sys::{pidfd, wait};
use serde::de::DeserializeOwned;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One child of this process.
pub(super) struct Record {
    /// The parent's pid: in a copy of the parent, this child is a sibling and cannot be reaped.
    owner: u32,
    process: ProcessInfo,
    pidfd: OwnedFd,
    cell: Cell,
    leash: Leash,
    /// The type of what it runs.
    task: &'static str,
    state: Mutex<State>,
    /// Nobody will ask for the result any more: the family reaps.
    detached: AtomicBool,
    /// Whether its end was said.
    said: AtomicBool,
}

enum State {
    Running,
    /// `exit` is `None` where the exit status is lost and the child left no word. `taken`: a join has had its answer.
    Ended {
        exit: Option<Exit>,
        taken: bool,
        /// What it held, if there may be a post-mortem.
        held: Vec<HeldLock>,
    },
}

impl Record {
    pub(super) fn new(
        owner: u32,
        process: ProcessInfo,
        pidfd: OwnedFd,
        cell: Cell,
        leash: Leash,
        task: &'static str,
    ) -> Record {
        let (state, detached) = (Mutex::new(State::Running), AtomicBool::new(false));
        let said = AtomicBool::new(false);
        Record { owner, process, pidfd, cell, leash, task, state, detached, said }
    }

    /// Says that it was started. Under no lock.
    pub(super) fn say_start(&self) {
        news!(Debug, "started {} to run {}", self.process, self.task);
    }

    /// Says how it ended, if that is known and was not said yet. Under no lock.
    pub(super) fn say_end(&self) {
        if !news::is_wanted(log::Level::Warn) || self.said.load(Ordering::Relaxed) {
            return;
        }
        let exit = match &*self.state() {
            State::Ended { exit, .. } => exit.clone(),
            State::Running => return,
        };
        if self.said.swap(true, Ordering::Relaxed) {
            return;
        }
        match exit {
            Some(exit) if exit.is_success() => news!(Debug, "{} {exit}", self.process),
            Some(Exit::Panicked(report)) => news!(Warn, "panicked: {report}"),
            Some(exit) => news!(Warn, "{} {exit}", self.process),
            None => news!(Warn, "{} ended, nobody knows how", self.process),
        }
    }

    /// What it left. After its death.
    fn post_mortem(&self, held: Vec<HeldLock>) -> PostMortem {
        let words = self.cell.words();
        PostMortem::new(self.task, words.lines(), words.fault(), held)
    }

    pub(super) fn process(&self) -> &ProcessInfo {
        &self.process
    }

    /// Whether this process is the child's parent.
    pub(super) fn is_own(&self) -> bool {
        crate::sys::signal::pid() == self.owner
    }

    pub(super) fn detach(&self) {
        self.detached.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
    }

    /// Whether the child runs: neither a zombie nor reaped. No side effect.
    pub(super) fn is_alive(&self) -> bool {
        !pidfd::has_ended(self.pidfd.as_fd()).unwrap_or(true)
    }

    /// Whether the child is stopped. No side effect.
    pub(super) fn is_stopped(&self) -> bool {
        wait::is_stopped(self.pidfd.as_fd()).unwrap_or(false)
    }

    /// Sends a signal; nothing happens once the child has ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd::send_signal(self.pidfd.as_fd(), signal.number()) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            // The stand-in of a child that had ended before it could be opened.
            Err(Errno::EBADF) => Ok(()),
            Err(errno) => Err(Error::os("signal", self.process.to_string(), errno)),
        }
    }

    /// Waits for the end, for ever, and reaps, in one call. Holds the record's lock meanwhile: only for who consumes the
    /// handle, so that nobody else can want it.
    pub(super) fn wait(&self) -> Result<bool, Error> {
        self.check_owner()?;
        self.note_end(|pidfd| wait::reap(pidfd).map(Some))
    }

    /// Waits for the end until the deadline, and reaps. `false` if the child still runs.
    pub(super) fn wait_until(&self, deadline: Deadline) -> Result<bool, Error> {
        if self.try_wait()? {
            return Ok(true);
        }
        pidfd::wait_ended(self.pidfd.as_fd(), deadline).map_err(|errno| self.join_error(errno))?;
        self.try_wait()
    }

    /// Reaps if the child has ended. `false` if it still runs.
    pub(super) fn try_wait(&self) -> Result<bool, Error> {
        self.check_owner()?;
        self.note_end(wait::try_reap)
    }

    fn note_end(
        &self,
        reap: impl FnOnce(BorrowedFd<'_>) -> Result<Option<Status>, Errno>,
    ) -> Result<bool, Error> {
        let mut state = self.state();
        if matches!(*state, State::Ended { .. }) {
            return Ok(true);
        }
        // Under the lock: who finds that the child was reaped must not overtake the thread that reaped it.
        let status = match reap(self.pidfd.as_fd()) {
            Ok(None) => return Ok(false),
            Ok(Some(status)) => Some(status),
            // Reaped by somebody else; or the stand-in of a child that was gone before it could be opened.
            Err(Errno::ECHILD | Errno::EBADF | Errno::EINVAL) => None,
            Err(errno) => return Err(self.join_error(errno)),
        };
        self.leash.take_off();
        let stage = self.cell.stage().0;
        let held = match stage {
            Stage::Running | Stage::Panic | Stage::Exited if !self.is_detached() => {
                HeldLock::all_of(self.process.pid())
            }
            _ => Vec::new(),
        };
        *state = State::Ended { exit: self.conclude(status), taken: false, held };
        Ok(true)
    }

    /// How it ended, after a wait said that it did.
    pub(super) fn exit(&self) -> Result<Exit, Error> {
        match &*self.state() {
            State::Ended { exit: Some(exit), .. } => Ok(exit.clone()),
            _ => Err(self.exit_lost()),
        }
    }

    /// Whether this process knows its end.
    pub(super) fn has_been_reaped(&self) -> bool {
        matches!(*self.state(), State::Ended { .. })
    }

    /// Whether somebody has had the answer of a join.
    pub(super) fn is_taken(&self) -> bool {
        matches!(*self.state(), State::Ended { taken: true, .. })
    }

    /// Whether the child left a result, or ended with code 0.
    pub(super) fn went_well(&self) -> bool {
        let state = self.state();
        let exit = if let State::Ended { exit, .. } = &*state { exit.as_ref() } else { None };
        self.cell.stage().0 == Stage::Value || exit.is_some_and(Exit::is_success)
    }

    /// The panic that ended it, if one did.
    pub(super) fn panic(&self) -> Option<PanicReport> {
        match &*self.state() {
            State::Ended { exit: Some(Exit::Panicked(report)), .. } => Some(report.clone()),
            _ => None,
        }
    }

    /// Takes the answer of a join, once, after a wait said that the child has ended.
    pub(super) fn take<R: DeserializeOwned>(&self) -> Result<R, JoinError> {
        let failed = |kind, detail: String| {
            JoinError::Failed(Error::new(kind, "join", self.process.to_string(), detail))
        };
        let mut state = self.state();
        let State::Ended { exit, taken, held } = &mut *state else {
            unreachable!("the end is waited for before the result is taken")
        };
        if std::mem::replace(taken, true) {
            return Err(failed(
                ErrorKind::InvalidInput,
                "its result was taken by an earlier join".to_owned(),
            ));
        }
        let (stage, number) = self.cell.stage();
        let result = match stage {
            Stage::Value => match self.cell.payload(|bytes| postcard::from_bytes::<R>(bytes)) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => {
                    Err(failed(ErrorKind::Encoding, format!("decode the result: {error}")))
                }
                Err(errno) => Err(JoinError::Failed(self.join_error(errno))),
            },
            Stage::Unencodable => {
                let why = self.cell.payload(|text| String::from_utf8_lossy(text).into_owned());
                Err(failed(
                    ErrorKind::Encoding,
                    format!("encode the result: {}", why.unwrap_or_default()),
                ))
            }
            Stage::Undecodable => {
                let why = self.cell.payload(|text| String::from_utf8_lossy(text).into_owned());
                Err(failed(
                    ErrorKind::Encoding,
                    format!("decode the arguments: {}", why.unwrap_or_default()),
                ))
            }
            Stage::Unwritable => Err(JoinError::Failed(Error::os(
                "write the result of",
                self.process.to_string(),
                Errno::from_raw(number),
            ))),
            Stage::Running | Stage::Panic | Stage::Exited => match exit {
                Some(exit) => {
                    Err(JoinError::Exited(exit.clone(), self.post_mortem(std::mem::take(held))))
                }
                None => Err(JoinError::Failed(self.exit_lost())),
            },
        };
        self.cell.discard_payload();
        result
    }

    /// What `waitid` said, together with what the child said.
    fn conclude(&self, status: Option<Status>) -> Option<Exit> {
        let (stage, number) = self.cell.stage();
        if stage == Stage::Panic {
            let report = self.cell.payload(|bytes| postcard::from_bytes::<PanicReport>(bytes));
            if let Ok(Ok(report)) = report {
                return Some(Exit::Panicked(report));
            }
        }
        match (status, stage) {
            (Some(Status::Exited(code)), _) => Some(Exit::Code(code)),
            (Some(Status::Signaled(signal)), _) => Some(Exit::Signal(Signal::from_kernel(signal))),
            (None, Stage::Exited) => Some(Exit::Code(number)),
            (None, Stage::Value) => Some(Exit::Code(0)),
            (None, _) => None,
        }
    }

    fn check_owner(&self) -> Result<(), Error> {
        if self.is_own() {
            return Ok(());
        }
        let detail = format!("it is a child of process {}, not of this one", self.owner);
        Err(Error::new(ErrorKind::InvalidInput, "join", self.process.to_string(), detail))
    }

    fn exit_lost(&self) -> Error {
        let detail = "somebody else reaped it (SIGCHLD is ignored, or a wait for any child), and it left no word";
        Error::new(ErrorKind::ExitLost, "join", self.process.to_string(), detail)
    }

    fn join_error(&self, errno: Errno) -> Error {
        Error::os("join", self.process.to_string(), errno)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Record {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
