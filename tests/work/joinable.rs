//! `JoinableQueue`: `task_done` and `join`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use offspring::queue::{QueueJoinError, WorkLimits};
use offspring::{Counter, JoinableQueue, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, asleep, until};

pub(crate) fn done_and_joined() {
    By::each(|by| {
        let queue = JoinableQueue::<u64>::new(8).unwrap();
        let sum = Shared::new(Counter::new("sum")).unwrap();
        queue.join().unwrap();
        let work = |_, _: &Seats| {
            while let Ok(number) = queue.recv() {
                sum.add(number);
                queue.task_done().unwrap();
            }
        };
        crew(by, 3, work, |seats| {
            for round in 1..=20 {
                (1..=50).for_each(|n| queue.send(n).unwrap());
                queue.join().unwrap();
                assert_eq!((sum.get(), queue.unfinished()), (round * 1275, 0));
            }
            seats.await_all_asleep();
            queue.close();
        });
    });
}

pub(crate) fn more_calls_than_items() {
    let queue = JoinableQueue::<u32>::new(8).unwrap();
    assert!(queue.task_done().is_err());
    (0..3).for_each(|n| queue.send(n).unwrap());
    assert!(queue.task_done().is_err(), "sent, but not received by this thread");
    assert_eq!((queue.recv().unwrap(), queue.recv().unwrap()), (0, 1));
    let kid = Kid::fork(|| assert!(queue.task_done().is_err(), "they are the parent's"));
    assert_eq!(kid.join(), Ended::Exited(0));
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    assert!(queue.task_done().is_err());
    assert_eq!((queue.unfinished(), queue.len()), (1, 1));
}

/// A worker dies with two unfinished items while others join and receive; `join` neither hangs nor lies.
pub(crate) fn dead_worker_is_replaced() {
    let queue = JoinableQueue::<u32>::new(8).unwrap();
    let done = Shared::new(AtomicU32::new(0)).unwrap();
    (0..4).for_each(|n| queue.send(n).unwrap());
    let took = Shared::new(AtomicU32::new(0)).unwrap();
    let victim = Kid::fork(|| {
        let taken = [(); 3].map(|()| queue.recv().unwrap());
        assert_eq!(taken, [0, 1, 2]);
        queue.task_done().unwrap(); // the oldest
        took.store(1, SeqCst);
        loop {
            std::thread::park();
        }
    });
    assert!(until(|| took.load(SeqCst) == 1, LONG));
    let joiner = Kid::fork(|| {
        queue.join().unwrap();
        assert_eq!(done.load(SeqCst), 3);
        queue.close();
    });
    let worker = Kid::fork(|| {
        let mut order = Vec::new();
        while let Ok(number) = queue.recv() {
            order.push(number);
            done.fetch_add(1, SeqCst);
            queue.task_done().unwrap();
        }
        assert_eq!(order, [3, 1, 2]);
    });
    let both = [joiner.pid(), worker.pid()];
    assert!(until(|| done.load(SeqCst) == 1 && both.iter().all(|&pid| asleep(pid)), LONG));
    victim.kill();
    assert_eq!((joiner.join(), worker.join()), (Ended::Exited(0), Ended::Exited(0)));
}

/// The last receiver that may have it dies with it while the joiner sleeps, and nobody else is there.
pub(crate) fn join_reports_dead_letters() {
    let queue = JoinableQueue::with_limits(WorkLimits::items(8).max_attempts(2)).unwrap();
    queue.send(5u32).unwrap();
    let joiner = Kid::fork(|| {
        assert_eq!(queue.join().unwrap_err().count(), 1);
    });
    for _ in 0..2 {
        assert!(until(|| asleep(joiner.pid()), LONG));
        let took = Shared::new(AtomicU32::new(0)).unwrap();
        let victim = Kid::fork(|| {
            assert_eq!(queue.recv(), Ok(5));
            took.store(1, SeqCst);
            loop {
                std::thread::park();
            }
        });
        assert!(until(|| took.load(SeqCst) == 1 && asleep(joiner.pid()), LONG));
        victim.kill();
    }
    assert_eq!(joiner.join(), Ended::Exited(0));
    let error = queue.join_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(error, QueueJoinError::DeadLetters(letters) if letters.count() == 1));
    assert_eq!(queue.take_dead_letter().unwrap().into_value(), Ok(5));
    queue.join().unwrap();
}

pub(crate) fn join_timeout() {
    let queue = JoinableQueue::<u32>::new(2).unwrap();
    queue.send(1).unwrap();
    let short = Duration::from_millis(3);
    assert_eq!(queue.join_timeout(short), Err(QueueJoinError::Timeout));
    assert_eq!(queue.recv_timeout(LONG), Ok(1));
    let soon = std::time::Instant::now() + short;
    assert_eq!(queue.join_deadline(soon), Err(QueueJoinError::Timeout));
    queue.task_done().unwrap();
    assert_eq!(queue.join_timeout(short), Ok(()));
}

pub(crate) fn join_for_oneself_panics() {
    let queue = JoinableQueue::<u32>::new(2).unwrap();
    queue.send(1).unwrap();
    queue.recv().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| queue.join())).is_err());
    queue.task_done().unwrap();
    queue.join().unwrap();
}
