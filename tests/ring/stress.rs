//! The heavier half of what crossbeam-channel's own tests ask; their names.

use std::time::Duration;

use offspring::RingQueue;
use offspring::queue::{RecvError, RecvTimeoutError, SendTimeoutError};

use super::crossbeam::counters;
use crate::floors::{By, LONG, Seats, crew};
use crate::support::until;

pub(crate) fn spsc() {
    const COUNT: u64 = 200_000;
    By::each(|by| {
        let queue = RingQueue::new(3).unwrap();
        let work = |_, _: &Seats| {
            for n in 0..COUNT {
                assert_eq!(queue.recv(), Ok(n));
            }
            assert_eq!(queue.recv(), Err(RecvError));
        };
        crew(by, 1, work, |_| {
            (0..COUNT).for_each(|n| queue.send(n).unwrap());
            queue.close();
        });
    });
}

pub(crate) fn mpmc() {
    const COUNT: usize = 10_000;
    const HANDS: usize = 4;
    By::each(|by| {
        let queue = RingQueue::<u64>::new(3).unwrap();
        let seen = counters(COUNT);
        let work = |seat, _: &Seats| match seat < HANDS {
            true => (0..COUNT).for_each(|n| queue.send(n as u64).unwrap()),
            false => (0..COUNT).for_each(|_| {
                seen[queue.recv().unwrap() as usize].add(1);
            }),
        };
        crew(by, 2 * HANDS, work, |_| ());
        assert!(seen.iter().all(|count| count.get() == HANDS as u64));
        assert!(queue.is_empty());
    });
}

pub(crate) fn stress_oneshot() {
    By::each(|by| {
        for round in 0..if by == By::Threads { 2_000 } else { 500u64 } {
            let queue = RingQueue::new(1).unwrap();
            crew(
                by,
                1,
                |_, _: &Seats| assert_eq!(queue.recv(), Ok(round)),
                |_| queue.send(round).unwrap(),
            );
        }
    });
}

pub(crate) fn stress_iter() {
    const COUNT: u64 = 10_000;
    By::each(|by| {
        let (requests, answers) = (RingQueue::new(100).unwrap(), RingQueue::new(100).unwrap());
        let work = |_, _: &Seats| {
            let mut total = 0;
            while total < COUNT {
                requests.send(1u8).unwrap();
                total += answers.try_iter().sum::<u64>();
            }
            requests.close();
        };
        crew(by, 1, work, |_| {
            for _ in &requests {
                // crossbeam's asker does not wait either; nor may we, for it has stopped listening at the end.
                let _ = answers.try_send(1);
            }
        });
    });
}

pub(crate) fn stress_timeout() {
    const COUNT: u64 = 300;
    By::each(|by| {
        let queue = RingQueue::new(2).unwrap();
        let patience = |n: u64| Duration::from_micros(n % 7 * 40);
        let work = |_, _: &Seats| {
            for n in 0..COUNT {
                let mut value = n;
                while let Err(error) = queue.send_timeout(value, patience(n)) {
                    assert!(matches!(error, SendTimeoutError::Timeout(_)));
                    value = error.into_inner();
                }
            }
        };
        crew(by, 1, work, |_| {
            for n in 0..COUNT {
                let received = loop {
                    match queue.recv_timeout(patience(n + 3)) {
                        Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
                        Ok(value) => break value,
                    }
                };
                assert_eq!(received, n);
            }
        });
    });
}

/// Each takes what it has just put in, or somebody else's: then a `try_recv` that comes after one's own send never fails.
pub(crate) fn linearizable() {
    const COUNT: usize = 10_000;
    const HANDS: usize = 4;
    By::each(|by| {
        let queue = RingQueue::new(HANDS).unwrap();
        let work = |_, _: &Seats| {
            for _ in 0..COUNT {
                queue.send(0u8).unwrap();
                queue.try_recv().unwrap();
            }
        };
        crew(by, HANDS, work, |_| ());
    });
}

/// As in crossbeam: everybody gets some.
pub(crate) fn fairness() {
    const COUNT: u64 = 20_000;
    By::each(|by| {
        let queues: Vec<_> = (0..2).map(|_| RingQueue::new(64).unwrap()).collect();
        let got = counters(4);
        let work = |seat: usize, _: &Seats| {
            for _ in &queues[seat % 2] {
                got[seat].add(1);
            }
        };
        crew(by, 4, work, |seats| {
            (0..4).for_each(|seat| assert!(until(|| seats.tid(seat) != 0, LONG)));
            // Until then there is more, so that a late starter is no excuse.
            let all = || (0..4).all(|seat| got[seat].get() > 0);
            for n in 0.. {
                queues.iter().for_each(|queue| queue.send(1u8).unwrap());
                if n > COUNT && all() {
                    break;
                }
            }
            queues.iter().for_each(RingQueue::close);
        });
        assert!(got.iter().all(|got| got.get() > 0));
    });
}

/// A queue ends with its last handle, wherever that is; messages need no drop.
pub(crate) fn drops() {
    let before = crate::floors::mappings().len();
    for capacity in [1, 5, 1000] {
        let queue = RingQueue::<u64>::new(capacity).unwrap();
        let other = queue.clone();
        drop(queue);
        other.send(7).unwrap();
        assert_eq!(other.try_iter().collect::<Vec<_>>(), [7]);
        assert_eq!(crate::floors::mappings().len(), before + 1);
        other.send(8).unwrap();
    }
    assert_eq!(crate::floors::mappings().len(), before);
}
