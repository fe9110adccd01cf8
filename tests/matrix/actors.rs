//! Who acts in the scenarios of the queue: victims, bystanders, and the books that are checked.

use offspring::Mutex;
use offspring::proof::{Scenario, Scene};

use crate::matrix::account::{
    BYSTANDERS, Books, CAPACITY, Queue, VICTIMS, log, message, note_got, note_sent,
};

pub(crate) const FULL: u64 = CAPACITY as u64;

/// This process takes its roster entry now, so that taking it is not part of what is swept.
pub(crate) fn warm() {
    let own: Mutex<u32> = Mutex::new(0);
    drop(own.lock());
}

/// A victim that sends `count` messages, one by one.
pub(crate) fn sends(count: u64) -> impl Fn(&Queue, &Scene) {
    move |queue, scene| {
        warm();
        scene.begin();
        for n in 0..count {
            queue.send(message(VICTIMS + n)).unwrap();
            note_sent(scene, n + 1);
        }
        scene.end();
    }
}

/// A victim that receives `count` messages, one by one.
pub(crate) fn receives(count: usize) -> impl Fn(&Queue, &Scene) {
    move |queue, scene| {
        warm();
        scene.begin();
        for n in 0..count {
            let words = queue.recv().unwrap();
            note_got(scene, n, words);
        }
        scene.end();
    }
}

/// A bystander that receives until it is stopped or the queue is closed.
pub(crate) fn receiver(queue: &Queue, scene: &Scene) {
    while let Ok(words) = queue.recv() {
        if !log(scene, words) {
            return;
        }
    }
}

/// A bystander that receives one message.
pub(crate) fn receiver_of_one(queue: &Queue, scene: &Scene) {
    let words = queue.recv().unwrap();
    log(scene, words);
}

/// A bystander that receives one message when it is let go.
pub(crate) fn late_receiver(queue: &Queue, scene: &Scene) {
    scene.hold();
    receiver_of_one(queue, scene);
}

/// The bystander that sends the `index`th of the bystanders' messages.
pub(crate) fn sender(index: u64) -> impl Fn(&Queue, &Scene) {
    move |queue, _| _ = queue.send(message(BYSTANDERS + index))
}

/// The same, when it is let go.
pub(crate) fn late_sender(index: u64) -> impl Fn(&Queue, &Scene) {
    move |queue, scene| {
        scene.hold();
        let _ = queue.send(message(BYSTANDERS + index));
    }
}

pub(crate) fn with_receivers(mut scenario: Scenario<Queue>, count: usize) -> Scenario<Queue> {
    for n in 1..=count {
        scenario = scenario.bystander(format!("receiver {n}"), receiver);
    }
    // A message that is there does not stay while receivers sleep.
    scenario.settles(move |queue, _| count == 0 || queue.is_empty())
}

pub(crate) fn with_senders(mut scenario: Scenario<Queue>, count: u64) -> Scenario<Queue> {
    for n in 0..count {
        scenario = scenario.bystander(format!("sender {n}"), sender(n));
    }
    // Room does not stay while senders sleep.
    scenario.settles(move |queue, scene| {
        queue.is_full() || (0..count as usize).all(|seat| scene.has_ended(seat))
    })
}

pub(crate) fn checked(scenario: Scenario<Queue>, books: Books) -> Scenario<Queue> {
    scenario.check(move |queue, scene| books.check(queue, scene))
}
