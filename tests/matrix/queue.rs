//! The ring queue: `send`, `recv`, bursts, held ends, `close`, with and without others asleep.

use std::time::Duration;

use offspring::Mutex;
use offspring::proof::{Fault, Scenario, Scene};

use crate::matrix::account::{
    BYSTANDERS, Books, CAPACITY, Queue, STOP, VICTIMS, log, message, note_got, note_sent, queue_of,
    works,
};
use crate::{coarse, conclude, stride};

const FULL: u64 = CAPACITY as u64;

/// This process takes its roster entry now, so that taking it is not part of what is swept.
fn warm() {
    let own: Mutex<u32> = Mutex::new(0);
    drop(own.lock());
}

/// A victim that sends `count` messages, one by one.
fn sends(count: u64) -> impl Fn(&Queue, &Scene) {
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
fn receives(count: usize) -> impl Fn(&Queue, &Scene) {
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
fn receiver(queue: &Queue, scene: &Scene) {
    while let Ok(words) = queue.recv() {
        if !log(scene, words) {
            return;
        }
    }
}

/// A bystander that receives one message.
fn receiver_of_one(queue: &Queue, scene: &Scene) {
    let words = queue.recv().unwrap();
    log(scene, words);
}

/// A bystander that receives one message when it is let go.
fn late_receiver(queue: &Queue, scene: &Scene) {
    scene.hold();
    receiver_of_one(queue, scene);
}

/// The bystander that sends the `index`th of the bystanders' messages.
fn sender(index: u64) -> impl Fn(&Queue, &Scene) {
    move |queue, _| _ = queue.send(message(BYSTANDERS + index))
}

/// The same, when it is let go.
fn late_sender(index: u64) -> impl Fn(&Queue, &Scene) {
    move |queue, scene| {
        scene.hold();
        let _ = queue.send(message(BYSTANDERS + index));
    }
}

fn with_receivers(mut scenario: Scenario<Queue>, count: usize) -> Scenario<Queue> {
    for n in 1..=count {
        scenario = scenario.bystander(format!("receiver {n}"), receiver);
    }
    // A message that is there does not stay while receivers sleep.
    scenario.settles(move |queue, _| count == 0 || queue.is_empty())
}

fn with_senders(mut scenario: Scenario<Queue>, count: u64) -> Scenario<Queue> {
    for n in 0..count {
        scenario = scenario.bystander(format!("sender {n}"), sender(n));
    }
    // Room does not stay while senders sleep.
    scenario.settles(move |queue, scene| {
        queue.is_full() || (0..count as usize).all(|seat| scene.has_ended(seat))
    })
}

fn checked(scenario: Scenario<Queue>, books: Books) -> Scenario<Queue> {
    scenario.check(move |queue, scene| books.check(queue, scene))
}

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

/// Nobody dies: the victim is held at every instruction while the others do all that they can.
pub(crate) fn held_up() {
    let receiver_comes = Scenario::new("send, held up while a receiver comes", queue_of(0))
        .follower("a receiver", |queue, scene| {
            scene.hold();
            receiver(queue, scene);
        })
        .victim(sends(1))
        .pauses()
        .settles(|queue, _| queue.is_empty());
    let receiver_comes =
        checked(receiver_comes, Books { sends: 1, receivers: 1, ..Books::default() });
    let sender_comes = Scenario::new("recv, held up while a sender comes", queue_of(0))
        .bystander("a sender", late_sender(0))
        .victim(receives(1))
        .wakes_sleeping_victim()
        .pauses();
    let sender_comes = checked(sender_comes, Books { takes: 1, senders: 1, ..Books::default() });
    let two_come = Scenario::new("recv, one asleep, held up while two are sent", queue_of(0))
        .bystander("a receiver", receiver_of_one)
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(message(1)).unwrap();
            queue.send(message(2)).unwrap();
        })
        .victim(receives(1))
        .wakes_sleeping_victim()
        .pauses()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, scene| {
            Books { before: 2, takes: 1, ..Books::default() }.check(queue, scene)
        });
    let room_comes = Scenario::new("send, full, held up while one receives", queue_of(FULL))
        .bystander("a receiver", late_receiver)
        .victim(sends(1))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0))
        .pauses();
    let room_comes = checked(room_comes, Books { before: FULL, sends: 1, ..Books::default() });
    let closer_comes = Scenario::new("recv, held up while another closes", queue_of(0))
        .bystander("the closer", |queue, scene| {
            scene.hold();
            queue.close();
        })
        .victim(|queue, scene| {
            warm();
            scene.begin();
            let end = queue.recv();
            scene.end();
            assert!(end.is_err());
        })
        .wakes_sleeping_victim()
        .pauses()
        .check(|queue, _| queue.recv().map_or(Ok(0), |_| Err(Fault::broken("a message"))));
    let close_held = Scenario::new("close, one asleep, held up while another comes", queue_of(0))
        .follower("a receiver", receiver)
        .follower("a late receiver", |queue, scene| {
            scene.hold();
            receiver(queue, scene);
        })
        .victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        })
        .pauses()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|_, _| Ok(0));
    conclude(
        "queue-held-up",
        vec![receiver_comes, sender_comes, two_come, room_comes, closer_comes, close_held],
    );
}

/// A first one dies at each of its instructions, and who comes after it at each of its own.
pub(crate) fn double_faults() {
    let send_send = Scenario::new("send and send, both killed", queue_of(1))
        .first_victim(stride(11), |queue, scene| {
            warm();
            scene.begin();
            let _ = queue.send(message(BYSTANDERS));
            scene.end();
        })
        .victim(sends(1))
        .check(|queue, scene| {
            // The first one's message may be there or not.
            let mut all = Vec::new();
            all.extend(queue.try_iter());
            all.retain(|&words| words != message(BYSTANDERS));
            all.iter().for_each(|&words| assert!(queue.try_send(words).is_ok()));
            Books { before: 1, sends: 1, ..Books::default() }.check(queue, scene)
        });
    let recv_recv = Scenario::new("recv and recv, both killed", queue_of(3))
        .first_victim(stride(11), |queue, scene| {
            warm();
            scene.begin();
            let _ = queue.recv();
            scene.end();
        })
        .victim(receives(1))
        .check(|queue, scene| {
            // Two may be missing: the first one's and the second one's.
            let got = u64::from(scene.is_finished());
            let left: Vec<u64> = queue.try_iter().map(|words| words[0]).collect();
            let missing = 3 - left.len() as u64;
            if !left.is_sorted()
                || left.iter().any(|&n| n <= missing)
                || missing > 2
                || missing < got
            {
                return Err(Fault::lost(format!("{left:?} are left")));
            }
            Ok(missing)
        });
    // Two receivers sleep. The sender of a message for each dies, and then the receiver that it may have woken.
    let relay = Scenario::new("send_many, killed; a woken receiver killed; one more", queue_of(0))
        .bystander("a receiver", receiver_of_one)
        .first_victim(coarse(30), |queue, scene| {
            warm();
            let messages = [message(1), message(2)];
            scene.begin();
            queue.send_many(&messages).unwrap();
            scene.end();
        })
        .first_dies_late()
        .every(coarse(7))
        .victim(receives(1))
        .settles(|queue, scene| scene.has_ended(0) || queue.is_empty())
        .check(|queue, scene| {
            if !scene.has_ended(0) {
                queue
                    .send(message(STOP))
                    .map_err(|_| Fault::broken("closed, and nobody closed it"))?;
                scene.await_ended(1);
            }
            // The two were sent or not, and the victim may have taken one of them.
            let mut arrived = scene.logged();
            arrived.extend(queue.try_iter().map(|words| words[0]));
            arrived.sort();
            if scene.is_first_finished() && arrived.is_empty()
                || arrived == [1, 1]
                || arrived == [2, 2]
            {
                return Err(Fault::lost(format!("of two messages {arrived:?} arrived")));
            }
            works(queue)?;
            Ok(arrived.len() as u64)
        });
    let ends = Scenario::new(
        "held end, its holder killed; who waits for it killed; one more",
        queue_of(0),
    )
    .first_victim(coarse(30), |queue, scene| {
        warm();
        let mut producer = queue.producer();
        scene.begin();
        let _ = producer.send(message(1));
        drop(producer);
        scene.end();
    })
    .first_dies_late()
    .every(coarse(7))
    .victim(sends(1))
    .follower("a sender", sender(0))
    .settles(|_, scene| scene.has_ended(0))
    .check(|queue, scene| {
        let all: Vec<u64> = queue.try_iter().map(|words| words[0]).collect();
        if !all.contains(&BYSTANDERS) || scene.is_finished() && !all.contains(&VICTIMS) {
            return Err(Fault::lost(format!("only {all:?} arrived")));
        }
        works(queue)?;
        Ok(all.len() as u64)
    });
    conclude("queue-double", vec![send_send, recv_recv, relay, ends]);
}

/// One is held at each of its instructions on the way to sleep, while another dies at each of its own: its wake-up is not for
/// somebody who does not sleep yet, so what it has done must be seen otherwise.
pub(crate) fn deaths_while_held_up() {
    let base = |name: &str, before: u64| {
        Scenario::new(name, queue_of(before)).first_dies_late().wakes_sleeping_victim().pauses()
    };
    let sender_dies = base("recv, held up while a sender is killed", 0)
        .first_victim(coarse(20), |queue, scene| {
            warm();
            scene.begin();
            queue.send(message(1)).unwrap();
            scene.end();
        })
        .every(coarse(13))
        .bystander("a second sender", |queue, scene| {
            scene.hold();
            // If the first one's message is there, nobody else says so.
            if queue.is_empty() {
                queue.send(message(2)).unwrap();
            }
        })
        .victim(receives(1))
        .check(|queue, _| {
            // The second one may have looked when the victim had taken the first one's message.
            let left: Vec<u64> = queue.try_iter().map(|words| words[0]).collect();
            if !left.is_empty() && left != [2] {
                return Err(Fault::doubled(format!("{left:?} are left")));
            }
            works(queue).map(|()| 0)
        });
    let receiver_dies = base("send, full, held up while a receiver is killed", FULL)
        .first_victim(coarse(20), |queue, scene| {
            warm();
            scene.begin();
            let _ = queue.recv();
            scene.end();
        })
        .every(coarse(13))
        .bystander("a second receiver", |queue, scene| {
            scene.hold();
            if queue.is_full() {
                let words = queue.recv().unwrap();
                log(scene, words);
            }
        })
        .victim(sends(1))
        .check(|queue, scene| {
            let left: Vec<u64> = queue.try_iter().map(|words| words[0]).collect();
            let left: Vec<u64> = scene.logged().into_iter().chain(left).collect();
            if ![&[2, 3, 4, VICTIMS][..], &[1, 2, 3, 4, VICTIMS][..]].contains(&&left[..]) {
                return Err(Fault::lost(format!("{left:?} are left")));
            }
            works(queue).map(|()| 0)
        });
    let closer_dies = base("recv, held up while a closer is killed", 0)
        .first_victim(coarse(20), |queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        })
        .every(coarse(13))
        .bystander("a second closer", |queue, scene| {
            scene.hold();
            if !queue.is_closed() {
                queue.close();
            }
        })
        .victim(|queue, scene| {
            warm();
            scene.begin();
            let end = queue.recv();
            scene.end();
            assert!(end.is_err());
        })
        .check(|queue, _| queue.recv().map_or(Ok(0), |_| Err(Fault::broken("a message"))));
    conclude("queue-deaths-while-held-up", vec![sender_dies, receiver_dies, closer_dies]);
}
