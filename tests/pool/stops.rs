//! Workers that are stopped, and workers that are asked to end.

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use offspring::pool::{TaskError, TaskOptions};
use offspring::{Pool, Shared, Task};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crate::floors::LONG;
use crate::support::{asleep, processes, until};

/// Made before the pool.
static STEP: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn step() -> &'static Shared<AtomicU32> {
    STEP.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap())
}

fn comes_to(number: u32) -> bool {
    until(|| step().load(SeqCst) >= number, LONG)
}

fn tell_pid(_: ()) -> i32 {
    std::process::id() as i32
}

fn soon() -> TaskOptions {
    TaskOptions::new().timeout(Duration::from_millis(30))
}

fn stop(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let is_stopped = || processes().iter().any(|p| p.id as i32 == pid && p.state == 'T');
    assert!(until(is_stopped, LONG));
}

/// Of the only pool of this process.
fn workers_here() -> Vec<i32> {
    let (me, all) = (std::process::id(), processes());
    let supervisor = all.iter().find(|p| p.parent == me).unwrap().id;
    all.iter().filter(|p| p.parent == supervisor).map(|p| p.id as i32).collect()
}

/// Asleep in the ring's receive, or behind one that is. With one slot, the next task needs the place of the one that timed out.
pub(crate) fn stopped_idle_worker_is_replaced() {
    for (workers, capacity) in [(1, 1), (1, 8), (2, 8)] {
        let pool = Pool::builder().workers(workers).capacity(capacity).build().unwrap();
        for _ in 0..5 {
            let mut stopped = Vec::new();
            let are_idle = || {
                stopped = workers_here();
                stopped.len() == workers && stopped.iter().all(|&pid| asleep(pid))
            };
            assert!(until(are_idle, LONG));
            stopped.iter().for_each(|&pid| stop(pid));
            let late = pool.submit_with(soon(), tell_pid, ()).unwrap();
            let error = late.wait_timeout(LONG).expect("a deadline holds").unwrap_err();
            assert!(matches!(error, TaskError::TimedOut), "{error}");
            let next = pool.submit(tell_pid, ()).unwrap();
            let next = next.wait_timeout(LONG).expect("another worker").unwrap();
            assert!(!stopped.contains(&next));
        }
        pool.shutdown_timeout(LONG).unwrap();
    }
}

fn begin_and_stop(_: ()) -> i32 {
    nix::sys::signal::raise(Signal::SIGSTOP).unwrap();
    tell_pid(())
}

/// What runs in a stopped worker has no deadline: those of others are no reason to end it.
pub(crate) fn stopped_task_without_a_deadline_is_let_be() {
    let pool = Pool::new(1).unwrap();
    let pid = pool.apply(tell_pid, ()).unwrap();
    let stopped = pool.submit(begin_and_stop, ()).unwrap();
    let is_stopped = || processes().iter().any(|p| p.id as i32 == pid && p.state == 'T');
    assert!(until(is_stopped, LONG));
    for _ in 0..2 {
        let late = pool.submit_with(soon(), tell_pid, ()).unwrap();
        assert!(matches!(late.wait(), Err(TaskError::TimedOut)));
    }
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    assert_eq!(stopped.wait_timeout(LONG).expect("it goes on").unwrap(), pid);
    pool.shutdown().unwrap();
}

/// One that is stopped for ever does not stop an end that has a limit.
pub(crate) fn stopped_worker_does_not_stop_an_end() {
    let pool = Pool::new(1).unwrap();
    let task = pool.submit(begin_and_stop, ()).unwrap();
    pool.terminate(Duration::from_millis(20)).unwrap();
    assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    let pool = Pool::new(1).unwrap();
    stop(pool.apply(tell_pid, ()).unwrap());
    pool.shutdown_timeout(Duration::from_millis(20)).unwrap();
}

/// Hears of SIGTERM, and does something about it before it ends.
fn end_in_order(_: u32) {
    let term = SigSet::from_iter([Signal::SIGTERM]);
    term.thread_block().unwrap();
    step().fetch_add(1, SeqCst);
    assert_eq!(term.wait(), Ok(Signal::SIGTERM));
    step().fetch_add(1, SeqCst);
    assert!(comes_to(5));
    step().fetch_add(1, SeqCst);
}

/// Two tasks need time to end; the client sees both at it, and lets them go on.
pub(crate) fn workers_have_their_grace_period() {
    step();
    let pool = Pool::new(2).unwrap();
    let tasks = [0, 1].map(|n| pool.submit(end_in_order, n).unwrap());
    let queued = pool.submit(end_in_order, 2).unwrap();
    assert!(comes_to(2));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            assert!(comes_to(4), "both have had SIGTERM");
            step().fetch_add(1, SeqCst);
        });
        pool.terminate(2 * LONG).unwrap();
        client.join().unwrap();
    });
    assert_eq!(step().load(SeqCst), 7, "both have come to their end");
    for task in tasks.into_iter().chain([queued]) {
        assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    }
}

/// One that does nothing about it is killed after that, and a second stop makes the period shorter.
pub(crate) fn second_stop_is_at_once() {
    step();
    let pool = Pool::new(1).unwrap();
    let stubborn = |()| -> () {
        SigSet::from_iter([Signal::SIGTERM]).thread_block().unwrap();
        step().fetch_add(1, SeqCst);
        loop {
            std::thread::park();
        }
    };
    let task: Task<()> = pool.submit(stubborn, ()).unwrap();
    assert!(comes_to(1));
    let stopper = pool.stopper();
    stopper.stop(100 * LONG);
    assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    assert_eq!(pool.workers(), 1, "it has its time");
    stopper.stop(200 * LONG);
    stopper.stop(Duration::from_millis(1));
    pool.shutdown().unwrap();
}

fn begin_and_spin(_: u32) {
    step().fetch_add(1, SeqCst);
    loop {
        std::hint::spin_loop();
    }
}

/// Not one is told of its worker's death instead.
pub(crate) fn terminate_cancels_every_task() {
    step();
    for round in 0..60 {
        let pool = Pool::builder().workers(3).capacity(12).build().unwrap();
        step().store(0, SeqCst);
        let mut tasks: Vec<Task<()>> =
            (0..8).map(|n| pool.submit(begin_and_spin, n).unwrap()).collect();
        assert!(comes_to(3));
        let stopper = pool.stopper();
        std::thread::scope(|scope| {
            let submits = scope.spawn(|| {
                std::iter::from_fn(|| pool.submit(begin_and_spin, 9).ok()).collect::<Vec<_>>()
            });
            (0..round * 300).for_each(|_| std::hint::spin_loop());
            stopper.stop(Duration::from_millis(round % 3));
            tasks.extend(submits.join().unwrap());
        });
        for task in tasks {
            match task.wait_timeout(LONG).expect("an end has resolved it") {
                Err(TaskError::Cancelled) => {}
                other => panic!("round {round}: {other:?}"),
            }
        }
        pool.shutdown().unwrap();
    }
}
