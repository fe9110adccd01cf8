//! How a child ended: by itself with a code, by a signal, by a panic. Data, not an error, until somebody wanted its result.

use crate::error::Error;
use crate::process::panic::PanicReport;
use crate::process::post_mortem::PostMortem;
use crate::sys::signal::{NAMES, realtime};
use std::borrow::Cow;
use std::fmt;

/// How a child ended.
///
/// ```
/// use offspring::{Exit, JoinError};
/// # fn main() -> offspring::Result<()> {
/// let child = offspring::spawn(|| { std::process::exit(3) })?;
/// let error: JoinError = offspring::Child::<()>::join(child).unwrap_err();
/// assert!(matches!(error, JoinError::Exited(Exit::Code(3), _)));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It ended by itself with this code: 0 after its closure returned, or what it gave to `exit`.
    Code(i32),
    /// A signal ended it: SIGKILL, SIGABRT after `abort()`, SIGSEGV, ….
    Signal(Signal),
    /// Its closure panicked. To programs other than ours such a child ended with code 101.
    Panicked(PanicReport),
}

impl Exit {
    /// Whether it is `Code(0)`.
    pub fn is_success(&self) -> bool {
        matches!(self, Exit::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with code {code}"),
            Exit::Signal(signal) => write!(f, "was ended by {signal}"),
            Exit::Panicked(report) => write!(f, "panicked: {report}"),
        }
    }
}

/// A signal, by its number on this machine.
///
/// ```
/// use offspring::Signal;
/// assert_eq!(Signal::TERM.name(), "SIGTERM");
/// assert_eq!(Signal::new(9), Some(Signal::KILL));
/// assert_eq!(Signal::KILL.number(), 9);
/// assert_eq!(Signal::new(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// The terminal hung up.
    pub const HUP: Signal = Signal::named("SIGHUP");
    /// Ctrl-C at the terminal.
    pub const INT: Signal = Signal::named("SIGINT");
    /// Ctrl-\ at the terminal.
    pub const QUIT: Signal = Signal::named("SIGQUIT");
    /// `abort()`.
    pub const ABRT: Signal = Signal::named("SIGABRT");
    /// Ends a process at once; it cannot be caught or blocked.
    pub const KILL: Signal = Signal::named("SIGKILL");
    /// For the program's own use.
    pub const USR1: Signal = Signal::named("SIGUSR1");
    /// An access to memory that is not there.
    pub const SEGV: Signal = Signal::named("SIGSEGV");
    /// For the program's own use.
    pub const USR2: Signal = Signal::named("SIGUSR2");
    /// Please end.
    pub const TERM: Signal = Signal::named("SIGTERM");
    /// Go on after a stop.
    pub const CONT: Signal = Signal::named("SIGCONT");
    /// Stops a process until [`CONT`](Signal::CONT); it cannot be caught or blocked.
    pub const STOP: Signal = Signal::named("SIGSTOP");

    /// The signal with this number, if there is one: 1 to 31 and the real-time signals.
    pub fn new(number: i32) -> Option<Signal> {
        let (first, last) = realtime();
        ((1..=31).contains(&number) || (first..=last).contains(&number)).then_some(Signal(number))
    }

    /// As the kernel reported it.
    pub(super) fn from_kernel(number: i32) -> Signal {
        Signal(number)
    }

    /// The number that `kill -n` takes.
    pub fn number(self) -> i32 {
        self.0
    }

    /// `SIGKILL`, `SIGRTMIN+3`, ….
    pub fn name(self) -> Cow<'static, str> {
        let (first, _) = realtime();
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => Cow::Borrowed(name),
            None if self.0 == first => Cow::Borrowed("SIGRTMIN"),
            None => Cow::Owned(format!("SIGRTMIN{:+}", self.0 - first)),
        }
    }

    const fn named(name: &str) -> Signal {
        let mut index = 0;
        while index < NAMES.len() {
            if same(NAMES[index].1.as_bytes(), name.as_bytes()) {
                return Signal(NAMES[index].0);
            }
            index += 1;
        }
        panic!("no such signal");
    }
}

/// `==` of byte strings, for constants.
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Why a join gave no result.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Exit, JoinError, Signal, spawn};
/// match spawn(|| -> u32 { std::process::abort() })?.join() {
///     Ok(number) => println!("{number}"),
///     Err(JoinError::Exited(Exit::Panicked(report), _)) => println!("it panicked: {report}"),
///     Err(JoinError::Exited(exit, _)) => assert_eq!(exit, Exit::Signal(Signal::ABRT)),
///     Err(error) => println!("no result: {error}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The child ended before it returned a result. `Exit::Code(0)` is possible: `std::process::exit(0)` is no result.
    /// With it comes what the child left behind.
    Exited(Exit, PostMortem),
    /// The child may have ended well, and still there is no result: it could not be encoded or decoded
    /// ([`Encoding`](crate::ErrorKind::Encoding)), there was no memory for it
    /// ([`OutOfMemory`](crate::ErrorKind::OutOfMemory)), somebody else reaped the child and it left no word
    /// ([`ExitLost`](crate::ErrorKind::ExitLost)), it was taken by an earlier join or the child is another process's
    /// ([`InvalidInput`](crate::ErrorKind::InvalidInput)).
    Failed(Error),
}

impl JoinError {
    /// How the child ended, if that is why there is no result.
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            JoinError::Exited(exit, _) => Some(exit),
            JoinError::Failed(_) => None,
        }
    }

    /// What the child left behind, if it ended without a result.
    pub fn post_mortem(&self) -> Option<&PostMortem> {
        match self {
            JoinError::Exited(_, post_mortem) => Some(post_mortem),
            JoinError::Failed(_) => None,
        }
    }

    /// The panic, if that is why there is no result.
    pub fn panic(&self) -> Option<&PanicReport> {
        match self {
            JoinError::Exited(Exit::Panicked(report), _) => Some(report),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Exited(exit, post_mortem) => {
                write!(f, "join: the child {exit}")?;
                post_mortem.describe(Some(exit), f)
            }
            JoinError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JoinError::Exited(..) => None,
            JoinError::Failed(error) => Some(error),
        }
    }
}
