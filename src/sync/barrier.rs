//! A meeting point: parties wait until all have arrived.

#![expect(unsafe_code, reason = "promises that the barrier may live in shared memory")]

use crate::deadline::Deadline;
use crate::shm::{ShmSafe, roster};
use crate::sync::barrier_core::{BarrierCore, Broken, PARTIES_MAX};
use crate::sync::linux::Linux;
use std::fmt;
use std::time::{Duration, Instant};

/// A barrier between processes: a number of parties that wait for each other, round after round.
///
/// A round ends when the last party has arrived: then all of them leave, each with the number of its arrival, and the last one is the
/// leader. Or it is broken, and all leave with an error that says why; then whoever comes gets the same error, until
/// somebody calls [`reset`](Barrier::reset). A round never ends both ways. One that leaves late, when others are in the
/// next round already or that one was broken, still learns how its own round ended.
///
/// - **Death**: one that dies while it waits breaks the round, if its death is seen before the last party has arrived; those who
///   wait are woken. One that dies before or after its `wait` breaks nothing: the others wait for it, so use a timeout.
/// - **Timeout**: one that gives up breaks the round for all, as in Python.
/// - **Stopped parties** (SIGSTOP) delay a round only by not arriving. No operation waits for another to get on.
/// - **Fork**: nothing is held; a child that is forked by a thread of a party is no party.
/// - **Limit**: 120 parties.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Barrier, Shared};
/// let barrier = Shared::new(Barrier::new(2))?;
/// let child = offspring::spawn(|| barrier.wait().unwrap().is_leader())?;
/// let leads = barrier.wait().unwrap().is_leader();
/// assert_ne!(child.join().unwrap(), leads);
/// # Ok(()) }
/// ```
#[repr(C)]
pub struct Barrier {
    core: BarrierCore,
}

// SAFETY: atomics and a number that is never changed, used through `&`; any value that a dying process leaves is one that
// `barrier_core` handles.
unsafe impl ShmSafe for Barrier {}

/// What a completed round of a [`Barrier`] says to one of its parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
    parties: usize,
}

/// Why a round was broken.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::sync::BarrierError;
/// use offspring::{Barrier, Shared, spawn};
/// let barrier = Shared::new(Barrier::new(2))?;
/// let child = spawn(|| barrier.wait().unwrap_err().to_string())?;
/// while barrier.waiting() == 0 {
///     std::thread::yield_now();
/// }
/// barrier.abort();
/// assert_eq!(child.join().unwrap(), "wait at a barrier: it was aborted");
/// assert_eq!(barrier.wait(), Err(BarrierError::Aborted));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// This party died while it waited.
    Died(Party),
    /// A party, this one or another, was not willing to wait any longer.
    TimedOut,
    /// Somebody called [`Barrier::abort`].
    Aborted,
    /// Somebody called [`Barrier::reset`] meanwhile; the barrier is new.
    Reset,
}

/// One that had arrived at a [`Barrier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pid: Option<u32>,
    name: String,
}

impl Barrier {
    /// The most parties that a barrier can have.
    pub const MAX_PARTIES: usize = PARTIES_MAX;

    /// A barrier for so many parties.
    ///
    /// # Panics
    /// If `parties` is 0 or more than [`MAX_PARTIES`](Self::MAX_PARTIES).
    pub const fn new(parties: usize) -> Barrier {
        assert!(
            parties != 0 && parties <= Self::MAX_PARTIES,
            "expected 1 to Barrier::MAX_PARTIES parties"
        );
        Barrier { core: BarrierCore::new(parties as u32) }
    }

    /// Arrives; blocks until all have arrived, or the round is broken.
    ///
    /// # Errors
    /// Says why the round was broken, or, if that was before this call, the barrier.
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(Deadline::NEVER)
    }

    /// Arrives; waits for at most `timeout`. If the others have not arrived by then, the round is broken for all.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`BarrierError::TimedOut`] if it was this call that broke it.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Arrives; waits until `deadline` at most. If the others have not arrived by then, the round is broken for all.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(Deadline::at(deadline))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<BarrierWaitResult, BarrierError> {
        let parties = self.parties();
        match self.core.wait(&Linux, roster::me(), deadline) {
            Ok(index) => Ok(BarrierWaitResult { index: index as usize, parties }),
            Err(Broken::Died(id)) => Err(BarrierError::Died(Party::of(id))),
            Err(Broken::TimedOut) => Err(BarrierError::TimedOut),
            Err(Broken::Aborted) => Err(BarrierError::Aborted),
            Err(Broken::Reset) => Err(BarrierError::Reset),
        }
    }

    /// Breaks the barrier: those who wait leave with [`BarrierError::Aborted`], and so does whoever comes, until a
    /// [`reset`](Self::reset). A barrier that is broken already stays as it is.
    pub fn abort(&self) {
        roster::me();
        self.core.abort(&Linux);
    }

    /// Makes the barrier new: not broken, and nobody waits. Those who wait leave with [`BarrierError::Reset`], also if they
    /// have only just called `wait`.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::sync::BarrierError;
    /// use std::time::Duration;
    /// let barrier = offspring::Barrier::new(2);
    /// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BarrierError::TimedOut));
    /// assert!(barrier.is_broken());
    /// barrier.reset();
    /// assert_eq!((barrier.is_broken(), barrier.waiting(), barrier.parties()), (false, 0, 2));
    /// # Ok(()) }
    /// ```
    pub fn reset(&self) {
        roster::me();
        self.core.reset(&Linux);
    }

    /// How many parties wait; 0 if the barrier is broken.
    pub fn waiting(&self) -> usize {
        roster::me();
        self.core.waiting(&Linux).unwrap_or(0) as usize
    }

    /// Whether the barrier is broken; a dead party that waits breaks it now, if nobody has noticed before.
    pub fn is_broken(&self) -> bool {
        roster::me();
        self.core.waiting(&Linux).is_none()
    }

    /// How many parties it takes.
    pub fn parties(&self) -> usize {
        self.core.parties() as usize
    }
}

impl BarrierWaitResult {
    /// True for exactly one party of the round: the last one to arrive.
    pub fn is_leader(&self) -> bool {
        self.index + 1 == self.parties
    }

    /// How many had arrived before: 0 for the first party, the number of parties less 1 for the leader. No two are equal.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Party {
    fn of(id: u32) -> Party {
        let (pid, name) = roster::describe(id).unzip();
        Party { pid, name: name.unwrap_or_default() }
    }

    /// The process, or `None` if so many threads have come since that the roster has forgotten this one.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The process's name, as given to [`Builder::name`](crate::Builder::name); empty if it had none or is forgotten.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.pid) {
            ("", Some(pid)) => write!(f, "process {pid}"),
            (name, Some(pid)) => write!(f, "process {pid} ({name})"),
            (_, None) => write!(f, "a process that is gone"),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("parties", &self.parties()).finish_non_exhaustive()
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarrierError::Died(party) => {
                write!(f, "wait at a barrier: {party} died while it waited")
            }
            BarrierError::TimedOut => {
                f.write_str("wait at a barrier: a party waited until its deadline")
            }
            BarrierError::Aborted => f.write_str("wait at a barrier: it was aborted"),
            BarrierError::Reset => f.write_str("wait at a barrier: it was reset meanwhile"),
        }
    }
}

impl std::error::Error for BarrierError {}
