//! The semaphore's algorithm, over any kernel: permits, who holds how many, and how those of the dead come back.
//!
//! ```text
//!   total ────── permits that exist: added minus forgotten
//!   places ───── [ id | held | spare | QUICK ] × 120     one word each: who holds how many, and how many it has given back and
//!                                                    keeps for its next time; a place stays with its id at 0 and 0
//!   available ── total - sum of held and spare; follows from the rest
//!   crowded ──── 1: somebody waits for a place and not for a permit; a hint
//! ```
//!
//! All of it is under a [monitor](crate::sync::monitor), but one thing: while QUICK is set in a place's word, the thread that it
//! belongs to moves its permits between held and spare by a compare-exchange of that word, and that is the whole operation. Each
//! change has one committing store:
//!
//! | operation | commits by | a death before it | a death after it |
//! |---|---|---|---|
//! | acquire, quick | held + 1 and spare - 1, in one | nothing happened | the permit is the dead one's, and returns |
//! | release, quick | held - 1 and spare + 1, in one | it returns with the others of the dead | it is spare, so anybody's |
//! | acquire | own held + 1 | nothing happened | the permit is the dead one's, and returns |
//! | release | own held - 1 | it returns with the others of the dead | it is free |
//! | add | `total` + n | nothing happened | they are there |
//! | forget | own held - 1, then `total` - 1 | it returns with the others of the dead | there is one permit less |
//! | collect: spares, and all of the dead | spare = 0, QUICK off, a dead one's held = 0 | the next one does it | they are free |
//!
//! A death in `forget` between its two stores: the permit is nobody's and exists, so it is available; that is what the death of its
//! holder would have made of it anyway. In the other order `available` would be less than nothing for a moment.
//!
//! - S1 A place with a held permit belongs to its id. One without may be given to another; its id never becomes 0 again,
//!   so a search for an id may stop at the first place that was never used.
//! - S2 The search starts where the id hashes to: usually the first place looked at is the one. A permit remembers its place.
//! - S3 Who finds no permit available collects first. So a wait starts with all holders alive, and their lives are watched (M5);
//!   and with no spare permit and no QUICK anywhere.
//! - S4 QUICK is set by the lock's owner, in its own place, while `changed` is quiet; whoever sleeps has made `changed` other than
//!   quiet before it collected under the lock for the last time. So while anybody sleeps every operation goes through
//!   the monitor, and a quick release need neither look for sleepers nor name an alarm. (If the word was calmed meanwhile, the
//!   one who calmed it wakes everybody, or its death does.)
//! - S5 A quick operation leaves the sum of held and spare as it is, so the lock's owner may add the places up, one after the other,
//!   while others are quick; what is available is exact once it has collected, for then nobody is quick.
//! - S6 The whole state of a place is one word, id included, so a compare-exchange cannot be fooled: of two that race (a quick one,
//!   one that collects, one that gives the place to another thread) the second sees the first.
//!
//! `guess` is what the thread believes that its word is, beside the word: to load a word that a locked instruction has just
//! written costs half as much as the instruction. A wrong guess costs a look under the lock. While its place is not quick,
//! it counts how often the thread has come since.

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::kernel::{Kernel, LIVES_MAX};
use crate::sync::monitor::{Attempt, EVERYBODY, Lives, Monitor, NOBODY, State};
use crate::sync::patience::{GaveUp, Patience};

/// How many threads can hold permits at a time: as many lives as a sleeper can watch.
pub(crate) const PLACES: usize = if cfg!(any(loom, shuttle)) { 2 } else { LIVES_MAX };

/// Searches start in the first so many places, a power of two.
const STARTS: usize = 1 << PLACES.ilog2();

/// More permits than that cannot exist.
pub(crate) const PERMITS_MAX: u32 = u32::MAX >> 3;

/// In a place's word: its thread may do without the lock.
const QUICK: u64 = 1;
/// One spare permit.
const SPARE: u64 = 1 << 1;
/// All spare permits.
const SPARES: u64 = 0xf << 1;
/// One held permit.
const HELD: u64 = 1 << 5;
/// All held permits.
const HELDS: u64 = (PERMITS_MAX as u64) << 5;
/// Where the id begins.
const ID_SHIFT: u32 = 34;
const _: () = assert!(HELDS < 1 << ID_SHIFT, "ids have the upper 30 bits");

/// So often a thread must find a permit under the lock, with nobody in need of its spare ones meanwhile, before it becomes quick.
const QUICK_AFTER: u64 = if cfg!(any(loom, shuttle)) { 0 } else { 32 };

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
    word: AtomicU64,
    /// Written by the place's thread alone, or by one that it belonged to a moment ago.
    guess: AtomicU64,
}

/// There would be more than [`PERMITS_MAX`] permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl SemaphoreCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new(permits: u32) -> SemaphoreCore {
        let places =
            [const { Place { word: AtomicU64::new(0), guess: AtomicU64::new(0) } }; PLACES];
        let (total, available) = (AtomicU32::new(permits), AtomicU32::new(permits));
        let state = Permits { total, available, crowded: AtomicU32::new(0), places };
        SemaphoreCore { monitor: Monitor::new(), state }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new(permits: u32) -> SemaphoreCore {
        let place = |_| Place { word: AtomicU64::new(0), guess: AtomicU64::new(0) };
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
        let at = start_of(me);
        let place = &self.state.places[at];
        let guess = place.guess.load(Ordering::Relaxed);
        if is_quick(guess, me) && guess & SPARES != 0 && place.replace(guess, guess + HELD - SPARE)
        {
            return Ok(at as u32);
        }
        self.acquire_slow(kernel, me, patience)
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow<K: Kernel>(
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
                state.take(me, at, self.monitor.is_quiet());
                return Attempt::Done(at as u32, NOBODY);
            }
            self.acquire_collected(kernel, me)
        })
    }

    /// Nothing is available, or no place: takes what the dead held and what the others have to spare, and then a permit.
    #[cold]
    fn acquire_collected<K: Kernel>(&self, kernel: &K, me: u32) -> Attempt<u32> {
        let state = &self.state;
        let freed = state.collect(kernel);
        if state.available.load(Ordering::Relaxed) == 0 {
            return Attempt::Wait;
        }
        let Some(at) = state.own_place(me) else {
            state.crowded.store(1, Ordering::Relaxed);
            return Attempt::Wait;
        };
        state.take(me, at, self.monitor.is_quiet());
        // What else there was is for others.
        Attempt::Done(at as u32, if freed > 1 { state.sleepers_of(freed - 1) } else { NOBODY })
    }

    /// Gives back a permit of `me` that is noted at the place `at`.
    #[inline(always)]
    pub(crate) fn release<K: Kernel>(&self, kernel: &K, me: u32, at: u32) {
        let place = &self.state.places[at as usize];
        let guess = place.guess.load(Ordering::Relaxed);
        if is_quick(guess, me)
            && guess & SPARES != SPARES
            && place.replace(guess, guess + SPARE - HELD)
        {
            return;
        }
        self.release_slow(kernel, me, at);
    }

    #[cold]
    #[inline(never)]
    fn release_slow<K: Kernel>(&self, kernel: &K, me: u32, at: u32) {
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
            let freed = state.collect(kernel);
            Attempt::Done(state.available.load(Ordering::Relaxed), state.sleepers_of(freed))
        });
        counted.unwrap_or_else(|_| self.last_available())
    }

    /// How many permits exist.
    #[cfg(shuttle)]
    pub(crate) fn total(&self) -> u32 {
        self.state.total.load(Ordering::Relaxed)
    }

    /// How many permits were available when somebody looked last; not exact while others move them.
    pub(crate) fn last_available(&self) -> u32 {
        let words = self.state.places.iter().map(|place| place.word.load(Ordering::Relaxed));
        self.state.available.load(Ordering::Relaxed) + words.map(spares_of).sum::<u32>()
    }
}

impl Permits {
    /// The place of `me`, or one that it can have.
    #[inline(always)]
    fn own_place(&self, me: u32) -> Option<usize> {
        let start = start_of(me);
        if id_of(self.places[start].word.load(Ordering::Relaxed)) == me {
            return Some(start);
        }
        self.find_place(me, start)
    }

    #[cold]
    fn find_place(&self, me: u32, start: usize) -> Option<usize> {
        loop {
            let mut free = None;
            for step in 0..PLACES {
                let at = (start + step) % PLACES;
                let word = self.places[at].word.load(Ordering::Acquire);
                if id_of(word) == me {
                    return Some(at);
                }
                if free.is_none() && word & HELDS == 0 {
                    free = Some((at, word));
                }
                if id_of(word) == 0 {
                    break;
                }
            }
            let (at, word) = free?;
            // Fails if the one that it belongs to was quick; then it has a permit now.
            let mine = u64::from(me) << ID_SHIFT;
            let taken = self.places[at].word.compare_exchange(
                word,
                mine,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if taken.is_ok() {
                self.places[at].guess.store(0, Ordering::Relaxed);
                self.make_available(spares_of(word));
                return Some(at);
            }
        }
    }

    fn make_available(&self, count: u32) {
        let available = self.available.load(Ordering::Relaxed);
        self.available.store(available.wrapping_add(count), Ordering::Relaxed);
    }

    /// By the owner of the lock, for whom a permit is available. Whether nobody is about to sleep decides about QUICK.
    #[inline(always)]
    fn take(&self, me: u32, at: usize, is_quiet: bool) {
        let available = self.available.load(Ordering::Relaxed);
        self.available.store(available.wrapping_sub(1), Ordering::Relaxed);
        let place = &self.places[at];
        // The place is the caller's, and nobody else has the lock: nobody changes it meanwhile.
        let word = place.word.load(Ordering::Relaxed) + HELD;
        let guess = place.guess.load(Ordering::Relaxed);
        // It starts anew after what was a guess.
        let often = if guess >> ID_SHIFT == 0 { guess } else { 0 };
        let may_start = often >= QUICK_AFTER && at == start_of(me);
        let nobody_sleeps = is_quiet || mutant!("semaphore-quick-always");
        if word & QUICK != 0 || may_start && nobody_sleeps {
            place.set(word | QUICK);
        } else {
            place.word.store(word, Ordering::Release);
            place.guess.store((often + 1).min(QUICK_AFTER), Ordering::Relaxed);
        }
    }

    /// By the owner of the lock, who holds a permit that is noted at the place `at`.
    #[inline(always)]
    fn give_back(&self, at: u32) {
        let place = &self.places[at as usize];
        let word = place.word.load(Ordering::Relaxed) - HELD;
        if word & QUICK != 0 {
            return place.set(word);
        }
        place.word.store(word, Ordering::Release);
    }

    /// Makes available what all have to spare and what the dead held; says how many permits that was. Nobody is quick after it.
    #[cold]
    fn collect<K: Kernel>(&self, kernel: &K) -> u32 {
        let mut freed = 0;
        for place in &self.places {
            let mut word = place.word.load(Ordering::Acquire);
            loop {
                let is_dead = word & HELDS != 0 && kernel.is_dead(id_of(word));
                let quick = if mutant!("semaphore-stays-quick") { 0 } else { QUICK };
                let kept = word & !(SPARES | quick | if is_dead { HELDS } else { 0 });
                if kept == word {
                    break;
                }
                let order = (Ordering::AcqRel, Ordering::Acquire);
                match place.word.compare_exchange(word, kept, order.0, order.1) {
                    Ok(_) => {
                        let count = spares_of(word) + held_of(word) - held_of(kept);
                        self.make_available(count);
                        freed += count;
                        break;
                    }
                    Err(other) => word = other,
                }
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
        let words = self.places.iter().map(|place| place.word.load(Ordering::Relaxed));
        let noted: u32 = words.map(|word| held_of(word) + spares_of(word)).sum();
        let total = self.total.load(Ordering::Relaxed);
        self.available.store(total - noted, Ordering::Relaxed);
    }

    fn lives(&self, lives: &mut Lives) {
        for place in &self.places {
            let word = place.word.load(Ordering::Relaxed);
            if word & HELDS != 0 {
                lives.push(id_of(word));
            }
        }
    }
}

impl Place {
    /// A quick operation: the word, if it is as guessed, and the next guess.
    #[inline(always)]
    fn replace(&self, guess: u64, next: u64) -> bool {
        let done = self.word.compare_exchange(guess, next, Ordering::AcqRel, Ordering::Relaxed);
        if done.is_ok() {
            self.guess.store(next, Ordering::Relaxed);
        }
        done.is_ok()
    }

    /// By its thread, which has the lock: the word, with QUICK, and so the next guess.
    fn set(&self, word: u64) {
        self.word.store(word, Ordering::Release);
        self.guess.store(word, Ordering::Relaxed);
    }
}

/// Whether this is the word of a place where `me` is quick.
#[inline(always)]
fn is_quick(word: u64, me: u32) -> bool {
    id_of(word) == me && word & QUICK != 0
}

#[inline(always)]
fn id_of(word: u64) -> u32 {
    (word >> ID_SHIFT) as u32
}

fn held_of(word: u64) -> u32 {
    ((word & HELDS) / HELD) as u32
}

fn spares_of(word: u64) -> u32 {
    ((word & SPARES) / SPARE) as u32
}

/// Where the search for an id begins.
#[inline(always)]
fn start_of(me: u32) -> usize {
    // Roster ids are an index and a generation; those that are alive together have different indices, mostly in a row.
    me as usize % STARTS
}
