//! Many at once: nobody dies, then workers are killed at random moments, thousands of them.
//!
//! The books. A worker notes in shared memory that it is about to acknowledge an item, and then that it has; a sender the
//! same. An item whose acknowledgement was confirmed never arrives again. At the end every item that was sent has been
//! acknowledged once, or is a dead letter that was delivered as often as it may be; only an item whose holder died between
//! its two notes may have been either. `OFFSPRING_DEATHS` says how many die, `OFFSPRING_SEED` repeats the choices.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use offspring::queue::{Delivery, NotReceived, WorkLimits};
use offspring::{Region, Shared, WorkQueue};

use crate::floors::{By, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed, until};

type Item = (u64, Vec<u8>);

fn item(number: u64) -> Item {
    let length = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55;
    (number, vec![number as u8; length as usize])
}

pub(crate) fn exactly_once() {
    const EACH: u64 = 3_000;
    let seed = seed();
    By::each(|by| {
        for capacity in [1, 4, 64] {
            let limits = WorkLimits::items(capacity).bytes(4096).max_attempts(u32::MAX);
            let queue = WorkQueue::<Item>::with_limits(limits).unwrap();
            let region = Region::new(1 << 16).unwrap();
            let done = region.place_slice(4 * EACH as usize, |_| AtomicU8::new(0)).unwrap();
            let senders = Shared::new(AtomicU32::new(0)).unwrap();
            let work = |seat: usize, _: &Seats| {
                let mut rng = Rng::new(seed ^ seat as u64);
                if seat < 4 {
                    let numbers = seat as u64 * EACH..(seat as u64 + 1) * EACH;
                    numbers.for_each(|number| queue.send(item(number)).unwrap());
                    if senders.fetch_add(1, SeqCst) == 3 {
                        queue.close();
                    }
                    return;
                }
                while let Ok(delivery) = queue.recv() {
                    assert_eq!(*delivery, item(delivery.0));
                    if rng.one_in(4) {
                        delivery.nack();
                        continue;
                    }
                    let (number, _) = delivery.ack();
                    assert_eq!(done[number as usize].fetch_add(1, SeqCst), 0);
                }
            };
            crew(by, 8, work, |_| {});
            assert_eq!(queue.unfinished() + queue.dead_letter_count(), 0);
            assert!(done.iter().all(|count| count.load(SeqCst) == 1));
        }
    });
}

const SENDERS: usize = 2;
const SEATS: usize = 6;
const NUMBERS: usize = 1 << 19;
const MAX_ATTEMPTS: u32 = 4;
const STALL: Duration = Duration::from_secs(10);

/// What a sender says of a number, and a receiver of an item.
const SENDING: u8 = 1;
const SENT: u8 = 2;
const ENDING: u8 = 4;
const ENDED: u8 = 8;

struct World {
    queue: WorkQueue<Item>,
    /// What is known of each item.
    marks: Shared<[AtomicU8]>,
    /// For each sender, its next number; for each seat, how much it has done.
    next: Shared<[AtomicU64]>,
    done: Shared<[AtomicU64]>,
    stop: Shared<AtomicU32>,
}

impl World {
    fn new() -> World {
        let limits = WorkLimits::items(16).bytes(6144).max_attempts(MAX_ATTEMPTS);
        let region = Region::new(SENDERS * NUMBERS + 4096).unwrap();
        World {
            queue: WorkQueue::with_limits(limits).unwrap(),
            marks: region.place_slice(SENDERS * NUMBERS, |_| AtomicU8::new(0)).unwrap(),
            next: region.place_slice(SENDERS, |_| AtomicU64::new(0)).unwrap(),
            done: region.place_slice(SEATS, |_| AtomicU64::new(0)).unwrap(),
            stop: Shared::new(AtomicU32::new(0)).unwrap(),
        }
    }

    fn mark(&self, number: u64, mark: u8) -> u8 {
        self.marks[number as usize].fetch_or(mark, SeqCst)
    }

    fn send_some(&self, seat: usize, rng: &mut Rng) {
        let next = self.next[seat].fetch_add(1, SeqCst);
        let number = (seat * NUMBERS) as u64 + next;
        self.mark(number, SENDING);
        let timeout = Duration::from_micros(rng.below(300));
        let sent = match rng.below(3) {
            0 => self.queue.try_send(item(number)),
            1 => self.queue.send_timeout(item(number), timeout),
            _ => self.queue.send(item(number)),
        };
        match sent {
            Ok(()) => _ = self.mark(number, SENT),
            Err(_) => _ = self.marks[number as usize].fetch_and(!SENDING, SeqCst),
        }
    }

    fn recv_some(&self, rng: &mut Rng) -> bool {
        let timeout = Duration::from_micros(rng.below(300));
        let received = match rng.below(3) {
            0 => self.queue.try_recv(),
            1 => self.queue.recv_timeout(timeout),
            _ => self.queue.recv(),
        };
        match received {
            Ok(delivery) => self.deal_with(delivery, rng),
            Err(NotReceived::Closed) => return false,
            Err(_) => {}
        }
        true
    }

    fn deal_with(&self, delivery: Delivery<'_, Item>, rng: &mut Rng) {
        let number = delivery.0;
        assert_eq!(*delivery, item(number), "a torn item");
        assert!((1..=MAX_ATTEMPTS).contains(&delivery.attempts()));
        let marks = self.marks[number as usize].load(SeqCst);
        assert!(marks & SENDING != 0 && marks & ENDED == 0, "item {number}: {marks:b}");
        if delivery.attempts() == 1 {
            assert!(marks & ENDING == 0, "item {number} was held before");
        }
        match rng.below(8) {
            0 => delivery.nack(),
            1 => {
                // Another one meanwhile, and a moment in which both are held.
                if let Ok(other) = self.queue.try_recv() {
                    dawdle(rng);
                    drop(delivery);
                    self.deal_with(other, rng);
                }
            }
            _ => {
                dawdle(rng);
                self.mark(number, ENDING);
                delivery.ack();
                self.mark(number, ENDED);
            }
        }
    }

    fn work(&self, seat: usize, seed: u64) {
        let mut rng = Rng::new(seed);
        loop {
            if seat < SENDERS {
                let used_up = self.next[seat].load(SeqCst) as usize + 1 >= NUMBERS;
                if self.stop.load(SeqCst) != 0 || used_up {
                    return;
                }
                self.send_some(seat, &mut rng);
            } else if !self.recv_some(&mut rng) {
                return;
            }
            self.done[seat].fetch_add(1, SeqCst);
        }
    }
}

fn dawdle(rng: &mut Rng) {
    for _ in 0..rng.below(2000) {
        std::hint::spin_loop();
    }
}

pub(crate) fn random_death() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let deaths = match std::env::var("OFFSPRING_DEATHS") {
        Ok(count) => count.parse().expect("OFFSPRING_DEATHS is a number"),
        Err(_) => 1500,
    };
    let world = World::new();
    let start = |seat, rng: &mut Rng| {
        let seed = rng.next_u64();
        Kid::fork(|| world.work(seat, seed))
    };
    let mut kids: Vec<Kid> = (0..SEATS).map(|seat| start(seat, &mut rng)).collect();
    let begin = Instant::now();
    let progress = || world.done.iter().map(|count| count.load(SeqCst)).sum::<u64>();
    let mut letters = 0;
    for death in 0..deaths {
        // Some deaths come right behind the last one, some after a while.
        let before = progress();
        let pause = before + rng.below(30);
        let full = || world.queue.dead_letter_count() > 4;
        assert!(
            until(|| progress() >= pause || full(), STALL),
            "after {death} deaths nobody gets anything done: {:?}",
            (world.queue.len(), world.queue.in_delivery(), world.queue.dead_letter_count())
        );
        while full() {
            check_letter(&world, &mut letters);
        }
        let seat = rng.below(SEATS as u64) as usize;
        let kid = std::mem::replace(&mut kids[seat], start(seat, &mut rng));
        kid.kill();
    }
    world.stop.store(1, SeqCst);
    let mut kids = kids.into_iter();
    // Senders may wait for room that dead letters take.
    let senders: Vec<Kid> = kids.by_ref().take(SENDERS).collect();
    for kid in senders {
        let ended = || {
            while world.queue.dead_letter_count() > 4 {
                check_letter(&world, &mut letters);
            }
            crate::support::has_ended(kid.pid())
        };
        assert!(until(ended, STALL));
        assert_eq!(kid.join(), Ended::Exited(0));
    }
    world.queue.close();
    kids.for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    assert_eq!(world.queue.unfinished(), 0);
    while world.queue.dead_letter_count() > 0 {
        check_letter(&world, &mut letters);
    }
    let (mut ended, mut open) = (0, 0);
    for (number, marks) in world.marks.iter().enumerate() {
        match marks.load(SeqCst) {
            0 => {}
            marks if marks & ENDED != 0 => ended += 1,
            // The sender died in the middle, or the receiver did.
            marks if marks & SENT == 0 || marks & ENDING != 0 => open += 1,
            marks => panic!("item {number} was sent and is gone: {marks:b}"),
        }
    }
    println!(
        "{deaths} deaths in {:.1} s: {ended} items acknowledged, {letters} dead letters, {open} in doubt",
        begin.elapsed().as_secs_f64()
    );
    assert!(open <= 2 * deaths as u64);
}

/// Takes a dead letter and notes that it has ended.
fn check_letter(world: &World, letters: &mut u64) {
    let Some(letter) = world.queue.take_dead_letter() else { return };
    assert_eq!(letter.attempts(), MAX_ATTEMPTS);
    let number = letter.value().unwrap().0;
    assert_eq!(letter.into_value(), Ok(item(number)));
    assert_eq!(world.mark(number, ENDED) & ENDED, 0, "item {number} has ended twice");
    *letters += 1;
}
