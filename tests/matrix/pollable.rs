//! Pollable queues: whoever sleeps in poll(2), without a timeout, wakes if something is there, whoever died where.

use offspring::proof::{Fault, Scenario, Scene};
use offspring::queue::{NotReceived, Pollable, TryRecvError};
use offspring::{Queue, RingQueue, WorkQueue, wait_any};

use crate::matrix::account::{
    Books, CAPACITY, Message, VICTIMS, log, message, note_got, note_sent,
};
use crate::matrix::actors::warm;
use crate::{calibrate, coarse, conclude};

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
    let burst = one("send_many(3) by the holder of the end, one polls").victim(|queue, scene| {
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
            Books { receivers: 2, senders: 1, ..Books::default() }.check(queue, scene)
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
    let after_death =
        one("try_recv dies, then a send").first_victim(coarse(401), looks(0)).victim(sends);
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

const SMALL: usize = 40;
/// More than is copied under the lock.
const LARGE: usize = 2400;
const STOP: u8 = 250;

fn bytes_of(sizes: &'static [usize]) -> impl Fn() -> Bytes {
    move || {
        calibrate();
        let queue = Bytes::with_capacity_bytes(4000).expect("make a queue");
        sizes.iter().for_each(|&bytes| queue.try_send_bytes(&vec![1; bytes]).expect("room"));
        queue
    }
}

fn bytes_poller(queue: &Bytes, scene: &Scene) {
    let mut buffer = [0; LARGE];
    loop {
        wait_any(&[queue]).expect("poll");
        loop {
            match queue.try_recv_bytes_into(&mut buffer) {
                Ok(bytes) if buffer[0] != STOP => scene.log(bytes as u64),
                Err(NotReceived::Empty) => break,
                _ => return,
            }
        }
    }
}

fn sends_bytes(bytes: usize) -> impl Fn(&Bytes, &Scene) {
    move |queue, scene| {
        warm();
        let message = vec![2; bytes];
        scene.begin();
        queue.send_bytes(&message).unwrap();
        scene.note(0, 1);
        scene.end();
    }
}

fn bytes_checked(scenario: Scenario<Bytes>) -> Scenario<Bytes> {
    scenario.settles(|queue, _| queue.is_empty()).check(move |queue, scene| {
        if !queue.is_closed() {
            let sent = queue.send_bytes(&[STOP; SMALL]);
            sent.map_err(|error| Fault::broken(error.to_string()))?;
        }
        // It may be between a receive and its note of that.
        scene.await_ended(1);
        let logged = scene.logged().len() as u64;
        match logged >= scene.noted(0) {
            true => Ok(logged),
            false => Err(Fault::lost("a send returned, and its message did not arrive")),
        }
    })
}

/// Of a message queue: small and large messages.
pub(crate) fn bytes() {
    let one = |name: &str, sizes| {
        Scenario::new(name, bytes_of(sizes)).bystander("a poller", bytes_poller)
    };
    let looks = |queue: &Bytes, scene: &Scene| {
        warm();
        let mut buffer = [0; SMALL];
        scene.begin();
        assert!(queue.try_recv_bytes_into(&mut buffer).is_err());
        scene.end();
    };
    let closes = one("close, one polls", &[]).victim(|queue, scene| {
        warm();
        scene.begin();
        queue.close();
        scene.end();
    });
    let rests = one("try_recv, empty, one polls, then one sends", &[])
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send_bytes(&[3; LARGE]).unwrap();
            scene.note(0, 1);
        })
        .victim(looks);
    let rests = bytes_checked(rests).settles(|queue, scene| scene.has_ended(1) && queue.is_empty());
    let after_death = one("try_recv dies, then a large send", &[])
        .first_victim(coarse(701), looks)
        .victim(sends_bytes(LARGE));
    let scenarios = vec![
        bytes_checked(one("send small, one polls", &[]).victim(sends_bytes(SMALL))),
        bytes_checked(one("send large, one polls", &[]).victim(sends_bytes(LARGE))),
        bytes_checked(closes).settles(|queue, scene| !queue.is_closed() || scene.has_ended(0)),
        rests,
        bytes_checked(after_death),
    ];
    conclude("pollable-bytes", scenarios);
}

type Jobs = Pollable<WorkQueue<u64>>;

fn jobs() -> Jobs {
    calibrate();
    Jobs::new(4).expect("make a queue")
}

/// Logs what it has done, until the queue is over.
fn polling_worker(queue: &Jobs, scene: &Scene) {
    loop {
        wait_any(&[queue]).expect("poll");
        loop {
            match queue.try_recv() {
                Ok(delivery) => scene.log(delivery.ack()),
                Err(NotReceived::Empty) => break,
                Err(_) => return,
            }
        }
    }
}

/// Of a work queue: nobody sleeps beside a ready item, and each is done once.
pub(crate) fn work() {
    let one = |name: &str| Scenario::new(name, jobs).bystander("a poller", polling_worker);
    let checked = |scenario: Scenario<Jobs>| {
        scenario.settles(|queue, _| queue.glance() == [0; 3]).check(|queue, scene| {
            queue.close();
            scene.await_ended(1);
            let done = scene.logged();
            match (scene.noted(0), done.as_slice()) {
                (_, [VICTIMS]) | (0, []) => Ok(done.len() as u64),
                (1, []) => Err(Fault::lost("a send returned, and its item was not done")),
                _ => Err(Fault::doubled(format!("done: {done:?}"))),
            }
        })
    };
    let sends = |queue: &Jobs, scene: &Scene| {
        warm();
        scene.begin();
        queue.send(VICTIMS).unwrap();
        scene.note(0, 1);
        scene.end();
    };
    let gives_back = |queue: &Jobs, scene: &Scene| {
        warm();
        let delivery = queue.recv().unwrap();
        scene.begin();
        delivery.nack();
        scene.note(0, 1);
        scene.end();
    };
    let rests = one("try_recv, empty, one polls, then one sends")
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(VICTIMS).unwrap();
            scene.note(0, 1);
        })
        .victim(|queue, scene| {
            warm();
            scene.begin();
            assert!(queue.try_recv().is_err());
            scene.end();
        });
    let closes = one("close, one polls").victim(|queue, scene| {
        warm();
        scene.begin();
        queue.close();
        scene.end();
    });
    let held = Scenario::new("nack, one polls", || {
        let queue = jobs();
        queue.send(VICTIMS).expect("there is room");
        queue
    });
    // One that died with the item in its hands leaves it to the next look, of which no descriptor tells.
    let held = held.bystander("a late poller", |queue: &Jobs, scene| {
        scene.hold();
        assert!(!matches!(queue.try_recv(), Err(NotReceived::Closed)));
        polling_worker(queue, scene);
    });
    let scenarios = vec![
        checked(one("send, one polls").victim(sends)),
        checked(rests).settles(|queue, scene| scene.has_ended(1) && queue.glance() == [0; 3]),
        checked(closes).settles(|queue, scene| !queue.is_closed() || scene.has_ended(0)),
        checked(held.victim(gives_back)),
    ];
    conclude("pollable-work", scenarios);
}
