//! Circles of locks are named, with all members; what only looks like one is not.

use crate::{look_until, wait_of};
use offspring::{Barrier, Builder, Child, Mutex, RwLock, Shared, snapshot};
use std::time::Duration;

fn lock(name: &str) -> Shared<Mutex<u64>> {
    Shared::new(Mutex::new(0)).unwrap().named(name)
}

fn forever() -> Duration {
    Duration::from_secs(3600)
}

/// A child that takes its first lock, meets the others, and wants the second.
fn takes(
    name: &str,
    [first, second]: [&Shared<Mutex<u64>>; 2],
    meet: &Shared<Barrier>,
) -> Child<()> {
    let (first, second, meet) = (first.clone(), second.clone(), meet.clone());
    let body = move || {
        let _first = first.lock().unwrap();
        meet.wait().unwrap();
        let _second = second.lock().unwrap();
    };
    Builder::new().name(name).spawn(body).unwrap()
}

pub(crate) fn two_locks_two_processes() {
    let (left, right) = (lock("left"), lock("right"));
    let meet = Shared::new(Barrier::new(2)).unwrap();
    let ann = takes("ann", [&left, &right], &meet);
    let bob = takes("bob", [&right, &left], &meet);
    let seen = look_until("a deadlock", |seen| !seen.deadlocks.is_empty());
    assert_eq!(seen.deadlocks.len(), 1);
    let deadlock = &seen.deadlocks[0];
    assert!(!deadlock.has_deadline);
    let mut members: Vec<_> = deadlock
        .members
        .iter()
        .map(|m| (m.waiter.name.as_str(), m.waiter.pid, m.waits_for.name.as_str()))
        .collect();
    members.sort();
    assert_eq!(members, [("ann", ann.pid(), "right"), ("bob", bob.pid(), "left")]);
    let text = deadlock.to_string();
    assert!(text.contains(&format!("ann ({}) waits for right, which bob", ann.pid())), "{text}");
    let wait = wait_of(&seen, "ann").unwrap();
    assert_eq!((wait.what, wait.holders[0].pid), ("lock", bob.pid()));
    assert!(wait.holders[0].is_alive && wait.object.type_name == "Mutex<u64>");
    // The death of one is the end of it.
    bob.kill().unwrap();
    assert!(bob.join().is_err());
    ann.join().unwrap_err(); // its lock came from a dead owner
    assert!(snapshot(std::process::id()).unwrap().deadlocks.is_empty());
}

pub(crate) fn a_circle_of_five_and_one_who_waits_for_it() {
    let locks: Vec<_> = (0..5).map(|n| lock(&format!("fork-{n}"))).collect();
    let meet = Shared::new(Barrier::new(5)).unwrap();
    let diners: Vec<_> = (0..5)
        .map(|n| takes(&format!("diner-{n}"), [&locks[n], &locks[(n + 1) % 5]], &meet))
        .collect();
    // Only then: a guest that comes first has the lock, and does not wait.
    look_until("five in a circle", |seen| !seen.deadlocks.is_empty());
    let guest = {
        let lock = locks[0].clone();
        Builder::new().name("guest").spawn(move || drop(lock.lock())).unwrap()
    };
    let seen = look_until("a guest", |seen| {
        !seen.deadlocks.is_empty() && wait_of(seen, "guest").is_some()
    });
    assert_eq!(seen.deadlocks.len(), 1);
    let members = &seen.deadlocks[0].members;
    assert_eq!(members.len(), 5, "{}", seen.deadlocks[0]);
    for (index, member) in members.iter().enumerate() {
        let next = &members[(index + 1) % 5].waiter;
        let held = format!("fork-{}", next.name.trim_start_matches("diner-"));
        assert_eq!(member.waits_for.name, held);
    }
    assert_eq!(wait_of(&seen, "guest").unwrap().object.name, "fork-0");
    diners.iter().for_each(|diner| diner.kill().unwrap());
    diners.into_iter().for_each(|diner| drop(diner.join()));
    guest.join().unwrap();
}

pub(crate) fn readers_of_each_other() {
    let table = Shared::new(RwLock::new(0u64)).unwrap().named("table");
    let lock = lock("lock");
    let meet = Shared::new(Barrier::new(2)).unwrap();
    let (t, l, m) = (table.clone(), lock.clone(), meet.clone());
    let reader = Builder::new().name("reader").spawn(move || {
        let _read = t.read().unwrap();
        m.wait().unwrap();
        let _lock = l.lock().unwrap();
    });
    let (t, l, m) = (table.clone(), lock.clone(), meet.clone());
    let writer = Builder::new().name("writer").spawn(move || {
        let _lock = l.lock().unwrap();
        m.wait().unwrap();
        let _write = t.write().unwrap();
    });
    let (reader, writer) = (reader.unwrap(), writer.unwrap());
    let seen = look_until("a deadlock", |seen| !seen.deadlocks.is_empty());
    assert_eq!(seen.deadlocks[0].members.len(), 2);
    let wait = wait_of(&seen, "writer").unwrap();
    assert_eq!((wait.what, wait.object.name.as_str()), ("readers", "table"));
    assert_eq!(wait.holders.iter().map(|h| h.pid).collect::<Vec<_>>(), [reader.pid()]);
    reader.kill().unwrap();
    assert!(reader.join().is_err());
    writer.join().unwrap();
}

pub(crate) fn one_with_a_deadline_says_so() {
    let (left, right) = (lock("left"), lock("right"));
    let meet = Shared::new(Barrier::new(2)).unwrap();
    let ann = takes("ann", [&left, &right], &meet);
    let (l, r, m) = (left.clone(), right.clone(), meet.clone());
    let bob = Builder::new().name("bob").spawn(move || {
        let _right = r.lock().unwrap();
        m.wait().unwrap();
        drop(l.lock_timeout(forever()));
    });
    let bob = bob.unwrap();
    let seen = look_until("a deadlock", |seen| !seen.deadlocks.is_empty());
    assert!(seen.deadlocks[0].has_deadline);
    assert!(wait_of(&seen, "bob").unwrap().has_deadline);
    assert!(!wait_of(&seen, "ann").unwrap().has_deadline);
    bob.kill().unwrap();
    assert!(bob.join().is_err() && ann.join().is_err());
}

/// Each waits for the other's lock, but one of them by way of a thread that is dead.
pub(crate) fn a_dead_owner_is_no_deadlock() {
    let (left, right) = (lock("left"), lock("right"));
    let held = right.lock().unwrap();
    let (l, r) = (left.clone(), right.clone());
    let ann = Builder::new().name("ann").spawn(move || {
        std::mem::forget(l.lock().unwrap());
        drop(r.lock());
    });
    let ann = ann.unwrap();
    let seen = look_until("ann asleep", |seen| wait_of(seen, "ann").is_some());
    assert!(seen.deadlocks.is_empty());
    let wait = wait_of(&seen, "ann").unwrap();
    assert_eq!((wait.holders[0].pid, wait.holders[0].is_alive), (std::process::id(), true));
    ann.kill().unwrap();
    assert!(ann.join().is_err());
    assert!(left.lock().is_err());
    assert!(snapshot(std::process::id()).unwrap().deadlocks.is_empty());
    drop(held);
}
