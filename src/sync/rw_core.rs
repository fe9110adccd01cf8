//! The algorithm of a lock for many readers or one writer, over any kernel.
//!
//! ```text
//!   head    writers: lock | drained: event count | alarm | mark          what all readers read and writers write
//!   slots   [ tenant | extra ] [ tenant | extra ] …                      a reader writes its own, eight to a cache line
//! ```
//!
//! A reader that is in has its roster id in a *slot*; `extra` beside it counts the further shares of the same thread. A
//! writer that is in owns the lock `writers`, and every slot is empty of readers that are in. `mark` is the writer's id from
//! before its first change to after its last: a mark that a dead writer leaves *is* the news of its death.
//!
//! - W1 A tenant word leaves 0 only by a compare-exchange to the id of the thread that does it, and a living thread's id only by that
//!   thread's store. The owner of `writers`, and nobody else, clears it of a dead thread's.
//! - W2 A thread with a new id in a slot is *in* if it then saw `writers` without an owner, or if it owned `writers` itself when it put
//!   the id there. Otherwise it takes the id back, and stands in the queue at `writers`.
//! - W3 While somebody owns `writers`, no other thread comes in. A thread that is in may take further shares at all times, then on
//!   a slot that it has; it never waits for that. So once the owner has seen each slot empty, in any order, it is alone. (With no
//!   owner about, a thread may come to have a second slot: it is in there by W2.)
//! - W4 `extra` is written by the slot's tenant, and by the owner of `writers` before it clears a dead tenant: it is 0 in every slot that is
//!   free, and a new tenant need not look.
//! - W5 Only the owner of `writers` sleeps on `drained`: a writer until the readers have gone, or a reader until there is a free slot. It
//!   names the alarm meanwhile, and watches the lives of those whose ids it sees. A reader that takes its id out of a slot rings.
//! - W6 `mark` is written by the owner of `writers`, alone in the sense of W3.
//!
//! What a `kill -9` leaves: an id in the owner word, as in [`lock_core`](crate::sync::lock_core); an id in a slot, which the next owner
//! that meets it clears; the mark. The reasons why every sleeper wakes up are in `sync/README.md`.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering, fence, program_order};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, LIVES_MAX, Pace, Sleep, Slept};
use crate::sync::lock_core::{LockCore, Refused, Setting};
use std::mem::offset_of;

/// See the top of the file. Zeroed memory is a free lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RwCore<const READERS: usize> {
    head: Head,
    slots: Slots<READERS>,
}

/// What all read.
#[derive(Debug)]
#[repr(C, align(64))]
struct Head {
    writers: LockCore,
    drained: EventCount,
    /// Always 0. Of its own, for a wake-up of `writers` must not go to the owner, who sleeps on `drained`.
    alarm: AtomicU32,
    mark: AtomicU32,
}

/// A reader's place.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    /// 0 or a roster id; SeqCst against `writers`.
    tenant: AtomicU32,
    /// How many shares the tenant has beyond the first. A word of its own, because no locked instruction ever writes it:
    /// it is read by every unlock.
    extra: AtomicU32,
}

/// The order of a reader's last store.
#[inline(always)]
fn leaving() -> Ordering {
    if mutant!("rw-relaxed-leave") { Ordering::Relaxed } else { Ordering::Release }
}

/// So many slots share a cache line.
const IN_A_LINE: usize = 8;

#[derive(Debug)]
#[repr(C, align(64))]
struct Slots<const READERS: usize>([Slot; READERS]);

impl<const READERS: usize> RwCore<READERS> {
    /// How far behind the bell on which a writer waits for readers the first slot lies; each is so many bytes, and begins with a
    /// tenant.
    pub(crate) const SLOTS_BEHIND_BELL: usize = offset_of!(RwCore<READERS>, slots)
        - offset_of!(RwCore<READERS>, head)
        - offset_of!(Head, drained)
        - EventCount::BELL_OFFSET;
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> RwCore<READERS> {
        const { assert!(READERS > 0 && READERS <= LIVES_MAX) };
        RwCore {
            head: Head {
                writers: LockCore::new(),
                drained: EventCount::new(),
                alarm: AtomicU32::new(0),
                mark: AtomicU32::new(0),
            },
            slots: Slots(
                [const { Slot { tenant: AtomicU32::new(0), extra: AtomicU32::new(0) } }; READERS],
            ),
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> RwCore<READERS> {
        let slot = |_| Slot { tenant: AtomicU32::new(0), extra: AtomicU32::new(0) };
        RwCore {
            head: Head {
                writers: LockCore::new(),
                drained: EventCount::new(),
                alarm: AtomicU32::new(0),
                mark: AtomicU32::new(0),
            },
            slots: Slots(std::array::from_fn(slot)),
        }
    }

    /// Takes a share for `me`; the slot that it is on. No `patience`: without waiting.
    ///
    /// # Panics
    /// If the caller is the writer and the wait has no deadline.
    #[inline(always)]
    pub(crate) fn read<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        // Not needed, but so those who ask in vain leave the writer's view of the slots alone.
        if self.writer() != 0 {
            return self.read_barred(kernel, me, patience);
        }
        let first = first_choice::<READERS>(me);
        match self.sit(first, me) {
            Ok(()) if self.is_open() => Ok(first),
            Ok(()) => self.read_turned_away(kernel, me, first, patience),
            Err(()) => self.read_elsewhere(kernel, me, first, patience),
        }
    }

    /// Gives one share back.
    #[inline(always)]
    pub(crate) fn end_reading<K: Kernel>(&self, kernel: &K, me: u32, slot: usize) {
        let extra = &self.slots.0[slot].extra;
        match extra.load(Ordering::Relaxed) {
            0 => self.leave(kernel, me, slot),
            count => extra.store(count - 1, Ordering::Relaxed),
        }
    }

    /// Makes `me` the writer. No `patience`: without waiting.
    ///
    /// # Panics
    /// If the caller has a share, or is the writer, and the wait has no deadline.
    #[inline]
    pub(crate) fn write<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<(), Refused> {
        if self.head.writers.acquire_free_in_order(me) {
            fence_for_loom();
        } else {
            self.queue(kernel, me, patience)?;
            fence(Ordering::SeqCst);
        }
        // Dekker: the owner word is written; a reader whose id is not seen here will see that (`is_open`).
        let tenants = self.slots.0.iter().map(|slot| slot.tenant.load(Ordering::SeqCst));
        match tenants.fold(0, |all, tenant| all | tenant) {
            0 => Ok(()),
            _ => self.drain(kernel, me, patience),
        }
    }

    /// The writer says that it is going to change the data; what the mark was.
    #[inline(always)]
    pub(crate) fn begin_writing(&self, me: u32) -> u32 {
        let before = self.head.mark.load(Ordering::Relaxed);
        self.head.mark.store(me, Ordering::Relaxed);
        program_order(); // for the dead: the mark, then the data
        before
    }

    /// The writer leaves this mark and unlocks.
    #[inline]
    pub(crate) fn end_writing<K: Kernel>(&self, kernel: &K, me: u32, mark: u32) {
        self.head.mark.store(mark, Ordering::Release); // for the dead: the data, then the mark
        self.unlock(kernel, me);
    }

    /// The writer leaves this mark and becomes a reader; its slot.
    pub(crate) fn downgrade<K: Kernel>(&self, kernel: &K, me: u32, mark: u32) -> usize {
        self.head.mark.store(mark, Ordering::Release);
        match self.sit_as_owner(kernel, me, Some(Deadline::NEVER)) {
            Ok(slot) => {
                self.unlock(kernel, me);
                slot
            }
            Err(refused) => unreachable!("a wait without a deadline ended with {refused:?}"),
        }
    }

    /// 0, or the writer that died or panicked in the middle of a change. For those who are in.
    #[inline(always)]
    pub(crate) fn mark(&self) -> u32 {
        self.head.mark.load(Ordering::Relaxed)
    }

    /// Who writes, or is about to: 0 or a roster id, perhaps of a dead thread.
    #[inline(always)]
    pub(crate) fn writer(&self) -> u32 {
        self.head.writers.owner()
    }

    /// Puts the id into the slot, if that is free.
    #[inline(always)]
    fn sit(&self, slot: usize, me: u32) -> Result<(), ()> {
        let tenant = &self.slots.0[slot].tenant;
        tenant.compare_exchange(0, me, Ordering::SeqCst, Ordering::Relaxed).map(drop).map_err(drop)
    }

    /// Whether nobody owns `writers`: asked behind `sit`, it lets the caller in (W2).
    #[inline(always)]
    fn is_open(&self) -> bool {
        fence_for_loom();
        mutant!("rw-no-recheck") || self.head.writers.owner_in_order() == 0
    }

    /// Takes the id out of the slot; the owner of `writers` may be waiting for that.
    #[inline(always)]
    fn leave<K: Kernel>(&self, kernel: &K, me: u32, slot: usize) {
        self.slots.0[slot].tenant.store(0, leaving());
        if !mutant!("rw-no-drain-ring") {
            self.head.drained.ring(kernel, me, &self.head.alarm);
        }
    }

    /// One more share for a thread that has one on this slot.
    fn share(&self, slot: usize) -> usize {
        let extra = &self.slots.0[slot].extra;
        let count = extra.load(Ordering::Relaxed).checked_add(1);
        extra.store(count.expect("fewer than 2^32 shares of one thread"), Ordering::Relaxed);
        slot
    }

    /// Where `me` has shares, the slot `but` aside.
    fn share_of(&self, me: u32, but: Option<usize>) -> Option<usize> {
        let mine = |&slot: &usize| self.slots.0[slot].tenant.load(Ordering::Relaxed) == me;
        (0..READERS).filter(|&slot| but != Some(slot)).find(mine)
    }

    /// Somebody owns `writers`.
    #[cold]
    fn read_barred<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        match self.share_of(me, None) {
            Some(own) => Ok(self.share(own)),
            None => self.read_queued(kernel, me, patience),
        }
    }

    /// The id is in the slot, and somebody owns `writers`.
    #[cold]
    fn read_turned_away<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        slot: usize,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        // The shares of one thread must not move to a slot that the owner may have passed by already (W3).
        let own = self.share_of(me, Some(slot)).map(|own| self.share(own));
        self.leave(kernel, me, slot);
        own.map_or_else(|| self.read_queued(kernel, me, patience), Ok)
    }

    /// The first choice is taken: by this thread itself, perhaps.
    #[cold]
    fn read_elsewhere<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        first: usize,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        if let Some(own) = self.share_of(me, None) {
            return Ok(self.share(own));
        }
        for slot in (first + 1..READERS).chain(0..first) {
            if self.slots.0[slot].tenant.load(Ordering::Relaxed) == 0 && self.sit(slot, me).is_ok()
            {
                if self.is_open() {
                    return Ok(slot);
                }
                self.leave(kernel, me, slot);
                break;
            }
        }
        self.read_queued(kernel, me, patience)
    }

    /// By way of `writers`, behind those who wait there.
    fn read_queued<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        self.queue(kernel, me, patience)?;
        let slot = self.sit_as_owner(kernel, me, patience);
        self.unlock(kernel, me);
        slot
    }

    /// Takes `writers`. Whose it was before, if it was a dead thread's, does not matter: the mark says whether it changed anything.
    #[cold]
    fn queue<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<(), Refused> {
        let writers = &self.head.writers;
        let Some(deadline) = patience else {
            return writers.try_acquire(kernel, me).map(drop);
        };
        if deadline.is_never() {
            assert!(writers.owner() != me && self.share_of(me, None).is_none(), "{OWN}");
        }
        writers.acquire_slow(kernel, me, &Queue(self), deadline).map(drop)
    }

    fn unlock<K: Kernel>(&self, kernel: &K, me: u32) {
        self.head.writers.release(kernel, me, &self.head.alarm);
    }

    /// The owner of `writers` sees every slot empty; if it cannot wait for that, it unlocks.
    #[cold]
    fn drain<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<(), Refused> {
        if is_endless(patience) && self.share_of(me, None).is_some() {
            self.unlock(kernel, me);
            panic!("{OWN}");
        }
        let drained = self.with_alarm(kernel, || {
            self.slots.0.iter().try_for_each(|slot| {
                let look = || self.is_vacant(kernel, slot).then_some(());
                self.wait_for(kernel, std::slice::from_ref(slot), patience, look)
            })
        });
        if drained.is_err() {
            self.unlock(kernel, me);
        }
        drained
    }

    /// The owner of `writers` takes a share, when there is a free slot.
    fn sit_as_owner<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Option<Deadline>,
    ) -> Result<usize, Refused> {
        let first = first_choice::<READERS>(me);
        let free = |slot: &usize| {
            self.is_vacant(kernel, &self.slots.0[*slot]) && self.sit(*slot, me).is_ok()
        };
        let look = || (first..READERS).chain(0..first).find(free);
        if let Some(slot) = look() {
            return Ok(slot);
        }
        self.with_alarm(kernel, || self.wait_for(kernel, &self.slots.0, patience, look))
    }

    /// Whether the slot is empty; the owner of `writers`, who asks, clears it of the dead.
    fn is_vacant<K: Kernel>(&self, kernel: &K, slot: &Slot) -> bool {
        let tenant = slot.tenant.load(Ordering::SeqCst);
        if tenant == 0 {
            return true;
        }
        let dead = !mutant!("rw-dead-reader-kept") && kernel.is_dead(tenant);
        if dead {
            slot.extra.store(0, Ordering::Relaxed); // first (W4): we may die in between
            slot.tenant.store(0, Ordering::Release);
        }
        dead
    }

    /// The alarm is named while the owner of `writers` waits (W5): if it dies of the alarm that had woken it, another wakes up.
    fn with_alarm<K: Kernel, R>(&self, kernel: &K, wait: impl FnOnce() -> R) -> R {
        let named = !mutant!("rw-drain-unnamed") && kernel.name_alarm(&self.head.alarm);
        let result = wait();
        if named {
            kernel.unname_alarm(&self.head.alarm);
        }
        result
    }

    /// The owner of `writers` waits until `look` has found something, which one of the tenants of `slots` is in the way of.
    fn wait_for<K: Kernel, R>(
        &self,
        kernel: &K,
        slots: &[Slot],
        patience: Option<Deadline>,
        look: impl Fn() -> Option<R>,
    ) -> Result<R, Refused> {
        let mut step = 0;
        let deadline = loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            let deadline = patience.ok_or(Refused::Held)?;
            if !kernel.pause(Pace::Lock, step) {
                break deadline;
            }
            step += 1;
        };
        let event = &self.head.drained;
        loop {
            let armed = event.arm(kernel);
            if let Some(found) = look() {
                return Ok(found);
            }
            if deadline.has_passed() {
                return Err(Refused::TimedOut); // nobody else sleeps on `drained`, so nothing is to be passed on
            }
            let mut lives = [0; READERS];
            for (life, slot) in lives.iter_mut().zip(slots) {
                *life = slot.tenant.load(Ordering::Relaxed);
            }
            let lives = &lives[..slots.len()];
            if lives.contains(&0) {
                continue;
            }
            let sleep = Sleep {
                awaits: Awaits::Readers,
                bell: event.bell(),
                event: (event.word(), armed.value),
                owner: None,
                world: None,
                lives,
                alarm: &self.head.alarm,
                unarmed: armed.unarmed,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed {
                self.wake_all(kernel);
            }
        }
    }

    #[cold]
    fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.head.writers.event().wake_all(kernel);
        self.head.drained.wake_all(kernel);
    }
}

/// Where a reader sits if it can: threads that came after each other have neighbouring ids, and sit in different cache lines.
#[inline(always)]
fn first_choice<const READERS: usize>(me: u32) -> usize {
    let (lines, number) = (READERS.div_ceil(IN_A_LINE), me as usize);
    (number % lines * IN_A_LINE + number / lines % IN_A_LINE) % READERS
}

/// Where the order of SeqCst accesses is enough: loom knows SeqCst fences only.
#[inline(always)]
fn fence_for_loom() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

fn is_endless(patience: Option<Deadline>) -> bool {
    patience.is_some_and(|deadline| deadline.is_never())
}

const OWN: &str = "expected a lock that this thread does not hold; it would wait for itself";

/// `writers` as those see it who wait for it.
struct Queue<'a, const READERS: usize>(&'a RwCore<READERS>);

impl<const READERS: usize> Setting for Queue<'_, READERS> {
    fn alarm(&self) -> &AtomicU32 {
        &self.0.head.alarm
    }

    fn is_own(&self) -> bool {
        true
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.0.wake_all(kernel);
    }
}
