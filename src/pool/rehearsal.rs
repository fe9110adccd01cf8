//! For the kill matrix: a pool without a supervisor. Its client, workers and supervisor are whatever processes a scenario has, and
//! each does what it would do in a pool, one step after the other.

use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::desk::Desk;
use crate::pool::owner::Owner;
use crate::pool::passage::Code;
use crate::pool::plan::{Initializer, Plan, Restarts};
use crate::pool::shop::{NO_SLOT, Shop};
use crate::pool::submit::Pool;
use crate::pool::supervisor::Supervisor;
use crate::pool::word::Kind;
use crate::pool::worker;
use crate::shm::roster;
use crate::sync::linux::Linux;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// See the top of the file.
#[derive(Debug)]
#[doc(hidden)]
pub struct Rehearsal {
    pool: Pool,
    shop: Arc<Shop>,
    plan: Arc<Plan>,
}

/// Where a slot's task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Standing {
    pub is_queued: bool,
    pub is_running: bool,
    pub is_outcome: bool,
    pub attempts: u32,
}

impl Rehearsal {
    /// With so many slots and seats.
    pub fn new(capacity: usize, seats: u32) -> Result<Rehearsal> {
        let shop = Arc::new(Shop::new(capacity, seats as usize, "rehearsal")?);
        shop.head.seats_used.store(seats, Ordering::SeqCst);
        let plan = Plan {
            name: "rehearsal".to_owned(),
            initializer: None,
            max_tasks: None,
            idle_timeout: None,
            on_demand: false,
            restarts: Restarts { intensity: 0, period: Duration::ZERO },
            memory_bytes: None,
        };
        let plan = Arc::new(plan);
        let pool = Pool {
            desk: Arc::new(Desk::new(Arc::clone(&shop), Owner::anybody(), Duration::ZERO)),
            supervisor: Mutex::new(None),
            news: OnceLock::new(),
            name: "rehearsal".to_owned(),
            code: Code::everywhere(),
            on_demand: false,
            drop_timeout: Duration::ZERO,
        };
        Ok(Rehearsal { pool, shop, plan })
    }

    /// Its workers have no code at all.
    pub fn without_code(mut self) -> Rehearsal {
        self.pool.code = Code::nowhere();
        self
    }

    /// The client's handle, in any process.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A worker's life in `seat`, up to so many tasks; without `waits` it ends when the ring is empty. False if it was robbed.
    pub fn work(&self, seat: u32, max_tasks: u64, waits: bool) -> bool {
        self.work_after(seat, max_tasks, waits, || {})
    }

    /// The same; its initialiser is `first`.
    pub fn work_after(
        &self,
        seat: u32,
        max_tasks: u64,
        waits: bool,
        first: impl Fn() + Send + Sync + 'static,
    ) -> bool {
        let mut plan = Plan::clone(&self.plan);
        plan.initializer = Some(Initializer::new(first));
        plan.max_tasks = Some(max_tasks);
        plan.idle_timeout = (!waits).then_some(Duration::ZERO);
        worker::work(&self.shop, &plan, seat) != worker::Leave::Robbed
    }

    /// Sleeps until the task in a slot has an outcome; unlike others that wait it is not awake first.
    pub fn await_asleep(&self, slot: u32) {
        let slot = self.shop.slot(slot);
        self.shop.await_asleep(slot, slot.word().generation, Deadline::NEVER);
    }

    /// What the supervisor does to the tasks when the worker in `seat` has ended.
    pub fn reap(&self, seat: u32) {
        let index = self.shop.seat(seat).slot.load(Ordering::Acquire);
        if index != NO_SLOT {
            let slot = self.shop.slot(index);
            self.shop.bury(slot, slot.word());
        }
        self.shop.head.done.ring_all(&Linux);
    }

    /// The calling process is the supervisor: whoever sleeps watches its life.
    pub fn supervise(&self) {
        self.shop.head.supervisor.store(roster::me(), Ordering::SeqCst);
    }

    /// The supervisor's look at the deadlines.
    pub fn expire(&self) {
        let _ = Supervisor::new(&self.shop, &self.plan).expire();
    }

    /// Takes a free slot for ever; whether there was one.
    pub fn set_aside(&self) -> bool {
        self.pool.desk.try_take().is_some()
    }

    /// How many slots the client could fill now.
    pub fn room(&self) -> usize {
        let slots: Vec<u32> = std::iter::from_fn(|| self.pool.desk.try_take()).collect();
        self.pool.desk.release_all(&slots);
        slots.len()
    }

    /// Where the task in a slot stands.
    pub fn standing(&self, slot: u32) -> Standing {
        let word = self.shop.slot(slot).word();
        Standing {
            is_queued: word.kind == Kind::Queued,
            is_running: word.kind == Kind::Running,
            is_outcome: word.kind.is_outcome(),
            attempts: word.attempts,
        }
    }
}
