//! The kernel's side of a model: sleepers and lives.
//!
//! A futex call is modelled word by word, as the kernel does it: `futex_waitv` compares and enqueues one word at a time, and a
//! wake-up may come in between. A sleeper that is enqueued on several words can be dequeued from several of them by several
//! wakers, each of which counts it as woken; it reports the last. Which of several sleepers a wake-up takes is random under
//! shuttle (the kernel's order depends on priorities), the oldest under loom.
//!
//! Both calls begin with a full fence: the kernel's do too (`futex_hb_waiters_inc` in kernel/futex/core.c and
//! `futex_hb_waiters_pending` in waitwake.c, barriers A and B of the comment there).

use crate::prim::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::kernel::ALL;

#[cfg(loom)]
use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(shuttle)]
use shuttle::sync::{Condvar, Mutex, MutexGuard};

/// A word and the value that it must have for sleep to begin.
#[derive(Clone, Copy)]
pub(crate) enum Watch<'a> {
    Word(&'a AtomicU32, u32),
    LowHalf(&'a AtomicU64, u32),
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// Woken on the word with this index, the last one if on several.
    Woken(usize),
    /// A word had another value, or (shuttle) a signal came.
    Look,
    /// (shuttle) The deadline passed.
    TimedOut,
}

/// How long a sleep lasts at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Woken,
    /// So many turns of the scheduler, and then: it times out, or the sleeper is killed asleep.
    Turns(u32),
}

const ALIVE: u32 = 1;
const DEAD: u32 = 2;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct World {
    table: Mutex<Table>,
    /// One for each party, to be blocked on.
    bells: Vec<Condvar>,
    lives: Vec<AtomicU32>,
    /// What [`Kernel::calm`](crate::sync::kernel::Kernel::calm) answers under loom.
    pub(crate) calms: bool,
}

#[derive(Debug, Default)]
struct Table {
    sleepers: Vec<Sleeper>,
    /// For each party, the last word that it was woken on.
    woken: Vec<Option<usize>>,
}

#[derive(Debug)]
struct Sleeper {
    word: usize,
    party: u32,
    index: usize,
}

impl World {
    /// A world for parties with the ids 1 to `parties`.
    pub(crate) fn new(parties: u32, calms: bool) -> World {
        let parties = parties as usize;
        World {
            table: Mutex::new(Table { sleepers: Vec::new(), woken: vec![None; parties] }),
            bells: (0..parties).map(|_| Condvar::new()).collect(),
            lives: (0..parties).map(|_| AtomicU32::new(ALIVE)).collect(),
            calms,
        }
    }

    /// `futex_waitv`, by `party`.
    pub(crate) fn sleep(&self, party: u32, watches: &[Watch<'_>], until: Until) -> Wakeup {
        fence(Ordering::SeqCst);
        let slot = party as usize - 1;
        self.table().woken[slot] = None;
        for (index, watch) in watches.iter().enumerate() {
            let mut table = self.table();
            if !watch.fits() {
                return table.leave(party).map_or(Wakeup::Look, Wakeup::Woken);
            }
            table.sleepers.push(Sleeper { word: watch.address(), party, index });
        }
        match until {
            Until::Woken => {
                let mut table = self.table();
                while table.woken[slot].is_none() {
                    table = self.bells[slot].wait(table).unwrap();
                }
                table.leave(party).map_or(Wakeup::Look, Wakeup::Woken)
            }
            Until::Turns(turns) => {
                for _ in 0..turns {
                    yield_now();
                    if self.table().woken[slot].is_some() {
                        break;
                    }
                }
                self.table().leave(party).map_or(Wakeup::TimedOut, Wakeup::Woken)
            }
        }
    }

    /// `FUTEX_WAKE`, on an address.
    pub(crate) fn wake(&self, word: usize, count: u32) -> u32 {
        fence(Ordering::SeqCst);
        let mut table = self.table();
        let mut woken = 0;
        while woken < count {
            let Some(Sleeper { party, index, .. }) = table.pick(word) else { break };
            let slot = party as usize - 1;
            table.woken[slot] = table.woken[slot].max(Some(index));
            self.bells[slot].notify_one();
            woken += 1;
        }
        woken
    }

    /// The word that the kernel marks at the death of the thread `id`; `None` if it has ended.
    pub(crate) fn watch_life(&self, id: u32) -> Option<Watch<'_>> {
        let life = &self.lives[id as usize - 1];
        (life.load(Ordering::Acquire) == ALIVE).then_some(Watch::Word(life, ALIVE))
    }

    /// Whether the thread has ended.
    pub(crate) fn is_dead(&self, id: u32) -> bool {
        self.lives[id as usize - 1].load(Ordering::Acquire) == DEAD
    }

    /// Wakes all that sleep on the life word of a dead thread.
    pub(crate) fn wake_mourners(&self, id: u32) {
        self.wake(address(&self.lives[id as usize - 1]), ALL);
    }

    /// What the kernel does at a death: the listed word first, then the pending one.
    pub(crate) fn bury(&self, id: u32, pending: Option<usize>) {
        let life = &self.lives[id as usize - 1];
        life.store(DEAD, Ordering::SeqCst);
        self.wake(address(life), 1);
        if let Some(alarm) = pending {
            self.wake(alarm, 1);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }
}

impl Table {
    /// Dequeues a sleeper on the word.
    fn pick(&mut self, word: usize) -> Option<Sleeper> {
        let mut fitting = (0..self.sleepers.len()).filter(|&at| self.sleepers[at].word == word);
        #[cfg(loom)]
        let at = fitting.next()?;
        #[cfg(shuttle)]
        let at = {
            let count = fitting.clone().count();
            if count == 0 {
                return None;
            }
            fitting.nth(if count == 1 { 0 } else { random(count as u32) as usize })?
        };
        Some(self.sleepers.remove(at))
    }

    /// Takes a sleeper off all its words; the last word that it was woken on, if any.
    fn leave(&mut self, party: u32) -> Option<usize> {
        self.sleepers.retain(|sleeper| sleeper.party != party);
        self.woken[party as usize - 1].take()
    }
}

impl Watch<'_> {
    fn fits(self) -> bool {
        match self {
            Watch::Word(word, expected) => word.load(Ordering::Relaxed) == expected,
            Watch::LowHalf(word, expected) => word.load(Ordering::Relaxed) as u32 == expected,
        }
    }

    fn address(self) -> usize {
        match self {
            Watch::Word(word, _) => address(word),
            Watch::LowHalf(word, _) => std::ptr::from_ref(word).addr(),
        }
    }
}

/// What a futex is known by.
pub(crate) fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}

/// Lets the other threads run.
pub(crate) fn yield_now() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}

/// A number below `end`, from the schedule's seed.
#[cfg(shuttle)]
pub(crate) fn random(end: u32) -> u32 {
    use shuttle::rand::{Rng, thread_rng};
    thread_rng().gen_range(0..end)
}
