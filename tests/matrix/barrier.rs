//! The barrier: arrivals of the first, the middle and the last party, deadlines, abort and reset, killed at every instruction. All who
//! wait are told the same.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::sync::BarrierError;
use offspring::{Barrier, Shared};

use crate::matrix::actors::warm;
use crate::{calibrate, coarse, conclude};

type Meeting = Shared<Barrier>;

/// What a bystander was told, in the log.
const COMPLETE: u64 = 1;
const DIED: u64 = 2;
const ABORTED: u64 = 3;
const RESET: u64 = 4;
const TIMED_OUT: u64 = 5;

fn meeting(parties: usize) -> impl Fn() -> Meeting {
    move || {
        calibrate();
        Shared::new(Barrier::new(parties)).expect("place a barrier")
    }
}

/// A party beside the victim.
fn party(barrier: &Meeting, scene: &Scene) {
    scene.log(match barrier.wait() {
        Ok(_) => COMPLETE,
        Err(BarrierError::Died(_)) => DIED,
        Err(BarrierError::Aborted) => ABORTED,
        Err(BarrierError::Reset) => RESET,
        Err(BarrierError::TimedOut) => TIMED_OUT,
    });
}

/// Forks nobody: the check's process breaks what is open still, and then all `parties` must have been told the same, and of the
/// `allowed`.
fn told(barrier: &Meeting, scene: &Scene, parties: usize, allowed: &[u64]) -> Verdict {
    // One that died before it had arrived is missed by nobody.
    if !(0..parties).all(|seat| scene.has_ended(seat)) && !barrier.is_broken() {
        barrier.abort();
    }
    scene.await_ended(parties);
    let logged = scene.logged();
    let Some(&first) = logged.first() else { return Ok(0) };
    if logged.len() != parties || logged.iter().any(|&told| told != first) {
        return Err(Fault::torn(format!("a mixed round: {logged:?}")));
    }
    if !allowed.contains(&first) {
        return Err(Fault::broken(format!("{parties} were told {first}")));
    }
    // It works after a reset.
    barrier.reset();
    let alone = barrier.wait_timeout(Duration::ZERO);
    if alone != Err(BarrierError::TimedOut) {
        return Err(Fault::broken(format!("after a reset: {alone:?}")));
    }
    Ok(first)
}

fn arrives(barrier: &Meeting, scene: &Scene) {
    warm();
    scene.begin();
    let _ = barrier.wait();
    scene.end();
}

/// A victim among sleepers. If it had done all, they leave without help.
fn among(
    name: &str,
    parties: usize,
    allowed: &'static [u64],
    victim: fn(&Meeting, &Scene),
) -> Scenario<Meeting> {
    let mut scenario = Scenario::new(name, meeting(3));
    for n in 1..=parties {
        scenario = scenario.bystander(format!("party {n}"), party);
    }
    scenario
        .victim(victim)
        .settles(move |_, scene| {
            !scene.is_finished() || (0..parties).all(|seat| scene.has_ended(seat))
        })
        .check(move |barrier, scene| told(barrier, scene, parties, allowed))
}

pub(crate) fn arrivals() {
    let late = |barrier: &Meeting, scene: &Scene| {
        scene.hold();
        party(barrier, scene);
    };
    // Both others come when the victim is asleep or dead.
    let first = Scenario::new("wait, the first of three", meeting(3))
        .bystander("a late party", late)
        .bystander("another", late)
        .victim(arrives)
        .wakes_sleeping_victim()
        .every(coarse(4))
        .check(|barrier, scene| told(barrier, scene, 2, &[COMPLETE, DIED, ABORTED]));
    let middle = Scenario::new("wait, the second of three", meeting(3))
        .bystander("an early party", party)
        .bystander("a late party", late)
        .victim(arrives)
        .wakes_sleeping_victim()
        .every(coarse(4))
        .check(|barrier, scene| told(barrier, scene, 2, &[COMPLETE, DIED, ABORTED]));
    let last = among("wait, the last of three", 2, &[COMPLETE, DIED, ABORTED], arrives);
    conclude("barrier-arrivals", [first, middle, last]);
}

pub(crate) fn breaks() {
    let times_out = among(
        "wait_timeout that times out, one asleep",
        1,
        &[TIMED_OUT, DIED, ABORTED],
        |barrier, scene| {
            warm();
            scene.begin();
            let result = barrier.wait_timeout(Duration::from_millis(2));
            scene.end();
            assert_eq!(result, Err(BarrierError::TimedOut));
        },
    );
    let aborts = among("abort, two asleep", 2, &[ABORTED], |barrier, scene| {
        warm();
        scene.begin();
        barrier.abort();
        scene.end();
    });
    let resets = among("reset, two asleep", 2, &[RESET, ABORTED], |barrier, scene| {
        warm();
        scene.begin();
        barrier.reset();
        scene.end();
    });
    // Either of the two may be the third; the other one finds itself alone.
    let held_up =
        Scenario::new("wait, the last of three, held up while one more comes", meeting(3))
            .bystander("party 1", party)
            .bystander("party 2", party)
            .bystander("one more", |barrier: &Meeting, scene: &Scene| {
                scene.hold();
                let _ = barrier.wait_timeout(Duration::from_millis(1));
            })
            .victim(|barrier, scene| {
                warm();
                scene.begin();
                let _ = barrier.wait_timeout(Duration::from_millis(5));
                scene.end();
            })
            .pauses()
            .every(coarse(3))
            .check(|_, scene| {
                scene.await_ended(3);
                match scene.logged()[..] {
                    [COMPLETE, COMPLETE] => Ok(COMPLETE),
                    ref logged => Err(Fault::torn(format!("{logged:?}"))),
                }
            });
    conclude("barrier-breaks", [times_out, aborts, resets, held_up]);
}

/// One that aborts dies at some of its instructions, and one that waits at some of its own: the other one that waits is told.
pub(crate) fn double_faults() {
    let pair = Scenario::new("abort, killed; a woken one killed; one more asleep", meeting(3))
        .first_victim(coarse(15), |barrier, scene| {
            warm();
            scene.begin();
            barrier.abort();
            scene.end();
        })
        .first_dies_late()
        .every(coarse(61))
        .victim(arrives)
        .follower("a party", party)
        .check(|barrier, scene| told(barrier, scene, 1, &[DIED, ABORTED]));
    conclude("barrier-double", [pair]);
}
