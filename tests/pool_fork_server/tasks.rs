//! What pools do, here with a client that has threads.

use offspring::pool::{MapOptions, TaskError, TaskOptions};
use offspring::{ForkServer, Pool, Task};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::floors::LONG;

pub(crate) fn pool(server: &ForkServer, workers: usize) -> Pool {
    Pool::builder().workers(workers).fork_server(server).build().unwrap()
}

/// Runs `body` in another thread, while two more do nothing but allocate and free.
pub(crate) fn among_threads<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let idle = || {
            while !over.load(SeqCst) {
                std::hint::black_box(vec![1_u8; 5000]);
                std::thread::yield_now();
            }
        };
        let beside = [threads.spawn(idle), threads.spawn(idle)];
        let body = threads.spawn(body).join();
        over.store(true, SeqCst);
        // The scope alone would not wait until they are gone.
        beside.into_iter().for_each(|thread| thread.join().unwrap());
        body.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub(crate) fn threads_make_and_use_pools() {
    let server = ForkServer::start().unwrap();
    let work = |turn: u64| {
        let pool = pool(&server, 2);
        let count = 1000 * turn;
        let expected: Vec<u64> = (0..count).map(|n| n * 3).collect();
        assert_eq!(pool.map(|n: u64| n * 3, 0..count).unwrap(), expected);
        let imap: Result<Vec<u64>, TaskError> = pool.imap(|n: u64| n * 3, 0..count).collect();
        assert_eq!(imap.unwrap(), expected);
        let options = MapOptions::new().chunk(1);
        assert_eq!(pool.map_with(options, |n: u64| n * 3, 0..count).unwrap(), expected);
        let tasks: Vec<Task<u64>> =
            (0..500).map(|n| pool.submit(|n: u64| n + 1, n).unwrap()).collect();
        assert!(
            tasks.into_iter().enumerate().all(|(n, task)| task.wait().unwrap() == n as u64 + 1)
        );
        // Several threads use the one pool.
        std::thread::scope(|threads| {
            for n in 0..4 {
                let pool = &pool;
                threads.spawn(move || {
                    (0..200)
                        .for_each(|_| assert_eq!(pool.apply(|n: u32| n * n, n).unwrap(), n * n));
                });
            }
        });
        pool.shutdown().unwrap();
    };
    among_threads(|| {
        std::thread::scope(|threads| {
            (1..4).for_each(|turn| _ = threads.spawn(move || work(turn)));
        });
    });
}

pub(crate) fn payloads_of_all_sizes() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = pool(&server, 2);
        for size in [0, 1, 200, 224, 225, 4096, 65_000, 100_000, 5_000_000, 40_000_000] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            assert_eq!(pool.apply(|bytes: Vec<u8>| bytes, bytes.clone()).unwrap(), bytes);
            assert_eq!(
                pool.apply(|size: usize| vec![7_u64; size], size / 8).unwrap().len(),
                size / 8
            );
        }
        let texts: Vec<String> = (0..40).map(|n| "x".repeat(n * 3000)).collect();
        assert_eq!(pool.map(|text: String| text, texts.clone()).unwrap(), texts);
    });
}

fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

pub(crate) fn each_task_has_its_outcome() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = pool(&server, 2);
        let panicked = pool.apply(|n: u32| -> u32 { panic!("no {n}") }, 4).unwrap_err();
        assert!(panicked.panic().unwrap().to_string().contains("no 4"), "{panicked}");

        let died = pool.apply(|()| -> () { std::process::exit(3) }, ()).unwrap_err();
        let death = died.worker_death().unwrap();
        assert_eq!((death.attempts(), death.exit()), (1, Some(offspring::Exit::Code(3))));

        let options = TaskOptions::new().retries(4);
        let task = pool.submit_with(options, |()| -> u8 { std::process::abort() }, ()).unwrap();
        let beside = pool.submit(|n: u8| n, 7).unwrap();
        assert_eq!(task.wait().unwrap_err().worker_death().unwrap().attempts(), 5);
        assert_eq!(beside.wait().unwrap(), 7);

        let timeout = |ms| TaskOptions::new().timeout(Duration::from_millis(ms));
        for _ in 0..3 {
            let late = pool.submit_with(timeout(20), forever, ()).unwrap();
            let early = pool.submit_with(timeout(40_000), |n: u8| n, 1).unwrap();
            assert_eq!(early.wait().unwrap(), 1);
            assert!(matches!(late.wait(), Err(TaskError::TimedOut)));
        }
        // Not before its time: the clock is one for all.
        let start = std::time::Instant::now();
        let late = pool.submit_with(timeout(50), forever, ()).unwrap();
        assert!(matches!(late.wait(), Err(TaskError::TimedOut)));
        assert!(start.elapsed() >= Duration::from_millis(50));

        let running: Vec<Task<()>> = (0..4).map(|_| pool.submit(forever, ()).unwrap()).collect();
        assert!(running.iter().all(Task::cancel));
        assert!(running.into_iter().all(|task| matches!(task.wait(), Err(TaskError::Cancelled))));
        assert_eq!(pool.apply(|n: u8| n, 9).unwrap(), 9);
    });
}

struct Flag(AtomicU32);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(1, SeqCst);
    }
}

pub(crate) fn descriptor_tells_callbacks_and_futures() {
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = pool(&server, 2);
        let (sender, receiver) = channel();
        for n in 1..=20_u32 {
            let sender = sender.clone();
            let callback = move |result: Result<u32, TaskError>| sender.send(result.ok()).unwrap();
            let abort_at_7 = |n: u32| if n == 7 { std::process::abort() } else { n };
            pool.submit_then(abort_at_7, n, callback).unwrap();
        }
        let mut results = Vec::new();
        while results.len() < 20 {
            assert_eq!(offspring::wait_any_timeout(&[&pool], LONG).unwrap(), [0]);
            pool.dispatch();
            results.extend(receiver.try_iter());
        }
        assert_eq!(results.iter().flatten().sum::<u32>(), 210 - 7);

        let flag = Arc::new(Flag(AtomicU32::new(1)));
        let waker = Waker::from(Arc::clone(&flag));
        for n in 0..50_u32 {
            let mut task = pin!(pool.submit(|n: u32| n + 1, n).unwrap());
            flag.0.store(1, SeqCst);
            let result = loop {
                if flag.0.swap(0, SeqCst) == 1
                    && let Poll::Ready(result) =
                        task.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    break result;
                }
                assert_eq!(offspring::wait_any_timeout(&[&pool], LONG).unwrap(), [0]);
                pool.dispatch();
            };
            assert_eq!(result.unwrap(), n + 1);
        }
    });
}

static WORLD: AtomicU32 = AtomicU32::new(0);

pub(crate) fn workers_have_what_the_server_had() {
    WORLD.store(1, SeqCst);
    let server = ForkServer::start().unwrap();
    WORLD.store(2, SeqCst);
    let look = |()| WORLD.load(SeqCst);
    assert_eq!(pool(&server, 1).apply(look, ()).unwrap(), 1);
    assert_eq!(Pool::new(1).unwrap().apply(look, ()).unwrap(), 2);
    // A worker is a process of its own, which may have threads, children and pools.
    let inner = |n: u32| {
        let child = offspring::spawn(|| n + 1).unwrap().join().unwrap();
        let inner = Pool::new(2).unwrap();
        inner.map(|n: u32| n * 2, [n, child]).unwrap()
    };
    assert_eq!(pool(&server, 2).apply(inner, 3).unwrap(), [6, 8]);
}
