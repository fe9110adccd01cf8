//! The crate's error: what was being done, on which object, and the kernel's reason.
//!
//! One opaque type with a [`kind`](Error::kind); operations that move a value return it in an error of their own
//! (`SendError<T>` and its kin in [`queue`](crate::queue)), and a child's end is data ([`Exit`](crate::Exit)).

use std::borrow::Cow;
use std::fmt;
use std::io;

/// A `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, coarsely: enough to decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The machine, the control group or a region has no room for what was to be placed.
    OutOfMemory,
    /// A limit of the system was reached: processes, file descriptors, roster entries.
    LimitReached,
    /// An argument cannot be used; the message says which and why.
    InvalidInput,
    /// `spawn` in a process that has more than one thread.
    MultiThreaded,
    /// The kernel, or a sandbox's filter, lacks a call that this operation needs.
    Unsupported,
    /// A child's result could not be encoded or decoded.
    Encoding,
    /// Somebody else reaped the child, so that its exit status is lost.
    ExitLost,
    /// The pool takes nothing any more: it was shut down, or has failed.
    Closed,
    /// A [`ForkServer`](crate::ForkServer) has ended, and could not be started anew.
    ServerDied,
    /// Any other refusal by the kernel; see [`Error::raw_os_error`].
    Os,
}

/// Why an operation of this crate failed.
///
/// The message names the operation and the object: `fork worker-3: EAGAIN: Try again`.
/// The fields are private because the set of reasons grows with the kernel; match on [`kind`](Error::kind).
///
/// ```
/// let error = offspring::Region::new(0).unwrap_err();
/// assert_eq!(error.kind(), offspring::ErrorKind::InvalidInput);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    object: Cow<'static, str>,
    source: Option<io::Error>,
    detail: Cow<'static, str>,
}

impl Error {
    /// An error whose reason is ours: `detail` says what was expected.
    pub(crate) fn new(
        kind: ErrorKind,
        operation: &'static str,
        object: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Error {
        Error { kind, operation, object: object.into(), source: None, detail: detail.into() }
    }

    /// An error whose reason is the kernel's; the kind follows from the errno.
    pub(crate) fn os(
        operation: &'static str,
        object: impl Into<Cow<'static, str>>,
        errno: nix::errno::Errno,
    ) -> Error {
        use nix::errno::Errno as E;
        let kind = match errno {
            E::ENOMEM | E::ENOSPC => ErrorKind::OutOfMemory,
            E::EAGAIN | E::EMFILE | E::ENFILE => ErrorKind::LimitReached,
            E::EINVAL => ErrorKind::InvalidInput,
            E::ENOSYS | E::EPERM => ErrorKind::Unsupported,
            _ => ErrorKind::Os,
        };
        let source = Some(io::Error::from_raw_os_error(errno as i32));
        Error { kind, operation, object: object.into(), source, detail: Cow::Borrowed("") }
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The kernel's errno, if the kernel refused.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.as_ref().and_then(io::Error::raw_os_error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        match (&self.source, self.detail.is_empty()) {
            (Some(source), true) => write!(f, ": {source}"),
            (Some(source), false) => write!(f, ": {}: {source}", self.detail),
            (None, _) => write!(f, ": {}", self.detail),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

impl From<Error> for io::Error {
    /// Keeps the message; the kind is that of the errno where there is one.
    fn from(error: Error) -> io::Error {
        let kind = match (&error.source, error.kind) {
            (Some(source), _) => source.kind(),
            (None, ErrorKind::OutOfMemory) => io::ErrorKind::OutOfMemory,
            (None, ErrorKind::InvalidInput) => io::ErrorKind::InvalidInput,
            (None, ErrorKind::Unsupported) => io::ErrorKind::Unsupported,
            (None, _) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
