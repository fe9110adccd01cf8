//! How a child notices that its parent is gone: two ways, so that one failing is not an orphan.
//!
//! ```text
//!   parent P ── write end ──▶ ( pipe that nobody reads ) ◀── read end, own description: child A, SIGKILL at hang-up
//!                                                        ◀── read end, own description: child B, SIGKILL at hang-up
//! ```
//!
//! - The **lifeline** ([`sys::lifeline`](crate::sys::lifeline)): P holds the only write end. However P ends, its descriptors
//!   close, and the kernel kills A and B; they held the write ends of their own lifelines, so their children follow.
//! - **PR_SET_PDEATHSIG** besides, where the forking thread is P's first one: it fires when that *thread* ends, so for any
//!   other it would kill children of a living parent. It outlives an exec, which closes the lifeline; the lifeline outlives a
//!   change of user, which clears the death signal.
//!
//! Both descriptors live in statics as numbers: what a fork copied is closed by the first code that runs in the copy. In
//! children that are not ours (somebody's `fork()` without an exec) that is a `pthread_atfork` handler: otherwise such a
//! process would hold our write end and keep our children alive. Only a raw `clone` without exec escapes it.
//!
//! Invariants. **L1** `WRITER` is the write end of this process's lifeline, or -1. **L2** `READER` is this process's own read
//! end on its parent's, or -1. **L3** `KEPT` is a read end that the parent has kept open, or -1, and at most one living child has
//! it too: a description sends its signal to one process, the last that put itself there.

use crate::error::{Error, Result};
use crate::sys::Errno;
use crate::sys::atfork::on_fork_child;
use crate::sys::{lifeline, signal};
use std::cell::Cell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

static WRITER: AtomicI32 = AtomicI32::new(-1);
static READER: AtomicI32 = AtomicI32::new(-1);
/// The read end that the parent keeps from child to child, or -1: opening one takes 8 µs, a tenth of a small fork.
static KEPT: AtomicI32 = AtomicI32::new(-1);
/// Whether no living child has it.
static KEPT_IS_FREE: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the fork that this thread is making is our own, whose child needs the write end for a moment.
    static OWN_FORK: Cell<bool> = const { Cell::new(false) };
}

/// What a child must do about its parent's death; made by the parent before the fork, and kept there while the child lives.
pub(super) struct Leash {
    parent: u32,
    main_thread: bool,
    outlive: bool,
    /// The child's read end; `None` if it may outlive, or where there is no /proc.
    reader: Option<RawFd>,
    /// Whether `reader` is the one that the parent keeps (L3).
    kept: bool,
    /// Whether the child is forked by the parent's fork server, and so never has the write end.
    by_server: bool,
}

/// Prepares a fork by this thread: makes the lifeline, unless the child may outlive its parent. The caller holds the family's
/// lock, so that no two threads do this at once.
/// A child that is there to `stay` has a read end of its own, and leaves the kept one to the others.
pub(super) fn prepare(parent: u32, outlive: bool, stays: bool) -> Result<Leash> {
    let error = |errno| Error::os("create", "the lifeline", errno);
    if !HANDLED.swap(true, Ordering::Relaxed) {
        on_fork_child(close_copies).map_err(error)?;
    }
    let main_thread = signal::is_main_thread();
    let (reader, kept, by_server) = (None, false, false);
    let mut leash = Leash { parent, main_thread, outlive, reader, kept, by_server };
    if !outlive {
        match if stays { own_reader() } else { reader_for_child() } {
            Ok((reader, kept)) => (leash.reader, leash.kept) = (Some(reader), kept),
            // No /proc: the first thread's death signal must do.
            Err(Errno::ENOENT | Errno::EACCES) if leash.main_thread => {}
            Err(errno) => return Err(error(errno)),
        }
    }
    OWN_FORK.set(true);
    Ok(leash)
}

/// A read end that no living child has, and whether it is the one that is kept.
fn reader_for_child() -> std::result::Result<(RawFd, bool), Errno> {
    if KEPT_IS_FREE.swap(false, Ordering::Acquire) {
        return Ok((KEPT.load(Ordering::Relaxed), true));
    }
    let (reader, _) = own_reader()?;
    let kept = KEPT.compare_exchange(-1, reader, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    Ok((reader, kept))
}

/// A read end that is not to be kept.
fn own_reader() -> std::result::Result<(RawFd, bool), Errno> {
    if WRITER.load(Ordering::Relaxed) < 0 {
        WRITER.store(lifeline::keep(lifeline::new()?), Ordering::Relaxed);
    }
    Ok((lifeline::keep(lifeline::open_reader(WRITER.load(Ordering::Relaxed))?), false))
}

impl Leash {
    /// What the parent notes of a child that its fork server makes: nothing is kept here.
    pub(super) fn elsewhere(parent: u32, outlive: bool) -> Leash {
        Leash { parent, main_thread: false, outlive, reader: None, kept: false, by_server: true }
    }

    /// In a fork server, whose own leash this is: one for a child of the same parent.
    pub(super) fn for_sibling(&self, outlive: bool) -> std::result::Result<Leash, Errno> {
        let own = READER.load(Ordering::Relaxed);
        let reader = match outlive || own < 0 {
            true => None,
            false => Some(lifeline::keep(lifeline::open_reader(own)?)),
        };
        let (parent, main_thread) = (self.parent, self.main_thread);
        Ok(Leash { parent, main_thread, outlive, reader, kept: false, by_server: true })
    }

    /// In the parent, after the fork; without a child if it failed.
    pub(super) fn forked(&self, has_child: bool) {
        OWN_FORK.set(false);
        match self.reader {
            Some(reader) if !self.kept => lifeline::close(reader),
            _ if !has_child => self.take_off(),
            _ => {}
        }
    }

    /// In the parent, once the child is dead.
    pub(super) fn take_off(&self) {
        if self.kept {
            KEPT_IS_FREE.store(true, Ordering::Release);
        }
    }

    /// Puts the leash on, first thing in the child `pid`.
    pub(super) fn put_on(&self, pid: u32) -> std::result::Result<(), Errno> {
        OWN_FORK.set(false);
        close(&READER);
        if !self.outlive && self.main_thread {
            signal::die_with_parent_thread()?;
        }
        if let Some(reader) = self.reader {
            READER.store(reader, Ordering::Relaxed);
            lifeline::hold_on(reader, pid)?;
        }
        // If the parent is dead by now, this ends the process (or the last line, where there is no /proc).
        close(&WRITER);
        match self.kept {
            true => KEPT.store(-1, Ordering::Relaxed),
            false => close(&KEPT),
        }
        KEPT_IS_FREE.store(false, Ordering::Relaxed);
        if self.by_server && self.reader.is_some_and(lifeline::is_cut) {
            signal::kill(pid);
        }
        if !self.outlive && self.main_thread && signal::parent_pid() != self.parent {
            signal::kill(pid);
        }
        Ok(())
    }
}

/// Runs in every child of a C `fork()`. Async-signal-safe: atomics and close(2).
extern "C" fn close_copies() {
    if !OWN_FORK.get() {
        close(&WRITER);
        close(&READER);
        close(&KEPT);
        KEPT_IS_FREE.store(false, Ordering::Relaxed);
    }
}

fn close(descriptor: &AtomicI32) {
    let fd = descriptor.swap(-1, Ordering::Relaxed);
    if fd >= 0 {
        lifeline::close(fd);
    }
}
