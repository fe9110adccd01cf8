//! What crossbeam-channel's own tests ask of a bounded channel, between processes and between threads.

use std::time::{Duration, Instant};

use offspring::queue::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use offspring::{Counter, Region, RingQueue, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::until;

const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn counters(count: usize) -> Shared<[Counter]> {
    let region = Region::new(count * 128 + 128).expect("a region");
    region.place_slice(count, |_| Counter::new("")).expect("place counters")
}

pub(crate) fn smoke() {
    let queue = RingQueue::new(1).unwrap();
    queue.send(7u64).unwrap();
    assert_eq!(queue.try_recv(), Ok(7));
    queue.send(8).unwrap();
    assert_eq!(queue.recv(), Ok(8));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(queue.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
}

pub(crate) fn capacity() {
    for capacity in 1..10 {
        let queue = RingQueue::<u8>::new(capacity).unwrap();
        assert_eq!((queue.capacity(), queue.clone().capacity()), (capacity, capacity));
    }
}

pub(crate) fn len_empty_full() {
    let queue = RingQueue::new(2).unwrap();
    let look = |queue: &RingQueue<u64>| (queue.len(), queue.is_empty(), queue.is_full());
    assert_eq!(look(&queue), (0, true, false));
    queue.send(1).unwrap();
    assert_eq!(look(&queue), (1, false, false));
    queue.send(2).unwrap();
    assert_eq!(look(&queue), (2, false, true));
    queue.recv().unwrap();
    assert_eq!(look(&queue), (1, false, false));
    assert_eq!(look(&queue.clone()), (1, false, false));
}

pub(crate) fn try_recv() {
    By::each(|by| {
        let (queue, back) = (RingQueue::new(100).unwrap(), RingQueue::new(100).unwrap());
        let work = |_, _: &Seats| {
            assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
            back.send(1u64).unwrap();
            assert!(until(|| queue.try_recv() == Ok(7), LONG));
            assert_eq!(queue.try_recv(), Err(TryRecvError::Empty));
            back.send(2).unwrap();
            assert!(until(|| queue.try_recv() == Err(TryRecvError::Closed), LONG));
        };
        crew(by, 1, work, |_| {
            assert_eq!(back.recv(), Ok(1));
            queue.send(7u64).unwrap();
            assert!(until(|| back.try_recv() == Ok(2), LONG));
            queue.close();
        });
    });
}

pub(crate) fn recv() {
    By::each(|by| {
        let queue = RingQueue::new(100).unwrap();
        let work = |_, _: &Seats| {
            for n in 7..10u64 {
                assert_eq!(queue.recv(), Ok(n));
            }
            assert_eq!(queue.recv(), Err(RecvError));
        };
        crew(by, 1, work, |seats| {
            for n in 7..10 {
                seats.await_asleep(0);
                queue.send(n).unwrap();
            }
            queue.close();
        });
    });
}

pub(crate) fn recv_timeout() {
    By::each(|by| {
        let queue = RingQueue::new(100).unwrap();
        let work = |_, _: &Seats| {
            let start = Instant::now();
            assert_eq!(queue.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert!(start.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            assert_eq!(queue.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
            assert!(Instant::now() >= deadline);
            assert_eq!(queue.recv_deadline(start), Err(RecvTimeoutError::Timeout));
            assert_eq!(queue.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            queue.send(1).unwrap();
            assert_eq!(queue.recv_timeout(Duration::ZERO), Ok(1), "what is there needs no time");
            queue.send(2).unwrap();
            assert_eq!(queue.recv_deadline(start), Ok(2), "also when it is late");
            queue.close();
            assert_eq!(queue.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Closed));
        };
        crew(by, 1, work, |_| ());
        let queue = RingQueue::new(1).unwrap();
        let work = |_, _: &Seats| {
            assert_eq!(queue.recv_timeout(LONG), Ok(7u64));
            assert_eq!(queue.recv_timeout(Duration::MAX), Ok(8));
            assert_eq!(queue.recv_timeout(LONG), Err(RecvTimeoutError::Closed));
        };
        crew(by, 1, work, |seats| {
            for n in [7, 8] {
                seats.await_asleep(0);
                queue.send(n).unwrap();
                assert!(until(|| queue.is_empty(), LONG));
            }
            seats.await_asleep(0);
            queue.close();
        });
    });
}

pub(crate) fn try_send() {
    By::each(|by| {
        let queue = RingQueue::new(1).unwrap();
        let refused = counters(1);
        let work = |_, _: &Seats| {
            assert_eq!(queue.try_send(1u64), Ok(()));
            assert_eq!(queue.try_send(2), Err(TrySendError::Full(2)));
            refused[0].add(1);
            assert!(until(|| queue.try_send(3) == Ok(()), LONG));
            assert!(until(|| queue.try_send(4) == Err(TrySendError::Closed(4)), LONG));
        };
        crew(by, 1, work, |_| {
            assert!(until(|| refused[0].get() == 1, LONG));
            assert_eq!((queue.recv(), queue.recv()), (Ok(1), Ok(3)));
            queue.close();
        });
    });
}

pub(crate) fn send() {
    By::each(|by| {
        let queue = RingQueue::new(1).unwrap();
        let work = |_, _: &Seats| {
            for n in 7..10u64 {
                queue.send(n).unwrap();
            }
            assert_eq!(queue.send(777), Err(SendError(777)));
        };
        crew(by, 1, work, |seats| {
            for n in 7..9 {
                seats.await_asleep(0);
                assert_eq!(queue.recv(), Ok(n));
            }
            assert!(until(|| queue.is_full(), LONG));
            seats.await_asleep(0);
            queue.close();
            assert_eq!((queue.recv(), queue.recv()), (Ok(9), Err(RecvError)));
        });
    });
}

pub(crate) fn send_timeout() {
    By::each(|by| {
        let queue = RingQueue::new(1).unwrap();
        let refused = counters(1);
        let work = |_, _: &Seats| {
            let start = Instant::now();
            assert_eq!(queue.send_timeout(7u64, SHORT), Ok(()));
            assert_eq!(queue.send_timeout(8, SHORT), Err(SendTimeoutError::Timeout(8)));
            assert!(start.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            assert_eq!(queue.send_deadline(9, deadline), Err(SendTimeoutError::Timeout(9)));
            assert!(Instant::now() >= deadline);
            assert_eq!(queue.send_deadline(9, start), Err(SendTimeoutError::Timeout(9)));
            refused[0].add(1);
            assert_eq!(queue.send_timeout(10, LONG), Ok(()));
            refused[0].add(1);
            assert_eq!(queue.send_timeout(11, Duration::MAX), Err(SendTimeoutError::Closed(11)));
        };
        crew(by, 1, work, |seats| {
            assert!(until(|| refused[0].get() == 1, LONG));
            seats.await_asleep(0);
            assert_eq!(queue.recv(), Ok(7));
            assert!(until(|| refused[0].get() == 2, LONG));
            seats.await_asleep(0);
            queue.close();
            assert_eq!((queue.recv(), queue.recv()), (Ok(10), Err(RecvError)));
        });
    });
}

pub(crate) fn send_after_close() {
    let queue = RingQueue::new(100).unwrap();
    for n in 1..4u64 {
        queue.send(n).unwrap();
    }
    queue.clone().close();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.send(4), Err(SendError(4)));
    assert_eq!(queue.try_send(5), Err(TrySendError::Closed(5)));
    assert_eq!(queue.send_timeout(6, SHORT), Err(SendTimeoutError::Closed(6)));
    assert_eq!(queue.send_many(&[7]).unwrap_err().sent(), 0);
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.send(4).unwrap_err().into_inner(), 4);
    assert_eq!(queue.try_send(5).unwrap_err().into_inner(), 5);
    assert_eq!(queue.send_timeout(6, SHORT).unwrap_err().into_inner(), 6);
}

pub(crate) fn recv_after_close() {
    let queue = RingQueue::new(100).unwrap();
    for n in 1..4u64 {
        queue.send(n).unwrap();
    }
    queue.close();
    assert_eq!((queue.recv(), queue.try_recv(), queue.recv_timeout(SHORT)), (Ok(1), Ok(2), Ok(3)));
    assert_eq!(queue.recv(), Err(RecvError));
    assert_eq!(queue.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(queue.recv_timeout(SHORT), Err(RecvTimeoutError::Closed));
    assert_eq!(queue.recv_many(&mut Vec::new(), 9), Err(RecvError));
    assert_eq!((queue.iter().count(), queue.try_iter().count()), (0, 0));
}

pub(crate) fn len() {
    const COUNT: u64 = 25_000;
    const CAPACITY: usize = 1000;
    let queue = RingQueue::new(CAPACITY).unwrap();
    for _ in 0..CAPACITY / 10 {
        for n in 0..50u64 {
            queue.send(n).unwrap();
            assert_eq!(queue.len(), n as usize + 1);
        }
        for n in 0..50 {
            queue.recv().unwrap();
            assert_eq!(queue.len(), 50 - n - 1);
        }
    }
    By::each(|by| {
        let work = |seat, _: &Seats| {
            for n in 0..COUNT {
                match seat {
                    0 => assert_eq!(queue.recv(), Ok(n)),
                    _ => queue.send(n).unwrap(),
                }
                assert!(queue.len() <= CAPACITY);
            }
        };
        crew(by, 2, work, |_| ());
        assert_eq!(queue.len(), 0);
    });
}

pub(crate) fn close_wakes_sender() {
    By::each(|by| {
        let queue = RingQueue::new(1).unwrap();
        queue.send(0u64).unwrap();
        let work = |seat: usize, _: &Seats| {
            assert_eq!(queue.send(seat as u64), Err(SendError(seat as u64)));
        };
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            queue.close();
        });
    });
}

pub(crate) fn close_wakes_receiver() {
    By::each(|by| {
        let queue = RingQueue::<u64>::new(1).unwrap();
        let work = |_, _: &Seats| assert_eq!(queue.recv(), Err(RecvError));
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            queue.close();
        });
    });
}
