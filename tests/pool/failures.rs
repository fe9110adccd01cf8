//! What ends workers, the supervisor and pools.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offspring::pool::{TaskError, TaskOptions};
use offspring::{ErrorKind, Exit, Pool, Shared, Task};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crate::floors::LONG;
use crate::support::{asleep, processes, until};

fn pid_of(pool: &Pool) -> i32 {
    pool.apply(|()| std::process::id() as i32, ()).unwrap()
}

fn sigkill(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Recursion without an end, which the optimiser cannot see through.
fn overflow(n: u64) -> u64 {
    let page = std::hint::black_box([n; 512]);
    let next = std::hint::black_box(overflow as fn(u64) -> u64);
    next(n.wrapping_add(page[3])).wrapping_add(page[4])
}

pub(crate) fn each_end_of_a_worker_has_its_error() {
    let pool = Pool::new(2).unwrap();
    let exit_of = |task: Task<()>| {
        let error = task.wait().unwrap_err();
        let death = error.worker_death().unwrap_or_else(|| panic!("{error}"));
        assert_eq!(death.attempts(), 1);
        let exit = death.exit().unwrap();
        println!("{error}");
        exit
    };
    let signal = |number| Exit::Signal(offspring::Signal::new(number).unwrap());
    for _ in 0..3 {
        let task = pool.submit(|()| std::process::exit(3), ()).unwrap();
        assert_eq!(exit_of(task), Exit::Code(3));
        let task = pool.submit(|()| nix::sys::signal::raise(Signal::SIGKILL).map_or((), drop), ());
        assert_eq!(exit_of(task.unwrap()), signal(9));
        let task = pool.submit(|()| std::process::abort(), ()).unwrap();
        assert_eq!(exit_of(task), signal(6));
        let task = pool.submit(|()| _ = std::hint::black_box(overflow(1)), ()).unwrap();
        assert!(matches!(exit_of(task), Exit::Signal(_)));
        assert_eq!(pool.apply(|n: u8| n, 1).unwrap(), 1);
    }
    pool.shutdown().unwrap();
}

pub(crate) fn killed_idle_worker_is_replaced() {
    let pool = Pool::builder().workers(1).restart_limit(100, LONG).build().unwrap();
    for round in 0..10 {
        let pid = pid_of(&pool);
        let is_idle = round % 2 == 0;
        assert!(!is_idle || until(|| asleep(pid), LONG));
        sigkill(pid);
        let task = pool.submit(|n: i32| (n, std::process::id() as i32), round).unwrap();
        match task.wait_timeout(LONG).expect("another worker") {
            Ok((n, other)) => assert!(n == round && other != pid),
            // It had taken the task before the signal came.
            Err(error) => assert!(!is_idle && error.worker_death().is_some(), "{error}"),
        }
    }
    pool.shutdown().unwrap();
}

/// How often something was begun, in all processes. Made before the pool.
static COUNT: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn count() -> &'static Shared<AtomicU32> {
    COUNT.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap())
}

pub(crate) fn crashing_task_stops_after_its_attempts() {
    count();
    let pool = Pool::new(1).unwrap();
    let crash = |()| -> u8 {
        count().fetch_add(1, SeqCst);
        std::process::abort()
    };
    let task = pool.submit_with(TaskOptions::new().retries(4), crash, ()).unwrap();
    let beside = pool.submit(|n: u8| n, 7).unwrap();
    let error = task.wait().unwrap_err();
    assert_eq!(error.worker_death().unwrap().attempts(), 5);
    assert_eq!(beside.wait().unwrap(), 7);
    assert_eq!(count().load(SeqCst), 5);
    let task = pool.submit(crash, ()).unwrap();
    assert_eq!(task.wait().unwrap_err().worker_death().unwrap().attempts(), 1);
    assert_eq!(pool.apply(|n: u8| n, 7).unwrap(), 7);
    assert_eq!(count().load(SeqCst), 6);
    // One that crashes until there is a file.
    let flag = std::env::temp_dir().join(format!("offspring-retry-{}", std::process::id()));
    let once = |path: std::path::PathBuf| {
        if !path.exists() {
            std::fs::write(&path, "").unwrap();
            std::process::abort();
        }
        true
    };
    let task = pool.submit_with(TaskOptions::new().retries(1), once, flag.clone()).unwrap();
    let result = task.wait();
    std::fs::remove_file(flag).unwrap();
    assert!(result.unwrap());
}

pub(crate) fn failing_initializer_is_an_error() {
    let broken = Pool::builder().workers(3).initializer(|| panic!("no database"));
    let pool = broken.restart_limit(1, LONG).build().unwrap();
    let error = pool.apply(|()| 1, ()).unwrap_err();
    assert!(error.to_string().contains("no database"), "{error}");
    let error = pool.submit(|()| 1, ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("no database"), "{error}");
    assert!(pool.shutdown().is_err());
    let good = Pool::builder().workers(2).initializer(|| {}).build().unwrap();
    assert_eq!(good.apply(|()| 1, ()).unwrap(), 1);
    let exits = Pool::builder().workers(2).initializer(|| std::process::exit(4)).build().unwrap();
    assert!(matches!(
        exits.apply(|()| 1, ()),
        Err(TaskError::PoolFailed(_) | TaskError::NotSubmitted(_))
    ));
}

/// As many forks as there are workers, and one more for each that is replaced: no fork storm.
pub(crate) fn failing_initializer_forks_no_more_than_its_limit() {
    count();
    let ways: [fn(); 3] =
        [|| panic!("no database"), || std::process::exit(4), || std::process::abort()];
    for fails in ways {
        for (workers, limit) in [(3, 0), (3, 1), (2, 4)] {
            count().store(0, SeqCst);
            let counted = move || {
                count().fetch_add(1, SeqCst);
                fails();
            };
            let builder = Pool::builder().workers(workers).restart_limit(limit, LONG);
            let pool = builder.initializer(counted).build().unwrap();
            let (refused, none) = (pool.apply(|()| 1, ()).unwrap_err(), pool.workers());
            assert!(
                matches!(refused, TaskError::PoolFailed(_) | TaskError::NotSubmitted(_)),
                "{refused}"
            );
            assert!(pool.shutdown().is_err());
            let forks = count().load(SeqCst);
            // A worker that had not come to it when the pool failed was killed before.
            assert!((limit + 1..=workers as u32 + limit).contains(&forks), "{forks}, {none} left");
        }
    }
}

pub(crate) fn supervisor_killed() {
    let me = std::process::id();
    for round in 0..5 {
        let pool = Pool::new(2).unwrap();
        let forever = |()| loop {
            std::thread::park();
        };
        let tasks: Vec<Task<()>> = (0..10).map(|_| pool.submit(forever, ()).unwrap()).collect();
        let worker = (round % 2 == 0).then(|| pool.workers());
        println!("{worker:?}");
        let supervisor = processes().into_iter().find(|process| process.parent == me).unwrap();
        let workers: Vec<u32> =
            processes().into_iter().filter(|p| p.parent == supervisor.id).map(|p| p.id).collect();
        sigkill(supervisor.id as i32);
        if round == 1 {
            // The descriptor tells, too.
            assert_eq!(offspring::wait_any_timeout(&[&pool], LONG).unwrap(), [0]);
            pool.dispatch();
            assert!(tasks.iter().all(Task::is_done));
        }
        for task in tasks {
            let end = task.wait();
            assert!(matches!(end, Err(TaskError::PoolFailed(_))), "{round}: {end:?}");
        }
        assert_eq!(pool.submit(|()| 1, ()).unwrap_err().kind(), ErrorKind::Closed);
        assert!(pool.shutdown().is_err());
        let gone = |id: &u32| processes().iter().all(|p| p.id != *id || p.state == 'Z');
        assert!(until(|| workers.iter().all(gone), LONG));
    }
}

/// Not 0: those who wait for it may go on. Made before the pool.
static BUSY: OnceLock<Shared<AtomicU32>> = OnceLock::new();

pub(crate) fn shutdown_forms() {
    let busy = BUSY.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    let long = |()| {
        loop {
            std::thread::park();
        }
    };
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<Task<u32>> = (0..50).map(|n| pool.submit(|n: u32| n, n).unwrap()).collect();
    pool.shutdown().unwrap();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.wait().unwrap(), n as u32);
    }

    let pool = Pool::new(1).unwrap();
    let running = pool.submit(|()| while BUSY.get().unwrap().load(SeqCst) == 0 {}, ()).unwrap();
    let queued: Vec<Task<u32>> = (0..50).map(|n| pool.submit(|n: u32| n, n).unwrap()).collect();
    busy.store(1, SeqCst);
    pool.shutdown_now().unwrap();
    assert!(matches!(running.wait(), Ok(()) | Err(TaskError::Cancelled)));
    for (n, task) in queued.into_iter().enumerate() {
        match task.wait() {
            Ok(value) => assert_eq!(value, n as u32),
            Err(error) => assert!(matches!(error, TaskError::Cancelled)),
        }
    }

    let pool = Pool::new(2).unwrap();
    let tasks: Vec<Task<()>> = (0..5).map(|_| pool.submit(long, ()).unwrap()).collect();
    pool.terminate(Duration::from_secs(5)).unwrap();
    assert!(tasks.into_iter().all(|task| matches!(task.wait(), Err(TaskError::Cancelled))));

    let pool = Pool::new(2).unwrap();
    let task: Task<()> = pool.submit(long, ()).unwrap();
    pool.shutdown_timeout(Duration::from_millis(20)).unwrap();
    assert!(matches!(task.wait(), Err(TaskError::Cancelled)));

    let pool = Pool::new(2).unwrap();
    let tasks: Vec<Task<()>> = (0..5).map(|_| pool.submit(long, ()).unwrap()).collect();
    pool.shutdown_now_timeout(Duration::from_millis(20)).unwrap();
    assert!(tasks.into_iter().all(|task| matches!(task.wait(), Err(TaskError::Cancelled))));

    // Soon enough: nothing is taken from what runs.
    busy.store(0, SeqCst);
    let pool = Pool::new(1).unwrap();
    let running = pool.submit(|()| BUSY.get().unwrap().fetch_add(1, SeqCst), ()).unwrap();
    assert!(until(|| running.is_done(), LONG));
    pool.shutdown_now_timeout(LONG).unwrap();
    assert_eq!(running.wait().unwrap(), 0);
}

/// In the midst of tasks that never end.
pub(crate) fn dropped_in_a_panic() {
    count();
    for _ in 0..5 {
        count().store(0, SeqCst);
        let (submitted, submitting) = std::sync::mpsc::channel();
        let panicked = std::panic::catch_unwind(move || {
            let pool = Pool::new(2).unwrap();
            for _ in 0..5 {
                let begin = |()| loop {
                    count().fetch_add(1, SeqCst);
                    std::thread::park();
                };
                let task: Task<()> = pool.submit(begin, ()).unwrap();
                submitted.send(task).unwrap();
            }
            assert!(until(|| count().load(SeqCst) >= 2, LONG));
            panic!("with a pool in hand");
        });
        let message = panicked.unwrap_err().downcast::<&'static str>().unwrap();
        assert_eq!(*message, "with a pool in hand");
        for task in submitting {
            let outcome = task.wait_timeout(Duration::ZERO).expect("an end has resolved it");
            assert!(matches!(outcome, Err(TaskError::Cancelled)));
        }
        let me = std::process::id();
        assert!(processes().iter().all(|process| process.parent != me));
    }
}

/// Ctrl-C is the client's business.
pub(crate) fn workers_ignore_interrupts() {
    let pool = Pool::new(1).unwrap();
    let pid = pid_of(&pool);
    for process in processes() {
        if process.parent == std::process::id() || process.id as i32 == pid {
            kill(process.pid(), Signal::SIGINT).unwrap();
        }
    }
    assert_eq!(pid_of(&pool), pid);
}

/// More workers than a sleeper can watch.
pub(crate) fn two_hundred_workers() {
    let pool = Pool::new(200).unwrap();
    assert!(until(|| pool.workers() == 200, LONG));
    let options = offspring::pool::MapOptions::new().chunk(1);
    let results = pool.map_each(
        options,
        |n: u32| if n % 100 == 99 { std::process::abort() } else { n },
        0..1000,
    );
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 10);
    let tasks: Vec<Task<()>> =
        (0..100).map(|_| pool.submit(|()| std::process::abort(), ()).unwrap()).collect();
    assert!(tasks.into_iter().all(|task| task.wait().unwrap_err().worker_death().is_some()));
}

pub(crate) fn big_arguments_in_flight() {
    let big = || vec![7u8; 40_000_000];
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<Task<Vec<u8>>> =
        (0..4).map(|_| pool.submit(|bytes: Vec<u8>| bytes, big()).unwrap()).collect();
    assert!(tasks.iter().filter(|task| task.cancel()).count() > 0);
    for task in tasks {
        match task.wait() {
            Ok(bytes) => assert_eq!(bytes.len(), 40_000_000),
            Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error}"),
        }
    }
    let task = pool.submit(|bytes: Vec<u8>| bytes, big()).unwrap();
    pool.terminate(Duration::from_millis(1)).unwrap();
    assert!(matches!(task.wait(), Ok(_) | Err(TaskError::Cancelled)));
}

pub(crate) fn inherited_handles_do_nothing() {
    let pool = Pool::new(1).unwrap();
    let task = pool.submit(|n: u32| n, 4).unwrap();
    let child = offspring::spawn(|| {
        let refused = pool.submit(|n: u32| n, 4).unwrap_err().kind() == ErrorKind::InvalidInput;
        let waits =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.try_wait())).is_err();
        refused && waits && pool.dispatch() == 0
    });
    assert!(child.unwrap().join().unwrap());
    assert_eq!(task.wait().unwrap(), 4);
    assert_eq!(pool.apply(|n: u32| n, 5).unwrap(), 5);
}
