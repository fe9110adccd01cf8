//! Messages that show when they are torn, and the books that show when one is lost or doubled.

use std::collections::HashSet;

use offspring::RingQueue;
use offspring::proof::{Fault, Scene, Verdict};

use crate::calibrate;

/// A number and three words that follow from it.
pub(crate) type Message = [u64; 4];
pub(crate) type Queue = RingQueue<Message>;

/// How many messages the queues here hold.
pub(crate) const CAPACITY: usize = 4;
/// The victim's messages have the numbers from this one on; those before are there when it comes.
pub(crate) const VICTIMS: u64 = 1000;
/// Bystanders' messages have the numbers from this one on.
pub(crate) const BYSTANDERS: u64 = 2000;
/// Tells a receiving bystander to end.
pub(crate) const STOP: u64 = 9000;
/// The check's own messages.
const CHECKS: u64 = 5000;
/// What a bystander logs for a message whose words do not fit together.
const TORN: u64 = u64::MAX;

/// The note that says how many sends have returned.
const SENT: usize = 0;
/// The notes from this one on hold the numbers that the victim's receives have returned.
const GOT: usize = 1;

pub(crate) fn message(number: u64) -> Message {
    [number, !number, number.rotate_left(17), number.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

fn number(words: Message) -> Option<u64> {
    (message(words[0]) == words).then_some(words[0])
}

/// An empty queue, and one with the messages 1, 2, … in it.
pub(crate) fn queue_of(count: u64) -> impl Fn() -> Queue {
    move || {
        calibrate();
        let queue = Queue::new(CAPACITY).expect("make a queue");
        (1..=count).for_each(|n| queue.try_send(message(n)).expect("there is room"));
        queue
    }
}

/// The victim has sent its `count`th message.
pub(crate) fn note_sent(scene: &Scene, count: u64) {
    scene.note(SENT, count);
}

/// The victim's `index`th receive has returned this.
pub(crate) fn note_got(scene: &Scene, index: usize, words: Message) {
    scene.note(GOT + index, number(words).unwrap_or(TORN));
}

/// A bystander has received this; false if it is to end.
pub(crate) fn log(scene: &Scene, words: Message) -> bool {
    match number(words) {
        Some(STOP) => return false,
        Some(number) => scene.log(number),
        None => scene.log(TORN),
    }
    true
}

/// What there was to send and to receive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// How many messages were in the queue at first: 1, 2, …
    pub(crate) before: u64,
    /// How many messages the victim may take.
    pub(crate) takes: usize,
    /// How many messages the victim sends.
    pub(crate) sends: u64,
    /// How many bystanders receive until they are stopped.
    pub(crate) receivers: usize,
    /// How many bystanders send one message each: 2000, 2001, …
    pub(crate) senders: u64,
}

impl Books {
    /// Ends the bystanders, drains the queue, and compares what there was with what there is. The effect is how many messages
    /// the victim has sent and taken.
    pub(crate) fn check(&self, queue: &Queue, scene: &Scene) -> Verdict {
        let mut drained = Vec::new();
        let mut take = |words| drained.push(number(words).unwrap_or(TORN));
        let bystanders = self.receivers + self.senders as usize;
        if !queue.is_closed() {
            for _ in 0..self.receivers {
                queue
                    .send(message(STOP))
                    .map_err(|_| Fault::broken("closed, and nobody closed it"))?;
            }
        }
        while !(0..bystanders).all(|bystander| scene.has_ended(bystander)) {
            // Receivers take what is there themselves.
            if self.receivers == 0 {
                queue.try_recv().into_iter().for_each(&mut take);
            }
            std::thread::yield_now();
        }
        queue.try_iter().for_each(&mut take);
        let effect = self.compare(&drained, scene)?;
        if !queue.is_closed() {
            works(queue)?;
        }
        Ok(effect)
    }

    fn compare(&self, drained: &[u64], scene: &Scene) -> Verdict {
        let got: Vec<u64> =
            (0..self.takes).map(|i| scene.noted(GOT + i)).filter(|&n| n != 0).collect();
        let mut seen = HashSet::new();
        for &number in scene.logged().iter().chain(drained).chain(&got) {
            match number {
                TORN => return Err(Fault::torn("a message's words do not fit together")),
                STOP => return Err(Fault::doubled("a message that told a receiver to end")),
                number if !seen.insert(number) => {
                    return Err(Fault::doubled(format!("message {number} arrived twice")));
                }
                _ => {}
            }
        }
        for senders in [0..VICTIMS, VICTIMS..BYSTANDERS] {
            let own = drained.iter().filter(|&number| senders.contains(number));
            if !own.is_sorted() {
                return Err(Fault::broken(format!("out of order: {drained:?}")));
            }
        }
        // What the victim has sent is there: all sends that returned, and at most one commit more (a burst commits at once).
        let sent = (VICTIMS..).take_while(|number| seen.contains(number)).count() as u64;
        if sent < scene.noted(SENT) || scene.is_finished() && sent != self.sends {
            return Err(Fault::lost(format!(
                "{} sends returned, {sent} arrived",
                scene.noted(SENT)
            )));
        }
        if seen.iter().any(|&n| (VICTIMS + sent..BYSTANDERS).contains(&n)) {
            return Err(Fault::lost(format!("a gap in the victim's messages: {seen:?}")));
        }
        // What is missing, the victim has taken with it: no more than it was receiving, and from the front.
        let others = (1..=self.before).chain((0..self.senders).map(|n| BYSTANDERS + n));
        let missing: Vec<u64> = others.filter(|number| !seen.contains(number)).collect();
        let room = if scene.is_finished() { 0 } else { self.takes - got.len() };
        if missing.len() > room {
            return Err(Fault::lost(format!("{missing:?} are missing, the victim has {got:?}")));
        }
        if let Some(&first) = drained.iter().find(|&&n| n <= self.before)
            && missing.iter().any(|&n| n > first && n <= self.before)
        {
            return Err(Fault::lost(format!(
                "{missing:?} are missing, and {first} is still there"
            )));
        }
        Ok(sent + (got.len() + missing.len()) as u64)
    }
}

/// The queue can be filled to its capacity, refuses more, and gives all back in order.
pub(crate) fn works(queue: &Queue) -> Result<(), Fault> {
    for round in 0..2 {
        let numbers = CHECKS + round * 100..CHECKS + round * 100 + CAPACITY as u64;
        for number in numbers.clone() {
            let sent = queue.try_send(message(number));
            sent.map_err(|error| Fault::broken(format!("{error}, with {} in it", queue.len())))?;
        }
        if queue.try_send(message(STOP)).is_ok() {
            return Err(Fault::broken("it takes more than its capacity"));
        }
        for expected in numbers {
            let words = queue.recv().map_err(|error| Fault::lost(error.to_string()))?;
            if number(words) != Some(expected) {
                return Err(Fault::broken(format!("expected {expected}, received {words:?}")));
            }
        }
    }
    if queue.try_recv().is_ok() {
        return Err(Fault::doubled("a drained queue has one more"));
    }
    Ok(())
}
