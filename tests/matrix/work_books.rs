//! Items that show when they are torn, and the books of a work queue: everything is acknowledged, ready again, or a dead letter.

use offspring::WorkQueue;
use offspring::proof::{Fault, Scene, Verdict};
use offspring::queue::{Delivery, WorkLimits};

use crate::calibrate;

/// A number and two blocks that follow from it.
pub(crate) type Item = (u64, String);
pub(crate) type Work = WorkQueue<Item>;

pub(crate) const CAPACITY: u64 = 4;
/// The victim's items have the numbers from this one on; those before are there when it comes.
pub(crate) const VICTIMS: u64 = 1000;
/// Bystanders' items have the numbers from this one on.
pub(crate) const BYSTANDERS: u64 = 2000;
const CHECKS: u64 = 5000;

pub(crate) fn item(number: u64) -> Item {
    let letter = char::from(b'a' + (number % 26) as u8);
    (number, std::iter::repeat_n(letter, 300).collect())
}

/// An empty queue, or one with the items 1, 2, …, each delivered so many times at most.
pub(crate) fn work_of(count: u64, max_attempts: u32) -> impl Fn() -> Work {
    move || {
        calibrate();
        let limits = WorkLimits::items(CAPACITY as usize).bytes(2 * 256 * CAPACITY as usize);
        let queue = Work::with_limits(limits.max_attempts(max_attempts)).expect("make a queue");
        (1..=count).for_each(|n| queue.try_send(item(n)).expect("there is room"));
        queue
    }
}

/// Acknowledges; the number, and how often it was delivered.
pub(crate) fn done(delivery: Delivery<'_, Item>) -> (u64, u32) {
    let attempts = delivery.attempts();
    let (number, text) = delivery.ack();
    assert!((number, text) == item(number), "item {number} is torn");
    (number, attempts)
}

/// A bystander's life: it works until the queue is closed, and logs what it has done.
pub(crate) fn worker(queue: &Work, scene: &Scene) {
    while let Ok(delivery) = queue.recv() {
        scene.log(done(delivery).0);
    }
}

/// The same for one item.
pub(crate) fn worker_of_one(queue: &Work, scene: &Scene) {
    if let Ok(delivery) = queue.recv() {
        scene.log(done(delivery).0);
    }
}

/// Everything that is left: items in order, with their attempts, then dead letters.
pub(crate) struct Left {
    pub(crate) items: Vec<(u64, u32)>,
    pub(crate) letters: Vec<(u64, u32)>,
}

impl Left {
    pub(crate) fn in_queue(queue: &Work) -> Result<Left, Fault> {
        let items = std::iter::from_fn(|| queue.try_recv().ok()).map(done).collect();
        let letter = || {
            let letter = queue.take_dead_letter()?;
            let attempts = letter.attempts();
            Some((letter.into_value().map_or(0, |value| value.0), attempts))
        };
        let left = Left { items, letters: std::iter::from_fn(letter).collect() };
        let sent_order = |items: &[(u64, u32)]| items.is_sorted_by_key(|&(number, _)| number);
        if !sent_order(&left.items) || !sent_order(&left.letters) {
            return Err(Fault::broken(format!("out of order: {:?}", left.items)));
        }
        Ok(left)
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.items.iter().chain(&self.letters).map(|&(number, _)| number).collect()
    }
}

/// Compares what there is with what there must be: each of `certain` once, each of `possible` once or not at all.
pub(crate) fn compare(arrived: &[u64], certain: &[u64], possible: &[u64]) -> Result<(), Fault> {
    let count = |number: u64| arrived.iter().filter(|&&n| n == number).count();
    for &number in certain {
        if count(number) == 0 {
            return Err(Fault::lost(format!("item {number} of {arrived:?}")));
        }
    }
    for &number in arrived {
        if count(number) > 1 || !certain.contains(&number) && !possible.contains(&number) {
            return Err(Fault::doubled(format!("item {number} of {arrived:?}")));
        }
    }
    Ok(())
}

/// The queue can be filled to its capacity, with items of the largest size, refuses more, and gives all back in order. No effect
/// is told: encoding allocates, and the allocator does not take the same way each time, so that kill points drift.
pub(crate) fn works(queue: &Work) -> Verdict {
    if queue.is_closed() {
        return Ok(0);
    }
    for number in CHECKS..CHECKS + CAPACITY {
        let sent = queue.try_send(item(number));
        sent.map_err(|error| Fault::broken(format!("{error}, with {} in it", queue.len())))?;
    }
    if queue.try_send(item(1)).is_ok() {
        return Err(Fault::broken("it takes more than its capacity"));
    }
    for number in CHECKS..CHECKS + CAPACITY {
        let delivery = queue.recv().map_err(|error| Fault::lost(error.to_string()))?;
        if done(delivery) != (number, 1) {
            return Err(Fault::broken(format!("expected {number} for the first time")));
        }
    }
    match (queue.try_recv().is_ok(), queue.unfinished(), queue.dead_letter_count()) {
        (false, 0, 0) => Ok(0),
        other => Err(Fault::doubled(format!("a drained queue has more: {other:?}"))),
    }
}
