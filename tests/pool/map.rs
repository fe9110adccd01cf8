//! Many items: `map`, `imap`, waiting for several tasks, callbacks and futures.
#![expect(unsafe_code, reason = "hands a descriptor to tokio")]

use offspring::pool::{MapOptions, TaskError, TaskOptions, When, as_completed, wait};
use offspring::{Pool, Task};
use std::cell::Cell;
use std::future::Future;
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::floors::LONG;
use crate::support::until;

pub(crate) fn map_in_order() {
    let pool = Pool::new(3).unwrap();
    for count in [0u64, 1, 2, 63, 1000, 20_000] {
        let expected: Vec<u64> = (0..count).map(|n| n * 3).collect();
        assert_eq!(pool.map(|n: u64| n * 3, 0..count).unwrap(), expected);
        // Of unknown length.
        let odd = (0..count).filter(|n| n % 2 == 1);
        assert_eq!(
            pool.map(|n: u64| n + 1, odd.clone()).unwrap(),
            odd.map(|n| n + 1).collect::<Vec<_>>()
        );
        for chunk in [1, 7, 5000] {
            let options = MapOptions::new().chunk(chunk);
            assert_eq!(pool.map_with(options, |n: u64| n * 3, 0..count).unwrap(), expected);
        }
    }
    let pairs =
        pool.map(|(a, b): (u32, String)| format!("{b}{a}"), [(1, "x".into()), (2, "y".into())]);
    assert_eq!(pairs.unwrap(), ["x1", "y2"]);
    // Larger than a slot, and than a chunk may be.
    let big = pool.map(|n: usize| vec![n as u8; n], (0..40).map(|n| n * 10_000)).unwrap();
    assert!(big.iter().enumerate().all(|(n, bytes)| bytes.len() == n * 10_000));
    let back = pool.map(|bytes: Vec<u8>| bytes.len(), big).unwrap();
    assert_eq!(back, (0..40).map(|n| n * 10_000).collect::<Vec<_>>());
}

pub(crate) fn errors_at_items() {
    let pool = Pool::builder().workers(2).capacity(8).build().unwrap();
    let odd = |n: u32| if n % 50 == 3 { panic!("no {n}") } else { n };
    let error = pool.map(odd, 0..100).unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "no 3");
    let results = pool.map_each(MapOptions::new().chunk(7), odd, 0..100);
    assert_eq!(results.len(), 100);
    for (n, result) in results.iter().enumerate() {
        match result {
            Ok(value) => assert_eq!(*value as usize, n),
            Err(error) => assert_eq!(error.panic().unwrap().message(), format!("no {n}")),
        }
    }
    let crash = |n: u32| if n == 50 { std::process::abort() } else { n };
    let results = pool.map_each(MapOptions::new().chunk(1), crash, 0..100);
    let failed: Vec<usize> = (0..100).filter(|&n| results[n].is_err()).collect();
    assert_eq!(failed, [50]);
    let task = TaskOptions::new().retries(1);
    let results = pool.map_each(MapOptions::new().chunk(4).task(task), crash, 0..100);
    let failed: Vec<usize> = (0..100).filter(|&n| results[n].is_err()).collect();
    assert_eq!(failed, [48, 49, 50, 51]);
    assert_eq!(results[49].as_ref().unwrap_err().worker_death().unwrap().attempts(), 2);
    // Stop at the first.
    let pulled = Cell::new(0);
    let input = (0..1_000_000u32).inspect(|_| pulled.set(pulled.get() + 1));
    let stop = MapOptions::new().chunk(1).stop_at_error(true);
    let error =
        pool.map_with(stop, |n: u32| assert!(n < 20, "enough"), input.take(100_000)).unwrap_err();
    assert!(matches!(error, TaskError::Panicked(_)), "{error}");
    assert_eq!(pulled.get(), 100_000);
    // The input panics: what is under way is dropped.
    let input = (0..100u32).inspect(|&n| assert!(n < 40, "input"));
    let mapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.map_with(MapOptions::new().chunk(1), |n: u32| n, input)
    }));
    assert!(mapped.is_err());
    assert_eq!(pool.map(|n: u32| n, 0..10).unwrap().len(), 10);
}

pub(crate) fn several_maps_at_once() {
    let pool = Pool::builder().workers(2).capacity(6).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 1..5u64 {
            let pool = &pool;
            scope.spawn(move || {
                for chunk in [1, 3] {
                    let options = MapOptions::new().chunk(chunk);
                    let items = (0..400).map(|n| (thread, n));
                    let products =
                        pool.map_with(options, |(a, b): (u64, u64)| a * b, items).unwrap();
                    assert_eq!(products, (0..400).map(|n| thread * n).collect::<Vec<_>>());
                }
            });
        }
    });
}

pub(crate) fn imap_takes_only_the_window() {
    let pool = Pool::new(2).unwrap();
    let pulled = Cell::new(0u64);
    let input = (0u64..).inspect(|_| pulled.set(pulled.get() + 1));
    let options = MapOptions::new().window(5);
    let mut squares = pool.imap_with(options, |n: u64| n * n, input);
    for n in 0..50 {
        assert_eq!(squares.next().unwrap().unwrap(), n * n);
        assert!(pulled.get() <= n + 5 + 1, "{} after {n}", pulled.get());
    }
    drop(squares);
    let mut all: Vec<u64> =
        pool.imap_unordered(|n: u64| n + 1, 0..300u64).map(Result::unwrap).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=300).collect::<Vec<_>>());
    let options = MapOptions::new().chunk(4);
    let mut exact = pool.imap_with(options, |n: u32| n, vec![1u32; 10]);
    for left in (0..10).rev() {
        assert_eq!(exact.len(), left + 1);
        exact.next().unwrap().unwrap();
    }
    assert!(exact.next().is_none());
    // The first to come is not the first that went.
    let slow_first = |n: u32| {
        while n == 0 && !std::path::Path::new("/proc/self/never").exists() {
            std::thread::park();
        }
        n
    };
    let first = pool.imap_unordered(slow_first, 0..3u32).next().unwrap().unwrap();
    assert!(first > 0);
    drop(exact);
    pool.terminate(Duration::from_secs(1)).unwrap();
}

pub(crate) fn waiting_for_several() {
    let pool = Pool::new(2).unwrap();
    let forever = |n: u32| {
        if n == 0 {
            loop {
                std::thread::park();
            }
        }
        assert!(n != 13);
        n
    };
    let submit = |n: u32| pool.submit(forever, n).unwrap();
    let tasks = [submit(0), submit(1), submit(13)];
    assert_eq!(wait(&tasks[1..2], When::All, None).done, [0]);
    let waited = wait(&tasks, When::FirstError, None);
    assert!(waited.done.contains(&2) && waited.not_done.contains(&0));
    let soon = Instant::now() + Duration::from_millis(5);
    assert_eq!(wait(&tasks, When::All, Some(soon)).not_done, [0]);
    assert!(wait(&tasks, When::FirstCompleted, None).done.len() >= 2);
    let mut completed = as_completed(tasks).until(Instant::now() + Duration::from_millis(5));
    let (places, results): (Vec<usize>, Vec<_>) = completed.by_ref().unzip();
    assert_eq!(places, [1, 2]);
    assert!(results[0].is_ok() && results[1].is_err());
    let rest = completed.into_rest();
    assert!(rest[0].cancel());
    assert_eq!(as_completed(rest).count(), 1);
    let tasks: Vec<Task<u32>> = (1..10).map(submit).collect();
    assert_eq!(as_completed(tasks).map(|(_, result)| result.unwrap()).sum::<u32>(), 45);
}

pub(crate) fn callbacks() {
    let pool = Pool::builder().workers(2).capacity(4).build().unwrap();
    let sum = Arc::new(AtomicU32::new(0));
    let calls = Arc::new(AtomicU32::new(0));
    for n in 1..=20 {
        let (sum, calls) = (Arc::clone(&sum), Arc::clone(&calls));
        let callback = move |result: Result<u32, TaskError>| {
            sum.fetch_add(result.unwrap_or(1000), Ordering::SeqCst);
            calls.fetch_add(1, Ordering::SeqCst);
        };
        pool.submit_then(|n: u32| if n == 7 { std::process::abort() } else { n }, n, callback)
            .unwrap();
    }
    while calls.load(Ordering::SeqCst) < 10 {
        assert_eq!(offspring::wait_any_timeout(&[&pool], LONG).unwrap(), [0]);
        pool.dispatch();
    }
    pool.shutdown().unwrap();
    assert_eq!((calls.load(Ordering::SeqCst), sum.load(Ordering::SeqCst)), (20, 210 - 7 + 1000));
}

struct Flag(AtomicU32);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(1, Ordering::SeqCst);
    }
}

/// An executor by hand: nothing but the descriptor says when to look.
pub(crate) fn futures_without_a_thread() {
    let pool = Pool::new(1).unwrap();
    let flag = Arc::new(Flag(AtomicU32::new(1)));
    let waker = Waker::from(Arc::clone(&flag));
    for n in 0..200u32 {
        let task =
            pool.submit(|n: u32| if n % 50 == 49 { std::process::abort() } else { n }, n).unwrap();
        let mut task = pin!(task);
        flag.0.store(1, Ordering::SeqCst);
        let result = loop {
            if flag.0.swap(0, Ordering::SeqCst) == 1
                && let Poll::Ready(result) = task.as_mut().poll(&mut Context::from_waker(&waker))
            {
                break result;
            }
            assert_eq!(offspring::wait_any_timeout(&[&pool], LONG).unwrap(), [0], "task {n}");
            pool.dispatch();
        };
        assert_eq!(result.is_err(), n % 50 == 49);
    }
    assert!(until(|| pool.dispatch() == 0, LONG));
}

/// No thread but this one: the runtime waits for the pool's descriptor, and whoever sees it readable dispatches.
pub(crate) fn futures_under_tokio() {
    let pool = Rc::new(Pool::new(2).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    let sum = tasks.block_on(&runtime, async {
        let descriptor = pool.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: an OwnedFd returns the same descriptor as long as it lives.
        let descriptor = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        let descriptor = descriptor.unwrap();
        let driven = Rc::clone(&pool);
        let driver = tokio::task::spawn_local(async move {
            loop {
                descriptor.readable().await.unwrap().clear_ready();
                driven.dispatch();
            }
        });
        let add = |n: u64| {
            let task = pool.submit(|n: u64| if n == 13 { std::process::abort() } else { n }, n);
            tokio::task::spawn_local(async move { task.unwrap().await.unwrap_or(1000) })
        };
        let added: Vec<_> = (0..100).map(add).collect();
        let mut sum = 0;
        for task in added {
            sum += task.await.unwrap();
        }
        driver.abort();
        let _ = driver.await;
        sum
    });
    assert_eq!(sum, 4950 - 13 + 1000);
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1);
    Rc::into_inner(pool).unwrap().shutdown().unwrap();
}
