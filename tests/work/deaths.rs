//! Holders that die, asleep, awake, and in the middle of an operation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use nix::sys::signal::Signal;
use offspring::queue::{NotReceived, WorkLimits};
use offspring::{Shared, WorkQueue};

use crate::floors::LONG;
use crate::support::{Ended, Kid, asleep, has_ended, until};

/// A child that receives `count` items and then waits to be killed; returns when it holds them.
pub(crate) fn holder(queue: &WorkQueue<u32>, count: usize) -> Kid {
    let holds = Shared::new(AtomicU32::new(0)).unwrap();
    let kid = Kid::fork(|| {
        for _ in 0..count {
            std::mem::forget(queue.recv().unwrap());
        }
        holds.store(1, SeqCst);
        loop {
            std::thread::park();
        }
    });
    assert!(until(|| holds.load(SeqCst) == 1, LONG), "it does not hold {count} items");
    kid
}

fn queue_of(count: u32) -> WorkQueue<u32> {
    let queue = WorkQueue::with_limits(WorkLimits::items(300).max_attempts(9)).unwrap();
    (0..count).for_each(|n| queue.send(n).unwrap());
    queue
}

/// Everything that is ready, with its attempts; all of it is acknowledged.
pub(crate) fn drain(queue: &WorkQueue<u32>) -> Vec<(u32, u32)> {
    let all = std::iter::from_fn(|| queue.try_recv().ok());
    all.map(|delivery| (delivery.attempts(), delivery.ack())).map(|(a, n)| (n, a)).collect()
}

pub(crate) fn killed_holders_item_comes_first() {
    let queue = queue_of(6);
    let (first, second) = (holder(&queue, 2), holder(&queue, 2));
    assert_eq!((queue.len(), queue.in_delivery()), (2, 4));
    second.kill();
    assert_eq!((queue.len(), queue.in_delivery()), (4, 2));
    let delivery = queue.recv().unwrap();
    assert_eq!((*delivery, delivery.attempts()), (2, 2));
    first.kill();
    delivery.nack();
    assert_eq!(drain(&queue), [(0, 2), (1, 2), (2, 3), (3, 2), (4, 1), (5, 1)]);
}

/// Python's: a reader that is SIGKILLed inside `recv` (asleep there), and the next `recv` gets the item.
pub(crate) fn killed_inside_recv() {
    let queue = queue_of(0);
    for n in 0..20 {
        let kid = Kid::fork(|| _ = queue.recv());
        assert!(until(|| asleep(kid.pid()), LONG));
        kid.kill();
        queue.send(n).unwrap();
        assert_eq!(queue.recv().unwrap().ack(), n);
    }
}

/// Nobody but the dead holder and the sleeper: the kernel wakes it.
pub(crate) fn sleeping_receiver_learns_at_once() {
    let queue = queue_of(1);
    let victim = holder(&queue, 1);
    let sleepers = [0, 1, 2].map(|_| {
        Kid::fork(|| match queue.recv() {
            Ok(delivery) => {
                assert_eq!((*delivery, delivery.attempts()), (0, 2));
                delivery.ack();
                queue.close();
            }
            Err(error) => assert_eq!(error, NotReceived::Closed),
        })
    });
    assert!(until(|| sleepers.iter().all(|kid| asleep(kid.pid())), LONG));
    victim.kill();
    sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    assert_eq!(queue.unfinished(), 0);
}

/// A holder is a thread; its process lives on.
pub(crate) fn ended_thread_is_dead() {
    let queue = queue_of(2);
    let thread = || std::mem::forget(queue.recv().unwrap());
    std::thread::scope(|scope| _ = scope.spawn(thread));
    // The kernel marks the end of a thread after its `join` can return.
    assert!(until(|| queue.in_delivery() == 0, LONG));
    assert_eq!(drain(&queue), [(0, 2), (1, 1)]);
}

/// More holders than a sleeper can watch, all looked after by whoever comes.
pub(crate) fn many_holders() {
    let queue = queue_of(200);
    let kids: Vec<Kid> = (0..150).map(|_| holder(&queue, 1)).collect();
    assert_eq!((queue.len(), queue.in_delivery()), (50, 150));
    let expected: Vec<_> = (0..200).map(|n| (n, 1 + u32::from(n < 150))).collect();
    kids.into_iter().for_each(|kid| _ = kid.kill());
    assert_eq!(drain(&queue), expected);
}

/// Whoever sleeps in `send` or `recv` may die there.
pub(crate) fn killed_asleep_harms_nobody() {
    let queue = WorkQueue::<u32>::new(1).unwrap();
    for round in 0..20 {
        let receivers = [0, 1].map(|_| Kid::fork(|| _ = queue.recv().unwrap().ack()));
        assert!(until(|| receivers.iter().all(|kid| asleep(kid.pid())), LONG));
        let [doomed, other] = receivers;
        doomed.signal(Signal::SIGKILL);
        queue.send(round).unwrap();
        doomed.join();
        assert!(until(|| queue.unfinished() == 0, LONG), "an item is there and nobody comes");
        // Perhaps the doomed one still got it; then the other one waits.
        finish(&queue, other);

        queue.send(round).unwrap();
        let senders = [0, 1].map(|_| Kid::fork(|| queue.send(100).unwrap()));
        assert!(until(|| senders.iter().all(|kid| asleep(kid.pid())), LONG));
        let [doomed, other] = senders;
        doomed.kill();
        assert_eq!(queue.recv().unwrap().ack(), round);
        assert_eq!(other.join(), Ended::Exited(0));
        assert_eq!(queue.recv().unwrap().ack(), 100);
    }
}

/// Sends items until the kid has had one and has ended.
fn finish(queue: &WorkQueue<u32>, kid: Kid) {
    let ended = || {
        let _ = queue.try_send(7);
        has_ended(kid.pid())
    };
    assert!(until(ended, LONG));
    assert_eq!(kid.join(), Ended::Exited(0));
    drain(queue);
}

pub(crate) fn inherited_delivery_is_a_copy() {
    let queue = queue_of(2);
    let mut held = Some((queue.recv().unwrap(), queue.recv().unwrap()));
    let kid = Kid::fork(|| {
        let (one, two) = held.take().unwrap();
        drop(one);
        assert!(catch_unwind(AssertUnwindSafe(|| two.ack())).is_err());
        assert_eq!((queue.len(), queue.in_delivery()), (0, 2));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!((queue.len(), queue.in_delivery()), (0, 2), "the copies are gone, not the items");
    let (one, two) = held.unwrap();
    assert_eq!((one.ack(), two.ack(), queue.unfinished()), (0, 1, 0));
}

/// Receivers on a closed queue wait for what is out, and end when its holder has died for the last time.
pub(crate) fn closed_queue_ends_after_the_last_death() {
    let queue = WorkQueue::with_limits(WorkLimits::items(4).max_attempts(1)).unwrap();
    queue.send(1).unwrap();
    let victim = holder(&queue, 1);
    queue.close();
    let kid = Kid::fork(|| assert_eq!(queue.recv().map(drop), Err(NotReceived::Closed)));
    assert!(until(|| asleep(kid.pid()), LONG));
    victim.kill();
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(queue.dead_letter_count(), 1);
}
