//! When the descriptor is readable, and what is written to it.

use nix::sys::signal::Signal;
use offspring::queue::{JoinableQueue, NotReceived, Pollable, TryRecvError, WorkLimits};
use offspring::{Queue, RingQueue, WorkQueue, spawn, try_wait_any, wait_any};
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, seed, until};

/// The eventfd's counter, without a read of it.
fn count(queue: &impl AsFd) -> u64 {
    let fd = queue.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("read fdinfo");
    let line = text.lines().find_map(|line| line.strip_prefix("eventfd-count:"));
    u64::from_str_radix(line.expect("an eventfd").trim(), 16).expect("a number")
}

fn is_readable(queue: &impl AsFd) -> bool {
    !try_wait_any(&[queue]).unwrap().is_empty()
}

pub(crate) fn silent_while_nobody_polls() {
    let queue = Pollable::<RingQueue<u64>>::new(8).unwrap();
    assert_eq!(count(&queue), 1);
    for n in 0..100 {
        queue.send(n).unwrap();
        assert_eq!(queue.recv(), Ok(n));
    }
    assert_eq!(count(&queue), 1, "written although nobody polls");
    assert_eq!((queue.try_recv(), count(&queue)), (Err(TryRecvError::Empty), 0));
    for n in 0..3 {
        queue.send(n).unwrap();
        assert_eq!(count(&queue), 1, "one write for all until the next look");
    }
    for n in 0..3 {
        assert_eq!((queue.try_recv(), count(&queue)), (Ok(n), 1));
    }
    assert_eq!((queue.try_recv(), count(&queue)), (Err(TryRecvError::Empty), 0));

    let queue = Pollable::<Queue<u64>>::with_capacity_bytes(20_000).unwrap();
    for n in 0..100 {
        queue.send(n).unwrap();
        assert_eq!(queue.recv(), Ok(n));
        queue.send_bytes(&[n as u8; 5000]).unwrap();
        assert_eq!(queue.recv_bytes().unwrap(), [n as u8; 5000]);
    }
    assert_eq!(count(&queue), 1, "written although nobody polls");
    assert_eq!((queue.try_recv(), count(&queue)), (Err(NotReceived::Empty), 0));
    queue.send(1).unwrap();
    queue.send_bytes(&[1; 5000]).unwrap();
    assert_eq!(count(&queue), 1);
}

pub(crate) fn every_way_to_receive_rests() {
    let queue = Pollable::<Queue<u64>>::new().unwrap();
    let ways: [&dyn Fn() -> bool; 5] = [
        &|| queue.try_recv() == Err(NotReceived::Empty),
        &|| queue.try_recv_bytes() == Err(NotReceived::Empty),
        &|| queue.try_recv_bytes_into(&mut [0; 10]) == Err(NotReceived::Empty),
        &|| queue.try_recv_view().is_err(),
        &|| queue.try_iter().next().is_none(),
    ];
    for way in ways {
        queue.send(1).unwrap();
        assert!(is_readable(&queue) && queue.recv() == Ok(1) && is_readable(&queue));
        assert!(way() && !is_readable(&queue));
    }
    // What does not fit is still there.
    queue.send_bytes(&[1; 100]).unwrap();
    assert!(matches!(queue.try_recv_bytes_into(&mut [0; 10]), Err(NotReceived::TooLarge { .. })));
    assert!(is_readable(&queue));

    let queue = Pollable::<RingQueue<u64>>::new(4).unwrap();
    for held in [false, true] {
        queue.send(1).unwrap();
        assert!(is_readable(&queue) && queue.recv() == Ok(1));
        match held {
            true => assert_eq!(queue.consumer().try_recv(), Err(TryRecvError::Empty)),
            false => assert_eq!(queue.try_iter().next(), None),
        }
        assert!(!is_readable(&queue));
    }
}

/// Whatever makes an item ready tells: a send, an item given back, a dead letter retried; an acknowledgement does not.
pub(crate) fn work_queues_tell() {
    let limits = WorkLimits::items(4).max_attempts(2);
    let queue = Pollable::<WorkQueue<u64>>::with_limits(limits).unwrap();
    let rests = || matches!(queue.try_recv(), Err(NotReceived::Empty)) && !is_readable(&queue);
    assert!(is_readable(&queue) && rests());
    queue.send(1).unwrap();
    let delivery = queue.try_recv().unwrap();
    assert!(is_readable(&queue) && rests());
    delivery.nack();
    assert_eq!(count(&queue), 1);
    let delivery = queue.try_recv().unwrap();
    assert!(rests());
    drop(delivery); // its second attempt: a dead letter now, and that is a wake-up for nothing
    assert!(rests());
    assert_eq!(queue.retry_dead_letters(), 1);
    assert!(is_readable(&queue));
    let delivery = queue.try_recv().unwrap();
    assert!(rests());
    delivery.ack();
    assert_eq!(count(&queue), 0, "written although nothing came");

    // A closed queue is over when the last delivery elsewhere is.
    queue.send(2).unwrap();
    let delivery = queue.recv().unwrap();
    queue.close();
    let poller = Kid::fork(|| assert!(rests()));
    assert_eq!(poller.join(), Ended::Exited(0));
    delivery.ack();
    assert!(is_readable(&queue));
    assert!(matches!(queue.try_recv(), Err(NotReceived::Closed)));

    let queue = Pollable::<JoinableQueue<u64>>::new(4).unwrap();
    let child = spawn(|| {
        let mut got = 0;
        while got < 3 {
            wait_any(&[&queue]).unwrap();
            while queue.try_recv().is_ok() {
                got += 1;
                queue.task_done().unwrap();
            }
        }
    });
    let child = child.unwrap();
    (0..3).for_each(|n| queue.send(n).unwrap());
    queue.join().unwrap();
    child.join().unwrap();
}

/// "Empty" because a process is stopped in the middle of an operation is no rest: the descriptor is written anew, for those who wait
/// for edges.
pub(crate) fn work_queue_beside_a_stopped_sender() {
    // Copied under the lock, so that a stop often hits its owner.
    let item = "x".repeat(200_000);
    let limits = WorkLimits::items(4).bytes(1 << 20);
    let queue = Pollable::<WorkQueue<String>>::with_limits(limits).unwrap();
    let sender = Kid::fork(|| while queue.send(item.clone()).is_ok() {});
    let mut rng = Rng::new(seed());
    let mut in_the_way = 0;
    let deadline = Instant::now() + LONG;
    while in_the_way < 5 {
        assert!(Instant::now() < deadline, "the sender was never stopped inside");
        // It waits for room and is woken, or is on its way already; either way it will be inside in a moment.
        drop(queue.recv().unwrap().ack());
        (0..rng.below(100_000)).for_each(|_| std::hint::spin_loop());
        sender.signal(Signal::SIGSTOP);
        // Nobody else touches the descriptor now.
        assert!(until(|| is_stopped(sender.pid()), LONG));
        let before = loop {
            let before = count(&queue);
            match queue.try_recv() {
                Ok(delivery) => drop(delivery.ack()),
                Err(error) => {
                    assert_eq!(error, NotReceived::Empty);
                    break before;
                }
            }
        };
        let after = count(&queue);
        assert!(after == 0 || after > before, "neither at rest nor rung: {before}, {after}");
        in_the_way += u64::from(after > before);
        sender.signal(Signal::SIGCONT);
    }
    assert_eq!(sender.kill(), Ended::Killed(Signal::SIGKILL));
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("read its stat");
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
}

/// What a dead holder had is ready for whoever looks once the child has ended.
pub(crate) fn holders_death_beside_a_work_queue() {
    let queue = Pollable::<WorkQueue<u64>>::new(4).unwrap();
    queue.send(7).unwrap();
    let holder = spawn(|| {
        std::mem::forget(queue.recv().unwrap());
        if true {
            std::process::abort();
        }
    });
    let holder = holder.unwrap();
    assert_eq!(wait_any(&[&holder]).unwrap(), [0]);
    assert!(holder.join().is_err());
    let delivery = queue.try_recv().unwrap();
    assert_eq!((delivery.attempts(), delivery.ack()), (2, 7));
}

pub(crate) fn closing_tells() {
    let queue = Pollable::<RingQueue<u64>>::new(4).unwrap();
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    queue.close();
    for _ in 0..2 {
        assert!(is_readable(&queue));
        assert_eq!(queue.try_recv(), Err(TryRecvError::Closed));
    }
    let queue = Pollable::<Queue<u64>>::new().unwrap();
    assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
    let kid = Kid::fork(|| queue.close());
    for _ in 0..2 {
        assert_eq!(wait_any(&[&queue]).unwrap(), [0]);
        assert!(matches!(queue.try_recv(), Err(NotReceived::Closed | NotReceived::Empty)));
    }
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(queue.try_recv(), Err(NotReceived::Closed));
    assert!(is_readable(&queue));
}

/// One that looks for what is lent elsewhere rests until it is put back, or is over on a closed queue.
pub(crate) fn end_of_a_view_tells() {
    let queue = Pollable::<Queue<u64>>::new().unwrap();
    queue.send(1).unwrap();
    let view = queue.recv_view().unwrap();
    assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
    assert!(!is_readable(&queue));
    view.put_back();
    assert!(is_readable(&queue));

    let view = queue.recv_view().unwrap();
    queue.close();
    let poller = Kid::fork(|| {
        assert_eq!(queue.try_recv(), Err(NotReceived::Empty));
        assert!(!is_readable(&queue));
    });
    assert_eq!(poller.join(), Ended::Exited(0));
    drop(view);
    assert!(is_readable(&queue));
    assert_eq!(queue.try_recv(), Err(NotReceived::Closed));
}

/// A held sending end tells as others do. While the receiving end is held elsewhere, a poller comes back until it is not.
pub(crate) fn held_ends() {
    let queue = Pollable::<RingQueue<u64>>::new(4).unwrap();
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    let mut producer = queue.producer();
    producer.send_many(&[1, 2]).unwrap();
    assert!(is_readable(&queue));
    let mut consumer = queue.consumer();
    let poller = Kid::fork(|| {
        assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
        assert!(is_readable(&queue));
    });
    assert_eq!(poller.join(), Ended::Exited(0));
    assert_eq!((consumer.try_recv(), consumer.try_recv()), (Ok(1), Ok(2)));
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    assert!(!is_readable(&queue));
    producer.try_send(3).unwrap();
    assert!(is_readable(&queue));
    drop((producer, consumer));
    assert_eq!(queue.try_recv(), Ok(3));
}

pub(crate) fn clones_and_grandchildren_tell() {
    let queue = Pollable::<RingQueue<u64>>::new(4).unwrap();
    let clone: RingQueue<u64> = (*queue).clone();
    for generation in 0..3 {
        assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
        assert!(!is_readable(&queue));
        let clone = clone.clone();
        let kid = Kid::fork(|| match generation {
            0 => clone.send(7).unwrap(),
            1 => assert_eq!(Kid::fork(|| clone.send(7).unwrap()).join(), Ended::Exited(0)),
            _ => clone.send_many(&[7]).unwrap(),
        });
        assert_eq!(wait_any(&[&queue]).unwrap(), [0]);
        assert_eq!(kid.join(), Ended::Exited(0));
        assert_eq!(queue.try_recv(), Ok(7));
    }
}

pub(crate) fn wait_any_over_queues_and_a_child() {
    const COUNT: u64 = 20_000;
    let numbers = Pollable::<RingQueue<u64>>::new(16).unwrap();
    let words = Pollable::<Queue<String>>::new().unwrap();
    let sender = (numbers.clone(), words.clone());
    let child = spawn(move || {
        for n in 0..COUNT {
            match n % 3 {
                0 => sender.1.send(n.to_string()).unwrap(),
                _ => sender.0.send(n).unwrap(),
            }
        }
    })
    .unwrap();
    let (mut got, mut ended) = ([Vec::new(), Vec::new()], false);
    while !ended || got[0].len() + got[1].len() < COUNT as usize {
        // One message for each time that something is ready: what is there still, is ready again.
        for index in wait_any(&[&numbers, &words, &child]).unwrap() {
            match index {
                0 => got[0].extend(numbers.try_recv()),
                1 => got[1].extend(words.try_recv().ok().map(|word| word.parse::<u64>().unwrap())),
                _ => ended = true,
            }
        }
    }
    assert!(got.iter().all(|numbers| numbers.is_sorted()));
    child.join().unwrap();
}
