//! Why a fork server gave no child, with the arguments.

use crate::error::Error;
use std::fmt;

/// Why a [`ForkServer`](crate::ForkServer) gave no child; the arguments come back.
///
/// `?` turns it into an [`Error`], and drops the arguments.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::ForkServer;
/// let server = ForkServer::start()?;
/// let child = offspring::spawn(|| {
///     // It is the parent's server; this process's copy of the handle has no say.
///     let error = server.spawn(|text: String| text.len(), "work".to_owned()).unwrap_err();
///     (error.error().to_string(), error.into_inner())
/// })?;
/// let (reason, argument) = child.join().unwrap();
/// assert_eq!(argument, "work");
/// assert!(!reason.is_empty());
/// # Ok(()) }
/// ```
pub struct SpawnError<A> {
    pub(super) error: Error,
    pub(super) args: A,
}

impl<A> SpawnError<A> {
    /// What went wrong.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The arguments that no child has got.
    pub fn into_inner(self) -> A {
        self.args
    }
}

impl<A> fmt::Debug for SpawnError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<A> fmt::Display for SpawnError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<A> std::error::Error for SpawnError<A> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<A> From<SpawnError<A>> for Error {
    fn from(error: SpawnError<A>) -> Error {
        error.error
    }
}
