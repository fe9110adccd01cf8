//! One production of a scenario: its shared structure, its processes, and what comes after the death.

use super::actor::{Actor, is_asleep, until};
use super::outcome::Fault;
use super::scenario::{Role, Scenario, Verdict};
use super::scene::Scene;
use super::victim::{Pinned, Place, Trace, Victim};
use crate::error::Result;
use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

/// How long the others get to run while a victim is held.
const OTHERS_TURN: Duration = Duration::from_millis(200);

/// The death before the victim's, in a double fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum First<'t> {
    /// There is none.
    Nobody,
    /// At the end marker.
    AtEnd,
    /// After so many instructions of this run.
    After(&'t Trace, usize),
}

impl First<'_> {
    pub(super) fn steps(self) -> Option<usize> {
        match self {
            First::After(_, steps) => Some(steps),
            _ => None,
        }
    }
}

/// A production up to the victim's entry. Whoever was forked is killed when it is dropped.
pub(super) struct Stage<'a, S> {
    scenario: &'a Scenario<S>,
    first: First<'a>,
    /// The first victim, at its begin marker, until it dies.
    first_victim: RefCell<Option<Victim>>,
    bystanders: Vec<Actor>,
    scene: Scene,
    shared: S,
}

impl<'a, S> Stage<'a, S> {
    /// Prepares, starts the bystanders, kills the first victim. A fault if a bystander neither sleeps nor holds.
    pub(super) fn set(
        scenario: &'a Scenario<S>,
        first: First<'a>,
    ) -> Result<std::result::Result<Stage<'a, S>, Fault>> {
        let scene = Scene::new()?;
        let shared = (scenario.prepare)();
        let first_victim = RefCell::new(None);
        let bystanders = Vec::new();
        let mut stage = Stage { scenario, first, first_victim, bystanders, scene, shared };
        let early = scenario.followers_from.min(scenario.bystanders.len());
        if let Err(fault) = stage.admit(0..early)? {
            return Ok(Err(fault));
        }
        if !matches!(first, First::Nobody) {
            stage.first_victim = RefCell::new(Some(stage.enter_first()?));
            if !scenario.first_dies_late && !stage.kill_first()? {
                return Ok(Err(Fault::hang("the first victim sleeps before its kill point")));
            }
        }
        Ok(Ok(stage))
    }

    /// Starts the first victim, stopped at its begin marker.
    pub(super) fn enter_first(&self) -> Result<Victim> {
        let (body, _) = self.scenario.first.as_ref().expect("a first death has a first victim");
        self.enter(body, self.scene.for_first())
    }

    fn enter(&self, body: &Role<S>, scene: Scene) -> Result<Victim> {
        let _pinned = Pinned::here()?;
        let deadline = self.scenario.deadline;
        // Who is going to be woken is given all the time there is.
        let patience = self.scenario.wakes_sleeping_victim.then_some(deadline);
        Victim::start(scene, patience, deadline, |scene| body(&self.shared, scene))
    }

    /// The first victim, if it lives.
    pub(super) fn take_first(&self) -> Option<Victim> {
        self.first_victim.borrow_mut().take()
    }

    /// Kills the first victim at its point, if there is one that lives; false if it sleeps before that.
    fn kill_first(&self) -> Result<bool> {
        let Some(mut victim) = self.take_first() else { return Ok(true) };
        let _pinned = Pinned::here()?;
        let place = match self.first {
            First::After(trace, steps) => victim.go_to(trace, steps, &mut || Ok(()))?,
            _ => victim.run_to_end()?,
        };
        victim.kill();
        Ok(place != Place::Asleep)
    }

    /// The victim sleeps: the first victim dies, and who holds goes on, if the scenario says so.
    pub(super) fn let_go(&self) -> Result<()> {
        self.kill_first()?;
        if self.scenario.wakes_sleeping_victim {
            self.scene.release();
        }
        Ok(())
    }

    /// Starts the victim, and then who follows it. A fault if a follower neither sleeps nor holds.
    pub(super) fn victim(&mut self) -> Result<std::result::Result<Victim, Fault>> {
        let body = self.scenario.victim.as_ref().expect("a scenario has a victim");
        let victim = self.enter(body, self.scene.seated(0))?;
        let all = self.scenario.bystanders.len();
        let admitted = self.admit(self.scenario.followers_from.min(all)..all)?;
        Ok(admitted.map(|()| victim))
    }

    /// Starts the bystanders of these seats, one after the other, each when the one before sleeps or holds.
    fn admit(&mut self, seats: Range<usize>) -> Result<std::result::Result<(), Fault>> {
        for seat in seats {
            let (name, body) = &self.scenario.bystanders[seat];
            let scene = self.scene.seated(seat);
            let actor = Actor::fork(name, &scene, || {
                body(&self.shared, &scene);
                scene.set_ended();
            })?;
            let pid = actor.pid;
            self.bystanders.push(actor);
            let ready = || scene.is_waiting(seat) || scene.has_ended(seat) || is_asleep(pid);
            if !until(ready, self.scenario.deadline) {
                let why = format!("{name} neither sleeps nor holds before the victim's turn");
                return Ok(Err(scene.fault().unwrap_or(Fault::hang(why))));
            }
        }
        Ok(Ok(()))
    }

    /// Gives the others time to do what they can while the victim is held.
    pub(super) fn let_others_run(&self) -> Result<()> {
        self.kill_first()?;
        self.scene.release();
        let done = |actor: &Actor| actor.has_ended() || is_asleep(actor.pid);
        // One that neither ends nor sleeps has had its turn all the same.
        let _ = until(|| self.bystanders.iter().all(done), OTHERS_TURN);
        Ok(())
    }

    /// After the death: what must settle, the check, and everybody's end.
    pub(super) fn aftermath(mut self) -> Verdict {
        let (scene, deadline) = (&self.scene, self.scenario.deadline);
        if !self.kill_first().map_err(|error| Fault::broken(error.to_string()))? {
            return Err(Fault::hang("the first victim sleeps before its kill point"));
        }
        scene.release();
        let settles = self.scenario.settles.as_ref();
        let settled = || settles.is_none_or(|settles| settles(&self.shared, scene));
        if !until(settled, deadline) {
            return Err(Fault::hang(format!("it did not settle; {}", self.who_sleeps())));
        }
        let check = self.scenario.check.as_ref().expect("a scenario has a check");
        let checker = Actor::fork("the check", scene, || match check(&self.shared, scene) {
            Ok(effects) => scene.set_effects(effects),
            Err(fault) => scene.accuse(&fault),
        });
        let checked =
            checker.map_err(|error| Fault::broken(error.to_string()))?.await_end(deadline);
        scene.fault().map_or(Ok(()), Err)?;
        checked?;
        for bystander in self.bystanders.drain(..) {
            let ended = bystander.await_end(deadline);
            scene.fault().map_or(Ok(()), Err)?;
            ended?;
        }
        Ok(scene.effects())
    }

    /// The bystanders that sleep in a futex call now, in words.
    pub(super) fn who_sleeps(&self) -> String {
        let names = self.scenario.bystanders.iter().map(|(name, _)| name.as_str());
        let asleep = self.bystanders.iter().zip(names).filter(|(actor, _)| is_asleep(actor.pid));
        let names: Vec<&str> = asleep.map(|(_, name)| name).collect();
        if names.is_empty() {
            "no bystander sleeps".into()
        } else {
            format!("asleep: {}", names.join(", "))
        }
    }
}
