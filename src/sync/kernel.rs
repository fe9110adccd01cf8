//! What the cores need of the kernel, as a trait, so that model checkers can stand in for it.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64};

/// What a sleeper sleeps on. First it is enqueued on the bell and the alarm, then all else is compared (the owner's life word,
/// the owner or the world, the event): in the other order a death between a comparison and the alarm would be missed.
#[derive(Clone, Copy)]
pub(crate) struct Sleep<'a> {
    /// What for; told to those who look from outside.
    pub(crate) awaits: Awaits,
    /// The event count's bell.
    pub(crate) bell: &'a AtomicU32,
    /// The event count's word and the armed value seen.
    pub(crate) event: (&'a AtomicU32, u32),
    /// A lock word and the value seen, whose owner's life word is watched too.
    pub(crate) owner: Option<(&'a AtomicU32, u32)>,
    /// A number whose change ends the wait (a queue's position, a monitor's version; its low half is compared), and a flag that
    /// must be 0 still. The flag is compared first: a monitor's says that nobody is inside, so whoever commits after that dies
    /// with this sleeper on the alarm, and whoever has died before it has an heir, which moved the version before it left.
    pub(crate) world: Option<(&'a AtomicU64, u64, &'a AtomicU32)>,
    /// Roster ids of others whose death ends the sleep too: those who hold what is waited for. At most [`LIVES_MAX`].
    pub(crate) lives: &'a [u32],
    /// The word that deaths ring; it may be the bell itself. A kernel may let another word stand for it.
    pub(crate) alarm: &'a AtomicU32,
    /// The event count could not be armed (no `membarrier`): sleep for a moment only.
    pub(crate) unarmed: bool,
}

/// What a sleeper waits for. The numbers are read from outside (`observe/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Awaits {
    /// That the owner gives up a lock.
    Lock = 1,
    /// That the readers (`lives`) give up theirs.
    Readers = 2,
    /// A notification.
    Condition = 3,
    /// An event that is set.
    Event = 4,
    /// A change of a monitor's state: permits or items, which `lives` hold.
    Change = 5,
    /// The other parties of a barrier.
    Parties = 6,
    /// A value that is set once.
    Value = 7,
    Message = 8,
    /// Room for a message.
    Room = 9,
    /// A task's outcome.
    Outcome = 10,
}

/// How many other lives a sleeper can watch: `futex_waitv` takes 128 words, and [`Sleep`] has up to six of its own.
pub(crate) const LIVES_MAX: usize = 120;

/// How a sleep ended. All but `TimedOut` mean: look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Another wake-up, a changed word, or nothing at all.
    Look,
    /// A wake-up on the bell, and by nothing else.
    Rung,
    /// Somebody died in the middle of an operation: the alarm woke us, or the owner's life word has changed.
    Alarmed,
    /// The caller's deadline (not a backstop) has passed.
    TimedOut,
}

/// What a waiter that is awake waits for: how long it pays to stay awake differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The end of a critical section.
    Lock,
    /// A message, or room for one: first a pause of so many units of 16 ns without a look. Every look takes the line from
    /// the other side, so a look that comes too early costs both of them a batch.
    Queue {
        /// How long the first pause is.
        linger: u32,
    },
}

/// The calls that a protocol's core makes. `Linux` is the real one; each model checker has its own.
pub(crate) trait Kernel {
    /// The cheap half of the asymmetric fence, run by the thread `me`.
    fn light_fence(&self, me: u32);
    /// The expensive half: on return, every process has passed a full fence. False if the kernel refuses.
    fn heavy_fence(&self) -> bool;
    /// Sleeps until woken, or until one of the words has another value. A sleeper that finds the owner's life word changed wakes
    /// all others on that word, for the kernel wakes one of them only, and they may wait for other locks.
    fn sleep(&self, sleep: Sleep<'_>, deadline: Deadline) -> Slept {
        self.sleep_if(sleep, &[], deadline)
    }
    /// The same, if in addition some words (two at most) have the given values when sleep begins.
    fn sleep_if(&self, sleep: Sleep<'_>, also: &[(&AtomicU32, u32)], deadline: Deadline) -> Slept;
    /// Wakes at most `count` sleepers on the word; returns how many.
    fn wake(&self, word: &AtomicU32, count: u32) -> u32;
    /// After [`Slept::Alarmed`]: wakes all who sleep with this alarm, if `sleep` has not done so itself.
    fn echo(&self, _alarm: &AtomicU32) {}
    /// Whether the thread with this roster id has ended.
    fn is_dead(&self, id: u32) -> bool;
    /// If this thread names the alarm of a lock that it holds, sees to it that the lock can do without. Alarms may be shared, so
    /// the next lock that this thread waits for might take that name for its own.
    fn settle(&self) {}
    /// Lets this thread's death wake one sleeper on `alarm` from now on; false if it did already. The alarm is known by its
    /// address, and there need not be anything at it.
    fn name_alarm(&self, alarm: *const AtomicU32) -> bool;
    /// The opposite of [`keep_alarm`](Self::keep_alarm): the alarm stays named, for what this thread does next.
    fn unkeep_alarm(&self);
    /// Takes back [`name_alarm`](Self::name_alarm), unless the thread names another alarm by now.
    fn unname_alarm(&self, alarm: *const AtomicU32);
    /// A lock whose owner is dead is about to be taken over; the address is that of its owner word.
    fn takes_over(&self, _owner: *const AtomicU32, _dead: u32) {}
    /// A lock with this alarm was unlocked, by the slow path.
    fn released(&self, _alarm: *const AtomicU32) {}
    /// Notes that the named alarm must stay in force while a lock is held, also across other operations.
    fn keep_alarm(&self);
    /// Names `alarm` for the length of one operation on a structure that is not a lock; no other is named meanwhile.
    fn begin(&self, alarm: &AtomicU32);
    /// The same for an operation on an end that this thread holds: the alarm stays named between operations.
    fn begin_held(&self, alarm: &AtomicU32);
    /// The end of the operation.
    fn end(&self);
    /// The end of holding: takes the name back, unless the thread names the alarm of a lock that it holds by now.
    fn end_held(&self) {
        self.end();
    }
    /// One step of waiting awake; false when it is time to sleep.
    fn pause(&self, pace: Pace, step: u32) -> bool;
    /// Whether to try to calm an event count that found nobody asleep; true once in many calls.
    fn calm(&self) -> bool;
}

/// `wake` with this count wakes all.
pub(crate) const ALL: u32 = i32::MAX as u32;
