//! One thread of a model, as the cores see it: `Linux` without Linux.
//!
//! The pending pointer and `owes` follow `linux.rs` line by line. Under shuttle each call is a point where the thread may be
//! killed, before it and, for a sleep, after it and during it.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering, fence};
use crate::sync::kernel::{ALL, Kernel, Pace, Sleep, Slept};
#[cfg(shuttle)]
use crate::sync::model::world::random;
use crate::sync::model::world::{Until, Wakeup, Watch, World, address, yield_now};
use std::cell::Cell;
use std::sync::Arc;

#[cfg(shuttle)]
use crate::prim::mortal::{die, step, steps_left, uninterrupted};

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Party {
    world: Arc<World>,
    /// The roster id: 1, 2, …
    pub(crate) id: u32,
    pending: Cell<Option<usize>>,
    owes: Cell<bool>,
    /// Loom: dies at this call of the kernel, counted from 1; 0 is never.
    #[cfg(loom)]
    last_call: Cell<u32>,
}

/// What a killed thread unwinds with.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Killed;
#[cfg(shuttle)]
pub(crate) use crate::prim::mortal::Killed;

impl Party {
    pub(crate) fn new(world: &Arc<World>, id: u32) -> Party {
        Party {
            world: Arc::clone(world),
            id,
            pending: Cell::new(None),
            owes: Cell::new(false),
            #[cfg(loom)]
            last_call: Cell::new(0),
        }
    }

    /// Dies at its `call`-th call of the kernel.
    #[cfg(loom)]
    pub(crate) fn doom(&self, call: u32) {
        self.last_call.set(call);
    }

    /// After the thread has been killed: what the kernel does.
    pub(crate) fn bury(&self) {
        self.world.bury(self.id, self.pending.get());
    }

    /// Whether the thread has nothing named, as between operations.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.get().is_none()
    }

    #[cfg(loom)]
    fn step(&self) {
        let left = self.last_call.get();
        self.last_call.set(left.saturating_sub(1));
        if left == 1 {
            std::panic::resume_unwind(Box::new(Killed));
        }
    }

    #[cfg(shuttle)]
    fn step(&self) {
        step();
    }

    fn set_pending(&self, alarm: *const AtomicU32) {
        if self.owes.get() {
            self.release_owed();
        }
        if !mutant!("no-alarm") {
            self.pending.set(Some(alarm.addr()));
        }
    }

    fn is_pending(&self, alarm: *const AtomicU32) -> bool {
        self.pending.get() == Some(alarm.addr())
    }

    fn release_owed(&self) {
        if let Some(alarm) = self.pending.get()
            && !mutant!("no-owed-wake")
        {
            self.step();
            self.world.wake(alarm, 1);
        }
        self.owes.set(false);
    }

    #[cfg(loom)]
    fn sleep_on(&self, watches: &[Watch<'_>], _deadline: Deadline) -> Wakeup {
        self.step();
        let wakeup = self.world.sleep(self.id, watches, Until::Woken);
        self.step();
        wakeup
    }

    /// Sleeps until woken, or for a while: till the deadline, a signal, or death.
    #[cfg(shuttle)]
    fn sleep_on(&self, watches: &[Watch<'_>], deadline: Deadline) -> Wakeup {
        self.step();
        let turns = random(24);
        let dies = steps_left() != 0 && random(8) == 0;
        let interrupted = random(32) == 0;
        let brief = dies || interrupted || !deadline.is_never();
        let until = if brief { Until::Turns(turns) } else { Until::Woken };
        let wakeup = uninterrupted(|| self.world.sleep(self.id, watches, until));
        if dies {
            die();
        }
        self.step();
        match wakeup {
            Wakeup::TimedOut if deadline.is_never() => Wakeup::Look,
            wakeup => wakeup,
        }
    }
}

impl Kernel for Party {
    fn light_fence(&self, _me: u32) {
        fence(Ordering::SeqCst);
    }

    fn heavy_fence(&self) -> bool {
        self.step();
        fence(Ordering::SeqCst);
        true
    }

    fn sleep_if(&self, sleep: Sleep<'_>, also: &[(&AtomicU32, u32)], deadline: Deadline) -> Slept {
        if sleep.unarmed {
            self.step();
            yield_now();
            return Slept::Look;
        }
        let zero = |word| Watch::Word(word, 0);
        let mut watches = Vec::with_capacity(5);
        if !std::ptr::eq(sleep.bell, sleep.alarm) {
            watches.push(zero(sleep.bell));
        }
        watches.push(zero(sleep.alarm));
        let alarm = watches.len() - 1;
        for &id in sleep.lives {
            let Some(life) = self.world.watch_life(id) else { return Slept::Look };
            watches.push(life);
        }
        if let Some((word, owner)) = sleep.owner {
            let Some(life) = self.world.watch_life(owner) else { return Slept::Look };
            watches.extend([life, Watch::Word(word, owner)]);
        } else if let Some((position, seen, flag)) = sleep.world {
            let (flag, position) = (zero(flag), Watch::LowHalf(position, seen as u32));
            match mutant!("version-first") {
                true => watches.extend([position, flag]),
                false => watches.extend([flag, position]),
            }
        }
        watches.extend(also.iter().map(|&(word, seen)| Watch::Word(word, seen)));
        watches.push(Watch::Word(sleep.event.0, sleep.event.1));
        let wakeup = self.sleep_on(&watches, deadline);
        let watched =
            sleep.owner.map(|(_, owner)| owner).into_iter().chain(sleep.lives.iter().copied());
        let mut ended = false;
        for id in watched.filter(|&id| self.world.is_dead(id)) {
            self.step();
            self.world.wake_mourners(id);
            ended = true;
        }
        if ended {
            return Slept::Alarmed;
        }
        match wakeup {
            Wakeup::Woken(index) if index == alarm => Slept::Alarmed,
            Wakeup::Woken(0) => Slept::Rung,
            Wakeup::TimedOut => Slept::TimedOut,
            _ => Slept::Look,
        }
    }

    fn echo(&self, alarm: &AtomicU32) {
        self.wake(alarm, ALL);
    }

    fn wake(&self, word: &AtomicU32, count: u32) -> u32 {
        self.step();
        self.world.wake(address(word), count)
    }

    fn is_dead(&self, id: u32) -> bool {
        self.world.is_dead(id)
    }

    fn name_alarm(&self, alarm: *const AtomicU32) -> bool {
        if self.is_pending(alarm) {
            return false;
        }
        self.set_pending(alarm);
        true
    }

    fn unname_alarm(&self, alarm: *const AtomicU32) {
        if self.is_pending(alarm) {
            self.pending.set(None);
            self.owes.set(false);
        }
    }

    fn keep_alarm(&self) {
        self.owes.set(true);
    }

    fn unkeep_alarm(&self) {
        self.owes.set(false);
    }

    fn begin(&self, alarm: &AtomicU32) {
        self.set_pending(alarm);
    }

    fn begin_held(&self, alarm: &AtomicU32) {
        if !self.is_pending(alarm) {
            self.begin(alarm);
        }
    }

    fn end(&self) {
        self.pending.set(None);
    }

    fn pause(&self, _pace: Pace, _step: u32) -> bool {
        #[cfg(shuttle)]
        if random(3) == 0 {
            self.step();
            yield_now();
            return true;
        }
        false
    }

    fn calm(&self) -> bool {
        #[cfg(shuttle)]
        return random(4) == 0;
        #[cfg(loom)]
        self.world.calms
    }
}
