//! Packets with many descriptors beside them, for the few that carry more than [`socket`](super::socket)'s one.

#![expect(
    unsafe_code,
    reason = "message headers are pointers, and received descriptors are numbers"
)]

use nix::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that the kernel takes with one packet (`SCM_MAX_FD`).
pub(crate) const DESCRIPTORS_MAX: usize = 253;

// SAFETY: computes a number.
const HEADER_BYTES: usize = unsafe { libc::CMSG_LEN(0) } as usize;

/// A control message with room for all of them, laid out as `CMSG_FIRSTHDR` and `CMSG_DATA` would find it.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    numbers: [c_int; DESCRIPTORS_MAX + 1],
}

const _: () = assert!(std::mem::offset_of!(Rights, numbers) == HEADER_BYTES);

impl Rights {
    fn new(count: usize) -> Rights {
        // SAFETY: integers only; some C libraries have padding fields that cannot be named.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = (HEADER_BYTES + count * size_of::<c_int>()) as _;
        (header.cmsg_level, header.cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        Rights { header, numbers: [-1; DESCRIPTORS_MAX + 1] }
    }
}

/// A message header over these parts, without a control message.
fn header(parts: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: integers and pointers, which may be null.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), parts.len() as _);
    message
}

/// Sends one packet of these parts, waiting for room. E2BIG for more than [`DESCRIPTORS_MAX`] descriptors, EMSGSIZE for a packet
/// that is bigger than the send buffer; EPIPE or ECONNRESET if the other side is gone, and no signal.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    head: &[u8],
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(Errno::E2BIG);
    }
    let mut rights = Rights::new(descriptors.len());
    for (number, descriptor) in rights.numbers.iter_mut().zip(descriptors) {
        *number = descriptor.as_raw_fd();
    }
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut parts = [part(head), part(body)];
    let mut message = header(&mut parts);
    if !descriptors.is_empty() {
        message.msg_control = (&raw mut rights).cast();
        message.msg_controllen = rights.header.cmsg_len;
    }
    loop {
        // SAFETY: the header's pointers lead to `parts` and `rights`, and those to slices that the call only reads.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
        match Errno::result(sent) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// What came with [`receive`].
#[derive(Debug)]
pub(crate) struct Handover {
    /// Length of the packet; 0 is the end of the stream.
    pub(crate) bytes: usize,
    /// The descriptors beside it, close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Not all of it had room: the packet in the buffer, or the descriptors in this process.
    pub(crate) is_cut: bool,
}

/// Waits for a packet and takes it.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Handover, Errno> {
    let mut rights = Rights::new(0);
    let mut parts = [libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() }];
    let (bytes, answered) = loop {
        rights.header.cmsg_len = 0;
        let mut message = header(&mut parts);
        message.msg_control = (&raw mut rights).cast();
        message.msg_controllen = size_of::<Rights>() as _;
        // SAFETY: the header's pointers lead to `parts` and `rights`, and those to memory that is borrowed here.
        let received =
            unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            received => break (received? as usize, message.msg_flags),
        }
    };
    let is_right = rights.header.cmsg_type == libc::SCM_RIGHTS;
    #[allow(clippy::unnecessary_cast, reason = "32 bits in some C libraries")]
    let length = (rights.header.cmsg_len as usize).saturating_sub(HEADER_BYTES);
    let count = if is_right { length / size_of::<c_int>() } else { 0 };
    // SAFETY: the kernel has installed these descriptors for this call; nobody else owns them.
    let own = |&number: &RawFd| unsafe { OwnedFd::from_raw_fd(number) };
    let descriptors = rights.numbers[..count].iter().map(own).collect();
    let is_cut = answered & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0;
    Ok(Handover { bytes, descriptors, is_cut })
}
