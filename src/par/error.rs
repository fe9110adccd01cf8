//! What has no result, and why.

use crate::error::Error;
use crate::process::{Exit, PanicReport, ProcessInfo};
use std::fmt;
use std::ops::Range;

/// Why a parallel call did not give all results. Nothing runs any more when it is returned.
///
/// Items that have a result keep it: [`partial`](Self::partial) (for [`par_map`](crate::par_map) and its kin; elsewhere it is
/// empty). Each item without one is in exactly one of the [`failures`](Self::failures).
///
/// ```
/// let error = offspring::par_map(&[1u32, 0, 2], |n| 6 / n).unwrap_err();
/// assert_eq!(error.partial(), [Some(6), None, Some(3)]);
/// assert_eq!(error.failures()[0].items(), 1..2);
/// assert!(error.to_string().contains("item 1 panicked"), "{error}");
/// ```
pub struct ParError<R = ()> {
    /// The call failed before the first item, or a machine limit ended it.
    error: Option<Box<Error>>,
    items: usize,
    failures: Vec<Failure>,
    partial: Vec<Option<R>>,
}

impl<R> ParError<R> {
    pub(super) fn of(items: usize, failures: Vec<Failure>, partial: Vec<Option<R>>) -> ParError<R> {
        ParError { error: None, items, failures, partial }
    }

    /// Why no item was begun: the memory could not be had, or no child be forked (as [`spawn`](crate::spawn) says). `None` if
    /// some were.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    /// What has no result, in the order of the items. Empty if there is an [`error`](Self::error).
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The results that are there, in the order of the items.
    pub fn partial(&self) -> &[Option<R>] {
        &self.partial
    }

    /// The same, owned.
    ///
    /// ```
    /// let partial = match offspring::par_map(&["1", "two", "3"], |text| text.parse::<u32>().unwrap()) {
    ///     Ok(numbers) => numbers.into_iter().map(Some).collect(),
    ///     Err(error) => error.into_partial(),
    /// };
    /// assert_eq!(partial, [Some(1), None, Some(3)]);
    /// ```
    pub fn into_partial(self) -> Vec<Option<R>> {
        self.partial
    }
}

impl<R> From<Error> for ParError<R> {
    fn from(error: Error) -> ParError<R> {
        ParError {
            error: Some(Box::new(error)),
            items: 0,
            failures: Vec::new(),
            partial: Vec::new(),
        }
    }
}

/// So many failures are spelt out in an error's text.
const SHOWN: usize = 3;

impl<R> fmt::Display for ParError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return error.fmt(f);
        }
        let missing: usize = self.failures.iter().map(|failure| failure.items.len()).sum();
        write!(f, "{missing} of {} items failed", self.items)?;
        for (index, failure) in self.failures.iter().take(SHOWN).enumerate() {
            write!(f, "{} {failure}", if index == 0 { ":" } else { ";" })?;
        }
        match self.failures.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Without the results, so that they need not be `Debug`.
impl<R> fmt::Debug for ParError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParError")
            .field("error", &self.error)
            .field("items", &self.items)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl<R> std::error::Error for ParError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.as_deref().map(|error| error as _)
    }
}

/// Neighbouring items that have no result for the same reason.
///
/// ```
/// use offspring::{Exit, Par, Signal, par::Reason};
/// let abort_at_2 = |n: &u32| if *n == 2 { std::process::abort() } else { *n };
/// let error = Par::new().workers(1).chunk(1).map(&[1, 2, 3], abort_at_2).unwrap_err();
/// let failure = &error.failures()[0];
/// assert_eq!((failure.items(), failure.at()), (1..2, 1));
/// assert!(matches!(failure.reason(), Reason::Died { .. }));
/// assert_eq!(failure.exit(), Some(&Exit::Signal(Signal::ABRT)));
/// ```
#[derive(Debug)]
pub struct Failure {
    items: Range<usize>,
    at: usize,
    reason: Reason,
}

/// Why items have no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The closure panicked, or the code that encodes its result. In a call that reduces, the items folded together with the
    /// one that panicked are lost with it.
    Panicked(PanicReport),
    /// The worker ended in the middle: it was killed, or its item aborted, exited, overflowed the stack. Nobody begins such
    /// items anew: they may have had effects.
    Died {
        /// How it ended; `None` if somebody else has reaped it.
        exit: Option<Exit>,
        /// Which process it was.
        process: ProcessInfo,
    },
    /// The result could not be encoded or decoded.
    Encoding(Error),
    /// The worker could not send its results: no memory, or a limit on file sizes.
    Unsent(Error),
    /// No worker was left to begin them: the last one died, and no other could be forked.
    NotBegun {
        /// How the last that died ended, if that is known.
        last: Option<Exit>,
    },
}

impl Failure {
    pub(super) fn new(items: Range<usize>, at: usize, reason: Reason) -> Failure {
        Failure { items, at, reason }
    }

    /// Which items have no result. (Of a call over chunks: which chunks.)
    pub fn items(&self) -> Range<usize> {
        self.items.clone()
    }

    /// The item that caused it: which panicked, or at which the worker was when it died. One that is lost although it stands
    /// before this one was finished, but its result was not yet sent.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The panic, if it was one.
    pub fn panic(&self) -> Option<&PanicReport> {
        match &self.reason {
            Reason::Panicked(report) => Some(report),
            _ => None,
        }
    }

    /// Takes a neighbour in that was not begun either.
    pub(super) fn absorb(&mut self, next: &Failure) -> bool {
        let both = [&self.reason, &next.reason];
        let absorbs = both.iter().all(|reason| matches!(reason, Reason::NotBegun { .. }))
            && self.items.end == next.items.start;
        if absorbs {
            self.items.end = next.items.end;
        }
        absorbs
    }

    /// How the worker ended, if its death is the reason.
    pub fn exit(&self) -> Option<&Exit> {
        match &self.reason {
            Reason::Died { exit, .. } => exit.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.items.len() {
            1 => write!(f, "item {}", self.items.start)?,
            _ => write!(f, "items {}..{} (at {})", self.items.start, self.items.end, self.at)?,
        }
        match &self.reason {
            Reason::Panicked(report) => write!(f, " panicked: {report}"),
            Reason::Died { exit: Some(exit), process } => {
                write!(f, ": the worker {process} {exit}")
            }
            Reason::Died { exit: None, process } => {
                write!(f, ": the worker {process} ended, nobody knows how")
            }
            Reason::Encoding(error) | Reason::Unsent(error) => write!(f, ": {error}"),
            Reason::NotBegun { last: None } => write!(f, " not begun: no worker was left"),
            Reason::NotBegun { last: Some(exit) } => {
                write!(f, " not begun: no worker was left; the last {exit}")
            }
        }
    }
}
