//! Dead letters.

use offspring::queue::{NotReceived, NotSent, WorkLimits};
use offspring::{Builder, WorkQueue};
use serde::{Deserialize, Serialize};

use crate::support::Kid;
use crate::work::deaths::{drain, holder};

pub(crate) fn after_max_attempts() {
    let queue = WorkQueue::with_limits(WorkLimits::items(4).max_attempts(3)).unwrap();
    (1..=3u32).for_each(|n| queue.send(n).unwrap());
    for attempt in 1..=2 {
        holder(&queue, 1).kill();
        assert_eq!((queue.len(), queue.dead_letter_count()), (3, 0), "after attempt {attempt}");
    }
    let last = Builder::new().name("the last").spawn(|| {
        let delivery = queue.recv().unwrap();
        assert_eq!((*delivery, delivery.attempts()), (1, 3));
        delivery.nack();
        queue.recv().unwrap().reject();
    });
    let last = last.unwrap();
    let pid = last.pid();
    last.join().unwrap();
    let letters = queue.dead_letters();
    let told: Vec<_> = letters
        .iter()
        .map(|letter| (*letter.value().unwrap(), letter.attempts(), letter.last_pid()))
        .collect();
    assert_eq!(told, [(1, 3, Some(pid)), (2, 1, Some(pid))]);
    assert_eq!(letters[0].last_name(), "the last");
    assert_eq!(queue.dead_letters(), letters, "looking takes nothing away");
    assert_eq!(drain(&queue), [(3, 1)]);
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(into = "u8")]
struct Even(u8);

impl From<Even> for u8 {
    fn from(even: Even) -> u8 {
        even.0
    }
}

impl Clone for Even {
    fn clone(&self) -> Even {
        Even(self.0)
    }
}

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Even, D::Error> {
        let number = u8::deserialize(deserializer)?;
        assert!(number < 200, "too large for this type's author");
        match number % 2 {
            0 => Ok(Even(number)),
            _ => Err(serde::de::Error::custom("odd")),
        }
    }
}

/// Sends two numbers and receives one of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "(u8, u8)", from = "u8")]
struct Half(u8);

impl From<Half> for (u8, u8) {
    fn from(half: Half) -> (u8, u8) {
        (half.0, half.0)
    }
}

impl From<u8> for Half {
    fn from(number: u8) -> Half {
        Half(number)
    }
}

pub(crate) fn bytes_left_over_are_an_error() {
    let queue = WorkQueue::<Half>::new(2).unwrap();
    queue.send(Half(1)).unwrap();
    let error = queue.recv().unwrap_err();
    assert!(matches!(error, NotReceived::Decode { .. }), "{error:?}");
    let letter = queue.take_dead_letter().unwrap();
    assert_eq!(letter.value().unwrap_err(), &error, "the letter says why, as the receive did");
}

pub(crate) fn undecodable_items() {
    let queue = WorkQueue::<Even>::new(8).unwrap();
    [2, 3, 4].into_iter().for_each(|n| queue.send(Even(n)).unwrap());
    assert_eq!(queue.recv().unwrap().ack(), Even(2));
    let error = queue.recv().unwrap_err();
    assert!(matches!(error, NotReceived::Decode { .. }), "{error:?}");
    assert!(error.to_string().contains("Even"), "{error}");
    assert_eq!(queue.recv().unwrap().ack(), Even(4), "the next one is not harmed");
    let letters = queue.dead_letters();
    assert_eq!((letters.len(), letters[0].attempts()), (1, 1));
    assert!(letters[0].value().unwrap_err().to_string().contains("Even"));
    assert!(queue.take_dead_letter().unwrap().into_value().is_err());

    // A decoder that panics gives the item back, until it is a dead letter.
    queue.send(Even(200)).unwrap();
    for _ in 0..3 {
        let recv = std::panic::AssertUnwindSafe(|| queue.try_recv().map(drop));
        assert!(std::panic::catch_unwind(recv).is_err());
    }
    assert_eq!(queue.try_recv().map(drop), Err(NotReceived::Empty));
    assert_eq!(queue.dead_letter_count(), 1);
}

pub(crate) fn taken_and_retried() {
    let queue = WorkQueue::with_limits(WorkLimits::items(8).max_attempts(1)).unwrap();
    (0..6u32).for_each(|n| queue.send(n).unwrap());
    let held: Vec<_> = (0..5).map(|_| queue.recv().unwrap()).collect();
    let mut held = held.into_iter();
    let (a, b, c) = (held.next().unwrap(), held.next().unwrap(), held.next().unwrap());
    drop(held); // 3 and 4
    c.nack();
    a.reject();
    b.ack();
    let numbers = |queue: &WorkQueue<u32>| -> Vec<u32> {
        queue.dead_letters().into_iter().map(|letter| letter.into_value().unwrap()).collect()
    };
    assert_eq!(numbers(&queue), [0, 2, 3, 4]);
    assert_eq!(queue.take_dead_letter().unwrap().into_value(), Ok(0));
    assert_eq!(numbers(&queue), [2, 3, 4]);
    let kid = Kid::fork(|| assert_eq!(queue.retry_dead_letters(), 3));
    assert_eq!(kid.join(), crate::support::Ended::Exited(0));
    assert_eq!((queue.dead_letter_count(), queue.retry_dead_letters()), (0, 0));
    assert!(queue.take_dead_letter().is_none());
    assert_eq!(drain(&queue), [(2, 1), (3, 1), (4, 1), (5, 1)]);
}

/// A dead letter is kept, so it takes room; taking it, or retrying, gives that back.
pub(crate) fn keep_their_places() {
    let limits = WorkLimits::items(2).bytes(1024).max_attempts(1);
    let queue = WorkQueue::<Vec<u8>>::with_limits(limits).unwrap();
    queue.send(vec![1; 700]).unwrap();
    queue.send(vec![2; 100]).unwrap();
    queue.recv().unwrap().nack();
    assert_eq!(queue.try_send(Vec::new()).unwrap_err().reason(), &NotSent::Full);
    queue.recv().unwrap().ack();
    assert_eq!(queue.try_send(vec![3; 700]).unwrap_err().reason(), &NotSent::Full);
    assert_eq!(queue.take_dead_letter().unwrap().into_value().unwrap().len(), 700);
    queue.try_send(vec![3; 1000]).unwrap();
    assert_eq!(queue.recv().unwrap().ack(), vec![3; 1000]);
}
