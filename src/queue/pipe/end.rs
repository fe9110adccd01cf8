//! One end of a pipe, without types: packets out, packets in.
//!
//! ```text
//!  small     [ kind ][ bytes of the message … ]
//!  big       [ kind | BIG ][ weight: 32 KiB of nothing ]   + memfd with the message, sealed
//!  fd        [ kind ]                                      + the descriptor
//! ```
//!
//! Invariants. **W1** A message is one packet, sent by one system call: whoever is killed has sent it whole or not at all, and
//! received it or not. **W2** No packet is empty, so a length of 0 is the end of the stream. **W3** A memfd is written and sealed
//! before its packet is sent, so that its receiver depends on nobody. **W4** A big message weighs about as much in the socket's
//! buffer as the biggest small one, so that a sender who is faster than its receiver waits, whatever the size.
//!
//! A death leaves: sender, before the call: nothing (a memfd goes with its last descriptor). Receiver, after the call: the message
//! is gone with it. The kernel closes what a dead process held, and so the end of the stream arrives.

use super::error::{Payload, RecvError};
use super::patience::Patience;
use super::registry::Listed;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::sys::parcel::{self, Parcel};
use crate::sys::{Errno, pidfd, poll, socket};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A longer message travels as a memfd. Three packets of this size fit into a socket's buffer as it usually is.
pub(super) const SMALL_BYTES_MAX: usize = 64 * 1024;
/// Messages up to here are put together on the stack to be sent: memory that is used for nothing else is often out of the caches when
/// a process has just been woken. With the kind they are so long that the compiler clears their place without a call.
pub(super) const STACK_BYTES: usize = 127;
/// Up to here a buffer's bytes are received elsewhere and copied: to receive into three places instead of one costs the kernel two in
/// a hundred of a round trip's time on one CPU.
const COPIED_BYTES_MAX: usize = 1024;
/// Bit of the kind: the message is in a memfd.
const BIG: u8 = 0x80;
/// W4.
static WEIGHT: [u8; 32 * 1024] = [0; 32 * 1024];

/// A message that was received.
#[derive(Debug)]
pub(super) enum Message {
    /// A value or bytes, so many; they are where the caller wanted them.
    Small(Payload, usize),
    Big(Payload, Parcel),
    Descriptor(OwnedFd),
}

impl Message {
    pub(super) fn payload(&self) -> Payload {
        match self {
            Message::Small(payload, _) | Message::Big(payload, _) => *payload,
            Message::Descriptor(_) => Payload::Descriptor,
        }
    }
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct End {
    listed: Listed,
    /// Bytes that were taken out, and for which the buffer at hand turned out too small. To look first and then take would be one
    /// more call for every message, and not enough: in between, somebody who shares this end may take that one, and a longer
    /// one be next.
    kept: Mutex<VecDeque<Vec<u8>>>,
    /// Whether there may be something in `kept`: spares the lock.
    keeps: AtomicBool,
    /// Readable; made when something is kept for the first time.
    ready: OnceLock<OwnedFd>,
}

impl End {
    pub(super) fn pair() -> Result<(End, End), Error> {
        let (a, b) = Listed::pair().map_err(|errno| Error::os("make", "a pipe", errno))?;
        Ok((End::new(a), End::new(b)))
    }

    fn new(listed: Listed) -> End {
        End {
            listed,
            kept: Mutex::default(),
            keeps: AtomicBool::new(false),
            ready: OnceLock::new(),
        }
    }

    pub(super) fn try_clone(&self) -> Result<End, Error> {
        let cloned = self.listed.try_clone();
        cloned.map(End::new).map_err(|errno| Error::os("clone", "the end of a pipe", errno))
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.listed.fd().as_fd()
    }

    /// Sends a value or bytes: `packet` is a byte of room, and the message.
    pub(super) fn send(
        &self,
        payload: Payload,
        packet: &mut [u8],
        patience: Patience,
    ) -> Result<(), Errno> {
        if packet.len() <= 1 + SMALL_BYTES_MAX {
            packet[0] = payload as u8;
            match self.attempt_send(patience, |waits| socket::send(self.socket(), packet, waits)) {
                // A send buffer that was made smaller than usual.
                Err(Errno::EMSGSIZE) => {}
                sent => return sent,
            }
        }
        self.send_big(payload, &packet[1..], patience)
    }

    /// The same for a message that lies elsewhere.
    pub(super) fn send_from(
        &self,
        payload: Payload,
        body: &[u8],
        patience: Patience,
    ) -> Result<(), Errno> {
        if body.len() <= SMALL_BYTES_MAX {
            match self.send_parts(&[payload as u8], body, None, patience) {
                Err(Errno::EMSGSIZE) => {}
                sent => return sent,
            }
        }
        self.send_big(payload, body, patience)
    }

    fn send_big(&self, payload: Payload, body: &[u8], patience: Patience) -> Result<(), Errno> {
        let parcel = parcel::pack(body)?;
        let head = [payload as u8 | BIG];
        match self.send_parts(&head, &WEIGHT, Some(parcel.as_fd()), patience) {
            Err(Errno::EMSGSIZE) => self.send_parts(&head, &[], Some(parcel.as_fd()), patience),
            sent => sent,
        }
    }

    pub(super) fn send_fd(&self, fd: BorrowedFd<'_>, patience: Patience) -> Result<(), Errno> {
        self.send_parts(&[Payload::Descriptor as u8], &[], Some(fd), patience)
    }

    fn send_parts(
        &self,
        head: &[u8],
        body: &[u8],
        passed: Option<BorrowedFd<'_>>,
        patience: Patience,
    ) -> Result<(), Errno> {
        self.attempt_send(patience, |waits| {
            socket::send_parts(self.socket(), head, body, passed, waits)
        })
    }

    fn attempt_send(
        &self,
        patience: Patience,
        call: impl Fn(bool) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        loop {
            match call(patience.is_endless()) {
                Err(Errno::EAGAIN) => {
                    patience.wait(|deadline| poll::is_writable(self.socket(), deadline))?;
                }
                sent => return sent,
            }
        }
    }

    /// Receives a message. With `head`: its kind goes there, a small one itself into `body`, and what does not fit there into `rest`.
    /// Without (`head` and `body` empty): kind and message go into `rest`, which is quicker.
    #[inline]
    pub(super) fn receive(
        &self,
        head: &mut [u8],
        body: &mut [u8],
        rest: &mut Vec<u8>,
        patience: Patience,
    ) -> Result<Message, RecvError> {
        if let Some(bytes) = self.take_kept()? {
            let split = bytes.len().min(body.len());
            body[..split].copy_from_slice(&bytes[..split]);
            rest.clear();
            if head.is_empty() {
                rest.push(Payload::Bytes as u8);
            }
            rest.extend_from_slice(&bytes[split..]);
            return Ok(Message::Small(Payload::Bytes, bytes.len()));
        }
        rest.clear();
        rest.reserve(1 + SMALL_BYTES_MAX);
        let packet = loop {
            let waits = patience.is_endless();
            match socket::receive(self.socket(), head, body, rest, waits) {
                Err(Errno::EAGAIN) => patience
                    .wait(|deadline| poll::is_readable(self.socket(), deadline))
                    .map_err(|errno| RecvError::new(errno, patience))?,
                // Told once, before what the dead one had sent.
                Err(Errno::ECONNRESET) => {}
                received => break received.map_err(|errno| RecvError::new(errno, patience))?,
            }
        };
        if packet.bytes == 0 {
            return Err(RecvError::EndOfStream);
        }
        let kind = if head.is_empty() { rest[0] } else { head[0] };
        let (payload, is_big) = decode_kind(kind)?;
        match (packet.passed, payload) {
            (None, _) if packet.lost_one => Err(RecvError::new(Errno::EMFILE, patience)),
            (Some(parcel), _) if is_big => Ok(Message::Big(payload, Parcel::new(parcel))),
            (Some(fd), Payload::Descriptor) => Ok(Message::Descriptor(fd)),
            (None, Payload::Value | Payload::Bytes) if !is_big => {
                Ok(Message::Small(payload, packet.bytes - 1))
            }
            _ => Err(RecvError::foreign("a packet that no `send` of a pipe makes")),
        }
    }

    /// Receives bytes into `buffer`, if they fit; returns their number.
    pub(super) fn receive_into(
        &self,
        buffer: &mut [u8],
        rest: &mut Vec<u8>,
        patience: Patience,
    ) -> Result<usize, RecvError> {
        let buffer_bytes = buffer.len();
        let error = |errno| RecvError::new(errno, patience);
        if self.keeps.load(Ordering::Acquire)
            && let Some(bytes) = self.kept().front()
            && bytes.len() > buffer_bytes
            && socket::is_socket(self.socket())
        {
            return Err(RecvError::TooSmall { message_bytes: bytes.len(), buffer_bytes });
        }
        let message = if buffer_bytes <= COPIED_BYTES_MAX {
            let message = self.receive(&mut [], &mut [], rest, patience)?;
            if let Message::Small(_, bytes) = message {
                let split = bytes.min(buffer_bytes);
                buffer[..split].copy_from_slice(&rest[1..][..split]);
                if bytes > buffer_bytes {
                    rest.drain(..1 + split);
                }
            }
            message
        } else {
            self.receive(&mut [0], buffer, rest, patience)?
        };
        let message_bytes = match message {
            Message::Small(Payload::Bytes, bytes) if bytes <= buffer_bytes => return Ok(bytes),
            Message::Small(Payload::Bytes, bytes) => {
                self.keep([&*buffer, &**rest].concat());
                bytes
            }
            Message::Big(Payload::Bytes, mut parcel) => {
                let bytes = parcel.bytes().map_err(error)?;
                if let Some(place) = buffer.get_mut(..bytes) {
                    return parcel.read_into(place).map(|()| bytes).map_err(error);
                }
                self.keep(parcel.unpack().map_err(error)?);
                bytes
            }
            other => {
                let (expected, found) = (Payload::Bytes, other.payload());
                return Err(RecvError::OutOfTurn { expected, found });
            }
        };
        Err(RecvError::TooSmall { message_bytes, buffer_bytes })
    }

    /// Keeps a message for the next receive.
    fn keep(&self, bytes: Vec<u8>) {
        if self.ready.get().is_none() {
            // Without a descriptor for it the message is still here, and only `AsFd` does not know.
            let _ = pidfd::ended().map(|ready| self.ready.set(ready));
        }
        self.kept().push_back(bytes);
        self.keeps.store(true, Ordering::Release);
    }

    fn take_kept(&self) -> Result<Option<Vec<u8>>, RecvError> {
        if !self.keeps.load(Ordering::Acquire) {
            return Ok(None);
        }
        let bytes = self.kept().pop_front();
        // A copy of this end that a fork made, and that was not moved, has a copy of what was kept.
        if bytes.is_some() && !socket::is_socket(self.socket()) {
            return Err(RecvError::NotMoved);
        }
        Ok(bytes)
    }

    /// Whether a receive would not wait.
    pub(super) fn is_ready(&self, deadline: Deadline) -> bool {
        // An error here is one that the next receive tells.
        self.keeps_one() || poll::is_readable(self.socket(), deadline).unwrap_or(true)
    }

    fn keeps_one(&self) -> bool {
        self.keeps.load(Ordering::Acquire) && !self.kept().is_empty()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn decode_kind(byte: u8) -> Result<(Payload, bool), RecvError> {
    let kinds = [Payload::Value, Payload::Bytes, Payload::Descriptor];
    let payload = kinds.into_iter().find(|&kind| kind as u8 == byte & !BIG);
    let payload = payload.ok_or_else(|| RecvError::foreign("a packet of an unknown kind"))?;
    Ok((payload, byte & BIG != 0))
}

impl AsFd for End {
    /// What can be polled: the socket, or something that is always readable while a message is kept.
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.ready.get() {
            Some(ready) if self.keeps_one() => ready.as_fd(),
            _ => self.socket(),
        }
    }
}
