//! The ends of a pipe, as programs see them.

use super::end::End;
use super::error::{RecvError, SendError};
use super::methods::{every_end, receiving, sending};
use super::patience::Patience;
use super::values;
use crate::deadline::Deadline;
use crate::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

#[cfg(doc)]
use super::error::Obstacle;

/// One side of a [`pipe`]: sends to the other side, and receives from it.
///
/// All methods take `&self`, and an end may be used by several threads or processes at once: messages never mix.
///
/// As a file descriptor ([`AsFd`]) it is readable when there is a message or the end of the stream; do not read or write it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use offspring::pipe;
/// use std::io::Write;
/// use std::os::fd::AsFd;
/// use std::time::Duration;
/// let (here, there) = pipe::<u32>()?;
/// let more = here.try_clone()?; // to keep one, and give one away
/// here.send(1).unwrap();
/// more.send_bytes(b"two").unwrap();
/// let (reader, mut writer) = std::io::pipe()?;
/// here.send_fd(reader.as_fd()).unwrap();
/// drop((here, more, reader));
///
/// assert!(there.poll(Duration::from_secs(10)));
/// assert_eq!(there.recv().unwrap(), 1);
/// let mut buffer = [0; 8];
/// assert_eq!(there.recv_bytes_into(&mut buffer).unwrap(), 3);
/// let reader = std::fs::File::from(there.recv_fd().unwrap());
/// write!(writer, "by hand")?;
/// drop(writer);
/// assert_eq!(std::io::read_to_string(reader)?, "by hand");
/// assert!(there.recv().unwrap_err().is_end_of_stream());
/// # Ok(()) }
/// ```
pub struct Connection<T> {
    end: End,
    carries: PhantomData<fn(T) -> T>,
}

/// The side of a [`simplex`] pipe that sends.
pub struct Sender<T> {
    end: End,
    carries: PhantomData<fn(T)>,
}

/// The side of a [`simplex`] pipe that receives.
pub struct Receiver<T> {
    end: End,
    carries: PhantomData<fn() -> T>,
}

/// Makes a two-way pipe: what one connection sends, the other receives, message by message and in order.
///
/// A message is any value that serde can encode, or bytes, or a file descriptor, and may have any size. It is on its way when
/// `send` returns: the sender may exit, and be joined, before anybody receives.
///
/// # Fork
/// An end belongs to the process that it was moved to. Move one into the closure of [`spawn`](crate::spawn) and keep the other:
/// each process has then the one end alone, and when one of them drops its end, returns, or is killed, the other receives
/// everything that was sent and then [`RecvError::EndOfStream`]. A child lets go of all ends that were not moved into it, so
/// that it holds back nobody's end of stream; using one of those (by reference, from a static, from an `Arc` that the parent
/// holds too) is an error, [`RecvError::NotMoved`] or [`Obstacle::NotMoved`].
///
/// What was moved shows when the parent drops its copy of the closure, right after the fork, and the child waits for that. So a
/// closure must not own what waits for the child when it is dropped. Children of a bare `fork()` keep copies of all ends.
///
/// # Errors
/// If no file descriptors are left: it takes two, and one more for all pipes of a process.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let (here, there) = offspring::pipe::<String>()?;
/// let child = offspring::spawn(move || {
///     while let Ok(line) = there.recv() {
///         there.send(line.to_uppercase()).unwrap();
///     }
/// })?;
/// here.send("hello".into()).unwrap();
/// assert_eq!(here.recv().unwrap(), "HELLO");
/// drop(here); // the child's `recv` gives the end of the stream
/// child.join().unwrap();
/// # Ok(()) }
/// ```
pub fn pipe<T: Serialize + DeserializeOwned>() -> Result<(Connection<T>, Connection<T>), Error> {
    let (a, b) = End::pair()?;
    Ok((Connection::new(a), Connection::new(b)))
}

/// Makes a one-way pipe. All that is said of [`pipe`] holds.
///
/// # Errors
/// As [`pipe`].
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let (sender, receiver) = offspring::simplex::<(u32, f64)>()?;
/// let child = offspring::spawn(move || {
///     for n in 0..3 {
///         sender.send((n, f64::from(n).sqrt())).unwrap();
///     }
/// })?;
/// child.join().unwrap();
/// let roots: Vec<_> = std::iter::from_fn(|| receiver.recv().ok()).collect();
/// assert_eq!(roots.len(), 3);
/// # Ok(()) }
/// ```
pub fn simplex<T: Serialize + DeserializeOwned>() -> Result<(Sender<T>, Receiver<T>), Error> {
    let (a, b) = End::pair()?;
    Ok((Sender::new(a), Receiver::new(b)))
}

every_end!(Connection);
every_end!(Sender);
every_end!(Receiver);
sending!(Connection);
sending!(Sender);
receiving!(Connection);
receiving!(Receiver);

const _: () = {
    const fn works_from_several_threads<T: Send + Sync>() {}
    // `Cell` is neither; a value stays with the thread that sends or receives it.
    works_from_several_threads::<Connection<std::cell::Cell<u8>>>();
};
