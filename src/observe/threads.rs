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
