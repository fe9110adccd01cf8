//! The table: items, who holds them, and in which order they are to be delivered. All calls are made under one lock.
//!
//! ```text
//!  slots     word, number, lease, payload   ── the truth: each operation on an item is one store of a word
//!  ready     ─▶ 4 ─▶ 7 ─▶ 8    by number    ┐
//!  holders   A ─▶ 3 ─▶ 6                    │ follow from the slots: made anew when an owner of the lock died
//!            B ─▶ 5           by delivery   │
//!  dead      ─▶ 1 ─▶ 2        by number     │
//!  free      slots, blocks                  ┘
//! ```
//!
//! - T1 An item keeps its number from send to end. The ready item with the smallest number is delivered next, so what comes back
//!   comes before what is younger.
//! - T2 A delivery raises the attempts in the same store that names the holder. There is no death between the two.
//! - T3 A lease ends by its holder, or by anybody once the holder is dead. Nobody takes an item from the living.
//! - T4 A payload does not change between the store that makes the slot READY and the one that makes it FREE.
//!
//! What a `kill -9` leaves: slots in one standing or the other, and lists that are not to be trusted; see [`Table::repair`].

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::queue::gauge::{Gauge, half, word};
use crate::queue::work::blocks::{Blocks, Free};
use crate::queue::work::list::List;
use crate::queue::work::slot::{Kind, NONE, Slot, Standing, get, set};
use std::mem::offset_of;

/// The table's own words. Written by the owner of the lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct TableHead {
    /// The number of the next item, the place of the next delivery.
    next_number: AtomicU64,
    next_lease: AtomicU64,
    max_attempts: AtomicU32,
    /// How many entries of the holders' table are in use.
    holder_count: AtomicU32,
    leased: AtomicU32,
    pub(super) blocks: Free,
    unused: List,
    ready: List,
    dead: List,
}

/// A thread that holds items, and which.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Holder {
    id: AtomicU32,
    leases: List,
}

/// The table as one process sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    pub(super) head: &'a TableHead,
    pub(super) slots: &'a [Slot],
    /// As many as slots: each holder has one at least. Those in use come first.
    pub(super) holders: &'a [Holder],
    pub(super) blocks: Blocks<'a>,
}

/// What a holder says of an item in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is done.
    Done,
    /// It is to be delivered again.
    Again,
    /// Nobody can do it: a dead letter.
    Hopeless,
}

/// A dead letter's text.
#[derive(Debug)]
pub(crate) struct Letter {
    index: u32,
    number: u64,
    pub(crate) standing: Standing,
    pub(crate) payload: Vec<u8>,
}

impl TableHead {
    pub(super) fn new(max_attempts: u32) -> TableHead {
        let zero = || AtomicU32::new(0);
        TableHead {
            next_number: AtomicU64::new(0),
            next_lease: AtomicU64::new(0),
            max_attempts: AtomicU32::new(max_attempts),
            holder_count: zero(),
            leased: zero(),
            blocks: Free::new(),
            unused: List::new(),
            ready: List::new(),
            dead: List::new(),
        }
    }
}

/// What an outsider reads of a table's own words.
pub(crate) fn gauge(bytes: &[u8]) -> Gauge {
    let count = |at| u64::from(half(bytes, at + List::COUNT_OFFSET));
    let ready = count(offset_of!(TableHead, ready));
    let leased = u64::from(half(bytes, offset_of!(TableHead, leased)));
    let dead = count(offset_of!(TableHead, dead));
    // Numbers begin at 1.
    let sent = word(bytes, offset_of!(TableHead, next_number)).saturating_sub(1);
    Gauge {
        sent,
        received: sent.wrapping_sub(ready),
        leased: Some(leased),
        dead: Some(dead),
        ..Gauge::default()
    }
}

impl Holder {
    pub(crate) fn new() -> Holder {
        Holder { id: AtomicU32::new(0), leases: List::new() }
    }
}

impl Table<'_> {
    pub(super) fn ready(&self) -> u32 {
        self.head.ready.len()
    }

    pub(super) fn leased(&self) -> u32 {
        get(&self.head.leased)
    }

    pub(super) fn dead(&self) -> u32 {
        self.head.dead.len()
    }

    pub(super) fn unused(&self) -> u32 {
        self.head.unused.len()
    }

    pub(super) fn max_attempts(&self) -> u32 {
        get(&self.head.max_attempts)
    }

    /// Whether there is room for an item of so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.unused() > 0 && self.blocks.free_count() >= self.blocks.needed(bytes)
    }

    /// Adds an item behind all others. There is room.
    pub(super) fn put(&self, payload: &[u8]) {
        let Some(index) = self.head.unused.first() else { unreachable!("there is room") };
        let (head, slot) = (self.head, &self.slots[index as usize]);
        let number = head.next_number.load(Ordering::Relaxed);
        set(&slot.block, self.blocks.fill(payload));
        set(&slot.bytes, payload.len() as u32);
        slot.number.store(number, Ordering::Relaxed);
        head.next_number.store(number + 1, Ordering::Relaxed);
        slot.commit(Standing { kind: Kind::Ready, holder: 0, attempts: 0 });
        head.unused.remove(self.slots, index);
        head.ready.push_back(self.slots, index);
    }

    /// Leases the oldest item to `me`; which, and its attempts with this one.
    pub(super) fn take(&self, me: u32) -> Option<(u32, u32)> {
        let index = self.head.ready.first()?;
        let (head, slot) = (self.head, &self.slots[index as usize]);
        let lease = head.next_lease.load(Ordering::Relaxed);
        let before = slot.standing().attempts;
        let attempts = before.saturating_add(1);
        slot.lease.store(lease, Ordering::Relaxed);
        head.next_lease.store(lease + 1, Ordering::Relaxed);
        if mutant!("work-attempts-after-lease") {
            slot.commit(Standing { kind: Kind::Leased, holder: me, attempts: before });
        }
        slot.commit(Standing { kind: Kind::Leased, holder: me, attempts });
        head.ready.remove(self.slots, index);
        self.enlist(me, index);
        Some((index, attempts))
    }

    /// Ends the lease of `me` on a slot.
    pub(super) fn end(&self, me: u32, index: u32, end: End) {
        let Some(place) = self.place_of(me) else { unreachable!("a holder is in the table") };
        self.end_at(place, index, end);
    }

    /// Ends the lease of `me` that is the oldest, as done; false if it has none.
    pub(super) fn end_oldest(&self, me: u32) -> bool {
        let Some(place) = self.place_of(me) else { return false };
        let Some(index) = self.holders[place].leases.first() else { return false };
        self.end_at(place, index, End::Done);
        true
    }

    fn end_at(&self, place: usize, index: u32, end: End) {
        let (head, slot) = (self.head, &self.slots[index as usize]);
        let Standing { kind, holder, attempts } = slot.standing();
        assert!(kind == Kind::Leased, "expected an item on delivery, found {kind:?}");
        let kind = match end {
            End::Done => Kind::Free,
            End::Again if attempts < self.max_attempts() => Kind::Ready,
            End::Again | End::Hopeless => Kind::Dead,
        };
        match kind {
            Kind::Free => slot.commit(Standing::FREE),
            kind => slot.commit(Standing { kind, holder, attempts }),
        }
        self.holders[place].leases.remove(self.slots, index);
        set(&head.leased, self.leased() - 1);
        if self.holders[place].leases.len() == 0 {
            let last = get(&head.holder_count) - 1;
            let (gone, moved) = (&self.holders[place], &self.holders[last as usize]);
            set(&gone.id, get(&moved.id));
            gone.leases.become_copy_of(&moved.leases);
            set(&head.holder_count, last);
        }
        match kind {
            Kind::Dead => head.dead.insert_from_back(self.slots, index),
            Kind::Ready if mutant!("work-requeue-at-end") => {
                head.ready.push_back(self.slots, index);
            }
            Kind::Ready => head.ready.insert_from_front(self.slots, index),
            _ => self.recycle(index),
        }
    }

    /// The slot has become FREE.
    fn recycle(&self, index: u32) {
        let slot = &self.slots[index as usize];
        self.blocks.release(get(&slot.block), get(&slot.bytes) as usize);
        self.head.unused.push_back(self.slots, index);
    }

    /// Takes from the dead what they held; whether there was any.
    pub(super) fn reap(&self, is_dead: impl Fn(u32) -> bool) -> bool {
        let mut any = false;
        // From the last one on: a holder that has nothing any more is replaced by the last.
        for place in (0..get(&self.head.holder_count) as usize).rev() {
            if !is_dead(get(&self.holders[place].id)) {
                continue;
            }
            any = true;
            // The youngest first: then each one that follows goes in front of it. The last one takes the entry with it.
            for _ in 0..self.holders[place].leases.len() {
                let Some(index) = self.holders[place].leases.last() else { break };
                self.end_at(place, index, End::Again);
            }
        }
        any
    }

    /// Those who hold items, from a place of the caller's choice on.
    pub(super) fn holders_from(&self, start: u32) -> impl Iterator<Item = u32> {
        let count = get(&self.head.holder_count);
        let start = start.checked_rem(count).unwrap_or(0);
        (start..count).chain(0..start).map(|place| get(&self.holders[place as usize].id))
    }

    /// How many items `me` holds.
    pub(super) fn leased_by(&self, me: u32) -> u32 {
        self.place_of(me).map_or(0, |place| self.holders[place].leases.len())
    }

    fn place_of(&self, me: u32) -> Option<usize> {
        (0..get(&self.head.holder_count) as usize).find(|&place| get(&self.holders[place].id) == me)
    }

    fn enlist(&self, holder: u32, index: u32) {
        let place = self.place_of(holder).unwrap_or_else(|| {
            let place = get(&self.head.holder_count);
            set(&self.holders[place as usize].id, holder);
            self.holders[place as usize].leases.clear();
            set(&self.head.holder_count, place + 1);
            place as usize
        });
        self.holders[place].leases.push_back(self.slots, index);
        set(&self.head.leased, self.leased() + 1);
    }

    /// The dead letter after this one, or the first.
    pub(super) fn letter_after(&self, before: Option<&Letter>) -> Option<Letter> {
        let next = |index: u32| Some(get(&self.slots[index as usize].next)).filter(|&n| n != NONE);
        let is_there = |letter: &&Letter| {
            let slot = &self.slots[letter.index as usize];
            slot.standing().kind == Kind::Dead && slot.number() == letter.number
        };
        let at = match (before, before.filter(is_there)) {
            (None, _) => self.head.dead.first(),
            (_, Some(letter)) => next(letter.index),
            (Some(letter), None) => {
                let mut at = self.head.dead.first();
                while let Some(index) =
                    at.filter(|&at| self.slots[at as usize].number() <= letter.number)
                {
                    at = next(index);
                }
                at
            }
        };
        at.map(|index| self.letter(index))
    }

    /// Removes the first dead letter.
    pub(super) fn take_letter(&self) -> Option<Letter> {
        let index = self.head.dead.first()?;
        let letter = self.letter(index);
        self.slots[index as usize].commit(Standing::FREE);
        self.head.dead.remove(self.slots, index);
        self.recycle(index);
        Some(letter)
    }

    fn letter(&self, index: u32) -> Letter {
        let slot = &self.slots[index as usize];
        Letter {
            index,
            number: slot.number(),
            standing: slot.standing(),
            payload: self.payload(index),
        }
    }

    /// Makes all dead letters ready again, as if they had never been delivered; how many.
    pub(super) fn retry_letters(&self) -> u32 {
        let mut count = 0;
        while let Some(index) = self.head.dead.last() {
            let slot = &self.slots[index as usize];
            slot.commit(Standing { kind: Kind::Ready, attempts: 0, ..slot.standing() });
            self.head.dead.remove(self.slots, index);
            self.head.ready.insert_from_front(self.slots, index);
            count += 1;
        }
        count
    }

    /// A copy of an item's payload, for the owner of the lock or the item's holder.
    pub(super) fn payload(&self, index: u32) -> Vec<u8> {
        let slot = &self.slots[index as usize];
        self.blocks.read(get(&slot.block), get(&slot.bytes) as usize)
    }

    /// Makes the lists, the counts and the free blocks anew from the slots: the last owner of the lock died. Whoever dies here
    /// leaves that to the next one.
    pub(super) fn repair(&self) {
        let head = self.head;
        [&head.unused, &head.ready, &head.dead].into_iter().for_each(List::clear);
        set(&head.leased, 0);
        set(&head.holder_count, 0);
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(self.slots.len());
        let (mut next_number, mut next_lease) = (0, 0);
        for (index, slot) in self.slots.iter().enumerate() {
            let place = match slot.standing().kind {
                Kind::Leased => slot.lease.load(Ordering::Relaxed),
                _ => slot.number(),
            };
            next_number = next_number.max(slot.number() + 1);
            next_lease = next_lease.max(slot.lease.load(Ordering::Relaxed) + 1);
            order.push((place, index as u32));
        }
        order.sort_unstable();
        for (_, index) in order {
            let Standing { kind, holder, .. } = self.slots[index as usize].standing();
            match kind {
                Kind::Free => head.unused.push_back(self.slots, index),
                Kind::Ready => head.ready.push_back(self.slots, index),
                Kind::Dead => head.dead.push_back(self.slots, index),
                Kind::Leased => self.enlist(holder, index),
            }
        }
        let next_number = next_number.max(head.next_number.load(Ordering::Relaxed));
        head.next_number.store(next_number, Ordering::Relaxed);
        let next_lease = next_lease.max(head.next_lease.load(Ordering::Relaxed));
        head.next_lease.store(next_lease, Ordering::Relaxed);
        let items = self.slots.iter().filter(|slot| slot.standing().kind != Kind::Free);
        self.blocks.rebuild(items.map(|slot| (get(&slot.block), get(&slot.bytes) as usize)));
    }
}
