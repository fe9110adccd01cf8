//! What becomes of a pool when its client ends, or is told to.
#![expect(unsafe_code, reason = "ends a main thread and no other")]

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use offspring::pool::TaskError;
use offspring::{Pool, Shared};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::floors::LONG;
use crate::support::{Ended, Kid, processes, until};

/// Made before the client is forked.
static BEGUN: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn begun() -> &'static Shared<AtomicU32> {
    BEGUN.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap())
}

fn begin_and_park(_: u32) {
    begun().fetch_add(1, SeqCst);
    loop {
        std::thread::park();
    }
}

fn children_of(id: u32) -> Vec<u32> {
    let all = processes().into_iter();
    all.filter(|process| process.parent == id).map(|process| process.id).collect()
}

/// All below a process, when so many tasks have begun.
fn tree_of(kid: &Kid, tasks: u32, expected: usize) -> Vec<u32> {
    assert!(until(|| begun().load(SeqCst) == tasks, LONG));
    let mut tree = children_of(kid.pid() as u32);
    let mut next = 0;
    while next < tree.len() {
        tree.extend(children_of(tree[next]));
        next += 1;
    }
    assert_eq!(tree.len(), expected);
    tree
}

/// A supervisor and two workers, which have begun.
fn tree_below(kid: &Kid) -> Vec<u32> {
    tree_of(kid, 2, 3)
}

/// Waits until they have ended, and says how long that took.
fn see_off(tree: &[u32], start: Instant) {
    let is_gone = |id: &u32| processes().iter().all(|p| p.id != *id || p.state == 'Z');
    assert!(until(|| tree.iter().all(is_gone), LONG));
    println!("all are gone after {:?}", start.elapsed());
}

/// Ends this thread, which is the main one, and no other.
fn end_main_thread() -> ! {
    // SAFETY: no destructor runs and no lock is held; the other threads have nothing of this one's.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("a thread that has ended")
}

/// Waits for the end of the main thread, which stays behind as a zombie.
fn outlive_main_thread() {
    let stat = || std::fs::read_to_string(format!("/proc/self/task/{}/stat", std::process::id()));
    assert!(until(|| stat().unwrap().contains(") Z "), LONG));
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

fn build_beside_threads() -> Pool {
    // SAFETY: another thread has ended, or waits for that in a call of the kernel, and holds no lock.
    unsafe { Pool::builder().workers(2).allow_threads() }.build().unwrap()
}

/// Kills a client, and waits for the end of all below it.
fn kill_and_see_off(kid: Kid, tree: &[u32]) {
    let start = Instant::now();
    assert_eq!(kid.kill(), Ended::Killed(Signal::SIGKILL));
    see_off(tree, start);
}

/// A pool whose tasks have pools.
pub(crate) fn killed_with_pools_in_tasks() {
    begun();
    let kid = Kid::fork(|| {
        let pool = Pool::new(2).unwrap();
        let outer = |n: u32| -> () {
            let inner = Pool::new(2).unwrap();
            let _tasks = [n, n].map(|n| inner.submit(begin_and_park, n).unwrap());
            park()
        };
        let _tasks = [0, 1].map(|n| pool.submit(outer, n).unwrap());
        park()
    });
    // A supervisor, two workers, and below each of those the same.
    let tree = tree_of(&kid, 4, 9);
    kill_and_see_off(kid, &tree);
}

/// The pool is made when the client has no main thread any more.
pub(crate) fn killed_without_main_thread() {
    begun();
    let kid = Kid::fork(|| {
        std::thread::spawn(|| {
            outlive_main_thread();
            let pool = build_beside_threads();
            let _tasks = [0, 1].map(|n| pool.submit(begin_and_park, n).unwrap());
            park()
        });
        end_main_thread()
    });
    let tree = tree_below(&kid);
    kill_and_see_off(kid, &tree);
}

/// Another thread has made it, the main thread ends, and the pool goes on: then the client is killed.
pub(crate) fn killed_after_its_main_thread_has_ended() {
    begun();
    let kid = Kid::fork(|| {
        let (made, is_made) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let pool = build_beside_threads();
            assert_eq!(pool.apply(|n: u32| n, 1).unwrap(), 1);
            made.send(()).unwrap();
            outlive_main_thread();
            assert_eq!(pool.apply(|n: u32| n, 2).unwrap(), 2);
            let _tasks = [0, 1].map(|n| pool.submit(begin_and_park, n).unwrap());
            park()
        });
        is_made.recv().unwrap();
        end_main_thread()
    });
    let tree = tree_below(&kid);
    kill_and_see_off(kid, &tree);
}

/// The pool was the main thread's and ends with that, as any child that a main thread forks. Those who wait are told.
pub(crate) fn main_thread_ends_before_another_waits() {
    begun();
    let kid = Kid::fork(|| {
        let pool = Pool::new(2).unwrap();
        let tasks = [0, 1].map(|n| pool.submit(begin_and_park, n).unwrap());
        std::thread::spawn(move || {
            outlive_main_thread();
            for task in tasks {
                let error = task.wait_timeout(LONG).expect("no hang").unwrap_err();
                assert!(matches!(error, TaskError::PoolFailed(_)), "{error}");
            }
            assert!(pool.submit(begin_and_park, 2).is_err());
            drop(pool);
            begun().fetch_add(1, SeqCst);
            assert!(until(|| begun().load(SeqCst) == 5, LONG));
            std::process::exit(7);
        });
        assert!(until(|| begun().load(SeqCst) == 3, LONG));
        end_main_thread()
    });
    let tree = tree_below(&kid);
    begun().fetch_add(1, SeqCst);
    assert!(until(|| begun().load(SeqCst) == 4, LONG));
    // While the client lives.
    see_off(&tree, Instant::now());
    begun().fetch_add(1, SeqCst);
    assert_eq!(kid.join(), Ended::Exited(7));
}

/// The pattern of the documentation: SIGINT is blocked and read from a descriptor.
pub(crate) fn interrupt_of_the_whole_group() {
    begun();
    let kid = Kid::fork(|| {
        // As a shell does for the foreground.
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
        let interrupt = SigSet::from_iter([Signal::SIGINT]);
        interrupt.thread_block().unwrap();
        let signals = SignalFd::with_flags(&interrupt, SfdFlags::SFD_CLOEXEC).unwrap();
        let pool = Pool::new(2).unwrap();
        let parked = [0, 1].map(|n| pool.submit(begin_and_park, n).unwrap());
        let queued = [2, 3].map(|n| pool.submit(begin_and_park, n).unwrap());
        assert_eq!(offspring::wait_any_timeout(&[&signals, &pool], LONG).unwrap(), [0]);
        signals.read_signal().unwrap().unwrap();
        assert_eq!(pool.workers(), 2, "they ignore it");
        pool.terminate(Duration::from_secs(5)).unwrap();
        for task in parked.into_iter().chain(queued) {
            assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
        }
    });
    let tree = tree_below(&kid);
    let start = Instant::now();
    killpg(Pid::from_raw(kid.pid()), Signal::SIGINT).unwrap();
    assert_eq!(kid.join(), Ended::Exited(0), "in order, once");
    see_off(&tree, start);
}

/// A thread that hears of SIGINT stops the pool, while others map, iterate, wait and submit.
pub(crate) fn stopped_from_another_thread() {
    begun();
    let kid = Kid::fork(|| {
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
        let interrupt = SigSet::from_iter([Signal::SIGINT]);
        interrupt.thread_block().unwrap();
        let pool = Pool::builder().workers(2).capacity(8).build().unwrap();
        let stopper = pool.stopper();
        let failed =
            |error: &TaskError| matches!(error, TaskError::Cancelled | TaskError::NotSubmitted(_));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                assert_eq!(interrupt.wait(), Ok(Signal::SIGINT));
                stopper.stop(Duration::from_secs(5));
                stopper.clone().stop(Duration::ZERO);
            });
            scope.spawn(|| assert!(failed(&pool.map(begin_and_park, 0..100).unwrap_err())));
            scope.spawn(|| {
                assert!(pool.imap(begin_and_park, 0..).take(3).all(|r| failed(&r.unwrap_err())));
            });
            scope.spawn(|| while pool.submit(begin_and_park, 1).is_ok() {});
            assert!(failed(&pool.apply(begin_and_park, 1).unwrap_err()));
        });
        assert!(pool.submit(begin_and_park, 1).is_err());
        let stopper = pool.stopper();
        pool.shutdown().unwrap();
        stopper.stop(Duration::ZERO);
    });
    let tree = tree_below(&kid);
    let start = Instant::now();
    killpg(Pid::from_raw(kid.pid()), Signal::SIGINT).unwrap();
    assert_eq!(kid.join(), Ended::Exited(0), "in order, once");
    see_off(&tree, start);
}

/// Who does nothing about SIGINT is ended by it, and its pool with it.
pub(crate) fn interrupt_without_a_handler() {
    begun();
    let kid = Kid::fork(|| {
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
        let pool = Pool::new(2).unwrap();
        drop(pool.map(begin_and_park, 0..4));
    });
    let tree = tree_below(&kid);
    let start = Instant::now();
    killpg(Pid::from_raw(kid.pid()), Signal::SIGINT).unwrap();
    assert_eq!(kid.join(), Ended::Killed(Signal::SIGINT));
    see_off(&tree, start);
}
