//! Values, bytes and descriptors through an [`End`]: encoding, decoding, whose turn it is.

use super::end::{End, Message, STACK_BYTES};
use super::error::{Obstacle, Payload, RecvError, SendError};
use super::patience::Patience;
use crate::error::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};

thread_local! {
    /// Where messages are encoded and received, from call to call. Taken out while it is used: serde code is the user's, and may
    /// send and receive itself.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A scratch buffer that has grown beyond this is not kept.
const SCRATCH_BYTES_MAX: usize = 128 * 1024;

fn with_scratch<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // A thread that is ending has none.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    scratch.clear();
    let result = work(&mut scratch);
    if scratch.capacity() <= SCRATCH_BYTES_MAX {
        let _ = SCRATCH.try_with(|place| place.set(scratch));
    }
    result
}

pub(super) fn send<T: Serialize>(
    end: &End,
    message: T,
    patience: Patience,
) -> Result<(), SendError<T>> {
    let sent = encode_and_send(end, &message, patience);
    sent.map_err(|obstacle| SendError { message, obstacle })
}

fn encode_and_send<T: Serialize>(
    end: &End,
    message: &T,
    patience: Patience,
) -> Result<(), Obstacle> {
    let error = |errno| Obstacle::new(errno, patience);
    let mut packet = [0; 1 + STACK_BYTES];
    match postcard::to_slice(message, &mut packet[1..]).map(|bytes| bytes.len()) {
        Ok(bytes) => end.send(Payload::Value, &mut packet[..1 + bytes], patience).map_err(error),
        Err(postcard::Error::SerializeBufferFull) => with_scratch(|scratch| {
            scratch.push(0);
            *scratch =
                postcard::to_extend(message, std::mem::take(scratch)).map_err(encoding::<T>)?;
            end.send(Payload::Value, scratch, patience).map_err(error)
        }),
        Err(why) => Err(encoding::<T>(why)),
    }
}

pub(super) fn send_bytes(end: &End, bytes: &[u8], patience: Patience) -> Result<(), SendError<()>> {
    let mut packet = [0; 1 + STACK_BYTES];
    let sent = match packet.get_mut(..1 + bytes.len()) {
        Some(packet) => {
            packet[1..].copy_from_slice(bytes);
            end.send(Payload::Bytes, packet, patience)
        }
        None => end.send_from(Payload::Bytes, bytes, patience),
    };
    sent.map_err(|errno| SendError { message: (), obstacle: Obstacle::new(errno, patience) })
}

pub(super) fn send_fd(
    end: &End,
    fd: BorrowedFd<'_>,
    patience: Patience,
) -> Result<(), SendError<()>> {
    end.send_fd(fd, patience)
        .map_err(|errno| SendError { message: (), obstacle: Obstacle::new(errno, patience) })
}

pub(super) fn recv<T: DeserializeOwned>(end: &End, patience: Patience) -> Result<T, RecvError> {
    with_scratch(|scratch| match end.receive(&mut [], &mut [], scratch, patience)? {
        Message::Small(Payload::Value, _) => decode(&scratch[1..]),
        Message::Big(Payload::Value, mut parcel) => {
            decode(&parcel.unpack().map_err(|errno| RecvError::new(errno, patience))?)
        }
        other => Err(out_of_turn(Payload::Value, &other)),
    })
}

pub(super) fn recv_bytes(end: &End, patience: Patience) -> Result<Vec<u8>, RecvError> {
    with_scratch(|scratch| match end.receive(&mut [], &mut [], scratch, patience)? {
        Message::Small(Payload::Bytes, _) => Ok(scratch[1..].to_vec()),
        Message::Big(Payload::Bytes, mut parcel) => {
            parcel.unpack().map_err(|errno| RecvError::new(errno, patience))
        }
        other => Err(out_of_turn(Payload::Bytes, &other)),
    })
}

pub(super) fn recv_bytes_into(
    end: &End,
    buffer: &mut [u8],
    patience: Patience,
) -> Result<usize, RecvError> {
    with_scratch(|scratch| end.receive_into(buffer, scratch, patience))
}

pub(super) fn recv_fd(end: &End, patience: Patience) -> Result<OwnedFd, RecvError> {
    with_scratch(|scratch| match end.receive(&mut [], &mut [], scratch, patience)? {
        Message::Descriptor(fd) => Ok(fd),
        other => Err(out_of_turn(Payload::Descriptor, &other)),
    })
}

fn out_of_turn(expected: Payload, message: &Message) -> RecvError {
    RecvError::OutOfTurn { expected, found: message.payload() }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecvError> {
    let error = |why: String| {
        let detail = format!("a message of {} bytes is none: {why}", bytes.len());
        let error = Error::new(ErrorKind::Encoding, "receive a value of", type_name::<T>(), detail);
        RecvError::Decoding(error)
    };
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(error(format!("{} bytes are left over", rest.len()))),
        Err(why) => Err(error(why.to_string())),
    }
}

fn encoding<T>(why: postcard::Error) -> Obstacle {
    let detail = format!("it cannot be encoded: {why}");
    Obstacle::Encoding(Error::new(ErrorKind::Encoding, "send a value of", type_name::<T>(), detail))
}
