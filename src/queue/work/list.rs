//! Lists of slots, through their `next` and `previous`. All of it follows from the slots' words: whoever takes the lock from a
//! dead owner throws the lists away and makes them anew (`Table::repair`).

use crate::prim::AtomicU32;
use crate::queue::work::slot::{NONE, Slot, get, set};

/// A list's ends and length.
#[derive(Debug)]
#[repr(C)]
pub(super) struct List {
    first: AtomicU32,
    last: AtomicU32,
    count: AtomicU32,
    _unused: u32,
}

impl List {
    pub(super) const COUNT_OFFSET: usize = std::mem::offset_of!(List, count);

    pub(super) fn new() -> List {
        let none = || AtomicU32::new(NONE);
        List { first: none(), last: none(), count: AtomicU32::new(0), _unused: 0 }
    }

    pub(super) fn clear(&self) {
        set(&self.first, NONE);
        set(&self.last, NONE);
        set(&self.count, 0);
    }

    /// Becomes what `other` is.
    pub(super) fn become_copy_of(&self, other: &List) {
        set(&self.first, get(&other.first));
        set(&self.last, get(&other.last));
        set(&self.count, get(&other.count));
    }

    pub(super) fn first(&self) -> Option<u32> {
        Some(get(&self.first)).filter(|&slot| slot != NONE)
    }

    pub(super) fn last(&self) -> Option<u32> {
        Some(get(&self.last)).filter(|&slot| slot != NONE)
    }

    pub(super) fn len(&self) -> u32 {
        get(&self.count)
    }

    pub(super) fn push_back(&self, slots: &[Slot], slot: u32) {
        self.insert_between(slots, get(&self.last), slot, NONE);
    }

    /// To where its number belongs, near the front: passes those that are older.
    pub(super) fn insert_from_front(&self, slots: &[Slot], slot: u32) {
        let number = slots[slot as usize].number();
        let (mut before, mut after) = (NONE, get(&self.first));
        while after != NONE && slots[after as usize].number() < number {
            (before, after) = (after, get(&slots[after as usize].next));
        }
        self.insert_between(slots, before, slot, after);
    }

    /// To where its number belongs, near the back: passes those that are younger.
    pub(super) fn insert_from_back(&self, slots: &[Slot], slot: u32) {
        let number = slots[slot as usize].number();
        let (mut before, mut after) = (get(&self.last), NONE);
        while before != NONE && slots[before as usize].number() > number {
            (before, after) = (get(&slots[before as usize].previous), before);
        }
        self.insert_between(slots, before, slot, after);
    }

    fn insert_between(&self, slots: &[Slot], before: u32, slot: u32, after: u32) {
        set(&slots[slot as usize].previous, before);
        set(&slots[slot as usize].next, after);
        self.join(slots, before, slot);
        self.join(slots, slot, after);
        set(&self.count, self.len() + 1);
    }

    pub(super) fn remove(&self, slots: &[Slot], slot: u32) {
        let taken = &slots[slot as usize];
        self.join(slots, get(&taken.previous), get(&taken.next));
        set(&self.count, self.len() - 1);
    }

    /// Makes two slots neighbours; [`NONE`] is what lies beyond an end.
    fn join(&self, slots: &[Slot], before: u32, after: u32) {
        match before {
            NONE => set(&self.first, after),
            before => set(&slots[before as usize].next, after),
        }
        match after {
            NONE => set(&self.last, before),
            after => set(&slots[after as usize].previous, before),
        }
    }
}
