//! The threads in the roster: who an id is, and what each surely sleeps on.

use crate::observe::report::Holder;
use crate::observe::tree::{Member, Tree};
use crate::shm::outside::{RawEntry, RawWait, half, index_of};
use crate::sync::kernel::Awaits;
use crate::sync::rw_core::RwCore;
use crate::sync::rwlock::READERS;
use std::collections::BTreeMap;

/// The owner word of a lock that is free, but watched; ids are below that.
const ID_MASK: u32 = (1 << 30) - 1;
type Readers = RwCore<READERS>;

/// The entries of the roster, at two looks.
#[derive(Debug)]
pub(super) struct Threads {
    entries: BTreeMap<u32, RawEntry>,
}

/// A thread that sleeps, and those who kept it from going on while it did.
#[derive(Clone, Debug)]
pub(super) struct Sleeper {
    pub(super) entry: RawEntry,
    pub(super) wait: RawWait,
    /// Roster ids. Those of a lock are what the lock itself said, while the sleeper slept.
    pub(super) holders: Vec<u32>,
}

impl Threads {
    pub(super) fn new(entries: Vec<RawEntry>) -> Threads {
        Threads { entries: entries.into_iter().map(|entry| (entry.index, entry)).collect() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RawEntry> {
        self.entries.values()
    }

    fn entry(&self, id: u32) -> Option<&RawEntry> {
        let entry = self.entries.get(&index_of(id))?;
        (id != 0 && entry.has_id(id)).then_some(entry)
    }

    /// The living thread with this id.
    pub(super) fn living(&self, id: u32) -> Option<&RawEntry> {
        self.entry(id).filter(|entry| entry.tid != 0)
    }

    /// Who that is, dead or alive; `None` for nobody, and once the entry has a later tenant.
    pub(super) fn holder(&self, id: u32) -> Option<Holder> {
        self.entry(id & ID_MASK).map(holder_of)
    }

    /// Those who slept from this look to the next one, `later`, without a break; `looks` between the two.
    pub(super) fn sleepers(
        &self,
        tree: &Tree,
        later: impl FnOnce() -> Option<Threads>,
    ) -> Vec<Sleeper> {
        let mut sleepers = Vec::new();
        for entry in self.entries.values().filter(|entry| entry.tid != 0) {
            let (Some(wait), Some(member)) = (entry.wait, tree.members.get(&entry.pid)) else {
                continue;
            };
            let holders = holders_now(member, &wait);
            sleepers.push(Sleeper { entry: entry.clone(), wait, holders });
        }
        let Some(later) = later() else { return Vec::new() };
        // The same number, the same fields: they slept all the time (N1 in `shm/waits.rs`), and so did nothing else.
        sleepers.retain(|sleeper| later.entries.get(&sleeper.entry.index) == Some(&sleeper.entry));
        sleepers
    }
}

/// As it is shown.
pub(super) fn holder_of(entry: &RawEntry) -> Holder {
    Holder { pid: entry.pid, tid: entry.tid, name: entry.name.clone(), is_alive: entry.tid != 0 }
}

/// Who has what a thread waits for: by the lock's own words where there are such, else as it was noted.
fn holders_now(member: &Member, wait: &RawWait) -> Vec<u32> {
    if wait.kind == Awaits::Lock as u32 {
        let word = member.memory.read(wait.address, 4).unwrap_or_default();
        return vec![half(&word, 0) & ID_MASK];
    }
    if wait.kind == Awaits::Readers as u32 {
        let at = wait.address + Readers::SLOTS_BEHIND_BELL as u64;
        let slots = member.memory.read(at, READERS * Readers::SLOT_BYTES).unwrap_or_default();
        let tenants = slots.chunks_exact(Readers::SLOT_BYTES).map(|slot| half(slot, 0));
        return tenants.filter(|&id| id != 0).collect();
    }
    wait.holders.iter().copied().take_while(|&id| id != 0).collect()
}

/// What a thread waits for, in a word.
pub(super) fn what(kind: u32) -> &'static str {
    let words = [
        (Awaits::Lock, "lock"),
        (Awaits::Readers, "readers"),
        (Awaits::Condition, "notification"),
        (Awaits::Event, "event"),
        (Awaits::Change, "permit or item"),
        (Awaits::Parties, "parties"),
        (Awaits::Value, "value"),
        (Awaits::Message, "message"),
        (Awaits::Room, "room"),
        (Awaits::Outcome, "outcome"),
    ];
    words.iter().find(|(awaits, _)| *awaits as u32 == kind).map_or("something", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::{Awaits, Threads};
    use crate::observe::tree::{Member, Tree};
    use crate::shm::outside::{RawEntry, RawWait};
    use crate::shm::roster;
    use std::collections::BTreeMap;

    /// What one look alone would take for a deadlock:
    ///
    /// ```text
    ///  a  asleep on L, which is b's                    woken, L is a's   unlocks L
    ///     look 1: a waits for L                        look: L is a's               look 2: a sleeps no more, or on something else
    /// ```
    ///
    /// A note of the first look, a word of after it: a circle of a alone.
    #[test]
    fn one_who_was_handed_the_lock_does_not_wait_for_itself() {
        roster::ensure().unwrap();
        let (me, pid) = (roster::me(), std::process::id());
        let (member, file) = Member::open(pid, None).unwrap().unwrap();
        let header = member.header().unwrap();
        let index = crate::shm::outside::index_of(me);
        let mine = member.entries(header.entries).unwrap();
        let mine: RawEntry = mine.into_iter().find(|entry| entry.index == index).unwrap();
        let tree = Tree { order: Vec::new(), members: BTreeMap::from([(pid, member)]) };
        assert_ne!(file, 0);
        // The lock's word, as it is when it is read: mine.
        let word = Box::new(me);
        let asleep = |sequence| {
            let wait = RawWait {
                sequence,
                since: 1,
                address: std::ptr::from_ref(&*word).addr() as u64,
                kind: Awaits::Lock as u32,
                timed: false,
                holders: [0; 5],
            };
            Threads::new(vec![RawEntry { wait: Some(wait), ..mine.clone() }])
        };
        let awake = || Threads::new(vec![RawEntry { wait: None, ..mine.clone() }]);
        // The first look alone has the circle.
        let holders =
            super::holders_now(&tree.members[&pid], &asleep(17).entries[&index].wait.unwrap());
        assert_eq!(holders, [me & super::ID_MASK]);
        assert!(asleep(17).sleepers(&tree, || Some(awake())).is_empty());
        assert!(asleep(17).sleepers(&tree, || Some(asleep(19))).is_empty());
        assert!(asleep(17).sleepers(&tree, || None).is_empty());
        assert_eq!(asleep(17).sleepers(&tree, || Some(asleep(17))).len(), 1);
    }
}
