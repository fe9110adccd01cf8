//! The server's side: takes orders one by one until its client is gone.
//!
//! It has one thread, allocates little and keeps nothing from order to order but mapped chunks of the client's board, so its forks
//! cost what a fork of a small process costs. It has no children: those that it forks are the client's (CLONE_PARENT), so it reaps
//! nobody, and its own death loses nobody.
//!
//! What a SIGKILL of it leaves: a child whose pid the kernel has noted in its cell, or no child (see `born` in `outcome.rs`);
//! descriptors go with the process, and those in a packet that nobody has taken go with the socket.

#![expect(unsafe_code, reason = "forks")]

use crate::process::board::Board;
use crate::process::family;
use crate::process::fork_server::landing::{Cargo, Landing, land_at};
use crate::process::fork_server::order::{Order, PACKET_BYTES_MAX, Refusal, Reply};
use crate::process::panic::ProcessInfo;
use crate::process::seat::Seat;
use crate::sys::fork::Side;
use crate::sys::handover::{self, Handover};
use crate::sys::parcel::Parcel;
use crate::sys::sibling::Siblings;
use crate::sys::signal::Mask;
use crate::sys::{Errno, lifeline, procfs, signal};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The server, in its own process.
pub(super) struct Server {
    /// The client's.
    board: Arc<Board>,
    seat: &'static Seat,
    siblings: Siblings,
    /// The mask of its children. The server blocks SIGINT for ever, since Ctrl-C at a terminal is for the client to decide about;
    /// one that is sent to a child too early waits there until the mask is back (ignored, it would be lost).
    mask: Mask,
    /// Where there was code when it started; empty if nobody could say.
    code: Vec<Range<usize>>,
}

impl Server {
    /// Says whether it is ready, and serves until the client has closed the line. (If it has died, the lifeline is faster.)
    pub(super) fn run(line: OwnedFd, board: Arc<Board>) {
        match Server::new(board) {
            Ok(server) => server.serve(&line),
            Err(errno) => drop(tell(&line, Reply::Refused(Refusal::Fork, errno))),
        }
    }

    fn new(board: Arc<Board>) -> Result<Server, Errno> {
        // The family of the client goes from this process, with its pidfds.
        drop(family::lock());
        let code = procfs::code_ranges().unwrap_or_default();
        let seat = family::seat().ok_or(Errno::ESRCH)?;
        let siblings = Siblings::of_this_thread()?;
        let mask = Mask::block_interrupt()?;
        Ok(Server { board, seat, siblings, mask, code })
    }

    fn serve(self, line: &OwnedFd) {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        let mut reply = Reply::Born(signal::pid());
        while tell(line, reply).is_ok() {
            let Ok(handover) = handover::receive(line.as_fd(), &mut buffer) else { return };
            let bytes = match handover.bytes {
                0 => return,
                bytes => bytes.min(buffer.len()),
            };
            reply = match self.obey(line, &buffer[..bytes], handover) {
                Ok(pid) => Reply::Born(pid),
                Err((refusal, errno)) => Reply::Refused(refusal, errno),
            };
        }
    }

    /// Forks the child that is wanted, and returns its pid. Everything that can be done before the fork is.
    fn obey(
        &self,
        line: &OwnedFd,
        packet: &[u8],
        handover: Handover,
    ) -> Result<u32, (Refusal, Errno)> {
        if handover.is_cut {
            return Err((Refusal::Cut, Errno::EMFILE));
        }
        let garbled = (Refusal::Garbled, Errno::EBADMSG);
        let (order, bytes) = postcard::take_from_bytes::<Order<'_>>(packet).map_err(|_| garbled)?;
        if !self.has_code_at(order.landing) {
            return Err((Refusal::NoCode, Errno::EFAULT));
        }
        let mut descriptors = handover.descriptors;
        if order.has_parcel && descriptors.is_empty() {
            return Err(garbled);
        }
        let parcel = order.has_parcel.then(|| Parcel::new(descriptors.remove(0)));
        let cargo = Cargo { bytes: bytes.to_vec(), parcel, descriptors };
        let cell = self.board.attach(order.cell).map_err(|errno| (Refusal::Room, errno))?;
        let leash = self.seat.leash.for_sibling(order.outlive);
        let leash = leash.map_err(|errno| (Refusal::Leash, errno))?;
        let (name, parent) = (order.name.to_owned(), self.seat.parent.clone());
        let family = family::lock();
        // So that the page is there for the kernel's word: it would not wait for one if this process was being killed.
        cell.born().store(0, Ordering::Relaxed);
        // SAFETY: this process has one thread: it was forked by one, whose copy it is, and has started no other. The child's frames
        // are left by a landing alone, which does not return. The cell is mapped.
        let side = unsafe { self.siblings.clone(cell.born()) };
        if side == Ok(Side::Child) {
            // The value in the server's frame never uses or closes it here.
            lifeline::close(line.as_raw_fd());
            self.mask.restore();
            let process = ProcessInfo::new(signal::pid(), name);
            let seat = Seat { process, parent, cell, leash };
            let landing = Landing { seat, family, cargo, target: order.target };
            // SAFETY: the client is this program, and its orders name landings; this process was forked from it when the code was
            // there, or it would not have it now (asked above).
            unsafe { land_at(order.landing, landing) };
        }
        leash.forked(side.is_ok());
        match side {
            Ok(Side::Parent(pid)) => Ok(pid),
            Ok(Side::Child) => unreachable!("the child has landed"),
            Err(errno) => Err((Refusal::Fork, errno)),
        }
    }

    fn has_code_at(&self, address: usize) -> bool {
        self.code.is_empty() || self.code.iter().any(|range| range.contains(&address))
    }
}

fn tell(line: &OwnedFd, reply: Reply) -> Result<(), Errno> {
    handover::send(line.as_fd(), &reply.to_bytes(), &[], &[])
}
