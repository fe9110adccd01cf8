//! The real kernel behind the cores: futexes, `membarrier`, robust lists, the roster.

use crate::deadline::Deadline;
use crate::prim::{Ordering, fence, light_fence};
use crate::shm::waits::{self, TIMED};
use crate::shm::{held, roster};
use crate::sync::kernel::{ALL, Awaits, Kernel, LIVES_MAX, Pace, Sleep, Slept};
use crate::sync::takeover;
use crate::sys::futex::{self, WATCH_COUNT_MAX, Wakeup, Watch};
use crate::sys::{membarrier, spin};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant};

/// Linux, as the cores see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linux;

/// A sleep is never longer than this: a net under the argument, not part of it (tests turn it off).
const BACKSTOP: Duration = Duration::from_secs(1);
/// How long to sleep at once where the kernel refuses what a full sleep needs.
const MOMENT: Duration = Duration::from_millis(1);

/// Where the event count's bell stands in a sleeper's list.
const BELL: usize = 0;
/// Where the word on which deaths ring stands there.
const NAMED: usize = 2;
/// How long the list is without the lives of others.
const FEW: usize = 8;
const _: () = assert!(FEW + LIVES_MAX <= WATCH_COUNT_MAX);

/// How one who waits for a lock stays awake before it sleeps: pauses that double up to a longest, then yields of the CPU.
const LOCK_PAUSES: u32 = 8;
const LOCK_LONGEST: u32 = 5;
const LOCK_YIELDS: u32 = 8;
/// The same for one who waits for a message or for room; see [`Awake`] for the yields.
const QUEUE_PAUSES: u32 = 5;
const QUEUE_LONGEST: u32 = 3;

/// An event count that found nobody asleep is calmed once in this many rings.
const CALM_AFTER: u32 = 1024;

static BACKSTOP_OFF: AtomicBool = AtomicBool::new(false);
static WAITV_REFUSED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IDLE_RINGS: Cell<u32> = const { Cell::new(0) };
    static AWAKE: Awake = const { Awake::new() };
}

/// What this thread has learnt about yielding while it waits for messages.
///
/// Waking a sleeper takes some 40 µs, in which the other side fills or drains a ring of a thousand slots and falls asleep too:
/// then both sleep in turns. So after a sleep that was short, stay awake for longer than a wake-up takes; after a long one,
/// hardly. And a yield after which somebody else ran for long, and in vain for us, was a mistake: a process that has nothing
/// to do with the queue wants this CPU. Asleep, we would get it back at the wake-up; so do not yield for a while.
struct Awake {
    /// How many yields before sleep.
    yields: Cell<u32>,
    /// The last yield was long.
    was_long: Cell<bool>,
    /// How many waits are left that do without yields.
    without: Cell<u32>,
}

const YIELDS_MIN: u32 = 8;
const YIELDS_MAX: u32 = 128;
/// Between each two yields, in units of 16 ns.
const YIELD_PAUSE: u32 = 8;
const WAITS_WITHOUT: u32 = 16;
const LONG_YIELD: Duration = Duration::from_micros(5);
const SHORT_SLEEP: Duration = Duration::from_micros(150);

impl Awake {
    const fn new() -> Awake {
        let (was_long, without) = (Cell::new(false), Cell::new(0));
        Awake { yields: Cell::new(YIELDS_MIN), was_long, without }
    }

    /// A wait begins.
    fn begin(&self) {
        self.was_long.set(false);
        self.without.set(self.without.get().saturating_sub(1));
    }

    /// The `count`-th yield of a wait; false when it is time to sleep.
    fn pause(&self, count: u32) -> bool {
        if self.was_long.take() {
            self.without.set(WAITS_WITHOUT);
        }
        if self.without.get() > 0 || count >= self.yields.get() {
            return false;
        }
        let start = Instant::now();
        std::thread::yield_now();
        if start.elapsed() > LONG_YIELD {
            self.was_long.set(true);
        } else {
            spin::units(YIELD_PAUSE);
        }
        true
    }

    /// A sleep has ended. Under a proof, which visits every instruction, more rounds of a loop add nothing.
    fn slept(&self, time: Duration) {
        let stay = time < SHORT_SLEEP && !BACKSTOP_OFF.load(Ordering::Relaxed);
        self.yields.set(if stay { YIELDS_MAX } else { YIELDS_MIN });
    }
}

/// Makes sleeps unbounded in this process and its later children, so that a lost wake-up shows as a hang.
#[cfg(feature = "kill-matrix")]
pub(crate) fn backstop_off() {
    BACKSTOP_OFF.store(true, Ordering::Relaxed);
}

impl Kernel for Linux {
    #[inline(always)]
    fn light_fence(&self, me: u32) {
        light_fence();
        if me & roster::NEEDS_FENCE != 0 {
            fence(Ordering::SeqCst);
        }
    }

    fn heavy_fence(&self) -> bool {
        if roster::is_asymmetric() {
            return membarrier::barrier().is_ok();
        }
        fence(Ordering::SeqCst);
        true
    }

    fn sleep_if(&self, sleep: Sleep<'_>, also: &[(&AtomicU32, u32)], deadline: Deadline) -> Slept {
        let zero = |word| Watch { word, expected: 0 };
        let bell = zero(sleep.bell);
        if sleep.unarmed || WAITV_REFUSED.load(Ordering::Relaxed) {
            // Without an armed event count, or with one word only, wake-ups can be missed: look again soon.
            note(&sleep, deadline);
            let wakeup = futex::wait(bell, deadline.or_after(MOMENT));
            waits::end(wakeup == Wakeup::TimedOut);
            return why(wakeup, deadline);
        }
        let alarm = roster::alarm(sleep.alarm);
        let (named, echo) = (zero(&alarm.named), zero(&alarm.echo));
        let event = Watch { word: sleep.event.0, expected: sleep.event.1 };
        let life = sleep.owner.map(|(_, seen)| roster::watch(seen));
        let (first, second) = match (sleep.owner, life, sleep.world) {
            (Some(_), Some(None), _) => return Slept::Look, // dead already
            (Some((word, expected)), Some(Some(life)), _) => (life, Watch { word, expected }),
            (None, _, Some((position, seen, flag))) => {
                let expected = seen as u32;
                // The flag first: see `Sleep::world`.
                (zero(flag), Watch { word: futex::low_half(position), expected })
            }
            // Nothing is compared but the event.
            _ => (event, event),
        };
        let until = match BACKSTOP_OFF.load(Ordering::Relaxed) {
            true => deadline,
            false => deadline.or_after(BACKSTOP),
        };
        // Of several wake-ups the kernel reports the last. One by `named` obliges; only one by a life word can hide it.
        let mut few = [bell, echo, named, first, second, event, event, event];
        for (watch, &(word, expected)) in few[FEW - 2..].iter_mut().zip(also) {
            *watch = Watch { word, expected };
        }
        let few = &few[..FEW - 2 + also.len()];
        let mut many;
        let watches = match sleep.lives {
            [] => few,
            lives => {
                many = [bell; WATCH_COUNT_MAX];
                match gather(&mut many, few, lives) {
                    Some(count) => &many[..count],
                    None => return Slept::Look, // one is dead already
                }
            }
        };
        let start = sleep.world.map(|_| Instant::now());
        note(&sleep, deadline);
        let wakeup = futex::wait_any(watches, until);
        waits::end(wakeup == Wakeup::TimedOut);
        if let Some(start) = start {
            AWAKE.with(|awake| awake.slept(start.elapsed()));
        }
        if wakeup == Wakeup::Refused {
            WAITV_REFUSED.store(true, Ordering::Relaxed);
        }
        let owner = life.flatten();
        let others = &watches[NAMED + 1..NAMED + 1 + sleep.lives.len()];
        let mut ended = false;
        for life in owner.iter().chain(others) {
            if life.word.load(Ordering::Relaxed) != life.expected {
                // The kernel woke one of those who watch this thread, and they may wait for other locks.
                futex::wake(life.word, ALL);
                ended = true;
            }
        }
        if ended || wakeup == Wakeup::Woken(NAMED) {
            futex::wake(&alarm.echo, ALL);
            return Slept::Alarmed;
        }
        match wakeup {
            Wakeup::Woken(BELL) => Slept::Rung,
            _ => why(wakeup, deadline),
        }
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        futex::wake(word, count)
    }

    fn is_dead(&self, id: u32) -> bool {
        roster::is_dead(id)
    }

    #[inline(always)]
    fn name_alarm(&self, alarm: *const AtomicU32) -> bool {
        let head = roster::my_head();
        let alarm = &roster::alarm(alarm).named;
        if head.is_pending(alarm) {
            return false;
        }
        if roster::owes() {
            release_owed();
        }
        if !mutant!("no-alarm") {
            head.set_pending(alarm);
        }
        true
    }

    #[inline(always)]
    fn unname_alarm(&self, alarm: *const AtomicU32) {
        let head = roster::my_head();
        if head.is_pending(&roster::alarm(alarm).named) {
            head.clear_pending();
            roster::set_owes(false);
        }
    }

    fn settle(&self) {
        if roster::owes() {
            release_owed();
        }
    }

    fn end_held(&self) {
        if !roster::owes() {
            self.end();
        }
    }

    fn takes_over(&self, owner: *const AtomicU32, dead: u32) {
        held::note_takeover(dead, owner.addr());
    }

    fn released(&self, alarm: *const AtomicU32) {
        takeover::say(alarm.addr());
    }

    fn keep_alarm(&self) {
        roster::set_owes(true);
    }

    fn unkeep_alarm(&self) {
        roster::set_owes(false);
    }

    #[inline(always)]
    fn begin(&self, alarm: &AtomicU32) {
        if roster::owes() {
            release_owed();
        }
        if !mutant!("no-alarm") {
            roster::my_head().set_pending(&roster::alarm(alarm).named);
        }
    }

    #[inline(always)]
    fn end(&self) {
        roster::my_head().clear_pending();
    }

    #[inline(always)]
    fn begin_held(&self, alarm: &AtomicU32) {
        if !roster::my_head().is_pending(&roster::alarm(alarm).named) {
            self.begin(alarm);
        }
    }

    fn pause(&self, pace: Pace, step: u32) -> bool {
        match pace {
            Pace::Lock if step < LOCK_PAUSES => spin::units(1 << step.min(LOCK_LONGEST)),
            Pace::Lock if step < LOCK_PAUSES + LOCK_YIELDS => std::thread::yield_now(),
            Pace::Lock => return false,
            Pace::Queue { linger } if step == 0 => {
                AWAKE.with(Awake::begin);
                spin::units(linger);
            }
            Pace::Queue { .. } if step < QUEUE_PAUSES => spin::units(1 << step.min(QUEUE_LONGEST)),
            Pace::Queue { .. } => return AWAKE.with(|awake| awake.pause(step - QUEUE_PAUSES)),
        }
        true
    }

    fn calm(&self) -> bool {
        IDLE_RINGS.with(|rings| {
            let count = rings.get() + 1;
            rings.set(count % CALM_AFTER);
            count == CALM_AFTER
        })
    }
}

/// Notes for those who look from outside what this thread is about to sleep on, and who has it.
fn note(sleep: &Sleep<'_>, deadline: Deadline) {
    let timed = if deadline.is_never() { 0 } else { TIMED };
    let kind = sleep.awaits as u32 | timed;
    match (sleep.owner, sleep.awaits) {
        (Some((word, owner)), _) => waits::begin(kind, ptr::from_ref(word).addr(), &[owner]),
        // Their lives are watched, but they are not in the way.
        (None, Awaits::Condition | Awaits::Parties | Awaits::Outcome) => {
            waits::begin(kind, ptr::from_ref(sleep.bell).addr(), &[])
        }
        (None, _) => waits::begin(kind, ptr::from_ref(sleep.bell).addr(), sleep.lives),
    }
}

/// The pending pointer names the alarm of a lock that this thread took after waiting and still holds; now it is needed for
/// something else. Wake one of that lock's sleepers: it will see this thread as the owner, and watch its life word instead.
#[cold]
fn release_owed() {
    if let Some(alarm) = roster::my_head().pending_word()
        && !mutant!("no-owed-wake")
    {
        futex::wake_at(alarm, 1);
    }
    roster::set_owes(false);
}

/// All that a sleeper with `lives` watches, the lives behind the alarm; `None` if one of them has ended.
fn gather<'a>(many: &mut [Watch<'a>], few: &[Watch<'a>], lives: &[u32]) -> Option<usize> {
    let (wakeups, compared) = few.split_at(NAMED + 1);
    let mut count = 0;
    let mut push = |watch| {
        many[count] = watch;
        count += 1;
    };
    wakeups.iter().copied().for_each(&mut push);
    for &id in lives {
        push(roster::watch(id)?);
    }
    compared.iter().copied().for_each(&mut push);
    Some(count)
}

fn why(wakeup: Wakeup, deadline: Deadline) -> Slept {
    match wakeup {
        Wakeup::TimedOut if deadline.has_passed() => Slept::TimedOut,
        _ => Slept::Look,
    }
}
