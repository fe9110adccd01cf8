//! This process's place in the tree: who it is, its children, and what they hold on to. Private to the process.
//!
//! The lock is std's, which has no state outside of its word: the forking thread holds it across the fork, so the child's
//! copy is whole, and the child may reset and release it. (`parking_lot` keeps a table of sleepers that another thread may
//! hold at that moment.)
//!
//! Invariant **F1**: the family belongs to the process `owner`. A process that finds another's pid there is its copy. It starts
//! an empty family of its own, at the first use (most children have no use): as the one that its seat names if it is a child
//! of ours, under its parent's name if somebody else called `fork()`.

use crate::error::{Error, Result};
use crate::news;
use crate::process::board::Board;
use crate::process::panic::ProcessInfo;
use crate::process::record::Record;
use crate::process::seat::Seat;
use crate::sys::{lifeline, signal};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static FAMILY: Mutex<Family> = Mutex::new(Family::EMPTY);

/// See the file's head.
pub(super) struct Family {
    owner: u32,
    /// `None`: the first process.
    name: Option<String>,
    parent: Option<ProcessInfo>,
    /// What the parent gave this process; stale in a copy that somebody else's `fork()` made.
    seat: Option<&'static Seat>,
    /// Children that nobody has reaped yet, as far as this process knows.
    records: Vec<Arc<Record>>,
    /// Made at the first spawn.
    board: Option<Arc<Board>>,
    /// How many children were spawned, for their default names.
    births: u64,
    /// The lines to this process's fork servers, which its children must not have.
    lines: Vec<RawFd>,
    /// Detached children whose end is still to be said.
    departed: Vec<Arc<Record>>,
}

/// The family, locked.
pub(super) fn lock() -> MutexGuard<'static, Family> {
    let mut family = FAMILY.lock().unwrap_or_else(PoisonError::into_inner);
    let pid = signal::pid();
    if family.owner != pid {
        family.begin(pid);
    }
    family
}

/// The seat of this process, if it is a child of ours and no copy of one.
pub(super) fn seat() -> Option<&'static Seat> {
    let family = FAMILY.lock().unwrap_or_else(PoisonError::into_inner);
    family.seat.filter(|seat| seat.process.pid() == signal::pid())
}

/// Says how detached children ended that were reaped. Not under the family's lock.
pub(super) fn say_departed() {
    if news::is_wanted(log::Level::Warn) {
        let departed = std::mem::take(&mut lock().departed);
        departed.iter().for_each(|record| record.say_end());
    }
}

impl Family {
    const EMPTY: Family = Family {
        owner: 0,
        name: None,
        parent: None,
        seat: None,
        records: Vec::new(),
        board: None,
        births: 0,
        lines: Vec::new(),
        departed: Vec::new(),
    };

    /// Notes the child's seat, in the child, which got this lock by the fork. Writes a word: the rest can wait.
    pub(super) fn sit(&mut self, seat: &'static Seat) {
        self.seat = Some(seat);
    }

    /// Notes a line to a fork server, or that it is about to be closed.
    pub(super) fn add_line(&mut self, line: RawFd) {
        self.lines.push(line);
    }

    pub(super) fn remove_line(&mut self, line: RawFd) {
        self.lines.retain(|&other| other != line);
    }

    /// Closes the copies of the parent's lines, in the child. The values that own their numbers never use or close them there.
    pub(super) fn let_go_of_lines(&mut self) {
        for line in self.lines.drain(..) {
            lifeline::close(line);
        }
    }

    /// F1. The first use in the first process comes this way too.
    fn begin(&mut self, owner: u32) {
        let (name, parent, seat) = match self.seat {
            Some(seat) if seat.process.pid() == owner => {
                (Some(seat.process.name().to_owned()), Some(seat.parent.clone()), self.seat)
            }
            _ => (self.name.take(), self.parent.take(), None),
        };
        // What was there goes: copies of the siblings' pidfds are closed, and nobody is reaped.
        *self = Family { owner, name, parent, seat, ..Family::EMPTY };
    }

    /// This process.
    pub(super) fn me(&self) -> ProcessInfo {
        ProcessInfo::new(self.owner, self.name.as_deref().unwrap_or("main"))
    }

    /// The name of a child that was given none: `child-3`, and `child-3:1` for its own first child.
    pub(super) fn next_name(&mut self) -> String {
        self.births += 1;
        match &self.name {
            Some(name) => format!("{name}:{}", self.births),
            None => format!("child-{}", self.births),
        }
    }

    /// The board, made if this is the first spawn.
    pub(super) fn board(&mut self) -> Result<Arc<Board>> {
        if let Some(board) = &self.board {
            return Ok(Arc::clone(board));
        }
        let board = Board::new(self.owner)
            .map_err(|errno| Error::os("create", "the board for the children's results", errno))?;
        let board = Arc::new(board);
        self.board = Some(Arc::clone(&board));
        Ok(board)
    }

    pub(super) fn add(&mut self, record: Arc<Record>) {
        self.records.push(record);
    }

    /// Forgets a child that was reaped.
    pub(super) fn remove(&mut self, record: &Arc<Record>) {
        if let Some(index) = self.records.iter().position(|other| Arc::ptr_eq(other, record)) {
            self.records.swap_remove(index);
        }
    }

    /// Reaps the detached children that have ended, and prints the panics that nobody can ask for any more.
    pub(super) fn sweep(&mut self) {
        let departed = &mut self.departed;
        self.records.retain(|record| {
            if !record.is_detached() || !matches!(record.try_wait(), Ok(true)) {
                return true;
            }
            if let Some(report) = record.panic() {
                eprintln!("a detached child panicked: {report}\n{}", report.backtrace());
            }
            if news::is_wanted(log::Level::Warn) {
                departed.push(Arc::clone(record));
            }
            false
        });
    }

    pub(super) fn children(&self) -> Vec<ProcessInfo> {
        let living = self.records.iter().filter(|record| record.is_alive());
        living.map(|record| record.process().clone()).collect()
    }
}

/// This process, as its tree knows it; from [`current`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    process: ProcessInfo,
    parent: Option<ProcessInfo>,
}

impl Current {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its name; `main` in the first process.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Who spawned it; `None` in the first process. An orphan's parent is the one that it had.
    pub fn parent(&self) -> Option<&ProcessInfo> {
        self.parent.as_ref()
    }
}

/// Which process this is: pid, name, parent.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// assert_eq!(offspring::current().name(), "main");
/// let child = offspring::Builder::new().name("worker").spawn(|| {
///     let me = offspring::current();
///     (me.name().to_owned(), me.parent().unwrap().pid())
/// })?;
/// assert_eq!(child.join().unwrap(), ("worker".to_owned(), std::process::id()));
/// # Ok(()) }
/// ```
pub fn current() -> Current {
    let family = lock();
    Current { process: family.me(), parent: family.parent.clone() }
}

/// The living children of this process, detached ones too, in no particular order. Reaps detached ones that have ended.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let child = offspring::spawn::<_, ()>(|| loop { std::thread::park() })?;
/// assert_eq!(offspring::children()[0].pid(), child.pid());
/// child.kill()?;
/// let _killed = child.join();
/// assert!(offspring::children().is_empty());
/// # Ok(()) }
/// ```
pub fn children() -> Vec<ProcessInfo> {
    let mut family = lock();
    family.sweep();
    let children = family.children();
    drop(family);
    say_departed();
    children
}
