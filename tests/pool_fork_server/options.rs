//! Initialisers, limits, sizes, and all the ways to end.

use nix::sys::resource::{Resource, getrlimit};
use offspring::pool::TaskError;
use offspring::pool::{PoolBuilder, Rehearsal};
use offspring::{ErrorKind, ForkServer, Pool, Task};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use super::tasks::{among_threads, pool};
use crate::floors::LONG;
use crate::support::until;

fn builder(server: &ForkServer) -> PoolBuilder {
    Pool::builder().workers(2).fork_server(server)
}

static PREPARED: AtomicU32 = AtomicU32::new(0);

fn prepare() {
    PREPARED.fetch_add(5, SeqCst);
}

/// No bytes, but something to do at its end.
struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {
        PREPARED.fetch_add(100, SeqCst);
    }
}

pub(crate) fn initializers() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let look = |()| PREPARED.load(SeqCst);
        // Each worker does it once, also one that replaces another.
        let pool = builder(&server).initializer(prepare).build().unwrap();
        for _ in 0..3 {
            assert_eq!(pool.apply(look, ()).unwrap(), 5);
            assert!(pool.apply(|()| -> () { std::process::abort() }, ()).is_err());
        }
        let closure = || _ = PREPARED.fetch_add(7, SeqCst);
        assert_eq!(
            builder(&server).initializer(closure).build().unwrap().apply(look, ()).unwrap(),
            7
        );

        let captured = [1, 2, 3];
        let captures = builder(&server).initializer(move || assert_eq!(captured.len(), 3));
        let pointer = builder(&server).initializer(prepare as fn());
        let noisy = Noisy;
        let noisy = builder(&server).initializer(move || _ = &noisy);
        for refused in [captures, pointer, noisy] {
            let error = refused.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("captures"), "{error}");
        }
    });
    // Without a server all is as ever.
    let captured = 9;
    let pool = Pool::builder().workers(1).initializer(move || PREPARED.store(captured, SeqCst));
    assert_eq!(pool.build().unwrap().apply(|()| PREPARED.load(SeqCst), ()).unwrap(), 9);
}

pub(crate) fn failing_initializer_is_an_error() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let broken = builder(&server).initializer(|| panic!("no database"));
        let pool = broken.restart_limit(1, LONG).build().unwrap();
        let error = pool.apply(|()| 1, ()).unwrap_err();
        assert!(error.to_string().contains("no database"), "{error}");
        assert_eq!(pool.submit(|()| 1, ()).unwrap_err().kind(), ErrorKind::Closed);
        assert!(pool.shutdown().is_err());
        let exits = builder(&server).initializer(|| std::process::exit(4)).build().unwrap();
        let end = exits.apply(|()| 1, ());
        assert!(matches!(end, Err(TaskError::PoolFailed(_) | TaskError::NotSubmitted(_))));
    });
}

pub(crate) fn limits_and_sizes() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = builder(&server).memory_limit_per_worker(64 << 20).build().unwrap();
        let limit = pool.apply(|()| getrlimit(Resource::RLIMIT_AS).unwrap().0, ()).unwrap();
        assert!(limit < u64::from(u32::MAX), "{limit}");
        let hungry = |bytes: usize| std::hint::black_box(vec![1_u8; bytes]).len();
        assert_eq!(pool.apply(hungry, 1 << 20).unwrap(), 1 << 20);
        assert!(pool.apply(hungry, 200 << 20).unwrap_err().worker_death().is_some());
        assert_eq!(pool.apply(hungry, 1 << 20).unwrap(), 1 << 20);

        let pool = builder(&server).max_tasks_per_worker(3).name("few").build().unwrap();
        let mut pids: Vec<u32> =
            (0..30).map(|_| pool.apply(|()| std::process::id(), ()).unwrap()).collect();
        pids.sort_unstable();
        pids.dedup();
        assert!(pids.len() >= 10, "{pids:?}");
        let name = pool.apply(|()| offspring::current().name().to_owned(), ()).unwrap();
        assert!(name.starts_with("few-"), "{name}");

        let pool = builder(&server).start_on_demand(true).idle_timeout(Duration::from_millis(20));
        let pool = pool.build().unwrap();
        for n in 0..3 {
            assert_eq!(pool.apply(|n: u32| n, n).unwrap(), n);
            assert!(until(|| pool.workers() == 0, LONG));
        }

        let pool = builder(&server).build().unwrap();
        for count in [5, 1, 20, 2] {
            pool.resize(count).unwrap();
            assert!(until(|| pool.workers() == count, LONG), "{} of {count}", pool.workers());
            assert_eq!(pool.map(|n: u32| n, 0..100).unwrap().len(), 100);
        }
    });
}

fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

pub(crate) fn all_ends() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let long = |pool: &Pool| -> Vec<Task<()>> {
            (0..5).map(|_| pool.submit(forever, ()).unwrap()).collect()
        };
        // A worker's death by the end's SIGTERM may come first.
        let is_ended = |end| matches!(end, Err(TaskError::Cancelled));
        let all_cancelled = |tasks: Vec<Task<()>>| {
            assert!(tasks.into_iter().all(|task| is_ended(task.wait())));
        };
        let finished = pool(&server, 2);
        let tasks: Vec<Task<u32>> =
            (0..50).map(|n| finished.submit(|n: u32| n, n).unwrap()).collect();
        finished.shutdown().unwrap();
        assert!(tasks.into_iter().enumerate().all(|(n, task)| task.wait().unwrap() == n as u32));

        let timed = pool(&server, 2);
        let tasks = long(&timed);
        timed.shutdown_timeout(Duration::from_millis(20)).unwrap();
        all_cancelled(tasks);

        let terminated = pool(&server, 2);
        let tasks = long(&terminated);
        terminated.terminate(Duration::from_secs(5)).unwrap();
        all_cancelled(tasks);

        let closed = pool(&server, 2);
        let quick = closed.submit(|n: u32| n, 1).unwrap();
        closed.shutdown_now().unwrap();
        assert!(matches!(quick.wait(), Ok(1) | Err(TaskError::Cancelled)));

        let stopped = pool(&server, 2);
        let (stopper, tasks) = (stopped.stopper(), long(&stopped));
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| all_cancelled(tasks));
            stopper.stop(Duration::from_secs(5));
            waiting.join().unwrap();
        });
        assert_eq!(stopped.submit(|n: u32| n, 1).unwrap_err().kind(), ErrorKind::Closed);
        stopped.shutdown().unwrap();
    });
    let left = offspring::children();
    assert_eq!(left.len(), 1, "the server alone: {left:?}");
}

pub(crate) fn bad_orders_are_errors() {
    let server = ForkServer::start().unwrap();
    let name = "n".repeat(100_000);
    let error = builder(&server).name(name).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(builder(&server).capacity(0).build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let kind = offspring::spawn(|| builder(&server).build().unwrap_err().kind() as u32);
    assert_eq!(kind.unwrap().join().unwrap(), ErrorKind::InvalidInput as u32);
    assert_eq!(pool(&server, 1).apply(|n: u8| n, 1).unwrap(), 1);
}

/// As if its function lay in a library that was loaded later.
pub(crate) fn function_that_workers_lack_is_refused() {
    let rehearsal = Rehearsal::new(4, 1).unwrap().without_code();
    let pool = rehearsal.pool();
    for _ in 0..10 {
        let error = pool.submit(|n: u8| n, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("loaded later"), "{error}");
        let error = pool.apply(|n: u8| n, 1).unwrap_err();
        assert!(matches!(error, TaskError::NotSubmitted(_)), "{error}");
        let error = pool.map(|n: u8| n, [1, 2]).unwrap_err();
        assert!(matches!(error, TaskError::NotSubmitted(_)), "{error}");
        let ends: Vec<_> = pool.imap(|n: u8| n, [1, 2]).collect();
        assert!(matches!(ends[..], [Err(TaskError::NotSubmitted(_))]), "nothing else is tried");
    }
    assert_eq!(rehearsal.room(), 4);
    std::mem::forget(rehearsal);
}
