//! The value that is computed once, and the lock that its owner may lock again.

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{LockError, Mutex, OnceLock, ReentrantMutex, Shared};

use crate::{calibrate, conclude, stride};

type Once = Shared<OnceLock<[u64; 2]>>;

/// Who computed the value.
const VICTIM: u64 = 1;
const BYSTANDER: u64 = 2;
const CHECK: u64 = 3;

fn once() -> Once {
    calibrate();
    Shared::new(OnceLock::new()).expect("place a value to come")
}

/// This process takes its roster entry now, so that taking it is not part of what is swept.
fn warm() {
    let own: Mutex<u32> = Mutex::new(0);
    drop(own.lock());
}

fn computes(once: &Once, scene: &Scene) {
    warm();
    scene.begin();
    once.get_or_init(|| [VICTIM; 2]);
    scene.end();
}

/// The value is there, whole, and stays; if the victim had set it, it is the victim's. The effect is whether that is so.
fn settled(once: &Once, scene: &Scene) -> Verdict {
    let before = once.get().copied();
    let value = *once.get_or_init(|| [CHECK; 2]);
    if value[0] != value[1] {
        return Err(Fault::torn(format!("{value:?}")));
    }
    if before.is_some_and(|before| before != value) || once.set([9; 2]).is_ok() {
        return Err(Fault::broken(format!("{before:?} has become {value:?}")));
    }
    if scene.is_finished() && value[0] == CHECK {
        return Err(Fault::lost("the victim had finished, and its value is gone"));
    }
    Ok(u64::from(value[0] == VICTIM))
}

fn waits(once: &Once, _: &Scene) {
    let value = once.wait();
    assert_eq!(value[0], value[1]);
}

fn wants(once: &Once, _: &Scene) {
    let value = once.get_or_init(|| [BYSTANDER; 2]);
    assert_eq!(value[0], value[1]);
}

/// A bystander that is computing until the victim sleeps or is dead.
fn is_computing(once: &Once, scene: &Scene) {
    once.get_or_init(|| {
        scene.hold();
        [BYSTANDER; 2]
    });
}

pub(crate) fn value() {
    let alone = Scenario::new("get_or_init", once).victim(computes).check(settled);
    let observed = Scenario::new("get_or_init, two in wait", once)
        .bystander("one in wait", waits)
        .bystander("another", waits)
        .victim(computes)
        .check(settled);
    // The sleepers come while the victim computes.
    let midway = Scenario::new("get_or_init, two want it", once)
        .victim(|once: &Once, scene: &Scene| {
            warm();
            once.get_or_init(|| {
                scene.begin();
                [VICTIM; 2]
            });
            scene.end();
        })
        .follower("one that wants it", wants)
        .follower("another", wants)
        .follower("one in wait", waits)
        .settles(|_, scene| (0..3).all(|seat| scene.has_ended(seat)))
        .check(settled);
    let behind = Scenario::new("get_or_init, another computes", once)
        .every(stride(3))
        .bystander("the other", is_computing)
        .bystander("one in wait", waits)
        .victim(computes)
        .wakes_sleeping_victim()
        .settles(|_, scene| (0..2).all(|seat| scene.has_ended(seat)))
        .check(settled);
    let sleeps = Scenario::new("wait, another computes", once)
        .bystander("the other", is_computing)
        .bystander("one in wait", waits)
        .victim(|once, scene| {
            warm();
            scene.begin();
            once.wait();
            scene.end();
        })
        .wakes_sleeping_victim()
        .settles(|_, scene| (0..2).all(|seat| scene.has_ended(seat)))
        .check(settled);
    let twice = Scenario::new("get_or_init, then again, both killed", once)
        .first_victim(stride(40), |once, scene| {
            warm();
            scene.begin();
            once.get_or_init(|| [BYSTANDER; 2]);
            scene.end();
        })
        .victim(computes)
        .check(|once, scene| settled(once, scene).map(|_| 0));
    let held_up = Scenario::new("get_or_init, held up while one waits", once)
        .bystander("a late one", |once: &Once, scene: &Scene| {
            scene.hold();
            waits(once, scene);
        })
        .victim(computes)
        .pauses()
        .check(|once, scene| {
            scene.await_ended(1);
            settled(once, scene)
        });
    conclude("once", [alone, observed, midway, behind, sleeps, twice, held_up]);
}

/// A lock at depth two; the halves are equal whenever nobody has it.
pub(crate) fn reentrant() {
    type Pair = Shared<ReentrantMutex<[u64; 2]>>;
    let pair = || {
        calibrate();
        Shared::new(ReentrantMutex::new([0u64; 2])).expect("place a mutex")
    };
    fn enter(pair: &Pair) -> offspring::ReentrantMutexGuard<'_, [u64; 2]> {
        match pair.lock() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => {
                let guard = died.recover();
                let first = guard.get()[0];
                guard.set([first; 2]);
                guard
            }
            Err(error) => panic!("lock() gave {error}"),
        }
    }
    fn add(pair: &Pair) {
        let outer = enter(pair);
        let [first, second] = outer.get();
        outer.set([first + 1, second]);
        let inner = pair.lock().unwrap();
        inner.set([first + 1, second + 1]);
    }
    fn victim(pair: &Pair, scene: &Scene) {
        warm();
        scene.begin();
        add(pair);
        scene.end();
    }
    let check = |others: u64| {
        move |pair: &Pair, scene: &Scene| {
            if let Ok(guard) = pair.lock()
                && guard.get()[0] != guard.get()[1]
            {
                return Err(Fault::torn("and no word of a dead owner"));
            }
            let sum = enter(pair).get()[0];
            let works = pair.try_lock().is_ok();
            match sum.checked_sub(others) {
                Some(own @ 0..=1) if works && (own == 1 || !scene.is_finished()) => Ok(own),
                _ => Err(Fault::lost(format!("the sum is {sum} of {others} + 1"))),
            }
        }
    };
    let alone = Scenario::new("lock twice + unlock", pair).victim(victim).check(check(0));
    let unlocks = Scenario::new("unlock at depth 2, one asleep", pair)
        .victim(|pair: &Pair, scene: &Scene| {
            warm();
            let outer = pair.lock().unwrap();
            outer.set([1; 2]);
            let inner = pair.lock().unwrap();
            scene.begin();
            drop((inner, outer));
            scene.end();
        })
        .follower("a waiter", |pair, _| add(pair))
        .settles(|_, scene| scene.has_ended(0))
        .check(check(1));
    let waits = Scenario::new("lock twice, held by another", pair)
        .every(stride(3))
        .bystander("the owner", |pair: &Pair, scene: &Scene| {
            let _outer = pair.lock().unwrap();
            scene.hold();
            add(pair);
        })
        .victim(victim)
        .wakes_sleeping_victim()
        .check(check(1));
    conclude("reentrant", [alone, unlocks, waits]);
}
