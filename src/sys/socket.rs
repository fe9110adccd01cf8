//! Pairs of connected sockets that carry whole packets, with at most one file descriptor beside a packet's bytes.
//!
//! `SOCK_SEQPACKET`: a packet is sent and received whole or not at all, so several processes may share an end. Whether a call
//! waits is said per call (`MSG_DONTWAIT`): `O_NONBLOCK` would be a property of what all processes share.

#![expect(
    unsafe_code,
    reason = "message headers are pointers, and a received descriptor is a number"
)]

use nix::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Two connected sockets, close-on-exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: writes two descriptors.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    // SAFETY: made by the kernel a moment ago, nobody else owns them.
    Ok(fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into())
}

/// A control message with one descriptor, laid out as `CMSG_FIRSTHDR` and `CMSG_DATA` would find it.
#[repr(C)]
struct Passed {
    header: libc::cmsghdr,
    fd: c_int,
}

// SAFETY: computes a number.
const PASSED_BYTES: usize = unsafe { libc::CMSG_LEN(size_of::<c_int>() as u32) } as usize;
const _: () = assert!(std::mem::offset_of!(Passed, fd) + size_of::<c_int>() == PASSED_BYTES);

impl Passed {
    fn new(fd: RawFd) -> Passed {
        // SAFETY: integers only; some C libraries have padding fields that cannot be named.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        (header.cmsg_len, header.cmsg_level) = (PASSED_BYTES as _, libc::SOL_SOCKET);
        header.cmsg_type = libc::SCM_RIGHTS;
        Passed { header, fd }
    }
}

/// A message header over these parts; what it points to must outlive its use.
fn header(parts: &mut [libc::iovec], control: Option<&mut Passed>) -> libc::msghdr {
    // SAFETY: integers and pointers, which may be null.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), parts.len() as _);
    if let Some(control) = control {
        message.msg_control = std::ptr::from_mut(control).cast();
        message.msg_controllen = size_of::<Passed>() as _;
    }
    message
}

fn part(base: *const u8, bytes: usize) -> libc::iovec {
    libc::iovec { iov_base: base.cast_mut().cast(), iov_len: bytes }
}

/// Sends one packet. Errors as in [`send_parts`], which takes a tenth of a small packet's time more.
pub(crate) fn send(fd: BorrowedFd<'_>, packet: &[u8], waits: bool) -> Result<(), Errno> {
    let (base, length, flags) = (packet.as_ptr().cast(), packet.len(), send_flags(waits));
    loop {
        // SAFETY: reads the packet's bytes.
        match Errno::result(unsafe { libc::send(fd.as_raw_fd(), base, length, flags) }) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

fn send_flags(waits: bool) -> c_int {
    libc::MSG_NOSIGNAL | if waits { 0 } else { libc::MSG_DONTWAIT }
}

/// Sends `head` and `body` as one packet, with `passed` beside it. EAGAIN if there is no room and `waits` is false (or the
/// description was made non-blocking); EPIPE, ECONNRESET or ENOTCONN if the other side is gone, and no signal; EMSGSIZE if the
/// packet is bigger than the send buffer.
pub(crate) fn send_parts(
    fd: BorrowedFd<'_>,
    head: &[u8],
    body: &[u8],
    passed: Option<BorrowedFd<'_>>,
    waits: bool,
) -> Result<(), Errno> {
    let mut parts = [part(head.as_ptr(), head.len()), part(body.as_ptr(), body.len())];
    let mut control = passed.map(|passed| Passed::new(passed.as_raw_fd()));
    let message = header(&mut parts, control.as_mut());
    let flags = send_flags(waits);
    loop {
        // SAFETY: the header's pointers lead to `parts` and `control`, and those to slices that the call only reads.
        match Errno::result(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, flags) }) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// What came with [`receive`].
#[derive(Debug)]
pub(crate) struct Packet {
    /// Length of the packet; 0 is the end of the stream.
    pub(crate) bytes: usize,
    /// The descriptor beside it, close-on-exec.
    pub(crate) passed: Option<OwnedFd>,
    /// A descriptor was there and could not be installed here: it is lost.
    pub(crate) lost_one: bool,
}

/// Takes a packet: first into `head`, then into `body`, the rest into the spare capacity of `rest`, whose old content goes.
/// What has no place there either is lost. EAGAIN as in [`send_parts`].
///
/// ECONNRESET is told once, when the other side died without having read all; what it has sent is still to be had.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    head: &mut [u8],
    body: &mut [u8],
    rest: &mut Vec<u8>,
    waits: bool,
) -> Result<Packet, Errno> {
    rest.clear();
    let before = head.len() + body.len();
    let spare = rest.spare_capacity_mut();
    let (spare, spare_bytes) = (spare.as_mut_ptr().cast(), spare.len());
    let mut parts = [
        part(head.as_mut_ptr(), head.len()),
        part(body.as_mut_ptr(), body.len()),
        part(spare, spare_bytes),
    ];
    // The kernel takes its time over each part, also over an empty one.
    let parts = if before == 0 { &mut parts[2..] } else { &mut parts };
    let room = before + spare_bytes;
    let mut control = Passed::new(-1);
    control.header.cmsg_len = 0;
    let flags = libc::MSG_CMSG_CLOEXEC | if waits { 0 } else { libc::MSG_DONTWAIT };
    let (bytes, answered) = loop {
        let mut message = header(parts, Some(&mut control));
        // SAFETY: the header's pointers lead to `parts` and `control`, and those to memory that is borrowed here.
        match Errno::result(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, flags) }) {
            Err(Errno::EINTR) => {}
            received => break (received? as usize, message.msg_flags),
        }
    };
    // SAFETY: the kernel has written so many bytes beyond head and body, no more than there is capacity.
    unsafe { rest.set_len(bytes.min(room).saturating_sub(before)) };
    let is_right = control.header.cmsg_type == libc::SCM_RIGHTS
        && control.header.cmsg_len == PASSED_BYTES as _;
    // SAFETY: the kernel has installed this descriptor for this call; nobody else owns it.
    let passed = is_right.then(|| unsafe { OwnedFd::from_raw_fd(control.fd) });
    Ok(Packet { bytes, passed, lost_one: answered & libc::MSG_CTRUNC != 0 })
}

/// Makes `number`, a descriptor that is open, another name of what `stand_in` is. What it named before is let go; values that own
/// or borrow the number stay valid, and find the stand-in.
pub(crate) fn replace(number: RawFd, stand_in: BorrowedFd<'_>) -> Result<(), Errno> {
    loop {
        // SAFETY: takes integers. The number stays open, so nobody's ownership of it is hurt.
        let done = unsafe { libc::dup3(stand_in.as_raw_fd(), number, libc::O_CLOEXEC) };
        match Errno::result(done) {
            Err(Errno::EINTR | Errno::EBUSY) => {}
            done => return done.map(drop),
        }
    }
}

/// Whether this names a socket.
pub(crate) fn is_socket(fd: BorrowedFd<'_>) -> bool {
    nix::sys::stat::fstat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}
