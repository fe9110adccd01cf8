//! The calls of a pool and its tasks.

use offspring::pool::{TaskError, TaskOptions};
use offspring::{Pool, Semaphore, Shared, Task};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::floors::{LONG, mappings, open_files};
use crate::support::{asleep, processes, until};

pub(crate) fn submit_and_wait() {
    let pool = Pool::new(2).unwrap();
    let task = pool.submit(|(a, b): (u32, u32)| a + b, (3, 4)).unwrap();
    assert_eq!(task.wait().unwrap(), 7);
    let tasks: Vec<Task<u64>> = (0..100).map(|n| pool.submit(|n: u64| n * n, n).unwrap()).collect();
    let results: Vec<u64> = tasks.into_iter().map(|task| task.wait().unwrap()).collect();
    assert_eq!(results, (0..100).map(|n| n * n).collect::<Vec<_>>());
    fn named(text: String) -> Result<usize, String> {
        if text.is_empty() { Err("empty".to_owned()) } else { Ok(text.len()) }
    }
    assert_eq!(pool.apply(named, "four".to_owned()).unwrap(), Ok(4));
    assert_eq!(pool.apply(named, String::new()).unwrap(), Err("empty".to_owned()));
    let task = pool.submit(|()| 1, ()).unwrap();
    assert!(until(|| task.is_done(), LONG));
    assert_eq!(task.try_wait().unwrap().unwrap(), 1);
    assert!(matches!(task.try_wait(), Some(Err(TaskError::Taken))));
    pool.shutdown().unwrap();
}

/// As many tasks as arguments, in their order, more than the pool holds at once; none of an error's.
pub(crate) fn submit_all() {
    let pool = Pool::builder().workers(2).capacity(4).build().unwrap();
    let tasks = pool.submit_all(|n: u64| n * 3, 0..50).unwrap();
    let results: Vec<u64> = tasks.into_iter().map(|task| task.wait().unwrap()).collect();
    assert_eq!(results, (0..50).map(|n| n * 3).collect::<Vec<_>>());
    assert!(pool.submit_all(|n: u64| n, []).unwrap().is_empty());
    pool.stopper().stop(Duration::from_secs(5));
    let mut asked = 0;
    let error = pool.submit_all(|n: u64| n, (0..3).inspect(|_| asked += 1)).unwrap_err();
    assert_eq!((error.kind(), asked), (offspring::ErrorKind::Closed, 1));
}

/// Results that nobody has asked for yet do not fill the pool.
pub(crate) fn more_tasks_than_capacity() {
    let pool = Pool::builder().workers(2).capacity(4).build().unwrap();
    let submit = |n: u64| pool.submit(|n: u64| (n, vec![n as u8; n as usize]), n).unwrap();
    let tasks: Vec<Task<(u64, Vec<u8>)>> = (0..500).map(submit).collect();
    for (n, task) in tasks.into_iter().enumerate().rev() {
        assert_eq!(task.wait().unwrap(), (n as u64, vec![n as u8; n]));
    }
}

/// A submitter hopes for room in plenty at first; when there is one slot and no more, it goes on with that.
pub(crate) fn one_free_slot_is_enough() {
    let leave: &'static Shared<Semaphore> =
        Box::leak(Box::new(Shared::new(Semaphore::new(0)).unwrap()));
    static LEAVE: OnceLock<&'static Shared<Semaphore>> = OnceLock::new();
    LEAVE.get_or_init(|| leave);
    let pool = Pool::builder().workers(1).capacity(4).build().unwrap();
    let submit = |n: u32| {
        let wait = |n: u32| {
            LEAVE.get().unwrap().acquire().forget();
            n
        };
        pool.submit(wait, n).unwrap()
    };
    let mut tasks: Vec<Task<u32>> = (0..4).map(submit).collect();
    let submitter = nix::unistd::gettid();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            assert!(until(|| asleep(submitter.as_raw() as u32), LONG));
            leave.add_permits(1);
        });
        // One of the four is over then, one runs, and half of the ring is full.
        tasks.push(submit(4));
    });
    leave.add_permits(4);
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.wait().unwrap() as usize, n);
    }
    pool.shutdown().unwrap();
}

pub(crate) fn payloads_of_all_sizes() {
    let pool = Pool::new(2).unwrap();
    for bytes in [0, 1, 222, 223, 224, 225, 4096, 65_536, 100_000, 5_000_000] {
        let sent: Vec<u8> = (0..bytes).map(|n| n as u8).collect();
        let task = pool.submit(|bytes: Vec<u8>| bytes, sent.clone()).unwrap();
        assert_eq!(task.wait().unwrap(), sent);
        let task = pool.submit(|bytes: Vec<u8>| bytes.len(), sent).unwrap();
        assert_eq!(task.wait().unwrap(), bytes);
        let task = pool.submit(|n: usize| vec![7u16; n], bytes).unwrap();
        assert_eq!(task.wait().unwrap(), vec![7u16; bytes]);
        let halves = pool.apply(|numbers: Vec<f64>| numbers.iter().sum::<f64>(), vec![0.5; bytes]);
        assert_eq!(halves.unwrap(), bytes as f64 / 2.0);
    }
}

pub(crate) fn panics_are_errors_of_their_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in a drop");
            }
        }
    }
    let pool = Pool::new(1).unwrap();
    let pid = pool.apply(|()| std::process::id(), ()).unwrap();
    let task = pool.submit(|n: u32| if n > 1 { panic!("{n} is too much") } else { n }, 2).unwrap();
    let error = task.wait().unwrap_err();
    let report = error.panic().unwrap();
    assert_eq!(report.message(), "2 is too much");
    assert!(report.location().unwrap().file().ends_with("api.rs"));
    assert_eq!(report.process().pid(), pid);
    let error = pool.apply(|()| drop(Bomb), ()).unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "in a drop");
    let error = pool.apply(|()| -> () { std::panic::resume_unwind(Box::new(7)) }, ()).unwrap_err();
    assert!(matches!(error, TaskError::Panicked(_)));
    assert_eq!(pool.apply(|()| std::process::id(), ()).unwrap(), pid, "the worker lives on");
}

fn sleep_for_ever(_: ()) {
    loop {
        std::thread::park();
    }
}

pub(crate) fn cancel_queued_and_running() {
    let pool = Pool::new(1).unwrap();
    let running = pool.submit(sleep_for_ever, ()).unwrap();
    let queued = pool.submit(|()| 1, ()).unwrap();
    let last = pool.submit(|()| 2, ()).unwrap();
    assert!(queued.cancel());
    assert!(!queued.cancel());
    assert!(matches!(queued.wait(), Err(TaskError::Cancelled)));
    assert!(!last.is_done() && !running.is_done());
    assert!(running.cancel());
    assert!(matches!(running.wait(), Err(TaskError::Cancelled)));
    assert_eq!(last.wait().unwrap(), 2);
    let done = pool.submit(|()| 3, ()).unwrap();
    assert!(until(|| done.is_done(), LONG));
    assert!(!done.cancel());
    assert_eq!(done.wait().unwrap(), 3);
    for _ in 0..20 {
        let task = pool.submit(sleep_for_ever, ()).unwrap();
        assert!(task.wait_timeout(Duration::from_millis(1)).is_none());
        assert!(task.cancel());
        assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    }
}

pub(crate) fn deadlines() {
    let pool = Pool::new(1).unwrap();
    let soon = || TaskOptions::new().timeout(Duration::from_millis(30));
    let start = Instant::now();
    let running = pool.submit_with(soon(), sleep_for_ever, ()).unwrap();
    let queued = pool.submit_with(soon(), |()| (), ()).unwrap();
    let late = pool.submit_with(TaskOptions::new().timeout(LONG), |()| 5, ()).unwrap();
    assert!(matches!(running.wait(), Err(TaskError::TimedOut)));
    assert!(start.elapsed() >= Duration::from_millis(30));
    match queued.wait() {
        Ok(()) | Err(TaskError::TimedOut) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(late.wait().unwrap(), 5);
    // A stopped worker is as good as one that hangs.
    let stop = |()| nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).is_ok();
    let stopped = pool.submit_with(soon(), stop, ()).unwrap();
    let next = pool.submit(|()| 6, ()).unwrap();
    assert!(matches!(stopped.wait(), Err(TaskError::TimedOut)));
    assert_eq!(next.wait().unwrap(), 6);
    pool.shutdown().unwrap();
}

pub(crate) fn resize_and_names() {
    let pool = Pool::builder().workers(1).name("clerks").build().unwrap();
    let name = |()| offspring::current().name().to_owned();
    assert_eq!(pool.apply(name, ()).unwrap(), "clerks-1");
    pool.resize(4).unwrap();
    assert!(until(|| pool.workers() == 4, LONG));
    pool.resize(2).unwrap();
    assert!(until(|| pool.workers() == 2, LONG));
    assert!(pool.resize(0).is_err());
    assert_eq!(pool.apply(|()| 1, ()).unwrap(), 1);

    let pool = Pool::builder().workers(2).max_tasks_per_worker(3).build().unwrap();
    let tasks: Vec<Task<u32>> =
        (0..30).map(|_| pool.submit(|()| std::process::id(), ()).unwrap()).collect();
    let mut pids: Vec<u32> = tasks.into_iter().map(|task| task.wait().unwrap()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() >= 10, "{pids:?}");

    let on_demand =
        Pool::builder().workers(2).idle_timeout(Duration::from_millis(10)).build().unwrap();
    for _ in 0..3 {
        assert!(until(|| on_demand.workers() == 0, LONG));
        assert_eq!(on_demand.apply(|()| 9, ()).unwrap(), 9);
    }
}

pub(crate) fn many_threads() {
    let pool = Pool::builder().workers(2).capacity(8).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6u64 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..300 {
                    let task = pool.submit(|(a, b): (u64, u64)| a * 1000 + b, (thread, n)).unwrap();
                    assert_eq!(task.wait().unwrap(), thread * 1000 + n);
                }
            });
        }
    });
    let inner = pool.apply(
        |n: u32| {
            let pool = Pool::new(2).unwrap();
            pool.apply(|n: u32| n + 1, n).unwrap()
        },
        5,
    );
    assert_eq!(inner.unwrap(), 6);
    assert!(pool.apply(|()| 1, ()).is_ok());
}

/// `OFFSPRING_POOLS=10000` makes it the whole.
pub(crate) fn leaves_nothing() {
    drop(Pool::new(2).unwrap());
    let before = (open_files(), mappings().len());
    let count = std::env::var("OFFSPRING_POOLS").ok().and_then(|text| text.parse().ok());
    let start = Instant::now();
    for workers in 1..=count.unwrap_or(1000) {
        let pool = Pool::new(workers % 4 + 1).unwrap();
        if workers % 2 == 0 {
            assert_eq!(pool.apply(|n: usize| n, workers).unwrap(), workers);
        }
    }
    println!("{:?}; files, mappings: {before:?} before", start.elapsed());
    assert_eq!((open_files(), mappings().len()), before);
    let me = std::process::id();
    assert!(processes().iter().all(|process| process.parent != me));
}
