//! The lock for readers and writers: `RwLock<[u64; 2]>`, whose two halves are equal whenever nobody writes.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{LockError, RwLock, RwLockReadGuard, RwLockWriteGuard, Shared};

use crate::{calibrate, coarse, conclude, stride};

type Pair = Shared<RwLock<[u64; 2]>>;

/// What a check sees of a writing victim: it never wrote, it died while it did, or it had done its work.
const UNTOUCHED: u64 = 0;
const DIED_INSIDE: u64 = 1;
const DONE: u64 = 2;

/// What a bystander adds, so that its work can be told from the victim's, which adds 1.
const BYSTANDER: u64 = 100;

/// Where the victims leave their pids.
const PID: usize = 0;
const FIRST_PID: usize = 3;
/// Not 0 if the victim changes nothing.
const ONLY_READS: usize = 1;

fn pair() -> Pair {
    calibrate();
    Shared::new(RwLock::new([0; 2])).expect("place a lock")
}

/// This process takes its roster entry now, so that taking it is not part of what is swept.
fn warm(scene: &Scene, pid: usize) {
    scene.note(pid, u64::from(std::process::id()));
    let own = RwLock::new(0u32);
    drop(own.write());
    drop(own.read());
}

fn add(mut all: RwLockWriteGuard<'_, [u64; 2]>, amount: u64) {
    all[0] += amount;
    all[1] += amount;
}

/// Writes, whoever died before, and repairs.
fn change(pair: &Pair) -> RwLockWriteGuard<'_, [u64; 2]> {
    match pair.write() {
        Ok(all) => all,
        Err(LockError::OwnerDied(died)) => {
            let mut all = died.recover();
            all[1] = all[0];
            all
        }
        Err(error) => panic!("write() gave {error}"),
    }
}

/// Reads, whoever died before; the halves are equal unless somebody did.
fn look(pair: &Pair) -> RwLockReadGuard<'_, [u64; 2]> {
    match pair.read() {
        Ok(share) => {
            assert_eq!(share[0], share[1], "half-written, and no word of a dead writer");
            share
        }
        Err(LockError::OwnerDied(died)) => died.into_guard(),
        Err(error) => panic!("read() gave {error}"),
    }
}

/// The lock works, says whose death it was if the data may be torn, and then does not say so again. `writers` bystanders have
/// added what they add.
fn intact(pair: &Pair, scene: &Scene, writers: u64) -> Verdict {
    let news = matches!(pair.read(), Err(LockError::OwnerDied(_)));
    let (sum, died) = match pair.write() {
        Ok(all) if all[0] != all[1] || news => {
            return Err(Fault::torn(format!("{:?}, and no word of a dead writer", *all)));
        }
        Ok(all) => (all[0], None),
        Err(LockError::OwnerDied(died)) => {
            let pid = died.owner().pid().map(u64::from);
            if ![PID, FIRST_PID].iter().any(|&note| pid == Some(scene.noted(note))) || !news {
                return Err(Fault::broken(format!("told of {}, readers: {news}", died.owner())));
            }
            let mut all = died.recover();
            all[1] = all[0];
            (all[0], Some(DIED_INSIDE))
        }
        Err(error) => return Err(Fault::broken(error.to_string())),
    };
    let works = pair.try_read().is_ok() && pair.try_write().is_ok();
    if !works {
        return Err(Fault::broken("the lock does not work, or not after recover"));
    }
    let own = sum % BYSTANDER;
    if sum / BYSTANDER != writers || own > 1 {
        return Err(Fault::lost(format!("the sum is {sum} after {writers} writers and a victim")));
    }
    if scene.noted(ONLY_READS) != 0 {
        return match (own, died) {
            (0, None) => Ok(0),
            other => Err(Fault::broken(format!("the victim writes nothing: {other:?}"))),
        };
    }
    if scene.is_finished() && own == 0 {
        return Err(Fault::lost("the victim had finished, and its addition is gone"));
    }
    Ok(died.unwrap_or(if own == 1 { DONE } else { UNTOUCHED }))
}

/// A victim that does this from begin to end.
fn victim(reads: bool, body: impl Fn(&Pair) + 'static) -> impl Fn(&Pair, &Scene) + 'static {
    move |pair, scene| {
        warm(scene, PID);
        scene.note(ONLY_READS, u64::from(reads));
        scene.begin();
        body(pair);
        scene.end();
    }
}

fn reader() -> impl Fn(&Pair, &Scene) {
    victim(true, |pair| drop(look(pair)))
}

fn writer() -> impl Fn(&Pair, &Scene) {
    victim(false, |pair| add(change(pair), 1))
}

/// With nobody else about.
pub(crate) fn alone() {
    let simple = |name: &str, reads: bool, body: fn(&Pair)| {
        Scenario::new(name, pair)
            .victim(victim(reads, body))
            .check(|pair, scene| intact(pair, scene, 0))
    };
    let after = |name: &str, writes: bool, reads: bool| {
        let scenario = Scenario::new(name, pair).first_victim(usize::MAX, move |pair, scene| {
            warm(scene, FIRST_PID);
            let guards = match writes {
                true => (Some(pair.write().unwrap()), None),
                false => (None, Some((look(pair), look(pair)))),
            };
            scene.begin();
            scene.end();
            drop(guards);
        });
        let scenario = if reads { scenario.victim(reader()) } else { scenario.victim(writer()) };
        // Whose death is reported depends on how far the second one came: both are dead writers.
        scenario.check(move |pair, scene| {
            if writes {
                drop(change(pair));
            }
            intact(pair, scene, 0).map(|_| 0)
        })
    };
    let scenarios = [
        simple("read + unlock", true, |pair| drop(look(pair))),
        simple("read twice + unlock", true, |pair| drop((look(pair), look(pair)))),
        simple("try_read + unlock", true, |pair| drop(pair.try_read().unwrap())),
        simple("write + unlock", false, |pair| add(pair.write().unwrap(), 1)),
        simple("try_write + unlock", false, |pair| add(pair.try_write().unwrap(), 1)),
        simple("write, downgrade + unlock", false, |pair| {
            let mut all = pair.write().unwrap();
            all[0] += 1;
            all[1] += 1;
            drop(RwLockWriteGuard::downgrade(all));
        }),
        after("write after a dead reader", false, false),
        after("read after a dead writer", true, true),
        after("write after a dead writer", true, false),
    ];
    conclude("rwlock-alone", scenarios);
}

/// A bystander that reads until the victim sleeps or is dead.
fn holds_a_share(pair: &Pair, scene: &Scene) {
    let share = look(pair);
    scene.hold();
    drop(share);
}

/// A bystander that reads until then, and ends with its share.
fn dies_with_a_share(pair: &Pair, scene: &Scene) {
    let share = look(pair);
    scene.hold();
    std::mem::forget(share);
}

/// A bystander that writes until then.
fn holds_all(pair: &Pair, scene: &Scene) {
    let all = pair.write().unwrap();
    scene.hold();
    add(all, BYSTANDER);
}

fn reads(pair: &Pair, _: &Scene) {
    drop(look(pair));
}

fn writes(pair: &Pair, _: &Scene) {
    add(change(pair), BYSTANDER);
}

/// The victim waits for others. Most of its way is the same in all of these: the usual run takes every point of two of them.
pub(crate) fn waiting() {
    let usual = 8;
    let waits = |name: &str, every: usize, holder: fn(&Pair, &Scene), writers: u64| {
        Scenario::new(name, pair)
            .every(stride(every))
            .bystander("the holder", holder)
            .wakes_sleeping_victim()
            .settles(|_, scene| scene.has_ended(0))
            .check(move |pair, scene| intact(pair, scene, writers))
    };
    let behind = |name: &str, every: usize, holder: fn(&Pair, &Scene), writers: u64| {
        Scenario::new(name, pair)
            .every(stride(every))
            .bystander("the holder", holder)
            .bystander("a writer", writes)
            .bystander("a reader", reads)
            .wakes_sleeping_victim()
            .settles(|_, scene| (0..3).all(|seat| scene.has_ended(seat)))
            .check(move |pair, scene| intact(pair, scene, writers + 1))
    };
    let times_out = Scenario::new("write_timeout behind a reader", pair)
        .every(stride(usual))
        .bystander("the holder", holds_a_share)
        .victim(victim(true, |pair| {
            let late = pair.write_timeout(Duration::from_millis(2));
            assert!(matches!(late, Err(LockError::TimedOut)));
        }))
        .settles(|_, scene| scene.has_ended(0))
        .check(|pair, scene| intact(pair, scene, 0));
    let scenarios = [
        waits("read, somebody writes", usual, holds_all, 1).victim(reader()),
        waits("write, somebody writes", usual, holds_all, 1).victim(writer()),
        waits("write, somebody reads", 1, holds_a_share, 0).victim(writer()),
        waits("write, somebody dies with a share", usual, dies_with_a_share, 0).victim(writer()),
        behind("read, somebody reads, two asleep", 1, holds_a_share, 0).victim(reader()),
        behind("write, somebody reads, two asleep", usual, holds_a_share, 0).victim(writer()),
        behind("write, somebody dies with a share, two asleep", usual, dies_with_a_share, 0)
            .victim(writer()),
        behind("read, somebody writes, two asleep", usual, holds_all, 1).victim(reader()),
        times_out,
    ];
    conclude("rwlock-waiting", scenarios);
}

/// The victim leaves while others wait for that.
pub(crate) fn leaving() {
    let leaves = |name: &str, writes_first: bool, roles: &[fn(&Pair, &Scene)], writers: u64| {
        let mut scenario = Scenario::new(name, pair).victim(move |pair, scene| {
            warm(scene, PID);
            scene.note(ONLY_READS, u64::from(!writes_first));
            if writes_first {
                let all = pair.write().unwrap();
                scene.begin();
                add(all, 1);
            } else {
                let shares = (look(pair), look(pair));
                scene.begin();
                drop(shares);
            }
            scene.end();
        });
        for (n, role) in roles.iter().enumerate() {
            scenario = scenario.follower(format!("sleeper {n}"), *role);
        }
        let count = roles.len();
        scenario.settles(move |_, scene| (0..count).all(|seat| scene.has_ended(seat))).check(
            move |pair, scene| {
                // One that sleeps may have had the news, and recovered.
                intact(pair, scene, writers).map(|_| 0)
            },
        )
    };
    let scenarios = [
        leaves("unlock of a share, a writer asleep", false, &[writes], 1),
        leaves("unlock of a share, writer and reader asleep", false, &[writes, reads], 1),
        leaves("unlock of a share, two writers asleep", false, &[writes, writes], 2),
        leaves("unlock of all, a reader asleep", true, &[reads], 0),
        leaves("unlock of all, two readers, one writer asleep", true, &[reads, writes, reads], 1),
    ];
    conclude("rwlock-leaving", scenarios);
}

/// Nobody dies: the victim is held at every instruction while the others do all that they can.
pub(crate) fn held_up() {
    let late_writer = |pair: &Pair, scene: &Scene| {
        scene.hold();
        writes(pair, scene);
    };
    let late_reader = |pair: &Pair, scene: &Scene| {
        scene.hold();
        reads(pair, scene);
    };
    let scenarios = [
        Scenario::new("read + unlock, held up while a writer comes", pair)
            .bystander("a late writer", late_writer)
            .victim(reader())
            .pauses()
            .check(|pair, scene| {
                scene.await_ended(1);
                intact(pair, scene, 1)
            }),
        Scenario::new("write + unlock, held up while a reader comes", pair)
            .bystander("a late reader", late_reader)
            .victim(writer())
            .pauses()
            .check(|pair, scene| {
                scene.await_ended(1);
                intact(pair, scene, 0)
            }),
        Scenario::new("write behind a reader, held up while that leaves", pair)
            .every(stride(3))
            .bystander("the holder", holds_a_share)
            .victim(writer())
            .pauses()
            .wakes_sleeping_victim()
            .check(|pair, scene| {
                scene.await_ended(1);
                intact(pair, scene, 0)
            }),
        Scenario::new("read behind a writer, held up while that leaves", pair)
            .every(stride(3))
            .bystander("the holder", holds_all)
            .bystander("a writer", writes)
            .victim(reader())
            .pauses()
            .wakes_sleeping_victim()
            .check(|pair, scene| {
                scene.await_ended(2);
                intact(pair, scene, 2)
            }),
    ];
    conclude("rwlock-held-up", scenarios);
}

/// One dies at each of its instructions, and who comes after that at each of its own.
pub(crate) fn double_faults() {
    let twice = |name: &str, first: fn(&Pair), second_reads: bool, every: usize| {
        let scenario = Scenario::new(name, pair).first_victim(stride(every), move |pair, scene| {
            warm(scene, FIRST_PID);
            scene.begin();
            first(pair);
            scene.end();
        });
        match second_reads {
            true => scenario.victim(reader()),
            false => scenario.victim(writer()),
        }
        .check(|pair, _| {
            let sum = change(pair)[0];
            let works = pair.try_read().is_ok() && pair.try_write().is_ok();
            match sum {
                0..=2 if works => Ok(0),
                _ => Err(Fault::broken(format!("the sum is {sum}; works: {works}"))),
            }
        })
    };
    // The victim sleeps until the first one leaves, who dies of that; then it dies on its own way out.
    let relay =
        Scenario::new("write, woken by a reader that is killed in unlock, one asleep", pair)
            .first_victim(coarse(40), |pair, scene| {
                warm(scene, FIRST_PID);
                let share = look(pair);
                scene.begin();
                drop(share);
                scene.end();
            })
            .first_dies_late()
            .every(coarse(31))
            .victim(writer())
            .check(|pair, scene| intact(pair, scene, 0).map(|_| 0));
    let scenarios = [
        twice("write, then write, both killed", |pair| add(change(pair), 1), false, 60),
        twice("write, then read, both killed", |pair| add(change(pair), 1), true, 60),
        twice("read, then write, both killed", |pair| drop((look(pair), look(pair))), false, 60),
        relay,
    ];
    conclude("rwlock-double-faults", scenarios);
}
