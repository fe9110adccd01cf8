//! SIGKILL at random moments, of those who send and of those who poll.

use nix::sys::signal::Signal;
use offspring::queue::{NotReceived, Pollable, TryRecvError};
use offspring::{Queue, RingQueue, WorkQueue, wait_any};
use std::time::{Duration, Instant};

use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, seed, until};

struct Both {
    ring: Pollable<RingQueue<u64>>,
    bytes: Pollable<Queue<()>>,
}

impl Both {
    fn new() -> Both {
        Both {
            ring: Pollable::<RingQueue<u64>>::new(8).unwrap(),
            bytes: Pollable::<Queue<()>>::with_capacity_bytes(16_000).unwrap(),
        }
    }

    fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.bytes.is_empty()
    }

    /// A child that sends until it is killed.
    fn sender(&self, seed: u64) -> Kid {
        Kid::fork(move || {
            let mut rng = Rng::new(seed);
            loop {
                match rng.below(4) {
                    0 => self.ring.send(1).unwrap(),
                    1 => self.ring.producer().send_many(&[1, 2]).unwrap(),
                    2 => self.bytes.send_bytes(&[1; 20]).unwrap(),
                    _ => self.bytes.send_bytes(&[1; 3000]).unwrap(),
                }
                (0..rng.below(500)).for_each(|_| std::hint::spin_loop());
            }
        })
    }

    /// A child that receives what it is woken for, until both are closed.
    fn poller(&self) -> Kid {
        Kid::fork(|| {
            let mut buffer = [0; 3000];
            let mut ended = [false; 2];
            while ended != [true; 2] {
                wait_any(&[&self.ring, &self.bytes]).unwrap();
                ended[0] |= loop {
                    match self.ring.try_recv() {
                        Ok(_) => {}
                        Err(end) => break end == TryRecvError::Closed,
                    }
                };
                ended[1] |= loop {
                    match self.bytes.try_recv_bytes_into(&mut buffer) {
                        Ok(_) => {}
                        Err(end) => break end == NotReceived::Closed,
                    }
                };
            }
        })
    }

    fn finish(&self, pollers: impl IntoIterator<Item = Kid>) {
        self.ring.close();
        self.bytes.close();
        for poller in pollers {
            assert_eq!(poller.join(), Ended::Exited(0));
        }
    }
}

fn a_moment(rng: &mut Rng) {
    let end = Instant::now() + Duration::from_micros(rng.below(1500));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Whatever a killed sender leaves, the poller takes, woken by nothing else.
pub(crate) fn senders() {
    let mut rng = Rng::new(seed());
    let both = Both::new();
    let poller = both.poller();
    for round in 0..600 {
        let sender = both.sender(rng.next_u64());
        a_moment(&mut rng);
        assert_eq!(sender.kill(), Ended::Killed(Signal::SIGKILL));
        assert!(until(|| both.is_empty(), LONG), "round {round}: nobody is woken");
    }
    both.finish([poller]);
}

/// The same of a work queue; the one that works gives every third item back once.
pub(crate) fn senders_of_work() {
    let mut rng = Rng::new(seed());
    let jobs = Pollable::<WorkQueue<u64>>::new(8).unwrap();
    let poller = Kid::fork(|| {
        loop {
            wait_any(&[&jobs]).unwrap();
            let end = loop {
                match jobs.try_recv() {
                    Ok(delivery) if *delivery % 3 == 0 && delivery.attempts() == 1 => {
                        delivery.nack()
                    }
                    Ok(delivery) => drop(delivery.ack()),
                    Err(end) => break end,
                }
            };
            if end == NotReceived::Closed {
                return;
            }
        }
    });
    for round in 0..400 {
        let sender = Kid::fork(|| (0..u64::MAX).for_each(|n| jobs.send(n).unwrap()));
        a_moment(&mut rng);
        assert_eq!(sender.kill(), Ended::Killed(Signal::SIGKILL));
        // A glance wakes nobody.
        assert!(until(|| jobs.glance() == [0; 3], LONG), "round {round}: nobody is woken");
    }
    jobs.close();
    assert_eq!(poller.join(), Ended::Exited(0));
}

/// Of two pollers one is killed; the other takes what is there (but for what a dead one had in its hands: the next message
/// brings that).
pub(crate) fn pollers() {
    let mut rng = Rng::new(seed());
    let both = Both::new();
    let poller = both.poller();
    for round in 0..300 {
        let (victim, sender) = (both.poller(), both.sender(rng.next_u64()));
        a_moment(&mut rng);
        assert_eq!(victim.kill(), Ended::Killed(Signal::SIGKILL));
        a_moment(&mut rng);
        assert_eq!(sender.kill(), Ended::Killed(Signal::SIGKILL));
        assert!(until(|| both.ring.is_empty(), LONG), "round {round}: nobody is woken");
        both.bytes.send_bytes(&[1; 20]).unwrap();
        assert!(until(|| both.is_empty(), LONG), "round {round}: nobody is woken");
    }
    both.finish([poller]);
}

/// One that is stopped in the middle of a large message holds up no poller: it rests, and is woken when the message is there.
pub(crate) fn stopped_sender_costs_no_sleep_of_others() {
    let mut rng = Rng::new(seed());
    let both = Both::new();
    let poller = both.poller();
    let senders: Vec<Kid> = (0..2).map(|_| both.sender(rng.next_u64())).collect();
    for _ in 0..100 {
        for sender in &senders {
            sender.signal(Signal::SIGSTOP);
            a_moment(&mut rng);
            sender.signal(Signal::SIGCONT);
        }
    }
    for sender in senders {
        assert_eq!(sender.kill(), Ended::Killed(Signal::SIGKILL));
    }
    assert!(until(|| both.is_empty(), LONG), "nobody is woken");
    both.finish([poller]);
}
