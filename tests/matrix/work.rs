//! The work queue: `send`, `recv`, `ack`, `nack`, dead letters, `close`, with and without others asleep.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene};

use crate::matrix::actors::warm;
use crate::matrix::work_books::*;
use crate::{coarse, conclude};

fn sends_one(queue: &Work, scene: &Scene) {
    let item = item(VICTIMS);
    warm();
    scene.begin();
    queue.send(item).unwrap();
    scene.end();
}

/// What a victim does with the first item.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Keep,
    Ack,
    Nack,
    Reject,
}

fn receives(way: Way) -> impl Fn(&Work, &Scene) {
    move |queue, scene| {
        warm();
        scene.begin();
        let delivery = queue.recv().unwrap();
        match way {
            Way::Keep => std::mem::forget(delivery),
            Way::Ack => std::mem::forget(delivery.ack()),
            Way::Nack => delivery.nack(),
            Way::Reject => delivery.reject(),
        }
        scene.end();
    }
}

/// `send`, to a queue in every state.
pub(crate) fn send() {
    let plain = |name: &str, before: u64, workers: usize| {
        let mut scenario =
            Scenario::new(name, work_of(before, 3)).every(coarse(5)).victim(sends_one);
        for n in 1..=workers {
            scenario = scenario.bystander(format!("worker {n}"), worker);
        }
        scenario.settles(move |queue, _| workers == 0 || queue.glance() == [0, 0, 0]).check(
            move |queue, scene| {
                let left = Left::in_queue(queue)?;
                if workers > 0 {
                    queue.close();
                    scene.await_ended(workers);
                }
                let mut all = scene.logged();
                all.extend(left.numbers());
                let mut certain: Vec<u64> = (1..=before).collect();
                certain.extend(scene.is_finished().then_some(VICTIMS));
                compare(&all, &certain, &[VICTIMS])?;
                works(queue)
            },
        )
    };
    let blocked = Scenario::new("send, full, then one is done", work_of(CAPACITY, 3))
        .bystander("a worker", |queue, scene| {
            scene.hold();
            worker_of_one(queue, scene);
        })
        .victim(sends_one)
        .every(coarse(15))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0))
        .check(|queue, scene| {
            scene.await_ended(1);
            let mut all = Left::in_queue(queue)?.numbers();
            all.extend(scene.logged());
            compare(&all, &[1, 2, 3, 4], &[VICTIMS])?;
            works(queue)
        });
    let timed_out = Scenario::new("send_timeout that times out, one asleep", work_of(CAPACITY, 3))
        .every(coarse(10))
        .bystander("a sender", |queue, _| queue.send(item(BYSTANDERS)).unwrap())
        .victim(|queue, scene| {
            let item = item(VICTIMS);
            warm();
            scene.begin();
            assert!(queue.send_timeout(item, Duration::from_millis(2)).is_err());
            scene.end();
        })
        .check(|queue, scene| {
            let first = queue.recv().map(done).map_err(|error| Fault::lost(error.to_string()))?.0;
            scene.await_ended(1);
            let mut all = Left::in_queue(queue)?.numbers();
            all.push(first);
            compare(&all, &[1, 2, 3, 4, BYSTANDERS], &[])?;
            works(queue)
        });
    conclude(
        "work-send",
        vec![
            plain("send, empty", 0, 0),
            plain("send, the last place", CAPACITY - 1, 0),
            plain("send, one worker asleep", 0, 1),
            plain("send, two workers asleep", 0, 2),
            blocked,
            timed_out,
        ],
    );
}

/// `recv`, and what may follow it.
pub(crate) fn recv() {
    let alone = |name: &str, way: Way, before: u64, max_attempts: u32| {
        let scenario = Scenario::new(name, work_of(before, max_attempts))
            .every(coarse(if way == Way::Keep { 3 } else { 5 }))
            .victim(receives(way));
        scenario.check(move |queue, scene| {
            let left = Left::in_queue(queue)?;
            let others: Vec<u64> = (2..=before).collect();
            compare(&left.numbers(), &others, &[1])?;
            let is_ready = left.items.first().filter(|item| item.0 == 1).map(|item| item.1);
            let is_letter = left.letters.first().filter(|item| item.0 == 1).map(|item| item.1);
            let is_over = scene.is_finished();
            let last = max_attempts == 1;
            match (is_ready, is_letter) {
                (Some(1), None) if !is_over => works(queue),
                (Some(2), None) if !last && (!is_over || matches!(way, Way::Keep | Way::Nack)) => {
                    works(queue)
                }
                (None, Some(1)) if last && (!is_over || way != Way::Ack) => works(queue),
                (None, Some(1)) if !last && way == Way::Reject => works(queue),
                (None, None) if way == Way::Ack => works(queue),
                other => Err(Fault::broken(format!("item 1, ready or letter: {other:?}"))),
            }
        })
    };
    let blocked = Scenario::new("recv, empty, then one is sent", work_of(0, 3))
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(item(1)).unwrap();
        })
        .victim(receives(Way::Ack))
        .every(coarse(15))
        .wakes_sleeping_victim()
        .check(|queue, scene| {
            scene.await_ended(1);
            let left = Left::in_queue(queue)?.numbers();
            compare(&left, &[], &[1])?;
            works(queue)
        });
    let blocked_too = Scenario::new("recv, empty, one asleep, then two are sent", work_of(0, 3))
        .bystander("a worker", worker_of_one)
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(item(1)).unwrap();
            queue.send(item(2)).unwrap();
        })
        .victim(receives(Way::Ack))
        .every(coarse(15))
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, scene| {
            let mut all = Left::in_queue(queue)?.numbers();
            all.extend(scene.logged());
            compare(&all, &[], &[1, 2])?;
            match all.len() {
                1 | 2 => works(queue),
                _ => Err(Fault::lost(format!("{all:?}, and the victim can have had one"))),
            }
        });
    let timed_out = Scenario::new("recv_timeout that times out, one asleep", work_of(0, 3))
        .every(coarse(5))
        .bystander("a worker", worker_of_one)
        .victim(|queue, scene| {
            warm();
            scene.begin();
            assert!(queue.recv_timeout(Duration::from_millis(2)).is_err());
            scene.end();
        })
        .check(|queue, scene| {
            queue.send(item(1)).unwrap();
            scene.await_ended(1);
            works(queue)
        });
    conclude(
        "work-recv",
        vec![
            alone("recv", Way::Keep, 2, 3),
            alone("recv, the last one", Way::Keep, 1, 3),
            alone("recv, ack", Way::Ack, 2, 3),
            alone("recv, nack", Way::Nack, 2, 3),
            alone("recv, reject", Way::Reject, 2, 3),
            alone("recv, its last attempt", Way::Keep, 2, 1),
            alone("recv, nack, its last attempt", Way::Nack, 2, 1),
            blocked,
            blocked_too,
            timed_out,
        ],
    );
}

/// A holder dies, or ends its delivery, while others sleep.
pub(crate) fn holder() {
    // The victim holds items from before its begin marker.
    let ends = |name: &str, way: Way, before: u64, max_attempts: u32| {
        Scenario::new(name, work_of(before, max_attempts)).victim(move |queue, scene| {
            warm();
            let held: Vec<_> = (0..before).map(|_| queue.recv().unwrap()).collect();
            scene.begin();
            for delivery in held {
                match way {
                    Way::Keep => std::mem::forget(delivery),
                    Way::Ack => std::mem::forget(delivery.ack()),
                    Way::Nack => delivery.nack(),
                    Way::Reject => delivery.reject(),
                }
            }
            scene.end();
        })
    };
    // Workers asleep: what is not done by the victim is theirs, at once.
    let with_workers = |name: &str, way: Way, before: u64, workers: usize| {
        let mut scenario = ends(name, way, before, 3).every(coarse(before as usize));
        for n in 1..=workers {
            scenario = scenario.follower(format!("worker {n}"), worker);
        }
        scenario.settles(|queue, _| queue.glance() == [0, 0, 0]).check(move |queue, scene| {
            queue.close();
            scene.await_ended(workers);
            let all: Vec<u64> = (1..=before).collect();
            let certain = if way == Way::Ack { &[] } else { &all[..] };
            compare(&scene.logged(), certain, &all)?;
            Ok(0)
        })
    };
    let with_sender = ends("ack, a sender waits for room", Way::Ack, CAPACITY, 3)
        .every(coarse(5))
        .follower("a sender", |queue, _| queue.send(item(BYSTANDERS)).unwrap())
        .settles(|queue, scene| scene.has_ended(0) || queue.glance() == [0, CAPACITY as usize, 0])
        .check(|queue, scene| {
            if !scene.has_ended(0) {
                let first = queue.recv().map(done);
                first.map_err(|error| Fault::lost(error.to_string()))?;
                scene.await_ended(1);
            }
            let left = Left::in_queue(queue)?.numbers();
            compare(&left, &[BYSTANDERS], &[1, 2, 3, 4])?;
            works(queue)
        });
    // A dead letter, or done: a closed queue's receivers end in any case.
    let closed = |name: &str, way: Way| {
        let scenario = ends(name, way, 1, 1).follower("a worker", |queue, scene| {
            queue.close();
            worker(queue, scene);
        });
        scenario.settles(|_, scene| scene.has_ended(0)).check(|queue, scene| {
            compare(&scene.logged(), &[], &[])?;
            compare(&Left::in_queue(queue)?.numbers(), &[], &[1])?;
            Ok(0)
        })
    };
    conclude(
        "work-holder",
        vec![
            with_workers("holder of one, one worker asleep", Way::Keep, 1, 1),
            with_workers("holder of three, two workers asleep", Way::Keep, 3, 2),
            with_workers("ack, one worker asleep", Way::Ack, 1, 1),
            with_workers("nack, one worker asleep", Way::Nack, 1, 1),
            with_workers("nack of two, two workers asleep", Way::Nack, 2, 2),
            with_sender,
            closed("ack on a closed queue, one asleep", Way::Ack),
            closed("holder of the last attempt, closed, one asleep", Way::Keep),
        ],
    );
}

/// `close`, and what is done with dead letters.
pub(crate) fn close_and_letters() {
    let close = Scenario::new("close, two workers asleep", work_of(0, 3))
        .bystander("worker 1", worker)
        .bystander("worker 2", worker)
        .victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        })
        .settles(|queue, scene| !queue.is_closed() || scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, scene| {
            queue.close();
            scene.await_ended(2);
            Ok(0)
        });
    let close_full = Scenario::new("close, full, a sender asleep", work_of(CAPACITY, 3))
        .bystander("a sender", |queue, _| assert!(queue.send(item(BYSTANDERS)).is_err()))
        .victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        })
        .settles(|queue, scene| !queue.is_closed() || scene.has_ended(0))
        .check(|queue, scene| {
            queue.close();
            scene.await_ended(1);
            compare(&Left::in_queue(queue)?.numbers(), &[1, 2, 3, 4], &[])?;
            Ok(0)
        });
    let letters_of_three = || {
        let queue = work_of(3, 1)();
        for _ in 0..3 {
            queue.recv().unwrap().nack();
        }
        queue
    };
    let take = Scenario::new("take_dead_letter", letters_of_three)
        .every(coarse(5))
        .victim(|queue, scene| {
            warm();
            scene.begin();
            std::mem::forget(queue.take_dead_letter());
            scene.end();
        })
        .check(|queue, scene| {
            let left = Left::in_queue(queue)?.numbers();
            compare(&left, &[2, 3], if scene.is_finished() { &[] } else { &[1] })?;
            works(queue)
        });
    let read = Scenario::new("dead_letters", letters_of_three)
        .every(coarse(60))
        .victim(|queue, scene| {
            warm();
            scene.begin();
            std::mem::forget(queue.dead_letters());
            scene.end();
        })
        .check(|queue, _| {
            compare(&Left::in_queue(queue)?.numbers(), &[1, 2, 3], &[])?;
            works(queue)
        });
    let retry = Scenario::new("retry_dead_letters, a worker asleep", letters_of_three)
        .bystander("a worker", worker)
        .victim(|queue, scene| {
            warm();
            scene.begin();
            queue.retry_dead_letters();
            scene.end();
        })
        .settles(|queue, _| queue.glance()[0] == 0)
        .check(|queue, scene| {
            queue.close();
            scene.await_ended(1);
            let mut all = scene.logged();
            all.extend(Left::in_queue(queue)?.numbers());
            compare(&all, &[1, 2, 3], &[])?;
            Ok(scene.logged().len() as u64)
        });
    conclude("work-letters", vec![close, close_full, take, read, retry]);
}
