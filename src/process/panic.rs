//! A panic as data: caught by the child's own hook, sent as its outcome, never printed and dropped.
//!
//! A child has a panic hook of its own for its first thread: it notes message, location and backtrace; `catch_unwind`
//! around the closure then decides whether the panic was its end. A panic that the closure caught itself stays its own
//! business and prints nothing. Panics of threads that the child starts go to the hook that was there before.

use crate::process::{family, seat};
use crate::sys::{memory, signal};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// More than the addresses of all frames take.
const CAPTURING_BYTES: u64 = 1 << 20;
/// What is mapped to find their names: the program's debug information, and tables made of it.
const RESOLVING_BYTES: u64 = 512 << 20;

/// A process of the tree, by pid and name: one of [`children`](crate::children), the parent of [`current`](crate::current), the one of a
/// [`PanicReport`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessInfo {
    pid: u32,
    name: String,
}

impl ProcessInfo {
    pub(crate) fn new(pid: u32, name: impl Into<String>) -> ProcessInfo {
        ProcessInfo { pid, name: name.into() }
    }

    /// Its pid, as in [`std::process::id`].
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The name that its [`Builder`](crate::Builder) gave it; `child-1` and so on by default, `main` for the first process.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ProcessInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// Where in the source a panic began; from a [`PanicReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicLocation {
    file: String,
    line: u32,
    column: u32,
}

impl PanicLocation {
    /// The file, as the compiler was given it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for PanicLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A panic of a child, as it arrives in its parent.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let child = offspring::spawn(|| { assert_eq!(1 + 1, 3, "arithmetic") })?;
/// let error = child.join().unwrap_err();
/// let report = error.panic().unwrap();
/// assert!(report.message().contains("arithmetic"));
/// assert!(report.location().unwrap().line() > 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    message: String,
    location: Option<PanicLocation>,
    backtrace: String,
    process: ProcessInfo,
}

impl PanicReport {
    /// What the panic said; for a payload that is no string, that it is none.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it began; `None` after `resume_unwind`, or if the closure replaced the panic hook.
    pub fn location(&self) -> Option<&PanicLocation> {
        self.location.as_ref()
    }

    /// The child's stack at the panic, whatever RUST_BACKTRACE says; as many names and lines as the build has debug info
    /// for. Empty where there is no location.
    pub fn backtrace(&self) -> &str {
        &self.backtrace
    }

    /// Which process panicked.
    pub fn process(&self) -> &ProcessInfo {
        &self.process
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.process, self.message)?;
        match &self.location {
            Some(location) => write!(f, ", at {location}"),
            None => Ok(()),
        }
    }
}

/// What the hook saw last in the child's first thread.
struct Sighting {
    message: String,
    location: Option<PanicLocation>,
    /// `None` if there was no room for it.
    backtrace: Option<Backtrace>,
}

static LAST: Mutex<Option<Sighting>> = Mutex::new(None);

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The hooks in whose place ours was put, the last one on top: one for each fork of ours on the way from the first process to this one.
/// In a grandchild the topmost is ours again, as its parent had it, so each of our calls below another takes the next one down.
static BEFORE: Mutex<Vec<Arc<Hook>>> = Mutex::new(Vec::new());

thread_local! {
    /// How many calls of our hook this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The child's hook in place of the parent's, around a fork. The parent puts it there and takes it away again, which costs the
/// child nothing; its own thread cannot panic in between.
pub(super) struct Watch {
    in_place: bool,
}

impl Watch {
    /// In the parent, before the fork. A thread that is panicking may not change the hook; the child of such a one reports
    /// its panics without location and backtrace.
    pub(super) fn begin() -> Watch {
        if thread::panicking() {
            return Watch { in_place: false };
        }
        before().push(Arc::new(panic::take_hook()));
        // Captures nothing, so that no memory is allocated for it.
        panic::set_hook(Box::new(hook));
        Watch { in_place: true }
    }

    /// In the parent, after the fork.
    pub(super) fn end(self) {
        if self.in_place {
            let hook = before().pop();
            drop(panic::take_hook());
            match hook.map(Arc::try_unwrap) {
                Some(Ok(hook)) => panic::set_hook(hook),
                // Another thread is in the midst of it.
                Some(Err(shared)) => panic::set_hook(Box::new(move |info| shared(info))),
                None => {}
            }
        }
    }
}

fn before() -> MutexGuard<'static, Vec<Arc<Hook>>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a panic of a child's first thread. Panics of other threads, and of the parent's other threads during the fork, go to
/// the hook that was there before.
fn hook(info: &PanicHookInfo<'_>) {
    if family::seat().is_none() || !signal::is_main_thread() {
        return pass_on(info);
    }
    note(info);
    if cfg!(panic = "abort") {
        seat::end_in_hook(info.payload());
    }
}

/// Calls the hook that was there before, and holds no lock meanwhile: it may be ours, which comes here again.
fn pass_on(info: &PanicHookInfo<'_>) {
    let depth = DEPTH.get();
    let next = before().iter().rev().nth(depth).map(Arc::clone);
    if let Some(hook) = next {
        DEPTH.set(depth + 1);
        hook(info);
        DEPTH.set(depth);
    }
}

fn note(info: &PanicHookInfo<'_>) {
    let location = info.location().map(|at| PanicLocation {
        file: at.file().to_owned(),
        line: at.line(),
        column: at.column(),
    });
    let message = message_of(info.payload());
    let backtrace = memory::with_room(CAPTURING_BYTES, Backtrace::force_capture);
    let sighting = Sighting { message, location, backtrace };
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(sighting);
}

/// The report of a panic of the calling thread that was caught with this payload.
pub(crate) fn report_here(payload: &(dyn Any + Send)) -> PanicReport {
    let process = family::lock().me();
    report(payload, process)
}

/// The report of the panic that ended the closure of `process` with this payload.
pub(super) fn report(payload: &(dyn Any + Send), process: ProcessInfo) -> PanicReport {
    let message = message_of(payload);
    let seen = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    // What the hook saw may be an earlier panic, caught by the closure, if this one came by `resume_unwind`.
    match seen.filter(|seen| seen.message == message) {
        Some(Sighting { message, location, backtrace }) => {
            PanicReport { message, location, backtrace: resolved(backtrace.as_ref()), process }
        }
        None => PanicReport { message, location: None, backtrace: String::new(), process },
    }
}

/// A backtrace as text. Where memory is limited, an allocation that fails in there would wait for ever: std's handler of that takes a lock
/// that resolving holds.
fn resolved(backtrace: Option<&Backtrace>) -> String {
    let resolve =
        |backtrace: &Backtrace| memory::with_room(RESOLVING_BYTES, || backtrace.to_string());
    backtrace
        .and_then(resolve)
        .unwrap_or_else(|| "not resolved: memory is limited (RLIMIT_AS)".to_owned())
}

/// The report of a panic that this process has caught, and lives on. It has a location only in a child of ours, whose hook notes
/// it.
pub(crate) fn report_caught(payload: &(dyn Any + Send)) -> PanicReport {
    let process = family::lock().me();
    report(payload, process)
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is no string".to_owned()
    }
}
