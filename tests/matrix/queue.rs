//! The ring queue: `send`, `recv`, bursts, held ends, `close`, with and without others asleep.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene};

use crate::conclude;
use crate::matrix::account::{
    BYSTANDERS, Books, Queue, VICTIMS, log, message, note_got, note_sent, queue_of,
};
use crate::matrix::actors::*;

/// `send`, to a queue in every state.
pub(crate) fn send() {
    let plain = |name: &str, before: u64, count: u64, receivers: usize| {
        let scenario = Scenario::new(name, queue_of(before)).victim(sends(count));
        let books = Books { before, sends: count, receivers, ..Books::default() };
        checked(with_receivers(scenario, receivers), books)
    };
    let blocked = Scenario::new("send, full, then one receives", queue_of(FULL))
        .bystander("a receiver", late_receiver)
        .victim(sends(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0));
    let blocked = checked(blocked, Books { before: FULL, sends: 1, ..Books::default() });
    let blocked_too = Scenario::new("send, full, one asleep, then two receive", queue_of(FULL))
        .bystander("a receiver", |queue, scene| {
            scene.hold();
            for _ in 0..2 {
                let words = queue.recv().unwrap();
                log(scene, words);
            }
        })
        .bystander("a sender", sender(0))
        .victim(sends(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(1))
        .check(|queue, scene| {
            scene.await_ended(2);
            Books { before: FULL, sends: 1, senders: 1, ..Books::default() }.check(queue, scene)
        });
    let refused = Scenario::new("try_send, full", queue_of(FULL)).victim(|queue, scene| {
        warm();
        scene.begin();
        let result = queue.try_send(message(VICTIMS));
        scene.end();
        assert!(result.is_err());
    });
    let refused = checked(refused, Books { before: FULL, ..Books::default() });
    let timed_out = |name: &str, senders: u64| {
        let scenario = Scenario::new(name, queue_of(FULL)).victim(|queue, scene| {
            warm();
            scene.begin();
            let result = queue.send_timeout(message(VICTIMS), Duration::from_millis(2));
            scene.end();
            assert!(result.is_err());
        });
        let books = Books { before: FULL, senders, ..Books::default() };
        checked(with_senders(scenario, senders), books)
    };
    let scenarios = vec![
        plain("send, empty", 0, 1, 0),
        plain("send, middle", 2, 1, 0),
        plain("send, the last free slot", FULL - 1, 1, 0),
        plain("send, one receiver asleep", 0, 1, 1),
        plain("send, two receivers asleep", 0, 1, 2),
        plain("send twice, two receivers asleep", 0, 2, 2),
        blocked,
        blocked_too,
        refused,
        timed_out("send_timeout that times out", 0),
        timed_out("send_timeout that times out, one asleep", 1),
    ];
    conclude("send", scenarios);
}

/// `recv`, from a queue in every state.
pub(crate) fn recv() {
    let plain = |name: &str, before: u64, count: usize, senders: u64| {
        let scenario = Scenario::new(name, queue_of(before)).victim(receives(count));
        let books = Books { before, takes: count, senders, ..Books::default() };
        checked(with_senders(scenario, senders), books)
    };
    let blocked = Scenario::new("recv, empty, then one sends", queue_of(0))
        .bystander("a sender", late_sender(0))
        .victim(receives(1))
        .wakes_sleeping_victim();
    let blocked = checked(blocked, Books { takes: 1, senders: 1, ..Books::default() });
    let blocked_too = Scenario::new("recv, empty, one asleep, then two are sent", queue_of(0))
        .bystander("a receiver", receiver_of_one)
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(message(1)).unwrap();
            queue.send(message(2)).unwrap();
        })
        .victim(receives(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, scene| {
            Books { before: 2, takes: 1, ..Books::default() }.check(queue, scene)
        });
    let refused = Scenario::new("try_recv, empty", queue_of(0)).victim(|queue, scene| {
        warm();
        scene.begin();
        let result = queue.try_recv();
        scene.end();
        assert!(result.is_err());
    });
    let refused = checked(refused, Books::default());
    let timed_out = |name: &str, receivers: usize| {
        let scenario = Scenario::new(name, queue_of(0)).victim(|queue, scene| {
            warm();
            scene.begin();
            let result = queue.recv_timeout(Duration::from_millis(2));
            scene.end();
            assert!(result.is_err());
        });
        checked(with_receivers(scenario, receivers), Books { receivers, ..Books::default() })
    };
    let scenarios = vec![
        plain("recv, middle", 2, 1, 0),
        plain("recv, the last message", 1, 1, 0),
        plain("recv, full", FULL, 1, 0),
        plain("recv, full, one sender asleep", FULL, 1, 1),
        plain("recv, full, two senders asleep", FULL, 1, 2),
        plain("recv twice, two senders asleep", FULL, 2, 2),
        blocked,
        blocked_too,
        refused,
        timed_out("recv_timeout that times out", 0),
        timed_out("recv_timeout that times out, one asleep", 1),
    ];
    conclude("recv", scenarios);
}

/// `send_many` and `recv_many`.
pub(crate) fn bursts() {
    let send_many = |name: &str, count: u64, receivers: usize| {
        let scenario = Scenario::new(name, queue_of(0)).victim(move |queue, scene| {
            warm();
            let messages: Vec<_> = (0..count).map(|n| message(VICTIMS + n)).collect();
            scene.begin();
            queue.send_many(&messages).unwrap();
            note_sent(scene, count);
            scene.end();
        });
        let books = Books { sends: count, receivers, ..Books::default() };
        checked(with_receivers(scenario, receivers), books)
    };
    let recv_many = |name: &str, before: u64, max: usize, senders: u64| {
        let scenario = Scenario::new(name, queue_of(before)).victim(move |queue, scene| {
            warm();
            let mut messages = Vec::with_capacity(max);
            scene.begin();
            queue.recv_many(&mut messages, max).unwrap();
            scene.end();
        });
        // Nothing is noted: at the end marker, too, the victim has taken what is missing.
        let scenario = with_senders(scenario, senders);
        scenario.check(move |queue, scene| {
            let missing = if scene.is_finished() { max.min(before as usize) } else { 0 };
            for n in 0..missing {
                note_got(scene, n, message(n as u64 + 1));
            }
            Books { before, takes: max, senders, ..Books::default() }.check(queue, scene)
        })
    };
    let scenarios = vec![
        send_many("send_many(3), empty", 3, 0),
        send_many("send_many(3), one receiver asleep", 3, 1),
        send_many("send_many(3), two receivers asleep", 3, 2),
        send_many("send_many(6), more than fits, one asleep", 6, 1),
        recv_many("recv_many(3), full", FULL, 3, 0),
        recv_many("recv_many(3), of two", 2, 3, 0),
        recv_many("recv_many(3), one sender asleep", FULL, 3, 1),
        recv_many("recv_many(3), two senders asleep", FULL, 3, 2),
    ];
    conclude("bursts", scenarios);
}

/// `producer()` and `consumer()`: taken, used, given back.
pub(crate) fn held_ends() {
    let produces = |queue: &Queue, scene: &Scene| {
        warm();
        scene.begin();
        let mut producer = queue.producer();
        for n in 0..2 {
            producer.send(message(VICTIMS + n)).unwrap();
            note_sent(scene, n + 1);
        }
        drop(producer);
        scene.end();
    };
    let consumes = |queue: &Queue, scene: &Scene| {
        warm();
        scene.begin();
        let mut consumer = queue.consumer();
        for n in 0..2 {
            note_got(scene, n, consumer.recv().unwrap());
        }
        drop(consumer);
        scene.end();
    };
    let producer = |name: &str, receivers: usize| {
        let scenario = Scenario::new(name, queue_of(0)).victim(produces);
        checked(
            with_receivers(scenario, receivers),
            Books { sends: 2, receivers, ..Books::default() },
        )
    };
    let consumer = |name: &str, senders: u64| {
        let scenario = Scenario::new(name, queue_of(FULL)).victim(consumes);
        let books = Books { before: FULL, takes: 2, senders, ..Books::default() };
        checked(with_senders(scenario, senders), books)
    };
    let gives_back =
        Scenario::new("producer, used and given back, a sender waits for the end", queue_of(0))
            .victim(|queue, scene| {
                warm();
                let mut producer = queue.producer();
                scene.begin();
                producer.send(message(VICTIMS)).unwrap();
                note_sent(scene, 1);
                drop(producer);
                scene.end();
            })
            .follower("a sender", sender(0))
            .settles(|_, scene| scene.has_ended(0));
    let gives_back = checked(gives_back, Books { sends: 1, senders: 1, ..Books::default() });
    let gives_back_too =
        Scenario::new("consumer, used and given back, a receiver waits for the end", queue_of(3))
            .victim(|queue, scene| {
                warm();
                let mut consumer = queue.consumer();
                scene.begin();
                note_got(scene, 0, consumer.recv().unwrap());
                drop(consumer);
                scene.end();
            })
            .follower("a receiver", receiver)
            .settles(|queue, _| queue.is_empty());
    let gives_back_too =
        checked(gives_back_too, Books { before: 3, takes: 1, receivers: 1, ..Books::default() });
    let waits = Scenario::new("send, another holds the end", queue_of(0))
        .bystander("the holder", |queue, scene| {
            let mut producer = queue.producer();
            scene.hold();
            producer.send(message(BYSTANDERS)).unwrap();
        })
        .victim(sends(1))
        .wakes_sleeping_victim();
    let waits = checked(waits, Books { sends: 1, senders: 1, ..Books::default() });
    let holder_dies = Scenario::new("send, the holder of the end dies, one asleep", queue_of(0))
        .bystander("the holder", |queue, scene| {
            let mut producer = queue.producer();
            producer.send(message(BYSTANDERS)).unwrap();
            scene.hold();
            std::mem::forget(producer);
        })
        .bystander("a sender", sender(1))
        .victim(sends(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1));
    let holder_dies = checked(holder_dies, Books { sends: 1, senders: 2, ..Books::default() });
    let waits_too = Scenario::new("recv, another holds the end", queue_of(2))
        .bystander("the holder", |queue, scene| {
            let mut consumer = queue.consumer();
            scene.hold();
            log(scene, consumer.recv().unwrap());
        })
        .victim(receives(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0));
    let waits_too = checked(waits_too, Books { before: 2, takes: 1, ..Books::default() });
    let scenarios = vec![
        producer("producer, two sends", 0),
        producer("producer, two sends, one receiver asleep", 1),
        producer("producer, two sends, two receivers asleep", 2),
        consumer("consumer, two receives", 0),
        consumer("consumer, two receives, one sender asleep", 1),
        consumer("consumer, two receives, two senders asleep", 2),
        gives_back,
        gives_back_too,
        waits,
        holder_dies,
        waits_too,
    ];
    conclude("held-ends", scenarios);
}

/// `close`, and operations on a closed queue.
pub(crate) fn close() {
    let closes = |name: &str, before: u64, receivers: usize, senders: u64| {
        let mut scenario = Scenario::new(name, queue_of(before)).victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        });
        for n in 1..=receivers {
            scenario = scenario.bystander(format!("receiver {n}"), receiver);
        }
        for n in 0..senders {
            scenario = scenario.bystander(format!("sender {n}"), sender(n));
        }
        let bystanders = receivers + senders as usize;
        scenario
            .settles(move |queue, scene| {
                !queue.is_closed() || (0..bystanders).all(|seat| scene.has_ended(seat))
            })
            .check(move |queue, scene| {
                let was_closed = queue.is_closed();
                if scene.is_finished() && !was_closed {
                    return Err(Fault::lost("close() returned, and the queue is open"));
                }
                queue.close();
                scene.await_ended(bystanders);
                if queue.send(message(1)).is_ok() {
                    return Err(Fault::broken("a closed queue takes messages"));
                }
                let left = queue.iter().count() as u64;
                if left != before || queue.recv().is_ok() {
                    return Err(Fault::lost(format!("{left} messages left of {before}")));
                }
                Ok(u64::from(was_closed))
            })
    };
    let recv_closed = Scenario::new("recv, closed, the last two", || {
        let queue = queue_of(1)();
        queue.close();
        queue
    })
    .victim(|queue, scene| {
        warm();
        scene.begin();
        note_got(scene, 0, queue.recv().unwrap());
        let end = queue.recv();
        scene.end();
        assert!(end.is_err());
    });
    let recv_closed = checked(recv_closed, Books { before: 1, takes: 1, ..Books::default() });
    let closed_while_waiting = Scenario::new("recv, empty, closed by another", queue_of(0))
        .bystander("the closer", |queue, scene| {
            scene.hold();
            queue.close();
        })
        .bystander("a receiver", receiver)
        .victim(|queue, scene| {
            warm();
            scene.begin();
            let end = queue.recv();
            scene.end();
            assert!(end.is_err());
        })
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, _| match queue.recv() {
            Err(_) => Ok(0),
            Ok(words) => Err(Fault::broken(format!("{words:?} from an empty queue"))),
        });
    let scenarios = vec![
        closes("close, empty", 0, 0, 0),
        closes("close, one receiver asleep", 0, 1, 0),
        closes("close, two receivers asleep", 0, 2, 0),
        closes("close, one sender asleep", FULL, 0, 1),
        closes("close, two senders asleep", FULL, 0, 2),
        recv_closed,
        closed_while_waiting,
    ];
    conclude("close", scenarios);
}
