//! What carries messages of bytes from one end to another, of the peers: pipes, sockets, channels, and the ring that is the limit.
//!
//! An end belongs to one party. An empty message is the last one, on every side.
#![expect(unsafe_code, reason = "descriptors, and a ring in shared memory")]

use super::page::{Bytes, Page};
use ipc_channel::ipc;
use std::fs::File;
use std::hint::{black_box, spin_loop};
use std::io::{BufReader, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The end that sends.
pub(crate) trait Sender {
    /// Sends a copy of `message`; waits while there is no room.
    fn send(&mut self, message: &[u8]);
}

/// The end that receives.
pub(crate) trait Receiver {
    /// Waits for the next message and shows it, after every cache line of it has been read.
    fn receive(&mut self, look: impl FnOnce(&[u8]));
}

/// Reads a word of each cache line, for receivers that need not copy: the others have read every line when they have copied.
#[inline]
pub(crate) fn read_every_line(message: &[u8]) {
    let words = message.iter().step_by(64);
    black_box(words.fold(0, |seen, &word| seen ^ word));
}

/// The Unix pipe's writing end. All frames, length and message, are of one size, so that each is one `write` and one `read`: of
/// this, a `read` for the length and one for the rest, and frames that are cut out of a buffer, it is twice as fast as the others.
pub(crate) struct PipeSender(File, Vec<u8>);

/// The reading end.
pub(crate) struct PipeReceiver(File, Vec<u8>);

/// A Unix pipe that carries messages of up to `longest` bytes.
pub(crate) fn pipe(longest: usize) -> (PipeSender, PipeReceiver) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0, "pipe2");
    // SAFETY: the descriptors are new and nobody else's.
    let [reading, writing] = ends.map(|end| File::from(unsafe { OwnedFd::from_raw_fd(end) }));
    let frame = vec![0; LENGTH_BYTES + longest];
    (PipeSender(writing, frame.clone()), PipeReceiver(reading, frame))
}

impl Sender for PipeSender {
    fn send(&mut self, message: &[u8]) {
        self.1[..LENGTH_BYTES].copy_from_slice(&(message.len() as u32).to_ne_bytes());
        self.1[LENGTH_BYTES..][..message.len()].copy_from_slice(message);
        self.0.write_all(&self.1).expect("the other end lives");
    }
}

impl Receiver for PipeReceiver {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        self.0.read_exact(&mut self.1).expect("the other end lives");
        let (length, message) = self.1.split_first_chunk().expect("room for a length");
        look(&message[..u32::from_ne_bytes(*length) as usize]);
    }
}

/// What stands before a message in a stream.
const LENGTH_BYTES: usize = 4;

/// An end of a connected stream socket: length and message in one `writev` there, cut out of a buffer of 64 KiB here.
pub(crate) struct StreamSender(UnixStream);

/// The other end.
pub(crate) struct StreamReceiver(BufReader<UnixStream>, Vec<u8>);

/// A pair of stream sockets that carries messages of up to `longest` bytes.
pub(crate) fn stream_pair(longest: usize) -> (StreamSender, StreamReceiver) {
    let (sending, receiving) = UnixStream::pair().expect("a socket pair");
    let receiving = BufReader::with_capacity(64 << 10, receiving);
    (StreamSender(sending), StreamReceiver(receiving, vec![0; longest]))
}

impl Sender for StreamSender {
    fn send(&mut self, message: &[u8]) {
        write_frame(&mut self.0, message);
    }
}

impl Receiver for StreamReceiver {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        look(read_frame(&mut self.0, &mut self.1));
    }
}

fn write_frame(to: &mut impl Write, message: &[u8]) {
    let length = (message.len() as u32).to_ne_bytes();
    let frame = [IoSlice::new(&length), IoSlice::new(message)];
    let written = to.write_vectored(&frame).expect("the other end lives");
    // A stream takes a part only of what is too long for it.
    let done = written.checked_sub(length.len()).expect("room for a length");
    to.write_all(&message[done..]).expect("the other end lives");
}

fn read_frame<'a>(from: &mut impl Read, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut length = [0; LENGTH_BYTES];
    from.read_exact(&mut length).expect("the other end lives");
    let message = &mut buffer[..u32::from_ne_bytes(length) as usize];
    from.read_exact(message).expect("the other end lives");
    message
}

/// An end of a pair of SOCK_SEQPACKET sockets, bare: a message is a `send` and a `recv`.
pub(crate) struct PacketSocket(OwnedFd);

/// Both ends; each sends and receives.
pub(crate) fn packet_pair() -> (PacketSocket, PacketSocket) {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    // SAFETY: the descriptors are new and nobody else's.
    let [one, other] = ends.map(|end| PacketSocket(unsafe { OwnedFd::from_raw_fd(end) }));
    (one, other)
}

impl PacketSocket {
    /// Sends one packet.
    pub(crate) fn send_packet(&self, message: &[u8]) {
        let fd = self.0.as_raw_fd();
        // SAFETY: the buffer is valid for its length.
        let count = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(count, message.len() as isize, "send: {}", std::io::Error::last_os_error());
    }

    /// Receives one packet, and says how long it is.
    pub(crate) fn receive_packet(&self, buffer: &mut [u8]) -> usize {
        let fd = self.0.as_raw_fd();
        // SAFETY: the buffer is valid for its length.
        let count = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        usize::try_from(count).expect("recv")
    }
}

/// The receiving end of a pair of packet sockets, with its buffer.
pub(crate) struct PacketReceiver(pub(crate) PacketSocket, pub(crate) Vec<u8>);

impl Sender for PacketSocket {
    fn send(&mut self, message: &[u8]) {
        self.send_packet(message);
    }
}

impl Receiver for PacketReceiver {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        let length = self.0.receive_packet(&mut self.1);
        look(&self.1[..length]);
    }
}

impl Sender for crossbeam_channel::Sender<Vec<u8>> {
    fn send(&mut self, message: &[u8]) {
        (*self).send(message.to_vec()).expect("the other end lives");
    }
}

impl Receiver for crossbeam_channel::Receiver<Vec<u8>> {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        let message = self.recv().expect("the other end lives");
        read_every_line(&message);
        look(&message);
    }
}

impl Sender for ipc::IpcSender<Vec<u8>> {
    fn send(&mut self, message: &[u8]) {
        (*self).send(message.to_vec()).expect("the other end lives");
    }
}

impl Receiver for ipc::IpcReceiver<Vec<u8>> {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        look(&self.recv().expect("the other end lives"));
    }
}

/// Its channel of bytes, which spares the encoding.
impl Sender for ipc::IpcBytesSender {
    fn send(&mut self, message: &[u8]) {
        (*self).send(message).expect("the other end lives");
    }
}

impl Receiver for ipc::IpcBytesReceiver {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        look(&self.recv().expect("the other end lives"));
    }
}

/// The limit: a ring of fixed slots in shared memory, for one sender and one receiver that spin and know of nobody's death.
struct SpinningRing {
    positions: Page<Positions>,
    slots: Bytes,
    slot_bytes: usize,
}

/// How many messages have been sent and received, in cache lines of their own (and their neighbours').
struct Positions {
    sent: Line,
    received: Line,
}

#[repr(align(128))]
struct Line(AtomicUsize);

/// The end that copies in.
pub(crate) struct SpinningSender(std::sync::Arc<SpinningRing>);

/// The end that copies out into its own memory.
pub(crate) struct SpinningReceiver(std::sync::Arc<SpinningRing>, Vec<u8>);

/// A ring for `slots` messages of up to `longest` bytes.
pub(crate) fn spinning_ring(slots: usize, longest: usize) -> (SpinningSender, SpinningReceiver) {
    let slot_bytes = (8 + longest).next_multiple_of(64);
    let zero = || Line(AtomicUsize::new(0));
    let positions = Page::new(Positions { sent: zero(), received: zero() });
    let ring = SpinningRing { positions, slots: Bytes::new(slots * slot_bytes), slot_bytes };
    let ring = std::sync::Arc::new(ring);
    (SpinningSender(ring.clone()), SpinningReceiver(ring, vec![0; longest]))
}

impl SpinningRing {
    /// The slot's length word and its bytes.
    fn slot(&self, position: usize) -> *mut u8 {
        let slots = self.slots.len() / self.slot_bytes;
        let offset = position % slots * self.slot_bytes;
        // SAFETY: the slot lies within the mapping.
        unsafe { self.slots.as_ptr().add(offset) }
    }
}

impl Sender for SpinningSender {
    fn send(&mut self, message: &[u8]) {
        let ring = &*self.0;
        let Positions { sent, received } = &*ring.positions;
        let position = sent.0.load(Ordering::Relaxed);
        let slots = ring.slots.len() / ring.slot_bytes;
        assert!(message.len() <= ring.slot_bytes - 8, "the message fits a slot");
        while position - received.0.load(Ordering::Acquire) == slots {
            spin_loop();
        }
        let slot = ring.slot(position);
        // SAFETY: the slot is the sender's until `sent` says otherwise, and slots are aligned to cache lines.
        unsafe { slot.cast::<usize>().write(message.len()) };
        // SAFETY: a slot has room for the bytes behind its length.
        let bytes = unsafe { slot.add(8) };
        // SAFETY: the message fits, see above; it lies in private memory, so the two do not overlap.
        unsafe { bytes.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        sent.0.store(position + 1, Ordering::Release);
    }
}

impl Receiver for SpinningReceiver {
    fn receive(&mut self, look: impl FnOnce(&[u8])) {
        let ring = &*self.0;
        let Positions { sent, received } = &*ring.positions;
        let position = received.0.load(Ordering::Relaxed);
        while sent.0.load(Ordering::Acquire) == position {
            spin_loop();
        }
        let slot = ring.slot(position);
        // SAFETY: `sent` has been seen beyond the slot, so it is the receiver's, and its length was written.
        let length = unsafe { slot.cast::<usize>().read() };
        let copy = &mut self.1[..length];
        // SAFETY: a slot has room for the bytes behind its length.
        let bytes = unsafe { slot.add(8) };
        // SAFETY: the sender wrote so many bytes; the copy is private memory.
        unsafe { copy.as_mut_ptr().copy_from_nonoverlapping(bytes, length) };
        received.0.store(position + 1, Ordering::Release);
        look(&self.1[..length]);
    }
}
