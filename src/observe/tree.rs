//! The processes of a tree, their memory, and where in it the shared things are.

use crate::error::{Error, ErrorKind};
use crate::shm::outside::{self, RawEntry, RawHeader};
use crate::shm::roster;
use crate::sys::Errno;
use crate::sys::outside::{Memory, Segment, Stat, processes, segments};
use std::collections::{BTreeMap, BTreeSet};

/// A process of the tree that can be read.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) memory: Memory,
    /// Its shared mappings.
    segments: Vec<Segment>,
    /// Where its roster lies.
    roster: u64,
}

/// A place in shared memory: the file's inode, and an offset. Of private memory: 0, and the address.
pub(super) type Place = (u64, u64);

impl Member {
    /// Opens a process; `Ok(None)` if it does not map a roster, or not the one of this inode.
    pub(super) fn open(pid: u32, file: Option<u64>) -> Result<Option<(Member, u64)>, Errno> {
        let segments = segments(pid)?;
        let name = format!("/memfd:{}", roster::FILE_NAME.to_str().unwrap_or_default());
        let is_roster = |segment: &&Segment| {
            segment.offset == 0
                && segment.name.split(" (deleted)").next() == Some(name.as_str())
                && file.is_none_or(|file| segment.inode == file)
        };
        let Some(found) = segments.iter().find(is_roster) else { return Ok(None) };
        let (start, inode) = (found.start, found.inode);
        let memory = Memory::of(pid)?;
        let segments = segments.into_iter().filter(|s| s.is_shared && s.inode != 0).collect();
        Ok(Some((Member { memory, segments, roster: start }, inode)))
    }

    pub(super) fn header(&self) -> Option<RawHeader> {
        outside::header(&self.memory.read(self.roster, outside::HEADER_BYTES)?)
    }

    /// All entries of the roster that were ever used.
    pub(super) fn entries(&self, count: usize) -> Option<Vec<RawEntry>> {
        let at = self.roster + outside::entries_offset();
        let bytes = self.memory.read(at, count * outside::ENTRY_BYTES)?;
        let entries = bytes.chunks_exact(outside::ENTRY_BYTES).enumerate();
        Some(entries.filter_map(|(index, bytes)| outside::entry(index, bytes)).collect())
    }

    /// A part of the roster.
    pub(super) fn roster_bytes(&self, offset: u64, bytes: usize) -> Option<Vec<u8>> {
        self.memory.read(self.roster + offset, bytes)
    }

    /// The name that the process has, kept where the header says.
    pub(super) fn name(&self, name_at: u64) -> Option<String> {
        let bytes = self.memory.read(name_at, outside::PROCESS_NAME_BYTES)?;
        Some(outside::text(&bytes)).filter(|name| !name.is_empty())
    }

    /// What an address of this process means to all.
    pub(super) fn place_of(&self, address: u64) -> Place {
        let segment = self.segments.iter().find(|s| (s.start..s.end).contains(&address));
        segment.map_or((0, address), |s| (s.inode, address - s.start + s.offset))
    }

    /// Where a place lies in this process.
    pub(super) fn address_of(&self, place: Place, bytes: u64) -> Option<u64> {
        let lies_in = |s: &&Segment| {
            s.inode == place.0
                && place.1 >= s.offset
                && place.1.checked_add(bytes).is_some_and(|end| end <= s.offset + (s.end - s.start))
        };
        let segment = self.segments.iter().find(lies_in)?;
        Some(segment.start + (place.1 - segment.offset))
    }
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    /// Each before its children, with its depth.
    pub(super) order: Vec<(Stat, usize)>,
    pub(super) members: BTreeMap<u32, Member>,
}

impl Tree {
    /// All descendants of `root`, and whoever else is in its roster.
    pub(super) fn new(root: u32, file: u64, entries: &[RawEntry]) -> Result<Tree, Error> {
        let os = |errno| Error::os("look at", "/proc", errno);
        let all: BTreeMap<u32, Stat> =
            processes().map_err(os)?.into_iter().map(|stat| (stat.pid, stat)).collect();
        let mut pids = BTreeSet::from([root]);
        let mut members = BTreeMap::new();
        let listed = entries.iter().filter(|entry| entry.tid != 0).map(|entry| entry.pid);
        for pid in listed.collect::<BTreeSet<_>>() {
            // One that has ended meanwhile, or that another user's privileges protect, is not read.
            if let Ok(Some((member, _))) = Member::open(pid, Some(file)) {
                members.insert(pid, member);
                pids.insert(pid);
            }
        }
        loop {
            let is_new = |stat: &&Stat| pids.contains(&stat.parent) && !pids.contains(&stat.pid);
            let more: Vec<u32> = all.values().filter(is_new).map(|stat| stat.pid).collect();
            if more.is_empty() {
                break;
            }
            pids.extend(more);
        }
        for &pid in &pids {
            if !members.contains_key(&pid)
                && let Ok(Some((member, _))) = Member::open(pid, Some(file))
            {
                members.insert(pid, member);
            }
        }
        let mut order = Vec::new();
        let tops =
            pids.iter().filter(|pid| all.get(pid).is_some_and(|s| !pids.contains(&s.parent)));
        let mut stack: Vec<(u32, usize)> = tops.rev().map(|&pid| (pid, 0)).collect();
        while let Some((pid, depth)) = stack.pop() {
            let Some(stat) = all.get(&pid) else { continue };
            order.push((stat.clone(), depth));
            let children =
                pids.iter().filter(|child| all.get(child).is_some_and(|c| c.parent == pid));
            stack.extend(children.rev().map(|&child| (child, depth + 1)));
        }
        Ok(Tree { order, members })
    }

    /// A process that maps this place, and where.
    pub(super) fn find(&self, place: Place, bytes: u64) -> Option<(&Member, u64)> {
        let mut members = self.members.values();
        members.find_map(|member| Some((member, member.address_of(place, bytes)?)))
    }

    /// Copies what lies at a place.
    pub(super) fn read(&self, place: Place, bytes: usize) -> Option<Vec<u8>> {
        let (member, address) = self.find(place, bytes as u64)?;
        member.memory.read(address, bytes)
    }
}

/// Why a process cannot be looked at.
pub(super) fn refused(pid: u32, errno: Errno) -> Error {
    let object = format!("process {pid}");
    match errno {
        Errno::EACCES | Errno::EPERM => Error::new(
            ErrorKind::Unsupported,
            "look at",
            object,
            "no right to read its memory: be the same user, and one of its ancestors or root where kernel.yama.ptrace_scope is 1",
        ),
        Errno::ESRCH => {
            Error::new(ErrorKind::InvalidInput, "look at", object, "there is no such process")
        }
        errno => Error::os("look at", object, errno),
    }
}
