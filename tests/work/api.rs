//! One or two workers, nobody dies: order, attempts, counts, errors.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use offspring::queue::{NotReceived, NotSent, WorkLimits};
use offspring::{ErrorKind, JoinableQueue, Region, WorkQueue};
use serde::{Deserialize, Serialize};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::until;

pub(crate) fn order_attempts_and_counts() {
    let queue = WorkQueue::<u64>::new(8).unwrap();
    assert_eq!(queue.try_recv().map(drop), Err(NotReceived::Empty));
    for n in 0..8 {
        queue.send(n).unwrap();
    }
    assert!(queue.is_full());
    assert_eq!(queue.try_send(8).unwrap_err().reason(), &NotSent::Full);
    let first = queue.recv().unwrap();
    let second = queue.recv().unwrap();
    assert_eq!((*first, *second, first.attempts()), (0, 1, 1));
    assert_eq!((queue.len(), queue.in_delivery(), queue.unfinished()), (6, 2, 8));
    assert!(queue.is_full(), "an item keeps its place until it is done");
    assert_eq!(second.ack(), 1);
    assert!(!queue.is_full());
    assert_eq!((queue.len(), queue.in_delivery(), queue.unfinished()), (6, 1, 7));
    first.ack();
    for n in 2..8 {
        assert_eq!(queue.recv().unwrap().ack(), n);
    }
    assert!(queue.is_empty() && queue.unfinished() == 0 && queue.dead_letter_count() == 0);
}

pub(crate) fn given_back_keeps_its_place() {
    let queue = WorkQueue::with_limits(WorkLimits::items(8).max_attempts(9)).unwrap();
    (0..6u32).for_each(|n| queue.send(n).unwrap());
    let held: Vec<_> = (0..4).map(|_| queue.recv().unwrap()).collect();
    let [a, b, c, d] = held.try_into().unwrap();
    c.nack();
    drop(a);
    assert_eq!(queue.len(), 4);
    let again = queue.recv().unwrap();
    assert_eq!((*again, again.attempts()), (0, 2));
    b.nack();
    let again = [again, queue.recv().unwrap(), queue.recv().unwrap(), queue.recv().unwrap()];
    assert_eq!(again.each_ref().map(|delivery| **delivery), [0, 1, 2, 4]);
    assert_eq!(again.each_ref().map(|delivery| delivery.attempts()), [2, 2, 2, 1]);
    d.ack();
    again.into_iter().for_each(|delivery| _ = delivery.ack());
    assert_eq!(queue.recv().unwrap().ack(), 5);
    assert_eq!(queue.unfinished(), 0);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Job {
    Nothing,
    Text(String),
    Map(BTreeMap<u32, Vec<u8>>),
}

pub(crate) fn values_of_all_shapes() {
    let limits = WorkLimits::items(4).bytes(4096);
    By::each(|by| {
        let units = WorkQueue::<()>::with_limits(limits).unwrap();
        let jobs = WorkQueue::<Job>::with_limits(limits).unwrap();
        let map = Job::Map((0..5).map(|n| (n, vec![n as u8; n as usize * 100])).collect());
        let mut all = vec![Job::Nothing, map];
        // Lengths around the size of a block, and up to all of them.
        let lengths = [0, 1, 253, 254, 255, 256, 257, 509, 510, 511, 512, 513, 4000, 4093];
        all.extend(lengths.map(|length| Job::Text("x".repeat(length))));
        let work = |_, _: &Seats| {
            for _ in 0..100 {
                units.send(()).unwrap();
            }
            for _ in 0..20 {
                all.iter().for_each(|job| jobs.send(job.clone()).unwrap());
            }
        };
        crew(by, 1, work, |_| {
            for _ in 0..100 {
                units.recv().unwrap().ack();
            }
            for _ in 0..20 {
                for job in &all {
                    assert_eq!(&jobs.recv().unwrap().ack(), job);
                }
            }
        });
        assert_eq!((units.unfinished(), jobs.unfinished()), (0, 0));
    });
}

/// Refuses to be encoded.
#[derive(Debug, PartialEq, Deserialize)]
struct Stubborn(u32);

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

pub(crate) fn errors_give_the_item_back() {
    let queue = WorkQueue::<Stubborn>::new(2).unwrap();
    let error = queue.send(Stubborn(7)).unwrap_err();
    assert!(matches!(error.reason(), NotSent::Encode { .. }), "{error:?}");
    assert!(error.to_string().contains("Stubborn"), "{error}");
    assert_eq!(error.into_inner(), Stubborn(7));

    let queue = WorkQueue::<Vec<u8>>::with_limits(WorkLimits::items(2).bytes(1000)).unwrap();
    assert_eq!(queue.capacity_bytes(), 1024);
    let error = queue.try_send(vec![1; 1023]).unwrap_err();
    let too_large = NotSent::TooLarge { message_bytes: 1025, max_bytes: 1024 };
    assert_eq!(error.reason(), &too_large);
    let text = error.to_string();
    assert!(text.contains("1025") && text.contains("1024"), "{text}");
    assert_eq!(error.into_inner().len(), 1023);
    queue.try_send(vec![1; 1022]).unwrap();
    assert!(!queue.is_full(), "an item without bytes would have room");
    assert_eq!(queue.try_send(vec![1]).unwrap_err().reason(), &NotSent::Full);
    assert_eq!(queue.recv().unwrap().ack().len(), 1022);

    queue.close();
    let error = queue.send(vec![5]).unwrap_err();
    assert_eq!(error.reason(), &NotSent::Closed);
    assert_eq!(error.into_inner(), [5]);
}

pub(crate) fn limits_are_checked() {
    let kind = |limits| WorkQueue::<u8>::with_limits(limits).map(drop).unwrap_err().kind();
    let some = WorkLimits::items(1);
    for limits in [
        WorkLimits::items(0),
        WorkLimits::items(u32::MAX as usize),
        some.bytes(0),
        some.bytes(1 << 40),
        some.bytes(usize::MAX),
        some.max_attempts(0),
    ] {
        assert_eq!(kind(limits), ErrorKind::InvalidInput, "{limits:?}");
    }
    assert_eq!(kind(WorkLimits::items(1 << 31)), ErrorKind::OutOfMemory);
    assert_eq!(kind(some.bytes(1 << 38)), ErrorKind::OutOfMemory);
}

pub(crate) fn in_region() {
    let region = Region::new(1 << 16).unwrap();
    let queue = WorkQueue::<String>::in_region(&region, WorkLimits::items(10).bytes(2560)).unwrap();
    let used = region.used_bytes();
    assert!(used <= 10 * 72 + 10 * 260 + 512 + 128, "{used}");
    let full = WorkQueue::<String>::in_region(&region, WorkLimits::items(10).bytes(1 << 20));
    assert_eq!(full.unwrap_err().kind(), ErrorKind::OutOfMemory);
    drop(region);
    queue.send("still there".into()).unwrap();
    assert_eq!(queue.recv().unwrap().ack(), "still there");
}

/// One item stays on delivery while thousands pass.
pub(crate) fn long_delivery_costs_one_place() {
    By::each(|by| {
        let queue = WorkQueue::<u64>::new(3).unwrap();
        let work = |_, _: &Seats| (0..3000).for_each(|n| queue.send(n).unwrap());
        crew(by, 1, work, |_| {
            let slow = queue.recv().unwrap();
            for n in 1..3000 {
                assert_eq!(queue.recv().unwrap().ack(), n);
            }
            assert_eq!(slow.ack(), 0);
        });
    });
}

pub(crate) fn blocked_sender_gets_room() {
    By::each(|by| {
        let queue = WorkQueue::<Vec<u8>>::with_limits(WorkLimits::items(4).bytes(1024)).unwrap();
        queue.send(vec![0; 500]).unwrap();
        queue.send(vec![1; 500]).unwrap();
        // One needs one block, the other three: the small one gets its room although the large one must wait on.
        let work = |seat: usize, _: &Seats| queue.send(vec![2; [700, 200][seat]]).unwrap();
        crew(by, 2, work, |seats| {
            seats.await_all_asleep();
            queue.recv().unwrap().ack();
            assert!(until(|| queue.len() == 2, LONG));
            queue.recv().unwrap().ack();
            assert!(until(|| queue.len() == 2, LONG));
        });
        let lengths = [queue.recv().unwrap().ack().len(), queue.recv().unwrap().ack().len()];
        assert_eq!(lengths, [200, 700]);
    });
}

pub(crate) fn close_waits_for_deliveries() {
    By::each(|by| {
        let queue = WorkQueue::<u32>::new(4).unwrap();
        queue.send(1).unwrap();
        queue.send(2).unwrap();
        let held = (queue.recv().unwrap(), queue.recv().unwrap());
        let work = |_, _: &Seats| {
            // One comes back and is done, the other is done: then it is over.
            let delivery = queue.recv().unwrap();
            assert_eq!((*delivery, delivery.attempts()), (2, 2));
            delivery.ack();
            assert_eq!(queue.recv().map(drop), Err(NotReceived::Closed));
        };
        crew(by, 1, work, |seats| {
            queue.close();
            queue.close();
            assert_eq!(queue.send(3).unwrap_err().into_inner(), 3);
            assert_eq!(
                queue.recv().map(drop),
                Err(NotReceived::Closed),
                "what this thread holds cannot come back while it waits"
            );
            seats.await_asleep(0);
            held.1.nack();
            assert!(until(|| queue.unfinished() == 1, LONG));
            held.0.ack();
        });
        assert!(queue.is_closed());
    });
}

/// Both iterators outlast an empty queue and end with a closed one, but not while an item is out that may come back.
pub(crate) fn iterators_end_when_closed() {
    By::each(|by| {
        let queue = WorkQueue::<u32>::new(8).unwrap();
        let tasks = JoinableQueue::<u32>::new(8).unwrap();
        let work = |_, _: &Seats| {
            for delivery in &queue {
                delivery.unwrap().ack();
            }
            for task in &tasks {
                assert!(task.unwrap() < 8);
                tasks.task_done().unwrap();
            }
        };
        let mut own = queue.iter();
        queue.send(0).unwrap();
        // Before there is anybody else who could take it.
        let kept = own.next().unwrap().unwrap();
        crew(by, 2, work, |seats| {
            (1..8).for_each(|n| queue.send(n).unwrap());
            assert!(until(|| queue.unfinished() == 1, LONG));
            seats.await_all_asleep();
            queue.close();
            assert!(own.next().is_none(), "what this thread holds cannot come back while it waits");
            kept.nack();
            (0..8).for_each(|n| tasks.send(n).unwrap());
            tasks.join().unwrap();
            seats.await_all_asleep();
            tasks.close();
        });
        assert_eq!((queue.unfinished(), tasks.unfinished()), (0, 0));
    });
}

pub(crate) fn timeouts() {
    let queue = WorkQueue::<u32>::new(1).unwrap();
    let short = Duration::from_millis(3);
    let soon = || std::time::Instant::now() + short;
    assert_eq!(queue.recv_timeout(short).map(drop), Err(NotReceived::Timeout));
    assert_eq!(queue.recv_deadline(soon()).map(drop), Err(NotReceived::Timeout));
    queue.send_timeout(1, short).unwrap();
    assert_eq!(queue.send_timeout(2, short).unwrap_err().reason(), &NotSent::Timeout);
    assert_eq!(queue.send_deadline(2, soon()).unwrap_err().into_inner(), 2);
    assert_eq!(queue.recv_timeout(Duration::MAX).unwrap().ack(), 1);
}

pub(crate) fn panic_gives_back() {
    let queue = WorkQueue::<u32>::new(2).unwrap();
    queue.send(1).unwrap();
    queue.send(2).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _delivery = queue.recv().unwrap();
        panic!("in the middle of the work");
    }));
    assert!(panicked.is_err());
    let delivery = queue.recv().unwrap();
    assert_eq!((*delivery, delivery.attempts()), (1, 2));
    delivery.ack();
}
