//! Held ends beside others who want them.

use std::time::Duration;

use offspring::RingQueue;
use offspring::queue::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, until};

const SHORT: Duration = Duration::from_millis(30);

/// A receiver that went to sleep before the end was held must not keep the wake-up that the holder needs.
pub(crate) fn message_wakes_the_holder_past_an_older_sleeper() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(4).unwrap();
        let work = |seat, seats: &Seats| match seat {
            0 => assert_eq!(queue.recv(), Ok(2)),
            _ => {
                seats.await_asleep(0);
                while queue.try_consumer().is_some() {
                    std::thread::yield_now(); // until it is held
                }
                seats.await_asleep(seats.own());
                queue.send(1).unwrap();
            }
        };
        crew(by, 2, work, |seats| {
            seats.await_asleep(0);
            let mut consumer = queue.consumer();
            assert_eq!(consumer.recv(), Ok(1));
            drop(consumer);
            queue.send(2).unwrap();
        });
    });
}

/// The same for room and a producer.
pub(crate) fn room_wakes_the_holder_past_an_older_sleeper() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(1).unwrap();
        queue.send(0).unwrap();
        let work = |seat, seats: &Seats| match seat {
            0 => queue.send(2).unwrap(),
            _ => {
                seats.await_asleep(0);
                while queue.try_producer().is_some() {
                    std::thread::yield_now();
                }
                seats.await_asleep(seats.own());
                assert_eq!(queue.recv(), Ok(0));
            }
        };
        crew(by, 2, work, |seats| {
            seats.await_asleep(0);
            let mut producer = queue.producer();
            producer.send(1).unwrap();
            drop(producer);
            assert_eq!(queue.recv(), Ok(1));
            assert_eq!(queue.recv(), Ok(2));
        });
    });
}

/// One that was woken for a message, and then gives up waiting for the held end, leaves the wake-up to the next.
pub(crate) fn timeout_at_a_held_end_passes_the_message_on() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(4).unwrap();
        let gave_up = offspring::Shared::new(offspring::Counter::new("gave up")).unwrap();
        let work = |seat, seats: &Seats| match seat {
            0 => {
                let timeout = Duration::from_millis(600);
                assert_eq!(queue.recv_timeout(timeout), Err(RecvTimeoutError::Timeout));
                gave_up.add(1);
            }
            _ => {
                seats.await_asleep(0);
                assert_eq!(queue.recv(), Ok(1));
            }
        };
        crew(by, 2, work, |seats| {
            seats.await_all_asleep();
            let consumer = queue.consumer();
            queue.send(1).unwrap(); // wakes the first, who finds the end held
            assert!(until(|| gave_up.get() == 1, LONG));
            drop(consumer);
        });
    });
}

/// And the same for one that waits for room.
pub(crate) fn timeout_at_a_held_end_passes_the_room_on() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(1).unwrap();
        queue.send(0).unwrap();
        let gave_up = offspring::Shared::new(offspring::Counter::new("gave up")).unwrap();
        let work = |seat, seats: &Seats| match seat {
            0 => {
                let timeout = Duration::from_millis(600);
                assert_eq!(queue.send_timeout(7, timeout), Err(SendTimeoutError::Timeout(7)));
                gave_up.add(1);
            }
            _ => {
                seats.await_asleep(0);
                queue.send(1).unwrap();
            }
        };
        crew(by, 2, work, |seats| {
            seats.await_all_asleep();
            let producer = queue.producer();
            assert_eq!(queue.recv(), Ok(0));
            assert!(until(|| gave_up.get() == 1, LONG));
            drop(producer);
            assert_eq!(queue.recv(), Ok(1));
        });
    });
}

/// Others wait for the end or are refused, and get it when it is given back.
pub(crate) fn held_ends_keep_others_out() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(4).unwrap();
        let refused = offspring::Shared::new(offspring::Counter::new("refused")).unwrap();
        let work = |seat, _: &Seats| match seat {
            0 => {
                assert_eq!(queue.try_send(7), Err(TrySendError::Full(7)));
                assert_eq!(queue.send_timeout(7, SHORT), Err(SendTimeoutError::Timeout(7)));
                assert!(queue.try_producer().is_none() && queue.producer_timeout(SHORT).is_none());
                refused.add(1);
                queue.send(8).unwrap();
            }
            _ => {
                assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
                assert_eq!(queue.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
                assert!(queue.try_consumer().is_none() && queue.consumer_timeout(SHORT).is_none());
                refused.add(1);
                assert_eq!(queue.recv(), Ok(8));
            }
        };
        let (mut producer, mut consumer) = (queue.producer(), queue.consumer());
        producer.send(1).unwrap();
        crew(by, 2, work, |seats| {
            assert!(until(|| refused.get() == 2, LONG));
            seats.await_all_asleep();
            producer.try_send(2).unwrap();
            assert_eq!((consumer.recv(), consumer.try_recv()), (Ok(1), Ok(2)));
            assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(consumer.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            seats.await_all_asleep();
            drop(producer);
            drop(consumer);
        });
    });
}

/// A closed queue says so to whoever waits behind a held end.
pub(crate) fn close_reaches_those_behind_held_ends() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(2).unwrap();
        let work = |seat, _: &Seats| match seat {
            0 => assert_eq!(queue.send(1), Err(SendError(1))),
            1 => assert_eq!(queue.recv(), Err(RecvError)),
            _ => assert_eq!(queue.send_many(&[1, 2, 3]).unwrap_err().sent(), 0),
        };
        let (mut producer, mut consumer) = (queue.producer(), queue.consumer());
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            queue.close();
        });
        assert_eq!(producer.send(1), Err(SendError(1)));
        assert_eq!(producer.try_send(1), Err(TrySendError::Closed(1)));
        assert_eq!(producer.send_timeout(1, SHORT), Err(SendTimeoutError::Closed(1)));
        assert_eq!(producer.send_many(&[1]).unwrap_err().sent(), 0);
        assert_eq!(consumer.recv(), Err(RecvError));
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(consumer.recv_timeout(SHORT), Err(RecvTimeoutError::Closed));
        assert_eq!(consumer.recv_many(&mut Vec::new(), 3), Err(RecvError));
    });
}

/// Who waits behind the one that takes the last message of a closed queue learns that nothing comes any more.
pub(crate) fn last_message_of_a_closed_queue_ends_those_behind_the_holder() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(2).unwrap();
        queue.send(1).unwrap();
        let done = offspring::Shared::new(offspring::Counter::new("done")).unwrap();
        let mut consumer = queue.consumer();
        let work = |_, _: &Seats| {
            assert_eq!(queue.recv(), Err(RecvError));
            done.add(1);
        };
        crew(by, 1, work, |seats| {
            seats.await_asleep(0);
            queue.close();
            seats.await_asleep(0);
            assert_eq!(consumer.recv(), Ok(1));
            assert_eq!(consumer.recv(), Err(RecvError));
            assert!(until(|| done.get() == 1, Duration::from_secs(10)));
        });
    });
}

/// `Closed` comes before `Full`: who polls must find out.
pub(crate) fn try_send_on_a_closed_queue_says_so_though_the_end_is_held() {
    let queue = RingQueue::<u64>::new(2).unwrap();
    let (_producer, _consumer) = (queue.producer(), queue.consumer());
    queue.close();
    crew(
        By::Processes,
        1,
        |_, _| {
            assert_eq!(queue.try_send(1), Err(TrySendError::Closed(1)));
            assert_eq!(queue.try_recv(), Err(TryRecvError::Closed));
        },
        |_| (),
    );
}

/// A thread that holds an end and asks for it again would wait for itself.
pub(crate) fn holding_twice_panics() {
    let queue = RingQueue::<u64>::new(2).unwrap();
    let _held = (queue.producer(), queue.consumer());
    let panics =
        |body: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err();
    assert!(panics(&|| drop(queue.producer())), "producer");
    assert!(panics(&|| drop(queue.consumer())), "consumer");
    assert!(
        panics(&|| {
            let _ = queue.send(1);
        }),
        "send"
    );
    assert!(
        panics(&|| {
            let _ = queue.recv();
        }),
        "recv"
    );
}

/// The child of a fork does not hold what its parent holds.
pub(crate) fn inherited_ends_panic_and_drop_quietly() {
    let queue = RingQueue::<u64>::new(2).unwrap();
    queue.send(1).unwrap();
    let ends = std::cell::RefCell::new(Some((queue.producer(), queue.consumer())));
    let work = || {
        let panics = |body: &mut dyn FnMut()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err()
        };
        let (mut producer, mut consumer) = ends.borrow_mut().take().unwrap();
        for _ in 0..2 {
            assert!(panics(&mut || {
                let _ = producer.send(1);
            }));
            assert!(panics(&mut || {
                let _ = producer.try_send(1);
            }));
            assert!(panics(&mut || {
                let _ = producer.send_many(&[1]);
            }));
            assert!(panics(&mut || {
                let _ = consumer.recv();
            }));
            assert!(panics(&mut || {
                let _ = consumer.try_recv();
            }));
            assert!(panics(&mut || {
                let _ = consumer.recv_many(&mut Vec::new(), 1);
            }));
            // Also once this process has an id of its own.
            let own = RingQueue::<u8>::new(1).unwrap();
            own.send(1).unwrap();
        }
        drop((producer, consumer));
        assert_eq!(queue.try_send(2), Err(TrySendError::Full(2)), "the parent holds it still");
        assert_eq!(queue.try_recv(), Err(TryRecvError::Empty), "the parent holds it still");
    };
    let kid = Kid::fork(work);
    assert_eq!(kid.join(), Ended::Exited(0));
    let (mut producer, mut consumer) = ends.borrow_mut().take().unwrap();
    producer.send(3).unwrap();
    assert_eq!((consumer.recv(), consumer.recv()), (Ok(1), Ok(3)));
}

/// The owner of an end dies or forgets it: the next one gets it, and finds what was sent.
pub(crate) fn dead_holders_end_goes_to_the_next() {
    let queue = RingQueue::<u64>::new(8).unwrap();
    let kid = Kid::fork(|| {
        let mut producer = queue.producer();
        producer.send_many(&[1, 2]).unwrap();
        let mut consumer = queue.consumer();
        assert_eq!(consumer.recv(), Ok(1));
        std::mem::forget((producer, consumer));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    queue.try_send(3).unwrap();
    assert_eq!((queue.try_recv(), queue.try_recv()), (Ok(2), Ok(3)));
    // With somebody asleep behind it.
    By::each(|by| {
        let kid = Kid::fork(|| {
            let mut held = (queue.producer(), queue.consumer());
            held.0.send(4).unwrap();
            loop {
                std::thread::park();
            }
        });
        assert!(until(|| queue.len() == 1, LONG));
        let work = |seat, _: &Seats| match seat {
            0 => queue.send(5).unwrap(),
            _ => assert_eq!(queue.recv(), Ok(4)),
        };
        crew(by, 2, work, |seats| {
            seats.await_all_asleep();
            kid.kill();
        });
        assert_eq!(queue.try_recv(), Ok(5));
    });
}
