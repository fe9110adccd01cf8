//! The process that is stepped and killed.
//!
//! A sweep over n instructions by single steps alone is n²/2 steps of some 30 µs. So the first run records the address of
//! every instruction; a later run goes to its kill point by one breakpoint, at the last address on the way that was new
//! there, and steps the rest: after straight-line code there is nothing left to step. Where a run differs from the recorded
//! one (another process acted at another moment) the point is still a kill point, and counted as drifted.

use super::actor::{Actor, give_way, is_asleep, until};
use super::outcome::Fault;
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::sys::ptrace::{self, Errno, Stop};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// More instructions than this are no operation to sweep.
const STEPS_MAX: usize = 100_000;
/// A victim that slept this long, and whom nobody is going to wake, sleeps for good.
const FOR_GOOD: Duration = Duration::from_millis(300);

/// What is to happen when a victim is seen asleep.
pub(super) type OnSleep<'a> = dyn FnMut() -> Result<()> + 'a;

/// What one run of the body went through.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The address of each instruction; 0 where it cannot be known.
    addresses: Vec<u64>,
    /// Which instructions are system calls that slept.
    sleeps: Vec<bool>,
    /// For each index, how far one breakpoint leads from the segment's start; segments end at sleeps.
    anchors: Vec<usize>,
    /// For each index, how often the run had been at this address before.
    visits: Vec<usize>,
    /// The body ends in a sleep from which nobody wakes it: there is no end marker to come to.
    pub(super) ends_asleep: bool,
}

impl Trace {
    /// The number of instructions; a sleep for good at the end does not count.
    pub(super) fn len(&self) -> usize {
        self.addresses.len() - usize::from(self.ends_asleep)
    }

    /// Whether the instruction after `steps` others is a call that slept.
    pub(super) fn sleeps_at(&self, steps: usize) -> bool {
        self.sleeps.get(steps).is_some_and(|&sleeps| sleeps)
    }

    /// How often the run was at the instruction after `steps` others before; 0 past the end.
    pub(super) fn visits(&self, steps: usize) -> usize {
        self.visits.get(steps).copied().unwrap_or(0)
    }

    pub(super) fn address(&self, index: usize) -> u64 {
        self.addresses.get(index).copied().unwrap_or(0)
    }

    /// Fills in what follows from the addresses.
    fn index(&mut self) {
        let (mut seen, mut anchor) = (HashSet::new(), 0);
        let mut visits = HashMap::new();
        for (index, &address) in self.addresses.iter().enumerate() {
            let count: &mut usize = visits.entry(address).or_default();
            self.visits.push(if address == 0 { 0 } else { *count });
            *count += 1;
            if index > 0 && self.sleeps[index - 1] {
                seen.clear();
            }
            if address != 0 && seen.insert(address) {
                anchor = index;
            }
            self.anchors.push(anchor);
        }
    }
}

/// Where a moved victim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Stopped between two instructions of its body.
    Within,
    /// Stopped at its end marker.
    End,
    /// In a futex call.
    Asleep,
    /// It ended by itself.
    Gone,
}

/// The traced process; dropping it kills it.
#[derive(Debug)]
pub(super) struct Victim {
    actor: Actor,
    scene: Scene,
    /// How long it may sleep after others were let go.
    patience: Duration,
    deadline: Duration,
    pub(super) drifted: bool,
}

impl Victim {
    /// Forks the victim and runs it to its begin marker. It stays on this CPU, to which the caller has pinned itself.
    pub(super) fn start(
        scene: Scene,
        patience: Option<Duration>,
        deadline: Duration,
        body: impl FnOnce(&Scene),
    ) -> Result<Victim> {
        let actor = Actor::fork("the victim", &scene, || {
            ptrace::trace_me().expect("a child may be traced by its parent");
            body(&scene);
        })?;
        let pid = actor.pid;
        let patience = patience.unwrap_or(FOR_GOOD);
        let victim = Victim { actor, scene, patience, deadline, drifted: false };
        let stop = victim.await_stop()?;
        if stop != Some(Stop::Trapped) || !victim.scene.has_begun() {
            let words =
                victim.scene.fault().map_or_else(String::new, |fault| format!(" ({fault})"));
            panic!("a victim's body calls begin() first; this one came to {stop:?}{words}");
        }
        ptrace::kill_with_me(pid).map_err(os)?;
        Ok(victim)
    }

    /// Runs the whole body step by step.
    pub(super) fn record(&mut self, on_sleep: &mut OnSleep<'_>) -> Result<Trace> {
        let mut trace = Trace::default();
        loop {
            assert!(trace.addresses.len() < STEPS_MAX, "a body of over {STEPS_MAX} instructions");
            trace
                .addresses
                .push(ptrace::next_instruction(self.actor.pid).map_err(os)?.unwrap_or(0));
            let (place, slept) = self.step(false, on_sleep)?;
            trace.sleeps.push(slept);
            match place {
                Place::Within => {}
                Place::End | Place::Gone => break,
                Place::Asleep => {
                    trace.ends_asleep = true;
                    break;
                }
            }
        }
        trace.index();
        Ok(trace)
    }

    /// Moves on by `steps` instructions from the begin marker.
    pub(super) fn go_to(
        &mut self,
        trace: &Trace,
        steps: usize,
        on_sleep: &mut OnSleep<'_>,
    ) -> Result<Place> {
        let mut at = 0;
        let mut segment_start = true;
        while at < steps {
            if segment_start && at < trace.anchors.len() {
                let sleep = (at..steps).find(|&index| trace.sleeps_at(index)).unwrap_or(steps);
                let anchor =
                    trace.anchors.get(sleep).or(trace.anchors.last()).copied().unwrap_or(0);
                segment_start = false;
                if anchor > at + 1 && anchor <= sleep {
                    match self.run_to(trace.address(anchor))? {
                        Some(Place::Within) => at = anchor,
                        Some(place) => {
                            self.drifted = true;
                            return Ok(place);
                        }
                        None => {} // this code cannot be written: step
                    }
                    continue;
                }
            }
            let (place, _) = self.step(false, on_sleep)?;
            segment_start = trace.sleeps_at(at);
            at += 1;
            if place != Place::Within {
                self.drifted |= at != steps;
                return Ok(place);
            }
        }
        let expected = trace.address(steps);
        let now = ptrace::next_instruction(self.actor.pid).map_err(os)?;
        self.drifted |= expected != 0 && now != Some(expected);
        Ok(Place::Within)
    }

    /// Runs one instruction, and says where the victim is then and whether it slept in it. With `stay`, a sleeping victim is
    /// left asleep; else `on_sleep` lets others act, and the call comes to its end.
    pub(super) fn step(&mut self, stay: bool, on_sleep: &mut OnSleep<'_>) -> Result<(Place, bool)> {
        let pid = self.actor.pid;
        let next = ptrace::next_instruction(pid).map_err(os)?;
        let may_sleep = match next {
            Some(address) => ptrace::is_system_call(pid, address).map_err(os)?,
            None => true,
        };
        ptrace::step(pid).map_err(os)?;
        if !may_sleep {
            return Ok((self.placed(ptrace::wait(pid).map_err(os)?), false));
        }
        let started = Instant::now();
        let mut asleep_since: Option<Instant> = None;
        for round in 0.. {
            if let Some(stop) = ptrace::try_wait(pid).map_err(os)? {
                return Ok((self.placed(stop), asleep_since.is_some()));
            }
            if asleep_since.is_none()
                && started.elapsed() > Duration::from_micros(200)
                && is_asleep(pid)
            {
                asleep_since = Some(Instant::now());
                if stay {
                    return Ok((Place::Asleep, true));
                }
                on_sleep()?;
            }
            if asleep_since.is_some_and(|since| since.elapsed() > self.patience)
                || started.elapsed() > self.deadline
            {
                break;
            }
            give_way(round);
        }
        Ok((Place::Asleep, true))
    }

    /// Lets the victim run from where it is to its end marker.
    pub(super) fn run_to_end(&mut self) -> Result<Place> {
        let pid = self.actor.pid;
        ptrace::resume(pid).map_err(os)?;
        Ok(self.await_stop()?.map_or(Place::Asleep, |stop| self.placed(stop)))
    }

    /// Lets the victim run from `place` through its end marker, and on without a tracer.
    pub(super) fn run_out(&mut self, place: Place) -> Result<Place> {
        let place = match place {
            // The single step of the system call comes to its end first.
            Place::Asleep => self.await_stop()?.map_or(Place::Asleep, |stop| self.placed(stop)),
            place => place,
        };
        let place = match place {
            Place::Within => self.run_to_end()?,
            // The marker's store is done, its trap is not.
            Place::End => {
                self.run_to_end()?;
                Place::End
            }
            place => place,
        };
        if place == Place::End {
            // Unless it has run to its end already.
            let _ = ptrace::let_go(self.actor.pid);
        }
        Ok(place)
    }

    /// SIGKILL, and the wait until the kernel has done all that a death does.
    pub(super) fn kill(self) {
        self.actor.kill();
    }

    /// Waits for the end of a victim that was let go.
    pub(super) fn await_end(self) -> std::result::Result<(), Fault> {
        self.actor.await_end(self.deadline)
    }

    /// Runs to the first arrival at `address`. `None` if a breakpoint cannot be set there.
    fn run_to(&mut self, address: u64) -> Result<Option<Place>> {
        let pid = self.actor.pid;
        let Ok(code) = ptrace::set_breakpoint(pid, address) else { return Ok(None) };
        ptrace::resume(pid).map_err(os)?;
        let Some(stop) = self.await_stop_or_sleep()? else { return Ok(Some(Place::Asleep)) };
        if stop == Stop::Trapped {
            ptrace::clear_breakpoint(pid, address, code).map_err(os)?;
        }
        Ok(Some(self.placed(stop)))
    }

    /// Polls for the next stop: a victim that is not where it is expected may sleep for ever.
    fn await_stop(&self) -> Result<Option<Stop>> {
        let mut stop = Ok(None);
        until(
            || {
                stop = ptrace::try_wait(self.actor.pid).map_err(os);
                !matches!(stop, Ok(None))
            },
            self.deadline,
        );
        stop
    }

    /// As [`await_stop`](Self::await_stop), but a victim that has taken another way than the recorded one, and sleeps where
    /// nobody has been let go yet to wake it, is not waited for until the deadline.
    fn await_stop_or_sleep(&self) -> Result<Option<Stop>> {
        let pid = self.actor.pid;
        let (mut stop, mut asleep_since) = (Ok(None), None::<Instant>);
        until(
            || {
                stop = ptrace::try_wait(pid).map_err(os);
                let asleep = is_asleep(pid);
                if !asleep {
                    asleep_since = None;
                }
                let slept = asleep
                    && asleep_since.get_or_insert_with(Instant::now).elapsed() > self.patience;
                slept || !matches!(stop, Ok(None))
            },
            self.deadline,
        );
        stop
    }

    fn placed(&self, stop: Stop) -> Place {
        match stop {
            Stop::Exited(_) | Stop::Killed(_) => Place::Gone,
            _ if self.scene.is_over() => Place::End,
            _ => Place::Within,
        }
    }
}

/// While it lives, this process and the children that it forks stay on one CPU, where stepping is cheapest.
#[derive(Debug)]
pub(super) struct Pinned(ptrace::CpuSet);

impl Pinned {
    pub(super) fn here() -> Result<Pinned> {
        ptrace::pin().map(Pinned).map_err(os)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // On failure the sweep is slower, nothing else.
        let _ = ptrace::unpin(&self.0);
    }
}

fn os(errno: Errno) -> Error {
    Error::os("trace", "the victim", errno)
}
