//! One end of a pipe, without types: packets out, packets in.
//!
//! ```text
//!  small     [ kind ][ bytes of the message … ]
//!  big       [ kind | BIG ][ length: 8 bytes ][ weight: 32 KiB of nothing ]   + memfd with the message, sealed
//!  fd        [ kind ]                                                         + the descriptor
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
use crate::sys::{Errno, poll, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// A longer message travels as a memfd. Three packets of this size fit into a socket's buffer as it usually is.
pub(super) const SMALL_BYTES_MAX: usize = 64 * 1024;
/// Bit of the kind: the message is in a memfd.
const BIG: u8 = 0x80;
/// W4.
static WEIGHT: [u8; 32 * 1024] = [0; 32 * 1024];
/// Kind and length.
const HEAD_BYTES: usize = 1 + size_of::<u64>();

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
    /// Bytes that were taken out, and for which the buffer at hand turned out too small.
    kept: Mutex<Option<Vec<u8>>>,
}

impl End {
    pub(super) fn pair() -> Result<(End, End), Error> {
        let (a, b) = Listed::pair().map_err(|errno| Error::os("make", "a pipe", errno))?;
        Ok((End::new(a), End::new(b)))
    }

    fn new(listed: Listed) -> End {
        End { listed, kept: Mutex::new(None) }
    }

    pub(super) fn try_clone(&self) -> Result<End, Error> {
        let cloned = self.listed.try_clone();
        cloned.map(End::new).map_err(|errno| Error::os("clone", "the end of a pipe", errno))
    }

    /// Sends a message of bytes.
    pub(super) fn send(
        &self,
        payload: Payload,
        body: &[u8],
        patience: Patience,
    ) -> Result<(), Errno> {
        if body.len() <= SMALL_BYTES_MAX {
            match self.send_packet(&[payload as u8], body, None, patience) {
                // A send buffer that was made smaller than usual.
                Err(Errno::EMSGSIZE) => {}
                sent => return sent,
            }
        }
        let parcel = parcel::pack(body)?;
        let mut head = [payload as u8 | BIG; HEAD_BYTES];
        head[1..].copy_from_slice(&(body.len() as u64).to_ne_bytes());
        match self.send_packet(&head, &WEIGHT, Some(parcel.as_fd()), patience) {
            Err(Errno::EMSGSIZE) => self.send_packet(&head, &[], Some(parcel.as_fd()), patience),
            sent => sent,
        }
    }

    pub(super) fn send_fd(&self, fd: BorrowedFd<'_>, patience: Patience) -> Result<(), Errno> {
        self.send_packet(&[Payload::Descriptor as u8], &[], Some(fd), patience)
    }

    fn send_packet(
        &self,
        head: &[u8],
        body: &[u8],
        passed: Option<BorrowedFd<'_>>,
        patience: Patience,
    ) -> Result<(), Errno> {
        loop {
            match socket::send(self.as_fd(), head, body, passed, patience.is_endless()) {
                Err(Errno::EAGAIN) => {
                    patience.wait(|deadline| poll::is_writable(self.as_fd(), deadline))?;
                }
                sent => return sent,
            }
        }
    }

    /// Receives a message; a small one into `body`, and what does not fit there into `rest`.
    pub(super) fn receive(
        &self,
        body: &mut [u8],
        rest: &mut Vec<u8>,
        patience: Patience,
    ) -> Result<Message, RecvError> {
        if let Some(bytes) = self.kept().take() {
            let split = bytes.len().min(body.len());
            body[..split].copy_from_slice(&bytes[..split]);
            rest.clear();
            rest.extend_from_slice(&bytes[split..]);
            return Ok(Message::Small(Payload::Bytes, bytes.len()));
        }
        rest.clear();
        rest.reserve(SMALL_BYTES_MAX);
        let mut kind = [0];
        let packet = self
            .attempt(patience, |waits| socket::receive(self.as_fd(), &mut kind, body, rest, waits))
            .map_err(|errno| RecvError::new(errno, patience))?;
        if packet.bytes == 0 {
            return Err(RecvError::EndOfStream);
        }
        let (payload, is_big) = decode_kind(kind[0])?;
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
        loop {
            // First look, then take: what does not fit stays where all who share this end can have it.
            let next_bytes = self.next_bytes(patience)?;
            if let Some(message_bytes) = next_bytes.filter(|&bytes| bytes > buffer_bytes) {
                return Err(RecvError::TooSmall { message_bytes, buffer_bytes });
            }
            // Another receiver may have been faster, and what is next be longer: that is kept here.
            let message = match self.receive(buffer, rest, Patience::None) {
                Err(RecvError::Empty) => continue,
                message => message?,
            };
            let message_bytes = match message {
                Message::Small(Payload::Bytes, bytes) if bytes <= buffer_bytes => return Ok(bytes),
                Message::Small(Payload::Bytes, bytes) => {
                    *self.kept() = Some([&*buffer, &**rest].concat());
                    bytes
                }
                Message::Big(Payload::Bytes, mut parcel) => {
                    let error = |errno| RecvError::new(errno, patience);
                    let bytes = parcel.bytes().map_err(error)?;
                    if let Some(place) = buffer.get_mut(..bytes) {
                        return parcel.read_into(place).map(|()| bytes).map_err(error);
                    }
                    *self.kept() = Some(parcel.unpack().map_err(error)?);
                    bytes
                }
                other => {
                    let (expected, found) = (Payload::Bytes, other.payload());
                    return Err(RecvError::OutOfTurn { expected, found });
                }
            };
            return Err(RecvError::TooSmall { message_bytes, buffer_bytes });
        }
    }

    /// The length of the next message if it is bytes; `None` if it is something else.
    fn next_bytes(&self, patience: Patience) -> Result<Option<usize>, RecvError> {
        if let Some(bytes) = &*self.kept() {
            return Ok(Some(bytes.len()));
        }
        let mut head = [0; HEAD_BYTES];
        let packet_bytes = self
            .attempt(patience, |waits| socket::peek(self.as_fd(), &mut head, waits))
            .map_err(|errno| RecvError::new(errno, patience))?;
        if packet_bytes == 0 {
            return Err(RecvError::EndOfStream);
        }
        let [_, length @ ..] = head;
        Ok(match decode_kind(head[0])? {
            (Payload::Bytes, false) => Some(packet_bytes - 1),
            (Payload::Bytes, true) => usize::try_from(u64::from_ne_bytes(length)).ok(),
            _ => None,
        })
    }

    /// Repeats a receiving call until it has something, the end or an error.
    fn attempt<R>(
        &self,
        patience: Patience,
        mut call: impl FnMut(bool) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        loop {
            match call(patience.is_endless()) {
                Err(Errno::EAGAIN) => {
                    patience.wait(|deadline| poll::is_readable(self.as_fd(), deadline))?;
                }
                // Told once, before what the dead one had sent.
                Err(Errno::ECONNRESET) => {}
                done => return done,
            }
        }
    }

    /// Whether a receive would not wait.
    pub(super) fn is_ready(&self, deadline: Deadline) -> bool {
        // An error here is one that the next receive tells.
        self.kept().is_some() || poll::is_readable(self.as_fd(), deadline).unwrap_or(true)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
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
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listed.fd().as_fd()
    }
}
