//! Running a scenario: one production for each kill point.

use super::outcome::Fault;
use super::report::{Failure, Report};
use super::scenario::{Scenario, Verdict};
use super::stage::{First, Stage};
use super::victim::{Pinned, Place, Trace};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::fork;
use std::time::Instant;

/// A kill point of the victim.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// So many instructions have run.
    steps: usize,
    /// It sleeps in the next, a system call.
    asleep: bool,
}

impl<S> Scenario<S> {
    /// Runs the whole sweep and reports.
    ///
    /// Blocks until it is done; forks several processes a kill point, one after the other, and reaps them all. Turns off the
    /// crate's backstop timeouts in this process and its later children.
    ///
    /// # Errors
    /// [`MultiThreaded`](ErrorKind::MultiThreaded) in a process with more than one thread; what the kernel refuses (ptrace
    /// may be forbidden by a seccomp filter).
    ///
    /// # Panics
    /// If the scenario has no victim or no check, if the victim does not call [`Scene::begin`](super::Scene::begin), or runs
    /// for more than 100,000 instructions.
    pub fn run(&self) -> Result<Report> {
        let one_thread = fork::has_one_thread();
        if !one_thread.map_err(|errno| Error::os("count", "threads", errno))? {
            let detail = "scenarios fork: run them in a process with one thread";
            return Err(Error::new(ErrorKind::MultiThreaded, "run", self.name.clone(), detail));
        }
        super::turn_off_backstops();
        let started = Instant::now();
        let mut report = Report::new(&self.name);
        match &self.first {
            None => self.sweep(First::Nobody, &mut report)?,
            Some((_, usize::MAX)) => self.sweep(First::AtEnd, &mut report)?,
            Some((_, stride)) => {
                let trace = self.record_first()?;
                for steps in (0..trace.len()).step_by(*stride) {
                    self.sweep(First::After(&trace, steps), &mut report)?;
                }
                self.sweep(First::AtEnd, &mut report)?;
            }
        }
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The way of the first victim, whose kill points the double faults take.
    fn record_first(&self) -> Result<Trace> {
        // One that dies late meets a sleeping victim: so must the one that is recorded.
        let late = self.first_dies_late;
        let stage = Stage::set(self, if late { First::AtEnd } else { First::Nobody })?;
        let Ok(mut stage) = stage else { return Ok(Trace::default()) };
        if !late {
            return stage.enter_first()?.record(&mut || Ok(()));
        }
        let Ok(mut victim) = stage.victim()? else { return Ok(Trace::default()) };
        let mut trace = None;
        victim.record(&mut || {
            if let Some(mut first) = stage.take_first() {
                trace = Some(first.record(&mut || Ok(()))?);
            }
            stage.let_go()
        })?;
        Ok(trace.unwrap_or_default())
    }

    /// The way of the victim, after the first one's given death.
    fn record(&self, first: First<'_>) -> Result<std::result::Result<Trace, Fault>> {
        let mut stage = match Stage::set(self, first)? {
            Ok(stage) => stage,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut victim = match stage.victim()? {
            Ok(victim) => victim,
            Err(fault) => return Ok(Err(fault)),
        };
        let _pinned = Pinned::here()?;
        victim.record(&mut || stage.let_go()).map(Ok)
    }

    /// All kill points of the victim, after the first one's given death.
    fn sweep(&self, first: First<'_>, report: &mut Report) -> Result<()> {
        if report.is_cut_short {
            return Ok(());
        }
        let trace = match self.record(first)? {
            Ok(trace) => trace,
            Err(fault) => {
                report.add(Err(fault), Failure::at(first.steps(), 0, false, 0), false);
                return Ok(());
            }
        };
        if trace.ends_asleep && self.wakes_sleeping_victim {
            let fault = Fault::hang("the others went on, and the victim slept on");
            report.add(Err(fault), Failure::at(first.steps(), trace.len(), true, 0), false);
        }
        // Alone, each run does the same as the last, and one instruction more: its effects can only grow.
        let is_steady = self.bystanders.is_empty() && !self.pauses;
        let mut effects_before = 0;
        let mut steps = 0;
        loop {
            for asleep in [false, true] {
                let wanted = match asleep {
                    true => trace.sleeps_at(steps),
                    false => trace.visits(steps) < self.visits,
                };
                if !wanted || report.is_cut_short {
                    continue;
                }
                let point = Point { steps, asleep };
                let (mut verdict, drifted) = self.produce(first, &trace, point)?;
                if let Ok(effects) = verdict {
                    if is_steady && !drifted && effects < effects_before {
                        let why =
                            format!("{effects_before} effects a step earlier, {effects} here");
                        verdict = Err(Fault::broken(why));
                    }
                    if effects > effects_before {
                        report.effect_at.get_or_insert(steps);
                    }
                    effects_before = effects;
                }
                let failure = Failure::at(first.steps(), steps, asleep, trace.address(steps));
                report.add(verdict, failure, drifted);
                report.is_cut_short |= report.failures.len() >= self.failures_max;
            }
            if steps >= trace.len() {
                return Ok(());
            }
            // The end marker is always a point.
            steps = (steps + self.every).min(trace.len());
        }
    }

    /// One death and what the survivors make of it; and whether the victim took another way than the recorded one.
    fn produce(&self, first: First<'_>, trace: &Trace, point: Point) -> Result<(Verdict, bool)> {
        let mut stage = match Stage::set(self, first)? {
            Ok(stage) => stage,
            Err(fault) => return Ok((Err(fault), false)),
        };
        let mut victim = match stage.victim()? {
            Ok(victim) => victim,
            Err(fault) => return Ok((Err(fault), false)),
        };
        let pinned = Pinned::here()?;
        let mut place = victim.go_to(trace, point.steps, &mut || stage.let_go())?;
        if point.asleep && place == Place::Within {
            place = victim.step(true, &mut || Ok(()))?.0;
        }
        let drifted = victim.drifted;
        if !self.pauses || place == Place::Gone {
            victim.kill();
            drop(pinned);
            return Ok((stage.aftermath(), drifted));
        }
        drop(pinned);
        stage.let_others_run()?;
        let verdict = match victim.run_out(place)? {
            Place::End => victim.await_end().and_then(|()| stage.aftermath()),
            _ => Err(Fault::hang(format!(
                "the victim went on and did not end; {}",
                stage.who_sleeps()
            ))),
        };
        Ok((verdict, drifted))
    }
}
