//! Queues and pools: known depths, known rates, a known death.

use crate::look_until;
use offspring::observe::{Observer, Queue as Seen, Snapshot};
use offspring::{Counter, Mutex, Pool, Queue, Region, RingQueue, Shared, WorkQueue, snapshot};

fn me() -> u32 {
    std::process::id()
}

fn queue<'a>(seen: &'a Snapshot, name: &str) -> &'a Seen {
    let queue = seen.queues.iter().find(|queue| queue.object.name == name);
    queue.unwrap_or_else(|| panic!("expected a queue {name} in {:#?}", seen.queues))
}

pub(crate) fn depths_are_known() {
    let ring = RingQueue::<u64>::new(100).unwrap().named("ring");
    let messages = Queue::<String>::with_capacity_bytes(4000).unwrap().named("messages");
    let region = Region::new(1 << 20).unwrap();
    let work = WorkQueue::<u64>::in_region(&region, offspring::queue::WorkLimits::items(7));
    let work = work.unwrap().named("work");
    let other = RingQueue::<u64>::in_region(&region, 3).unwrap().named("other");
    (0..42).for_each(|n| ring.send(n).unwrap());
    (0..5).for_each(|_| _ = ring.recv());
    (0..6).for_each(|n| messages.send(n.to_string()).unwrap());
    drop(messages.recv());
    (0..5).for_each(|n| work.send(n).unwrap());
    let (held, done) = (work.recv().unwrap(), work.recv().unwrap());
    done.ack();
    other.send(1).unwrap();
    other.close();

    let seen = snapshot(me()).unwrap();
    assert_eq!(seen.queues.len(), 4, "{:#?}", seen.queues);
    let numbers = |name| {
        let queue = queue(&seen, name);
        (queue.depth, queue.capacity, queue.sent, queue.received, queue.is_closed)
    };
    assert_eq!(numbers("ring"), (37, Some(100), 42, 5, false));
    assert_eq!(numbers("messages"), (5, None, 6, 1, false));
    assert_eq!(numbers("work"), (3, Some(7), 5, 2, false));
    assert_eq!(numbers("other"), (1, Some(3), 1, 0, true));
    let (work_seen, messages_seen) = (queue(&seen, "work"), queue(&seen, "messages"));
    assert_eq!((work_seen.leased, work_seen.dead_letters), (Some(1), Some(0)));
    assert_eq!(messages_seen.capacity_bytes, Some(messages.capacity_bytes() as u64));
    assert_eq!(messages_seen.used_bytes, Some(messages.used_bytes() as u64));
    held.ack();
}

pub(crate) fn rates_are_those_between_two_looks() {
    let ring = RingQueue::<u64>::new(100).unwrap().named("ring");
    let mut observer = Observer::new(me()).unwrap();
    let first = observer.look().unwrap();
    assert!(queue(&first, "ring").sent_per_s.is_none());
    let mut sent = 0;
    let seen = loop {
        // Both counters of a look are of its time: there is some between two looks, at last.
        ring.send(1).unwrap();
        ring.send(2).unwrap();
        sent += 2;
        ring.recv().unwrap();
        ring.recv().unwrap();
        let seen = observer.look().unwrap();
        if queue(&seen, "ring").sent_per_s.is_some() {
            break seen;
        }
    };
    let ring = queue(&seen, "ring");
    assert_eq!((ring.sent, ring.received), (sent, sent));
    assert!(ring.sent_per_s.unwrap() > 0.0);
    assert_eq!(ring.sent_per_s, ring.received_per_s);
}

fn answer(_: u64) -> u64 {
    42
}

fn hang(_: u64) -> u64 {
    loop {
        std::thread::park();
    }
}

pub(crate) fn pool_has_lost_a_worker() {
    let pool = Pool::builder().workers(2).name("mill").build().unwrap();
    assert_eq!(pool.submit(answer, 1).unwrap().wait().unwrap(), 42);
    let task = pool.submit(hang, 1).unwrap();
    let is_running = |seen: &Snapshot| {
        seen.pools.len() == 1 && seen.pools[0].seats.iter().any(|seat| seat.task.is_some())
    };
    let seen = look_until("a task that runs", is_running);
    let mill = &seen.pools[0];
    assert_eq!((mill.object.name.as_str(), mill.object.type_name.as_str()), ("mill", "Pool"));
    assert_eq!((mill.target, mill.living, mill.restarts, mill.stage), (2, 2, 0, "open"));
    assert!(mill.supervisor.as_ref().is_some_and(|it| it.name == "mill-supervisor"));
    let seat = mill.seats.iter().position(|seat| seat.task.is_some()).unwrap();
    let worker = mill.seats[seat].worker.clone().unwrap();
    assert_eq!((mill.seats[seat].attempt, mill.seats[seat].ends), (Some(1), 0));
    let pid = i32::try_from(worker.pid).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    assert!(task.wait().is_err());
    let is_replaced = |seen: &Snapshot| {
        seen.pools[0].restarts == 1 && seen.pools[0].seats.iter().all(|seat| seat.worker.is_some())
    };
    let seen = look_until("another worker", is_replaced);
    let mill = &seen.pools[0];
    assert_eq!(mill.seats.iter().map(|seat| seat.ends).sum::<u32>(), 1);
    let death = mill.seats[seat].last_death.as_ref().unwrap();
    assert_eq!((death.pid, death.name.as_deref()), (Some(worker.pid), Some(worker.name.as_str())));
    assert!(death.how.contains("SIGKILL"), "{}", death.how);
    assert_ne!(mill.seats[seat].worker.as_ref().unwrap().pid, worker.pid);
    assert!(mill.seats.iter().all(|seat| seat.task.is_none()) && mill.queued == 0);
    assert!(seen.queues.is_empty(), "a pool's own ring is the pool's affair");
}

/// Names are kept in a table that does not grow; what has none is called by type and place.
pub(crate) fn names_end_and_begin() {
    #[repr(C)]
    struct Two {
        left: Mutex<u64>,
        right: Mutex<u64>,
    }
    // SAFETY: two mutexes.
    unsafe impl offspring::ShmSafe for Two {}
    let two = Two { left: Mutex::new(0), right: Mutex::new(0) };
    let two = Shared::new(two).unwrap().named("two");
    let held = (two.left.lock().unwrap(), two.right.lock().unwrap());
    let child = offspring::Builder::new().name("child").spawn(|| drop(two.right.lock())).unwrap();
    let seen = look_until("a sleeper", |seen| crate::wait_of(seen, "child").is_some());
    assert_eq!(
        crate::wait_of(&seen, "child").unwrap().object.name,
        format!("two+{}", size_of::<Mutex<u64>>())
    );
    let counter = Shared::new(Counter::new("n")).unwrap();
    for n in 0..5000 {
        drop(
            counter
                .clone()
                .named(&format!("name {n} with more letters than there is room for, so it is cut")),
        );
    }
    let seen = look_until("a sleeper", |seen| crate::wait_of(seen, "child").is_some());
    let name = &crate::wait_of(&seen, "child").unwrap().object.name;
    assert!(name.starts_with("Two ") && name.ends_with("+0+32"), "{name}");
    drop(held);
    child.join().unwrap();
}
