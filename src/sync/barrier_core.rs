//! The barrier's algorithm, over any kernel: who has arrived, how a round ends, and how one learns of it later. No lock.
//!
//! ```text
//!   round ─── status, arrived so far, generation, culprit, number of resets: one word, each step one compare-exchange of it
//!   places ── [ generation, id ] …   who has arrived, in that order
//!   ends ──── the generations that the last resets ended
//! ```
//!
//! | status | meaning | who moves it on |
//! |---|---|---|
//! | OPEN | parties arrive | an arrival → one more; the last one → OPEN, next generation, 0; a deadline, a death, `abort` → broken; `reset` → RESETTING |
//! | TIMED_OUT, DIED, ABORTED | broken: whoever waits or comes leaves | `reset` → RESETTING |
//! | RESETTING | broken for those who wait; nobody arrives | anybody, having noted the generation in `ends` → OPEN, next generation, 0 |
//!
//! - B1 To arrive is to claim the place whose number is the count, and then to raise the count. The second is the arrival. One that
//!   finds this place claimed raises the count for its claimant, or breaks the round if that one is dead.
//! - B2 A claim replaces older generations' claims only. So one that has claimed a place in generation g keeps it until g has ended,
//!   and is counted before g can be completed.
//! - B3 Who raises the count to the number of parties looks at all places first: a dead one breaks the round. The party in the last
//!   place is the leader, whoever raised the count.
//! - B4 One that waits in generation g leaves with success if g has ended otherwise than by a reset, however late it looks: the
//!   number of resets has not changed, or `ends` names another generation than g as the one that the next reset ended.
//! - B5 A sleeper has looked at all places below the count. As it is enqueued, the kernel compares their parties' life words, and
//!   `round` with the count in it. Those who arrive or die later do so while it is on the alarm, which covers whole operations:
//!   the death of one that waits wakes a sleeper, which wakes all, and each looks at the places. A change of `round` other than of
//!   the count is followed by a wake-up of all.
//!
//! What a `kill -9` leaves: its id in a place, which breaks the round if it was counted; RESETTING at worst, which anybody ends.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, LIVES_MAX, Pace, Sleep, Slept};

/// The most parties: so many lives as a sleeper can watch.
pub(crate) const PARTIES_MAX: usize = if cfg!(any(loom, shuttle)) { 3 } else { LIVES_MAX };

/// How many resets are remembered. A waiter that does not get to run during so many may take its round for reset.
const ENDS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 32 };

/// See the top of the file.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct BarrierCore {
    parties: u32,
    /// Always 0; see B5.
    alarm: AtomicU32,
    round: AtomicU64,
    changed: EventCount,
    /// Always 0: a sleeper here has no second word to compare.
    zero: AtomicU32,
    _unused: u32,
    ends: [AtomicU64; ENDS],
    places: [AtomicU64; PARTIES_MAX],
}

/// Why a round was broken; the id is the roster's, 0 if not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Died(u32),
    TimedOut,
    Aborted,
    Reset,
}

const OPEN: u64 = 0;
const TIMED_OUT: u64 = 1;
const DIED: u64 = 2;
const ABORTED: u64 = 3;
const RESETTING: u64 = 4;

/// The word `round`: status (3 bits), count (7), generation (32), the culprit's place (7), number of resets (15). A sleeper
/// compares the low half: all but the upper bits of the generation that concerns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round(u64);

const COUNT_SHIFT: u32 = 3;
const GENERATION_SHIFT: u32 = 10;
const CULPRIT_SHIFT: u32 = 42;
const RESETS_SHIFT: u32 = 49;
const SEVEN_BITS: u64 = 0x7f;
const RESETS_MASK: u64 = (1 << (64 - RESETS_SHIFT)) - 1;

impl Round {
    fn open(generation: u32, resets: u64) -> Round {
        let resets = (resets & RESETS_MASK) << RESETS_SHIFT;
        Round(u64::from(generation) << GENERATION_SHIFT | resets)
    }

    fn status(self) -> u64 {
        self.0 & 7
    }

    /// How many have arrived.
    fn count(self) -> usize {
        (self.0 >> COUNT_SHIFT & SEVEN_BITS) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    fn culprit(self) -> usize {
        (self.0 >> CULPRIT_SHIFT & SEVEN_BITS) as usize
    }

    fn resets(self) -> u64 {
        self.0 >> RESETS_SHIFT
    }

    fn broken(self, status: u64, culprit: usize) -> Round {
        Round(
            self.0 & !(SEVEN_BITS << CULPRIT_SHIFT | 7)
                | status
                | (culprit as u64) << CULPRIT_SHIFT,
        )
    }

    fn with_one_more(self) -> Round {
        Round(self.0 + (1 << COUNT_SHIFT))
    }
}

/// What a place says: generation, and id.
#[derive(Clone, Copy)]
struct Claim(u64);

impl Claim {
    fn new(id: u32, generation: u32) -> Claim {
        Claim(u64::from(generation) | u64::from(id) << 32)
    }

    fn id(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn is_of(self, round: Round) -> bool {
        self.id() != 0 && self.0 as u32 == round.generation()
    }

    fn is_later_than(self, round: Round) -> bool {
        let ahead = (self.0 as u32).wrapping_sub(round.generation()) as i32;
        self.id() != 0 && ahead > 0
    }
}

impl BarrierCore {
    /// A barrier for 1 to [`PARTIES_MAX`] parties.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new(parties: u32) -> BarrierCore {
        BarrierCore {
            parties,
            alarm: AtomicU32::new(0),
            round: AtomicU64::new(0),
            changed: EventCount::new(),
            zero: AtomicU32::new(0),
            _unused: 0,
            ends: [const { AtomicU64::new(0) }; ENDS],
            places: [const { AtomicU64::new(0) }; PARTIES_MAX],
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new(parties: u32) -> BarrierCore {
        BarrierCore {
            parties,
            alarm: AtomicU32::new(0),
            round: AtomicU64::new(0),
            changed: EventCount::new(),
            zero: AtomicU32::new(0),
            _unused: 0,
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            places: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    pub(crate) fn parties(&self) -> u32 {
        self.parties
    }

    /// Arrives, and waits for the others; its place in the order of arrivals.
    pub(crate) fn wait<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        deadline: Deadline,
    ) -> Result<u32, Broken> {
        kernel.begin(&self.alarm);
        let ended = self
            .claim(kernel, me)
            .and_then(|(round, at)| self.wait_in(kernel, round, at, deadline).map(|()| at as u32));
        kernel.end();
        ended
    }

    /// Breaks the round for those who wait and for all who come, until a reset.
    pub(crate) fn abort<K: Kernel>(&self, kernel: &K) {
        kernel.begin(&self.alarm);
        loop {
            let round = self.round();
            match round.status() {
                RESETTING => self.finish_reset(kernel, round),
                OPEN if !self.replace(kernel, round, round.broken(ABORTED, 0)) => {}
                _ => break,
            }
        }
        kernel.end();
    }

    /// Breaks the round for those who wait, and makes the barrier new.
    pub(crate) fn reset<K: Kernel>(&self, kernel: &K) {
        kernel.begin(&self.alarm);
        loop {
            let round = self.round();
            let resetting = round.broken(RESETTING, 0);
            // Where another's reset is under way, ours is one right behind it.
            if round == resetting || self.replace(kernel, round, resetting) {
                self.finish_reset(kernel, resetting);
                break;
            }
        }
        kernel.end();
    }

    /// How many wait; `None` if the barrier is broken.
    pub(crate) fn waiting<K: Kernel>(&self, kernel: &K) -> Option<u32> {
        kernel.begin(&self.alarm);
        while self.break_if_dead(kernel, self.round()) {}
        let round = self.round();
        kernel.end();
        match round.status() {
            OPEN => Some(round.count() as u32),
            RESETTING => Some(0),
            _ => None,
        }
    }

    /// Whether the first round is open and this thread has not arrived.
    #[cfg(shuttle)]
    pub(crate) fn is_missing(&self, id: u32) -> bool {
        let round = self.round();
        let mut counted = (0..round.count()).map(|at| self.claim_at(at).id());
        round.status() == OPEN && round.generation() == 0 && counted.all(|party| party != id)
    }

    /// Claims a place in the present round.
    fn claim<K: Kernel>(&self, kernel: &K, me: u32) -> Result<(Round, usize), Broken> {
        loop {
            let round = self.round();
            match round.status() {
                OPEN => {}
                RESETTING => {
                    self.finish_reset(kernel, round);
                    continue;
                }
                _ => return Err(self.why(round)),
            }
            let at = round.count();
            let claim = self.claim_at(at);
            if claim.is_of(round) {
                // It may have been stopped, or killed, before it raised the count.
                if !self.break_if_dead(kernel, round) {
                    self.count_in(kernel, round);
                }
                continue;
            }
            if claim.is_later_than(round) {
                continue;
            }
            let ours = Claim::new(me, round.generation());
            let order = (Ordering::SeqCst, Ordering::Relaxed);
            if self.places[at].compare_exchange(claim.0, ours.0, order.0, order.1).is_ok() {
                return Ok((round, at));
            }
        }
    }

    /// Raises the count of an open round whose next place is claimed, and ends the round if that was the last one.
    fn count_in<K: Kernel>(&self, kernel: &K, round: Round) {
        if round.count() + 1 < self.parties as usize {
            // Nobody sleeps for this.
            self.exchange(round, round.with_one_more());
        } else if !self.break_if_dead(kernel, round) {
            self.replace(
                kernel,
                round,
                Round::open(round.generation().wrapping_add(1), round.resets()),
            );
        }
    }

    /// Breaks an open round if one that has arrived, or is about to, is dead; true if so, or if the round is another by now.
    fn break_if_dead<K: Kernel>(&self, kernel: &K, round: Round) -> bool {
        if round.status() != OPEN || mutant!("barrier-dead-not-seen") {
            return false;
        }
        let is_dead = |&at: &usize| {
            let claim = self.claim_at(at);
            claim.is_of(round) && kernel.is_dead(claim.id())
        };
        let Some(dead) = (0..=round.count()).find(is_dead) else { return false };
        self.replace(kernel, round, round.broken(DIED, dead));
        true
    }

    /// Waits for the end of the round in which the caller has claimed the place `at`.
    fn wait_in<K: Kernel>(
        &self,
        kernel: &K,
        joined: Round,
        at: usize,
        deadline: Deadline,
    ) -> Result<(), Broken> {
        let mut armed = None;
        loop {
            let round = self.round();
            if let Some(ended) = self.end_of(joined, round) {
                return ended;
            }
            if round.count() == at {
                self.count_in(kernel, round);
                continue;
            }
            if self.break_if_dead(kernel, round) {
                continue;
            }
            if deadline.has_passed() {
                self.replace(kernel, round, round.broken(TIMED_OUT, at));
                continue;
            }
            let Some(event) = armed else {
                if !self.moves_while_awake(kernel, round) {
                    // Look once more now that everybody sees that somebody is about to sleep.
                    armed = Some(self.changed.arm(kernel));
                }
                continue;
            };
            let compared = !mutant!("barrier-no-round-compare");
            let (mut lives, mut count) = ([0; PARTIES_MAX], 0);
            if !mutant!("barrier-no-lives") {
                for other in (0..round.count()).filter(|&other| other != at) {
                    lives[count] = self.claim_at(other).id();
                    count += 1;
                }
            }
            let sleep = Sleep {
                awaits: Awaits::Parties,
                bell: self.changed.bell(),
                event: (self.changed.word(), event.value),
                owner: None,
                world: compared.then_some((&self.round, round.0, &self.zero)),
                lives: &lives[..count],
                alarm: &self.alarm,
                unarmed: event.unarmed,
            };
            let slept = kernel.sleep(sleep, deadline);
            if slept == Slept::Alarmed && !mutant!("barrier-alarm-wakes-one") {
                self.changed.wake_all(kernel);
            }
            armed = Some(self.changed.arm(kernel));
        }
    }

    /// How the round that the caller has joined has ended, if it has; `now` is the present one.
    fn end_of(&self, joined: Round, now: Round) -> Option<Result<(), Broken>> {
        if now.generation() == joined.generation() {
            return (now.status() != OPEN).then(|| Err(self.why(now)));
        }
        if now.resets() == joined.resets() || mutant!("barrier-forgets-resets") {
            return Some(Ok(()));
        }
        // The first reset since we came: it ended our round, or a later one; or it is forgotten.
        let end = self.ends[joined.resets() as usize % ENDS].load(Ordering::SeqCst);
        let was_ours = end == end_word(joined);
        let is_known = end >> 32 == end_word(joined) >> 32;
        Some(if was_ours || !is_known { Err(Broken::Reset) } else { Ok(()) })
    }

    /// Notes which generation this reset ends, and makes the barrier new. Anybody may do that, and several at a time.
    fn finish_reset<K: Kernel>(&self, kernel: &K, round: Round) {
        let end = &self.ends[round.resets() as usize % ENDS];
        let ours = end_word(round);
        loop {
            let seen = end.load(Ordering::SeqCst);
            let ahead = (seen >> 32).wrapping_sub(ours >> 32) & RESETS_MASK;
            // Noted by another, or so late that it is another reset's by now.
            if seen == ours || seen != 0 && ahead <= RESETS_MASK / 2 {
                break;
            }
            if end.compare_exchange(seen, ours, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                break;
            }
        }
        let next = Round::open(round.generation().wrapping_add(1), round.resets() + 1);
        self.replace(kernel, round, next);
    }

    /// Moves `round`, and wakes everybody if nobody else has moved it.
    fn replace<K: Kernel>(&self, kernel: &K, from: Round, to: Round) -> bool {
        let moved = self.exchange(from, to);
        if moved {
            self.changed.ring_all(kernel);
        }
        moved
    }

    fn exchange(&self, from: Round, to: Round) -> bool {
        self.round.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    fn moves_while_awake<K: Kernel>(&self, kernel: &K, seen: Round) -> bool {
        let mut step = 0;
        while kernel.pause(Pace::Queue { linger: 0 }, step) {
            if self.round.load(Ordering::Relaxed) != seen.0 {
                return true;
            }
            step += 1;
        }
        false
    }

    /// Why a round is broken.
    fn why(&self, round: Round) -> Broken {
        let claim = self.claim_at(round.culprit());
        let id = if claim.is_of(round) { claim.id() } else { 0 };
        match round.status() {
            TIMED_OUT => Broken::TimedOut,
            DIED => Broken::Died(id),
            ABORTED => Broken::Aborted,
            _ => Broken::Reset,
        }
    }

    fn round(&self) -> Round {
        Round(self.round.load(Ordering::SeqCst))
    }

    fn claim_at(&self, at: usize) -> Claim {
        Claim(self.places[at].load(Ordering::SeqCst))
    }
}

/// What `ends` says about the reset that ended this round: which reset it was, counted from 1, and the generation.
fn end_word(round: Round) -> u64 {
    ((round.resets() + 1) & RESETS_MASK) << 32 | u64::from(round.generation())
}
