//! Which ends of pipes a child gets: those that were moved into its closure, and no others.
//!
//! ```text
//!  parent                                       child
//!  fork ──────────────────────────────────────▶ has copies of all ends
//!  drops its copy of the closure: the ends      waits
//!    that go with it were moved
//!  tells their ids ───────────────────────────▶ lets go of all other ends, runs the hooks and the closure
//! ```
//!
//! Only the parent can find out: the drop of a closure is code, and running it in the child would drop what the child is to use.
//! A process without ends does none of this, and for a closure that owns nothing there is nothing to tell.
//!
//! A parent that dies before it has told closes the line; the child then ends as if the fork had not come about. (One that may
//! not outlive its parent is killed at that moment anyway.) A child that dies first does not hold the parent up: the line breaks.

use crate::error::{Error, Result};
use crate::queue::pipe::registry::{self, Registry};
use crate::sys::{Errno, socket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::MutexGuard;

/// How many ids go into one packet.
const IDS_PER_PACKET: usize = 4096;
/// Head of a packet: more will come, or that was all.
const MORE: u8 = 1;
const LAST: u8 = 0;

/// What a fork does about the ends of its process; made before it, one copy on each side after it.
pub(super) enum Bequest {
    /// There are no ends.
    NoEnds,
    /// The closure owns nothing: the child gets none.
    LetGo,
    /// To be told on this line: the parent's side and the child's.
    Told { parents: OwnedFd, childs: OwnedFd },
}

impl Bequest {
    /// Before the fork. Nobody makes or closes ends until the returned lock is released, in both processes (N1).
    pub(super) fn prepare(owns: bool) -> Result<(Bequest, MutexGuard<'static, Registry>)> {
        let registry = registry::lock();
        let bequest = match (registry.is_empty(), owns) {
            (true, _) => Bequest::NoEnds,
            (false, false) => Bequest::LetGo,
            (false, true) => {
                let (parents, childs) = socket::pair().map_err(|errno| {
                    Error::os("create", "the line on which a child is told its pipes", errno)
                })?;
                Bequest::Told { parents, childs }
            }
        };
        Ok((bequest, registry))
    }

    /// Whether there are ends to care for.
    pub(super) fn has_no_ends(&self) -> bool {
        matches!(self, Bequest::NoEnds)
    }

    /// In the parent: drops its copy of what the child was given, and tells the child which ends went with it.
    pub(super) fn tell<F>(self, closure: F) {
        let Bequest::Told { parents, childs } = self else { return drop(closure) };
        // With its last reader the line breaks, and nobody waits for a dead child.
        drop(childs);
        registry::dropping(closure, |ids| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            let send = |head: u8, ids: &[u64]| {
                let ids = ids.iter().flat_map(|id| id.to_ne_bytes());
                let packet: Vec<u8> = std::iter::once(head).chain(ids).collect();
                // It fails if the child is dead, which it may be.
                let _ = socket::send(parents.as_fd(), &packet, true);
            };
            let (full, last) = ids.split_at(ids.len() - ids.len() % IDS_PER_PACKET);
            full.chunks(IDS_PER_PACKET).for_each(|ids| send(MORE, ids));
            send(LAST, last);
        });
    }

    /// In the child: waits until it is told, and lets go of the rest. `Err` if it cannot be set up.
    pub(super) fn accept(self) -> std::result::Result<(), Errno> {
        match self {
            Bequest::NoEnds => Ok(()),
            Bequest::LetGo => registry::keep_only(&[]),
            Bequest::Told { parents, childs } => {
                drop(parents);
                registry::keep_only(&listen(&childs)?)
            }
        }
    }
}

fn listen(line: &OwnedFd) -> std::result::Result<Vec<u64>, Errno> {
    let (mut ids, mut bytes) = (Vec::new(), Vec::with_capacity(IDS_PER_PACKET * size_of::<u64>()));
    loop {
        let mut head = [LAST];
        let packet = socket::receive(line.as_fd(), &mut head, &mut [], &mut bytes, true)?;
        if packet.bytes == 0 {
            // The parent died.
            return Err(Errno::ESRCH);
        }
        let (words, _) = bytes.as_chunks();
        ids.extend(words.iter().map(|&word| u64::from_ne_bytes(word)));
        if head == [LAST] {
            return Ok(ids);
        }
    }
}
