//! A scenario: who is on stage, who dies, and what must hold afterwards.

use super::outcome::Fault;
use super::scene::{SEATS, Scene};
use std::fmt;
use std::time::Duration;

/// What a [`Scenario`]'s check says: how much of the victim's work took effect (0, or the number of messages, say), or a broken promise.
///
/// Without bystanders the effect may only grow with the kill point: a step that is done stays done.
pub type Verdict = Result<u64, Fault>;

/// What one process of a scenario runs.
pub(super) type Role<S, R = ()> = Box<dyn Fn(&S, &Scene) -> R>;

/// One operation that is killed at every instruction, with everything around it.
///
/// For each kill point the harness starts from the beginning, in processes of their own:
///
/// 1. `prepare` makes the shared structures, in the process that runs the harness.
/// 2. Each [`bystander`](Scenario::bystander) starts, until it sleeps in a futex call or comes to [`Scene::hold`].
/// 3. The [`victim`](Scenario::victim) runs to [`Scene::begin`]; each [`follower`](Scenario::follower) starts, and sleeps. The
///    victim runs k instructions, and is SIGKILLed.
/// 4. The bystanders in `hold` go on. What [`settles`](Scenario::settles) says must come true without further help.
/// 5. The [`check`](Scenario::check) runs in a new process. Then every bystander must come to its end.
///
/// Every wait of the harness ends at its deadline, and then the outcome is a hang. The crate's own backstop timeouts are
/// turned off in this process by [`run`](Scenario::run), so that nothing hides a lost wake-up.
///
/// See the [module](super) for an example.
///
/// A double fault, with somebody who sleeps: the first victim adds under the lock, the second one who would recover from its death
/// is killed too, and a third still gets the lock.
///
/// ```standalone_crate
/// use offspring::proof::{Fault, Outcome, Scenario, Table};
/// use offspring::{LockError, Mutex, MutexGuard, Shared};
/// use std::time::Duration;
///
/// fn lock(sum: &Mutex<u64>) -> MutexGuard<'_, u64> {
///     match sum.lock() {
///         Ok(guard) => guard,
///         Err(LockError::OwnerDied(died)) => died.recover(),
///         Err(error) => panic!("{error}"),
///     }
/// }
///
/// # fn main() -> offspring::Result<()> {
/// let report = Scenario::new("add, twice killed", || Shared::new(Mutex::new(0u64)).unwrap())
///     .bystander("waits", |sum, scene| {
///         scene.hold();
///         *lock(sum) += 1;
///         scene.log(7);
///     })
///     .first_victim(40, |sum, scene| {
///         scene.begin();
///         *lock(sum) += 1;
///         scene.end();
///     })
///     .victim(|sum, scene| {
///         scene.note(0, 1);
///         scene.begin();
///         *lock(sum) += 1;
///         scene.end();
///     })
///     .settles(|_, scene| scene.has_ended(0))
///     .check(|sum, scene| {
///         if scene.noted(0) != 1 || scene.logged() != [7] {
///             return Err(Fault::lost("a note"));
///         }
///         match *lock(sum) {
///             0 => Err(Fault::lost("what the bystander added")),
///             added @ 1..=3 => Ok(added),
///             added => Err(Fault::doubled(format!("{added} of 3"))),
///         }
///     })
///     .every(20)
///     .visits(1)
///     .deadline(Duration::from_secs(10))
///     .failures_max(1)
///     .run()?;
/// assert_eq!(report.count(Outcome::Ok), report.kill_points());
/// let mut table = Table::default();
/// table.push(report);
/// println!("{table}");
/// assert_eq!(table.reports()[0].scenario(), "add, twice killed");
/// # Ok(()) }
/// ```
#[must_use = "a scenario does nothing before `run`"]
pub struct Scenario<S> {
    pub(super) name: String,
    pub(super) prepare: Box<dyn Fn() -> S>,
    pub(super) bystanders: Vec<(String, Role<S>)>,
    /// The bystanders from this index on come after the victim's begin marker.
    pub(super) followers_from: usize,
    pub(super) first: Option<(Role<S>, usize)>,
    pub(super) victim: Option<Role<S>>,
    pub(super) settles: Option<Role<S, bool>>,
    pub(super) check: Option<Role<S, Verdict>>,
    pub(super) first_dies_late: bool,
    pub(super) wakes_sleeping_victim: bool,
    pub(super) pauses: bool,
    pub(super) every: usize,
    pub(super) visits: usize,
    pub(super) deadline: Duration,
    pub(super) failures_max: usize,
}

impl<S> Scenario<S> {
    /// A scenario of this name; `prepare` makes what the processes share, and must leave it to them unused.
    pub fn new(name: impl Into<String>, prepare: impl Fn() -> S + 'static) -> Scenario<S> {
        Scenario {
            name: name.into(),
            prepare: Box::new(prepare),
            bystanders: Vec::new(),
            followers_from: usize::MAX,
            first: None,
            victim: None,
            settles: None,
            check: None,
            first_dies_late: false,
            wakes_sleeping_victim: false,
            pauses: false,
            every: 1,
            visits: 4,
            deadline: Duration::from_secs(5),
            failures_max: 5,
        }
    }

    /// Adds a process that starts before the victim and outlives it: it sleeps on the structure, or holds what the victim
    /// wants until [`Scene::hold`] returns. It must come to its end on its own or by what the check does.
    ///
    /// # Panics
    /// If there are eight already, or a [`follower`](Scenario::follower) was added before.
    pub fn bystander(self, name: impl Into<String>, body: impl Fn(&S, &Scene) + 'static) -> Self {
        assert!(self.followers_from == usize::MAX, "bystanders come before followers");
        self.with(name.into(), Box::new(body))
    }

    fn with(mut self, name: String, body: Role<S>) -> Self {
        assert!(self.bystanders.len() < SEATS, "at most {SEATS} bystanders and followers");
        self.bystanders.push((name, body));
        self
    }

    /// Adds a bystander that starts when the victim is at its begin marker: it may sleep on what the victim took before that.
    ///
    /// # Panics
    /// If there are eight bystanders and followers already.
    pub fn follower(
        mut self,
        name: impl Into<String>,
        body: impl Fn(&S, &Scene) + 'static,
    ) -> Self {
        self.followers_from = self.followers_from.min(self.bystanders.len());
        self.with(name.into(), Box::new(body))
    }

    /// Sets what is killed at every instruction between its [`Scene::begin`] and [`Scene::end`].
    pub fn victim(mut self, body: impl Fn(&S, &Scene) + 'static) -> Self {
        self.victim = Some(Box::new(body));
        self
    }

    /// Makes this a scenario of double faults: before the victim, another one runs `body` and is killed, at every `stride`th
    /// of its instructions; for each of them the victim (who recovers) is killed at every one of its own. A stride of
    /// `usize::MAX` kills the first one at its end marker only.
    pub fn first_victim(mut self, stride: usize, body: impl Fn(&S, &Scene) + 'static) -> Self {
        self.first = Some((Box::new(body), stride.max(1)));
        self
    }

    /// Lets the first victim wait at its begin marker, and die at its point when the victim sleeps (or is dead): so the victim is
    /// one who waits for the first one's doing, and dies of its own on the way after it.
    pub fn first_dies_late(mut self) -> Self {
        self.first_dies_late = true;
        self
    }

    /// Sets what the bystanders must bring about after the death, before the check touches anything: "nobody sleeps on a lock
    /// that is free", "a message that is there is taken". It must not wait, and is polled until the deadline.
    pub fn settles(mut self, condition: impl Fn(&S, &Scene) -> bool + 'static) -> Self {
        self.settles = Some(Box::new(condition));
        self
    }

    /// Sets what the survivors must find. It runs in a process of its own and may wait: a wait that does not end is a hang.
    pub fn check(mut self, check: impl Fn(&S, &Scene) -> Verdict + 'static) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// Lets the bystanders in [`Scene::hold`] go on as soon as the victim sleeps, so that its way after the wake-up is swept
    /// too. Without this a sleeping victim is left to its timeout, or killed asleep.
    pub fn wakes_sleeping_victim(mut self) -> Self {
        self.wakes_sleeping_victim = true;
        self
    }

    /// Holds the victim at each point instead of killing it: the others run until they end or sleep, then the victim goes on
    /// to its end. This finds wake-ups that are lost although nobody dies.
    ///
    /// ```standalone_crate
    /// use offspring::proof::{Fault, Scenario};
    /// use offspring::{Mutex, Shared};
    /// # fn main() -> offspring::Result<()> {
    /// let report = Scenario::new("unlock, held up", || Shared::new(Mutex::new(0u64)).unwrap())
    ///     .follower("waits", |sum, _| *sum.lock().unwrap() += 1)
    ///     .victim(|sum, scene| {
    ///         let guard = sum.lock().unwrap();
    ///         scene.begin();
    ///         drop(guard);
    ///         scene.end();
    ///     })
    ///     .check(|sum, scene| {
    ///         scene.await_ended(1);
    ///         match *sum.lock().unwrap() {
    ///             1 => Ok(1),
    ///             sum => Err(Fault::lost(format!("the sum is {sum}"))),
    ///         }
    ///     })
    ///     .every(10)
    ///     .pauses()
    ///     .run()?;
    /// assert!(report.is_ok(), "{:?}", report.failures());
    /// # Ok(()) }
    /// ```
    pub fn pauses(mut self) -> Self {
        self.pauses = true;
        self
    }

    /// Takes every `stride`th point only.
    pub fn every(mut self, stride: usize) -> Self {
        self.every = stride.max(1);
        self
    }

    /// Kills at most at the first `count` visits of each instruction; 4 unless set. A loop that waits awake goes round some
    /// hundred times, and a death in the fifth round finds the same as one in the fourth.
    pub fn visits(mut self, count: usize) -> Self {
        self.visits = count.max(1);
        self
    }

    /// Sets how long any wait may take before it is a hang; 5 s unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Ends the sweep after so many failures, for each may have cost a deadline; 5 unless set.
    pub fn failures_max(mut self, count: usize) -> Self {
        self.failures_max = count.max(1);
        self
    }
}

impl<S> fmt::Debug for Scenario<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}
