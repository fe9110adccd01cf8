//! The semaphore's algorithm, over any kernel: permits, who holds how many, and how those of the dead come back.
//!
//! ```text
//!   total ────── permits that exist: added minus forgotten
//!   places ───── [ id, count ] [ id, count ] …       who holds how many; a place stays with its id at count 0
//!   available ── total - sum of the counts; follows from the rest
//!   crowded ──── 1: somebody waits for a place and not for a permit; a hint
//! ```
//!
//! All of it is under a [monitor](crate::sync::monitor); each change has one committing store:
//!
//! | operation | commits by | a death before it | a death after it |
//! |---|---|---|---|
//! | acquire | own count + 1 | nothing happened | the permit is the dead one's, and returns |
//! | release | own count - 1 | it returns with the others of the dead | it is free |
//! | add | `total` + n | nothing happened | they are there |
//! | forget | own count - 1, then `total` - 1 | it returns with the others of the dead | there is one permit less |
//! | take from the dead | its count = 0 | the next one does it | they are free |
//!
//! A death in `forget` between its two stores: the permit is nobody's and exists, so it is available; that is what the death of its
//! holder would have made of it anyway. In the other order `available` would be less than nothing for a moment.
//!
//! - S1 A place with a count above 0 belongs to its id. One with count 0 may be given to another; its id never becomes 0 again,
//!   so a search for an id may stop at the first place that was never used.
//! - S2 The search starts where the id hashes to: usually the first place looked at is the one. A permit remembers its place.
//! - S3 Who finds no permit available takes those of the dead first. So a wait starts with all holders alive, and their lives are
//!   watched (M5).

use crate::prim::{AtomicU32, Ordering};
use crate::sync::kernel::{Kernel, LIVES_MAX};
use crate::sync::monitor::{Attempt, EVERYBODY, Lives, Monitor, NOBODY, State};
use crate::sync::patience::{GaveUp, Patience};

/// How many threads can hold permits at a time: as many lives as a sleeper can watch.
pub(crate) const PLACES: usize = if cfg!(any(loom, shuttle)) { 3 } else { LIVES_MAX };

/// Searches start in the first so many places, a power of two.
const STARTS: usize = 1 << PLACES.ilog2();

/// More permits than that cannot exist.
pub(crate) const PERMITS_MAX: u32 = u32::MAX >> 3;

/// See the top of the file.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SemaphoreCore {
    monitor: Monitor,
    state: Permits,
}

/// What the monitor guards.
#[derive(Debug)]
#[repr(C)]
struct Permits {
    total: AtomicU32,
    available: AtomicU32,
    crowded: AtomicU32,
    places: [Place; PLACES],
}

#[derive(Debug)]
#[repr(C)]
struct Place {
    id: AtomicU32,
    count: AtomicU32,
}

/// There would be more than [`PERMITS_MAX`] permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl SemaphoreCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new(permits: u32) -> SemaphoreCore {
        let places = [const { Place { id: AtomicU32::new(0), count: AtomicU32::new(0) } }; PLACES];
        let (total, available) = (AtomicU32::new(permits), AtomicU32::new(permits));
        let state = Permits { total, available, crowded: AtomicU32::new(0), places };
        SemaphoreCore { monitor: Monitor::new(), state }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new(permits: u32) -> SemaphoreCore {
        let place = |_| Place { id: AtomicU32::new(0), count: AtomicU32::new(0) };
        let (total, available) = (AtomicU32::new(permits), AtomicU32::new(permits));
        let places = std::array::from_fn(place);
        let state = Permits { total, available, crowded: AtomicU32::new(0), places };
        SemaphoreCore { monitor: Monitor::new(), state }
    }

    /// Takes a permit for `me`; the place where it is noted.
    #[inline(always)]
    pub(crate) fn acquire<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
    ) -> Result<u32, GaveUp> {
        let state = &self.state;
        self.monitor.run(kernel, me, patience, state, |_| {
            if state.available.load(Ordering::Relaxed) != 0
                && let Some(at) = state.own_place(me)
            {
                state.take(at);
                return Attempt::Done(at as u32, NOBODY);
            }
            state.acquire_from_dead(kernel, me)
        })
    }

    /// Gives back a permit of `me` that is noted at the place `at`.
    #[inline(always)]
    pub(crate) fn release<K: Kernel>(&self, kernel: &K, me: u32, at: u32) {
        let state = &self.state;
        let done = self.monitor.run(kernel, me, Patience::FOREVER, state, |_| {
            state.give_back(at);
            let available = state.available.load(Ordering::Relaxed);
            state.available.store(available.wrapping_add(1), Ordering::Relaxed);
            Attempt::Done((), state.sleepers_of(1))
        });
        debug_assert!(done.is_ok(), "a wait without a deadline ends with success");
    }

    /// Makes a permit of `me` that is noted at the place `at` vanish.
    pub(crate) fn forget<K: Kernel>(&self, kernel: &K, me: u32, at: u32) {
        let state = &self.state;
        let done = self.monitor.run(kernel, me, Patience::FOREVER, state, |_| {
            state.give_back(at);
            let total = state.total.load(Ordering::Relaxed);
            state.total.store(total.wrapping_sub(1), Ordering::Relaxed);
            // Nothing is available that was not; but a place may have become free.
            let crowded = state.crowded.load(Ordering::Relaxed) != 0;
            Attempt::Done((), if crowded { state.sleepers_of(1) } else { NOBODY })
        });
        debug_assert!(done.is_ok(), "a wait without a deadline ends with success");
    }

    /// Adds `count` permits.
    pub(crate) fn add<K: Kernel>(&self, kernel: &K, me: u32, count: u32) -> Result<(), TooMany> {
        let state = &self.state;
        let done = self.monitor.run(kernel, me, Patience::FOREVER, state, |_| {
            let total = state.total.load(Ordering::Relaxed);
            if count > PERMITS_MAX - total {
                return Attempt::Done(Err(TooMany), NOBODY);
            }
            state.total.store(total + count, Ordering::Relaxed);
            let available = state.available.load(Ordering::Relaxed);
            state.available.store(available + count, Ordering::Relaxed);
            Attempt::Done(Ok(()), state.sleepers_of(count))
        });
        done.unwrap_or(Ok(()))
    }

    /// How many permits are available, those of the dead included. If the monitor is not to be had for 10 ms: as last known.
    pub(crate) fn available<K: Kernel>(&self, kernel: &K, me: u32) -> u32 {
        let state = &self.state;
        let counted = self.monitor.run(kernel, me, Patience::None, state, |_| {
            let freed = state.take_from_dead(kernel);
            Attempt::Done(state.available.load(Ordering::Relaxed), state.sleepers_of(freed))
        });
        counted.unwrap_or_else(|_| self.last_available())
    }

    /// How many permits exist.
    #[cfg(shuttle)]
    pub(crate) fn total(&self) -> u32 {
        self.state.total.load(Ordering::Relaxed)
    }

    /// How many permits were available when somebody looked last.
    pub(crate) fn last_available(&self) -> u32 {
        self.state.available.load(Ordering::Relaxed)
    }
}

impl Permits {
    /// The place of `me`, or one that it can have.
    #[inline(always)]
    fn own_place(&self, me: u32) -> Option<usize> {
        let start = start_of(me);
        if self.places[start].id.load(Ordering::Relaxed) == me {
            return Some(start);
        }
        self.find_place(me, start)
    }

    #[cold]
    fn find_place(&self, me: u32, start: usize) -> Option<usize> {
        let mut free = None;
        for step in 0..PLACES {
            let at = (start + step) % PLACES;
            let id = self.places[at].id.load(Ordering::Relaxed);
            if id == me {
                return Some(at);
            }
            if free.is_none() && self.places[at].count.load(Ordering::Relaxed) == 0 {
                free = Some(at);
            }
            if id == 0 {
                break;
            }
        }
        self.places[free?].id.store(me, Ordering::Relaxed);
        free
    }

    /// By the owner of the lock, for whom a permit is available.
    #[inline(always)]
    fn take(&self, at: usize) {
        let available = self.available.load(Ordering::Relaxed);
        self.available.store(available.wrapping_sub(1), Ordering::Relaxed);
        let count = &self.places[at].count;
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// By the owner of the lock, who holds a permit that is noted at the place `at`.
    #[inline(always)]
    fn give_back(&self, at: u32) {
        let count = &self.places[at as usize].count;
        count.store(count.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    /// Nothing is available, or no place: takes what the dead held, and then a permit.
    #[cold]
    fn acquire_from_dead<K: Kernel>(&self, kernel: &K, me: u32) -> Attempt<u32> {
        let freed = self.take_from_dead(kernel);
        let available = self.available.load(Ordering::Relaxed);
        if available == 0 {
            return Attempt::Wait;
        }
        let Some(at) = self.own_place(me) else {
            self.crowded.store(1, Ordering::Relaxed);
            return Attempt::Wait;
        };
        self.take(at);
        // What else the dead held is for others.
        Attempt::Done(at as u32, if freed > 1 { self.sleepers_of(freed - 1) } else { NOBODY })
    }

    /// Returns the permits of all dead holders; says how many.
    #[cold]
    fn take_from_dead<K: Kernel>(&self, kernel: &K) -> u32 {
        let mut freed = 0;
        for place in &self.places {
            let (id, count) =
                (place.id.load(Ordering::Relaxed), place.count.load(Ordering::Relaxed));
            if count != 0 && kernel.is_dead(id) {
                place.count.store(0, Ordering::Relaxed);
                let available = self.available.load(Ordering::Relaxed);
                self.available.store(available + count, Ordering::Relaxed);
                freed += count;
            }
        }
        freed
    }

    /// Whom to wake when `count` permits have become available. Those who wait for a place and those who wait for a permit
    /// sleep together: if there are some of both, wake all (M7).
    #[inline(always)]
    fn sleepers_of(&self, count: u32) -> u32 {
        if self.crowded.load(Ordering::Relaxed) == 0 {
            return count;
        }
        self.crowded.store(0, Ordering::Relaxed);
        EVERYBODY
    }
}

impl State for Permits {
    fn repair(&self) {
        let held: u32 = self.places.iter().map(|place| place.count.load(Ordering::Relaxed)).sum();
        let total = self.total.load(Ordering::Relaxed);
        self.available.store(total - held, Ordering::Relaxed);
    }

    fn lives(&self, lives: &mut Lives) {
        for place in &self.places {
            if place.count.load(Ordering::Relaxed) != 0 {
                lives.push(place.id.load(Ordering::Relaxed));
            }
        }
    }
}

/// Where the search for an id begins.
#[inline(always)]
fn start_of(me: u32) -> usize {
    // Roster ids are an index and a generation; those that are alive together have different indices, mostly in a row.
    me as usize % STARTS
}
