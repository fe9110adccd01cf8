//! Pollable queues: whoever sleeps in poll(2), without a timeout, wakes if something is there, whoever died where.

use offspring::proof::{Scenario, Scene};
use offspring::queue::{NotReceived, Pollable, TryRecvError};
use offspring::{Queue, RingQueue, wait_any};

use crate::matrix::account::{Books, CAPACITY, Message, VICTIMS, log, message, note_got, note_sent};
use crate::matrix::actors::warm;
use crate::{calibrate, conclude, stride};

type Ring = Pollable<RingQueue<Message>>;
type Bytes = Pollable<Queue<()>>;

fn ring_of(count: u64) -> impl Fn() -> Ring {
    move || {
        calibrate();
        let queue = Ring::new(CAPACITY).expect("make a queue");
        (1..=count).for_each(|n| queue.try_send(message(n)).expect("there is room"));
        queue
    }
}

/// Receives what it is woken for, until it is stopped or the queue is closed.
fn poller(queue: &Ring, scene: &Scene) {
    loop {
        wait_any(&[queue]).expect("poll");
        loop {
            match queue.try_recv() {
                Ok(words) if log(scene, words) => {}
                Err(TryRecvError::Empty) => break,
                _ => return,
            }
        }
    }
}

fn late_poller(queue: &Ring, scene: &Scene) {
    scene.hold();
    poller(queue, scene);
}

fn late_sender(queue: &Ring, scene: &Scene) {
    scene.hold();
    let _ = queue.send(message(2000));
}

fn sends(queue: &Ring, scene: &Scene) {
    warm();
    scene.begin();
    queue.send(message(VICTIMS)).unwrap();
    note_sent(scene, 1);
    scene.end();
}

/// A victim that takes up to `count` messages, and looks once more.
fn looks(count: usize) -> impl Fn(&Ring, &Scene) {
    move |queue, scene| {
        warm();
        scene.begin();
        for n in 0..=count {
            match queue.try_recv() {
                Ok(words) => note_got(scene, n, words),
                Err(_) => break,
            }
        }
        scene.end();
    }
}

fn checked(scenario: Scenario<Ring>, books: Books) -> Scenario<Ring> {
    scenario
        .settles(|queue, _| queue.is_empty())
        .check(move |queue, scene| books.check(queue, scene))
}

/// Of a ring: senders and pollers die.
pub(crate) fn ring() {
    let one = |name: &str| Scenario::new(name, ring_of(0)).bystander("a poller", poller);
    let two = |name: &str| one(name).bystander("another poller", poller);
    let sent = |receivers: usize| Books { sends: 1, receivers, ..Books::default() };
    let burst = one("send_many(3) by the holder of the end, one polls")
        .victim(|queue, scene| {
            warm();
            let messages: Vec<_> = (0..3).map(|n| message(VICTIMS + n)).collect();
            scene.begin();
            let mut producer = queue.producer();
            producer.send_many(&messages).unwrap();
            note_sent(scene, 3);
            drop(producer);
            scene.end();
        });
    let rests = two("try_recv, empty, two poll, then one sends")
        .bystander("a sender", late_sender)
        .victim(looks(0))
        .settles(|queue, scene| scene.has_ended(2) && queue.is_empty())
        .check(|queue, scene| {
            // The sender is no receiver: it has ended before the books are closed.
            scene.await_ended(2);
            Books { receivers: 2, ..Books::default() }.check_more(queue, scene, &[2000])
        });
    let takes = Scenario::new("try_recv of two, and once more, another polls then", ring_of(2))
        .bystander("a poller", late_poller)
        .victim(looks(2));
    let closes = two("close, two poll")
        .victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        })
        .settles(|queue, scene| !queue.is_closed() || scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, scene| Books { receivers: 2, ..Books::default() }.check(queue, scene));
    let after_death = one("try_recv dies, then a send")
        .first_victim(stride(7), looks(0))
        .victim(sends);
    let scenarios = vec![
        checked(one("send, one polls").victim(sends), sent(1)),
        checked(two("send, two poll").victim(sends), sent(2)),
        checked(burst, Books { sends: 3, receivers: 1, ..Books::default() }),
        checked(takes, Books { before: 2, takes: 2, receivers: 1, ..Books::default() }),
        checked(after_death, sent(1)),
        rests,
        closes,
    ];
    conclude("pollable-ring", scenarios);
}
