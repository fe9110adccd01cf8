//! Random death: eight processes on one lock and one queue, killed at random moments and replaced, thousands of times.
//!
//! Four seats send, four receive, all of them add to counts under the lock; each operation is drawn from all that the API has.
//! The books are exact:
//!
//! - Before an operation a process notes that it begins, after it that it has ended, in shared memory. Only an operation that
//!   was under way at a death may have happened or not.
//! - The counts under the lock: at each death the parent takes the lock and compares. A count is what was confirmed, or one
//!   more if an addition was under way; then it is confirmed. Nothing else is allowed, and the total is the sum.
//! - Messages: what was confirmed as sent arrives exactly once, except for what a receiver had taken out and not noted when it
//!   died, which is at most what it was asking for. What was under way may arrive, once. Nothing else arrives.
//! - Order: a receiver sees each sender's numbers rise. (Its predecessor's last number stands in shared memory.)
//! - Life: if nobody gets anything done for ten seconds, somebody sleeps for ever. Backstop timeouts are off.
//!
//! `OFFSPRING_SEED` repeats a run's random choices (not its timing), `OFFSPRING_DEATHS` sets how many die.

mod support;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use offspring::{LockError, Mutex, MutexGuard, Region, RingQueue, Shared, queue};
use support::{Kid, Rng, case};

fn main() {
    support::run(&[
        case!(eight_processes).deadline_s(300).shown(),
        case!(eight_processes_on_a_tiny_queue).deadline_s(300).shown(),
    ]);
}

const SENDERS: usize = 4;
const SEATS: usize = 8;
/// How many messages a sender may send; then it only adds.
const NUMBERS: usize = 1 << 22;
const BURST: usize = 4;
const STALL: Duration = Duration::from_secs(10);

/// Sender, number, and a word that follows from them.
type Message = [u64; 3];

/// What a seat's process says about itself.
const FIELDS: usize = 4;
/// Additions confirmed.
const ADDED: usize = 0;
/// Senders: the next number to send; all below are confirmed or were under way at a death.
const NEXT: usize = 1;
/// Senders: how many numbers from NEXT on are under way. Receivers: how many messages are being asked for.
const UNDER_WAY: usize = 2;
/// Operations done, of any kind.
const DONE: usize = 3;

struct World {
    counts: Shared<Mutex<[u64; SEATS + 1]>>,
    queue: RingQueue<Message>,
    notes: Shared<[AtomicU64]>,
    /// Per sender and number, how often it was received.
    arrivals: Shared<[AtomicU8]>,
    /// Per receiver and sender, the last number received, plus one.
    latest: Shared<[AtomicU64]>,
    stop: Shared<AtomicU64>,
}

impl World {
    fn new(capacity: usize) -> World {
        let region = Region::new(SENDERS * NUMBERS + (1 << 16)).expect("map a region");
        World {
            counts: Shared::new(Mutex::new([0; SEATS + 1])).expect("place the counts"),
            queue: RingQueue::new(capacity).expect("make a queue"),
            notes: region.place_slice(SEATS * FIELDS, |_| AtomicU64::new(0)).expect("place notes"),
            arrivals: region.place_slice(SENDERS * NUMBERS, |_| AtomicU8::new(0)).expect("place"),
            latest: region.place_slice(SEATS * SENDERS, |_| AtomicU64::new(0)).expect("place"),
            stop: Shared::new(AtomicU64::new(0)).expect("place a flag"),
        }
    }

    fn note(&self, seat: usize, field: usize) -> &AtomicU64 {
        &self.notes[seat * FIELDS + field]
    }

    fn stopping(&self) -> bool {
        self.stop.load(SeqCst) != 0
    }

    /// One addition to the seat's count and the total, by one of the ways to lock.
    fn add(&self, seat: usize, rng: &mut Rng) {
        let guard = match rng.below(4) {
            0 => self.counts.try_lock(),
            1 => self.counts.lock_timeout(Duration::from_micros(rng.below(100))),
            _ => self.counts.lock(),
        };
        let Some(mut counts) = entered(guard) else { return };
        counts[seat] += 1;
        if rng.one_in(8) {
            dawdle(rng);
        }
        counts[SEATS] += 1;
        drop(counts);
        self.note(seat, ADDED).fetch_add(1, SeqCst);
    }

    fn message(&self, seat: usize, number: u64) -> Message {
        [seat as u64, number, seal(seat as u64, number)]
    }

    /// The numbers from NEXT on are about to be sent.
    fn begin(&self, seat: usize, count: usize) -> Range<u64> {
        let next = self.note(seat, NEXT).load(SeqCst);
        self.note(seat, UNDER_WAY).store(count as u64, SeqCst);
        next..next + count as u64
    }

    /// So many of them were sent.
    fn confirm(&self, seat: usize, sent: usize) {
        // Died between these two: one that is confirmed counts as under way as well, which allows for less, not for more.
        self.note(seat, NEXT).fetch_add(sent as u64, SeqCst);
        self.note(seat, UNDER_WAY).store(0, SeqCst);
    }

    fn send_some(&self, seat: usize, rng: &mut Rng) {
        let timeout = Duration::from_micros(rng.below(200));
        match rng.below(8) {
            0 => {
                let mut producer = match rng.below(2) {
                    0 => self.queue.producer(),
                    _ => match self.queue.try_producer() {
                        Some(producer) => producer,
                        None => return,
                    },
                };
                for _ in 0..rng.below(BURST as u64) {
                    let number = self.begin(seat, 1).start;
                    producer.send(self.message(seat, number)).expect("nobody closes the queue");
                    self.confirm(seat, 1);
                }
            }
            1 => {
                let count = 1 + rng.below(BURST as u64) as usize;
                let numbers = self.begin(seat, count);
                let messages: Vec<_> = numbers.map(|number| self.message(seat, number)).collect();
                self.queue.send_many(&messages).expect("nobody closes the queue");
                self.confirm(seat, count);
            }
            way => {
                let number = self.begin(seat, 1).start;
                let message = self.message(seat, number);
                let sent = match way {
                    2 => self.queue.try_send(message).is_ok(),
                    3 => self.queue.send_timeout(message, timeout).is_ok(),
                    _ => self.queue.send(message).is_ok(),
                };
                self.confirm(seat, usize::from(sent));
            }
        }
    }

    /// False when the queue is closed and empty.
    fn recv_some(&self, seat: usize, rng: &mut Rng) -> bool {
        let asking = self.note(seat, UNDER_WAY);
        let timeout = Duration::from_micros(rng.below(200));
        match rng.below(8) {
            0 => {
                let mut consumer = match rng.below(2) {
                    0 => self.queue.consumer(),
                    _ => match self.queue.try_consumer() {
                        Some(consumer) => consumer,
                        None => return true,
                    },
                };
                for _ in 0..rng.below(BURST as u64) {
                    asking.store(1, SeqCst);
                    let got = consumer.recv_timeout(timeout);
                    let open = got != Err(queue::RecvTimeoutError::Closed);
                    self.take(seat, got.ok());
                    asking.store(0, SeqCst);
                    if !open {
                        return false;
                    }
                }
                true
            }
            1 => {
                let mut messages = Vec::with_capacity(BURST);
                asking.store(BURST as u64, SeqCst);
                let open = self.queue.recv_many(&mut messages, BURST).is_ok();
                self.take(seat, messages);
                asking.store(0, SeqCst);
                open
            }
            way => {
                asking.store(1, SeqCst);
                let (got, open) = match way {
                    2 => match self.queue.try_recv() {
                        Ok(message) => (Some(message), true),
                        Err(error) => (None, error == queue::TryRecvError::Empty),
                    },
                    3 => match self.queue.recv_timeout(timeout) {
                        Ok(message) => (Some(message), true),
                        Err(error) => (None, error == queue::RecvTimeoutError::Timeout),
                    },
                    _ => (self.queue.recv().ok(), true),
                };
                let open = open && (way < 4 || got.is_some());
                self.take(seat, got);
                asking.store(0, SeqCst);
                open
            }
        }
    }

    /// Notes what a receiver has received.
    fn take(&self, seat: usize, messages: impl IntoIterator<Item = Message>) {
        for [sender, number, word] in messages {
            assert_eq!(word, seal(sender, number), "a torn message");
            let before =
                self.arrivals[sender as usize * NUMBERS + number as usize].fetch_add(1, SeqCst);
            assert_eq!(before, 0, "number {number} of sender {sender} arrived twice");
            let latest = &self.latest[seat * SENDERS + sender as usize];
            let last = latest.swap(number + 1, SeqCst);
            assert!(number >= last, "number {number} of sender {sender} after {last}");
        }
    }

    /// The life of a process.
    fn work(&self, seat: usize, seed: u64) {
        let mut rng = Rng::new(seed);
        loop {
            if rng.one_in(4) {
                self.add(seat, &mut rng);
            }
            if seat < SENDERS {
                let next = self.note(seat, NEXT).load(SeqCst) as usize;
                if self.stopping() {
                    return;
                }
                match next + 2 * BURST > NUMBERS {
                    true => self.add(seat, &mut rng),
                    false => self.send_some(seat, &mut rng),
                }
            } else if !self.recv_some(seat, &mut rng) {
                return;
            }
            if rng.one_in(16) {
                dawdle(&mut rng);
            }
            self.note(seat, DONE).fetch_add(1, SeqCst);
        }
    }
}

fn seal(sender: u64, number: u64) -> u64 {
    (number << 8 | sender).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The guard, with the total repaired if its last owner died; `None` if the lock was not to be had.
fn entered<'a>(
    result: Result<MutexGuard<'a, [u64; SEATS + 1]>, LockError<'a, [u64; SEATS + 1]>>,
) -> Option<MutexGuard<'a, [u64; SEATS + 1]>> {
    match result {
        Ok(counts) => {
            let sum: u64 = counts[..SEATS].iter().sum();
            assert_eq!(sum, counts[SEATS], "half an addition, and no word of a dead owner");
            Some(counts)
        }
        Err(LockError::OwnerDied(died)) => {
            assert!(!died.owner().panicked());
            let mut counts = died.recover();
            counts[SEATS] = counts[..SEATS].iter().sum();
            Some(counts)
        }
        Err(LockError::WouldBlock | LockError::TimedOut) => None,
    }
}

/// Keeps the CPU busy for a while, up to some 50 µs.
fn dawdle(rng: &mut Rng) {
    for _ in 0..rng.below(1500) {
        std::hint::spin_loop();
    }
}

/// The parent's side: who is alive, and what deaths have left open.
struct Parent<'a> {
    world: &'a World,
    rng: Rng,
    kids: Vec<Option<Kid>>,
    /// Numbers that were under way at a sender's death: they may arrive or not.
    open: HashSet<(usize, u64)>,
    /// How many messages the dead receivers may have had in their hands.
    in_hands: u64,
}

impl Parent<'_> {
    fn fork(&mut self, seat: usize) {
        let (world, seed) = (self.world, self.rng.next_u64());
        self.kids[seat] = Some(Kid::fork(|| world.work(seat, seed)));
    }

    /// Kills the one in this seat, and settles its account.
    fn bury(&mut self, seat: usize) {
        let ended = self.kids[seat].take().expect("every seat is taken").kill();
        assert!(
            matches!(ended, support::Ended::Killed(nix::sys::signal::Signal::SIGKILL)),
            "seat {seat} had ended by itself: {ended:?}"
        );
        let world = self.world;
        let under_way = world.note(seat, UNDER_WAY).swap(0, SeqCst);
        if seat < SENDERS {
            let next = world.note(seat, NEXT).fetch_add(under_way, SeqCst);
            self.open.extend((next..next + under_way).map(|number| (seat, number)));
        } else {
            self.in_hands += under_way;
        }
        let counts = entered(world.counts.lock()).expect("lock() waits");
        let (counted, confirmed) = (counts[seat], world.note(seat, ADDED).load(SeqCst));
        drop(counts);
        assert!(
            counted == confirmed || counted == confirmed + 1,
            "seat {seat} has confirmed {confirmed} additions, and {counted} are there"
        );
        world.note(seat, ADDED).store(counted, SeqCst);
    }

    fn done(&self) -> u64 {
        (0..SEATS).map(|seat| self.world.note(seat, DONE).load(SeqCst)).sum()
    }

    /// Who sleeps, for the report of a stall.
    fn scene(&self) -> String {
        let seats = self.kids.iter().enumerate().map(|(seat, kid)| {
            let asleep = kid.as_ref().is_some_and(|kid| support::asleep(kid.pid()));
            let done = self.world.note(seat, DONE).load(SeqCst);
            format!("seat {seat}: {done} done{}", if asleep { ", asleep" } else { "" })
        });
        format!("{}; {:?}", seats.collect::<Vec<_>>().join("; "), self.world.queue)
    }
}

fn eight_processes() {
    run(64);
}

fn eight_processes_on_a_tiny_queue() {
    run(2);
}

fn run(capacity: usize) {
    offspring::proof::turn_off_backstops();
    let mut rng = Rng::new(support::seed());
    let deaths = match std::env::var("OFFSPRING_DEATHS") {
        Ok(text) => text.parse().expect("OFFSPRING_DEATHS is a number"),
        Err(_) => 3000,
    };
    let world = World::new(capacity);
    let seed = rng.next_u64();
    let kids = (0..SEATS).map(|_| None).collect();
    let mut parent =
        Parent { world: &world, rng: Rng::new(seed), kids, open: HashSet::new(), in_hands: 0 };
    (0..SEATS).for_each(|seat| parent.fork(seat));
    let started = Instant::now();
    for death in 0..deaths {
        // A random moment: some live for a few microseconds, some for two milliseconds.
        let life = Duration::from_micros(1 << rng.below(12));
        let moment = Instant::now() + life;
        assert!(support::until(|| Instant::now() >= moment, STALL));
        if death % 64 == 0 {
            let before = parent.done();
            let alive = support::until(|| parent.done() > before + 64, STALL);
            assert!(alive, "after {death} deaths nothing moves: {}", parent.scene());
        }
        let seat = rng.below(SEATS as u64) as usize;
        parent.bury(seat);
        parent.fork(seat);
    }
    let seconds = started.elapsed().as_secs_f64();

    // The end: senders stop, what they sent is received, receivers see the queue closed and empty.
    world.stop.store(1, SeqCst);
    let mut join = |seats: Range<usize>| {
        for seat in seats {
            let pid = parent.kids[seat].as_ref().expect("every seat is taken").pid();
            let gone = || support::has_ended(pid);
            assert!(support::until(gone, STALL), "seat {seat} does not end: {}", parent.scene());
            let ended = parent.kids[seat].take().expect("every seat is taken").join();
            assert_eq!(ended, support::Ended::Exited(0), "seat {seat}");
        }
    };
    join(0..SENDERS);
    world.queue.close();
    join(SENDERS..SEATS);
    assert!(
        world.queue.is_empty(),
        "receivers have ended, and {} messages are left",
        world.queue.len()
    );

    let counts = *entered(world.counts.lock()).expect("lock() waits");
    for (seat, &counted) in counts[..SEATS].iter().enumerate() {
        assert_eq!(counted, world.note(seat, ADDED).load(SeqCst), "additions of seat {seat}");
    }
    let mut missing = 0;
    let mut arrived = 0;
    for sender in 0..SENDERS {
        let next = world.note(sender, NEXT).load(SeqCst);
        let is_open = |number: u64| parent.open.contains(&(sender, number));
        for number in 0..NUMBERS as u64 {
            let count = world.arrivals[sender * NUMBERS + number as usize].load(SeqCst);
            assert!(count <= 1, "number {number} of sender {sender} arrived {count} times");
            assert!(
                count == 0 || number < next,
                "number {number} of sender {sender} was never sent"
            );
            arrived += u64::from(count);
            missing += u64::from(count == 0 && number < next && !is_open(number));
        }
    }
    println!(
        "{deaths} deaths in {seconds:.1} s: {arrived} messages arrived, {} additions; {missing} messages died in the hands of \
         receivers ({} could have), {} sends were under way",
        counts[SEATS],
        parent.in_hands,
        parent.open.len()
    );
    assert!(
        missing <= parent.in_hands,
        "{missing} messages are missing, {} could be",
        parent.in_hands
    );
}
