//! Waiting for several things at once: children, connections, sockets, anything with a file descriptor.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::poll;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Waits until at least one of `things` is ready, and returns the indices of all that are, in ascending order.
///
/// Ready means: the next receive, read or accept does not wait, because there is something, the stream has ended or there is an
/// error to be told; a [`Child`](crate::Child) is ready once it has ended. A queue can be waited for as a
/// [`Pollable`](crate::queue::Pollable). Readiness is a state: what is not received is ready in
/// the next call as well. Another process that shares a connection may be faster, so receive with a `try_` form then.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if there is nothing to wait for, or more than this process may have descriptors.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let (sender, receiver) = offspring::simplex::<u32>()?;
/// let child = offspring::spawn(move || sender.send(7).unwrap())?;
/// let mut got = None;
/// while got.is_none() || child.is_alive() {
///     for index in offspring::wait_any(&[&receiver, &child])? {
///         match index {
///             0 => got = receiver.try_recv().ok().or(got),
///             _ => println!("the child has ended"),
///         }
///     }
/// }
/// assert_eq!(got, Some(7));
/// # Ok(()) }
/// ```
pub fn wait_any(things: &[&dyn AsFd]) -> Result<Vec<usize>> {
    if things.is_empty() {
        let detail = "there is nothing that could become ready";
        return Err(Error::new(ErrorKind::InvalidInput, "wait for", "any of no things", detail));
    }
    wait(things, Deadline::NEVER)
}

/// As [`wait_any`], but does not wait: which are ready now, perhaps none.
///
/// # Errors
/// As [`wait_any`], but nothing is nothing.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use std::time::Duration;
/// let (sender, receiver) = offspring::simplex::<u32>()?;
/// assert!(offspring::try_wait_any(&[&receiver])?.is_empty());
/// assert!(offspring::wait_any_timeout(&[&receiver], Duration::from_millis(1))?.is_empty());
/// sender.send(7).unwrap();
/// assert_eq!(offspring::try_wait_any(&[&receiver])?, [0]);
/// # Ok(()) }
/// ```
pub fn try_wait_any(things: &[&dyn AsFd]) -> Result<Vec<usize>> {
    wait(things, Deadline::after(Duration::ZERO))
}

/// As [`wait_any`], but waits no longer than `timeout`: then none.
///
/// # Errors
/// As [`try_wait_any`].
pub fn wait_any_timeout(things: &[&dyn AsFd], timeout: Duration) -> Result<Vec<usize>> {
    wait(things, Deadline::after(timeout))
}

/// As [`wait_any_timeout`] and [`try_wait_any`], with an instant.
///
/// # Errors
/// As [`try_wait_any`].
pub fn wait_any_deadline(things: &[&dyn AsFd], deadline: Instant) -> Result<Vec<usize>> {
    wait(things, Deadline::at(deadline))
}

fn wait(things: &[&dyn AsFd], deadline: Deadline) -> Result<Vec<usize>> {
    let fds: Vec<BorrowedFd<'_>> = things.iter().map(|thing| thing.as_fd()).collect();
    poll::readable(&fds, deadline)
        .map_err(|errno| Error::os("wait for", format!("any of {} things", fds.len()), errno))
}
