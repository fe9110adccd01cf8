//! Every kind of sleeper is told with what it waits for, since when, and who has it.

use crate::{look_until, wait_of};
use offspring::{
    Barrier, Builder, Child, Condvar, Event, Mutex, OnceLock, Queue, RingQueue, Semaphore, Shared,
    WorkQueue,
};

fn child(name: &str, body: impl FnOnce()) -> Child<()> {
    Builder::new().name(name).spawn(body).unwrap()
}

pub(crate) fn each_kind_is_named() {
    let lock = Shared::new(Mutex::new(0u64)).unwrap().named("a lock");
    let idle = Shared::new(Mutex::new(0u64)).unwrap();
    let condvar = Shared::new(Condvar::new()).unwrap().named("a condvar");
    let event = Shared::new(Event::new()).unwrap().named("an event");
    let semaphore = Shared::new(Semaphore::new(1)).unwrap().named("a semaphore");
    let barrier = Shared::new(Barrier::new(9)).unwrap().named("a barrier");
    let empty = RingQueue::<u64>::new(4).unwrap().named("an empty ring");
    let full = RingQueue::<u64>::new(1).unwrap().named("a full ring");
    let messages = Queue::<String>::new().unwrap().named("messages");
    let work = WorkQueue::<u64>::new(4).unwrap().named("work");
    let once = Shared::new(OnceLock::<u64>::new()).unwrap().named("once");
    full.send(1).unwrap();
    let (held, permit) = (lock.lock().unwrap(), semaphore.acquire());

    let children = [
        child("locker", || drop(lock.lock())),
        child("listener", || drop(condvar.wait(idle.lock().unwrap()))),
        child("runner", || event.wait()),
        child("licensee", || drop(semaphore.acquire())),
        child("party", || drop(barrier.wait())),
        child("receiver", || _ = empty.recv()),
        child("sender", || _ = full.send(2)),
        child("reader", || drop(messages.recv())),
        child("worker", || drop(work.recv())),
        child("heir", || _ = once.wait()),
    ];
    let seen = look_until("ten asleep", |seen| seen.waits().count() == 10);
    let me = std::process::id();
    for (name, what, object, type_name, holder) in [
        ("locker", "lock", "a lock", "Mutex<u64>", Some(me)),
        ("listener", "notification", "a condvar", "Condvar", None),
        ("runner", "event", "an event", "Event", None),
        ("licensee", "permit or item", "a semaphore", "Semaphore", Some(me)),
        ("party", "parties", "a barrier", "Barrier", None),
        ("receiver", "message", "an empty ring", "RingQueue", None),
        ("sender", "room", "a full ring", "RingQueue", None),
        ("reader", "message", "messages", "Queue", None),
        ("worker", "permit or item", "work", "WorkQueue", None),
        ("heir", "value", "once", "OnceLock<u64>", None),
    ] {
        let wait = wait_of(&seen, name).unwrap_or_else(|| panic!("{name} sleeps: {seen:#?}"));
        assert_eq!((wait.what, wait.object.name.as_str()), (what, object), "{name}");
        assert_eq!(wait.object.type_name, type_name, "{name}");
        assert_eq!(wait.holders.first().map(|holder| holder.pid), holder, "{name}");
        assert!(!wait.has_deadline && (0.0..60.0).contains(&wait.for_s), "{name}: {wait:?}");
    }
    drop((held, permit));
    for child in children {
        child.kill().unwrap();
        drop(child.join());
    }
}

/// A wait goes on for as long as it lasts: the backstop, after a second, does not begin it anew.
pub(crate) fn time_passes() {
    let event = Shared::new(Event::new()).unwrap();
    let runner = child("runner", || event.wait());
    let is_old = |seen: &offspring::observe::Snapshot| {
        wait_of(seen, "runner").is_some_and(|wait| wait.for_s > 2.5)
    };
    let seen = look_until("a long wait", is_old);
    let wait = wait_of(&seen, "runner").unwrap();
    assert!(wait.object.name.starts_with("Event "), "{wait:?}");
    event.set();
    runner.join().unwrap();
    assert!(look_until("nobody", |seen| seen.waits().next().is_none()).processes.len() == 1);
}

pub(crate) fn tree_is_told() {
    let event = Shared::new(Event::new()).unwrap();
    let inner = || {
        let grandchild = child("grandchild", || event.wait());
        grandchild.join().unwrap();
    };
    let parent = child("parent", inner);
    let seen = look_until("a grandchild", |seen| wait_of(seen, "grandchild").is_some());
    let told: Vec<_> = seen.processes.iter().map(|p| (p.depth, p.name.as_str())).collect();
    assert_eq!(told, [(0, "main"), (1, "parent"), (2, "grandchild")]);
    assert_eq!(seen.processes[1].parent, std::process::id());
    assert_eq!(seen.processes[2].parent, parent.pid());
    assert!(seen.processes.iter().all(|process| process.is_member));
    assert_eq!(seen.processes[2].state, 'S');
    // The same tree, whichever of its processes is asked for.
    let other = offspring::snapshot(seen.processes[2].pid).unwrap();
    assert!(other.processes.iter().any(|p| p.name == "grandchild" && !p.threads.is_empty()));
    event.set();
    parent.join().unwrap();
}
