//! The work queue again: `join`, two deaths in a row, and nobody dies but everything is late.

use offspring::JoinableQueue;
use offspring::proof::{Fault, Scenario, Scene};
use offspring::queue::WorkLimits;

use crate::matrix::actors::warm;
use crate::matrix::work_books::*;
use crate::{calibrate, coarse, conclude};

type Tasks = JoinableQueue<u64>;

fn tasks_of(count: u64, max_attempts: u32) -> impl Fn() -> Tasks {
    move || {
        calibrate();
        let tasks = Tasks::with_limits(WorkLimits::items(4).max_attempts(max_attempts)).unwrap();
        (1..=count).for_each(|n| tasks.send(n).unwrap());
        tasks
    }
}

fn joiner(tasks: &Tasks, _: &Scene) {
    let _ = tasks.join();
}

/// Finishes what comes until the queue is closed.
fn finisher(tasks: &Tasks, scene: &Scene) {
    while let Ok(number) = tasks.recv() {
        scene.log(number);
        tasks.task_done().unwrap();
    }
}

/// `task_done` and `join`: a joiner is told when all is finished, whoever died.
pub(crate) fn join() {
    let works = |name: &str, max_attempts: u32| {
        Scenario::new(name, tasks_of(2, max_attempts))
            .every(coarse(10))
            .bystander("a joiner", joiner)
            .victim(|tasks, scene| {
                warm();
                scene.begin();
                for _ in 0..2 {
                    tasks.recv().unwrap();
                    tasks.task_done().unwrap();
                }
                scene.end();
            })
    };
    // The victim is alone, or everything that it takes is a dead letter at once: the rest is the check's.
    let alone = works("recv, task_done, twice; a joiner asleep", 3)
        .settles(|tasks, scene| scene.has_ended(0) || tasks.glance() != [0, 0, 0])
        .check(|tasks, scene| {
            let mut left = 0;
            while tasks.try_recv().is_ok() {
                tasks.task_done().unwrap();
                left += 1;
            }
            scene.await_ended(1);
            Ok(2 - left)
        });
    let last_attempts = works("the same, each its last attempt", 1)
        .settles(|tasks, scene| scene.has_ended(0) || tasks.glance()[0] > 0)
        .check(|tasks, scene| {
            while tasks.try_recv().is_ok() {
                tasks.task_done().unwrap();
            }
            scene.await_ended(1);
            match tasks.join() {
                Ok(()) => Ok(2),
                Err(letters) if letters.count() == 1 && !scene.is_finished() => Ok(1),
                Err(letters) => Err(Fault::broken(letters.to_string())),
            }
        });
    let relieved = works("the same, a worker asleep", 3)
        .follower("a worker", |tasks, scene| {
            scene.hold();
            finisher(tasks, scene);
        })
        .settles(|_, scene| scene.has_ended(0))
        .check(|tasks, scene| {
            tasks.close();
            scene.await_ended(2);
            compare(&scene.logged(), &[], &[1, 2])?;
            Ok(0)
        });
    let joins = Scenario::new("join, then the worker is done; one more asleep", tasks_of(1, 3))
        .every(coarse(10))
        .bystander("a joiner", joiner)
        .bystander("a worker", |tasks, scene| {
            tasks.recv().unwrap();
            scene.hold();
            tasks.task_done().unwrap();
        })
        .victim(|tasks, scene| {
            warm();
            scene.begin();
            tasks.join().unwrap();
            scene.end();
        })
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|_, _| Ok(0));
    conclude("work-join", vec![alone, last_attempts, relieved, joins]);
}

/// The first one dies at each of its instructions, whoever repairs after it at each of its own.
pub(crate) fn double_faults() {
    let next = |queue: &Work, scene: &Scene| {
        warm();
        scene.begin();
        std::mem::forget(queue.recv().unwrap());
        scene.end();
    };
    let recv_recv = Scenario::new("recv, killed; recv, killed", work_of(3, 3))
        .first_victim(coarse(300), next)
        .every(coarse(80))
        .victim(next)
        .check(|queue, _| {
            let left = Left::in_queue(queue)?;
            compare(&left.numbers(), &[1, 2, 3], &[])?;
            let attempts: Vec<u32> = left.items.iter().map(|item| item.1).collect();
            match attempts[..] {
                [1..=3, 1, 1] => works(queue),
                _ => Err(Fault::broken(format!("attempts: {attempts:?}"))),
            }
        });
    let ends_recv = Scenario::new("nack and ack, killed; recv, killed", work_of(3, 3))
        .first_victim(coarse(100), |queue, scene| {
            warm();
            let (one, two) = (queue.recv().unwrap(), queue.recv().unwrap());
            scene.begin();
            one.nack();
            std::mem::forget(two.ack());
            scene.end();
        })
        .every(coarse(80))
        .victim(next)
        .check(|queue, _| {
            let left = Left::in_queue(queue)?;
            compare(&left.numbers(), &[1, 3], &[2])?;
            let attempts: Vec<u32> = left.items.iter().map(|item| item.1).collect();
            match attempts[..] {
                [2..=3, 1] | [2..=3, 2, 1] => works(queue),
                _ => Err(Fault::broken(format!("attempts: {attempts:?}"))),
            }
        });
    let sends = Scenario::new("send and send, both killed", work_of(1, 3))
        .first_victim(coarse(300), |queue, scene| {
            let item = item(BYSTANDERS);
            warm();
            scene.begin();
            queue.send(item).unwrap();
            scene.end();
        })
        .every(coarse(80))
        .victim(|queue, scene| {
            let item = item(VICTIMS);
            warm();
            scene.begin();
            queue.send(item).unwrap();
            scene.end();
        })
        .check(|queue, _| {
            let all: Vec<u64> =
                std::iter::from_fn(|| queue.try_recv().ok()).map(|d| done(d).0).collect();
            compare(&all, &[1], &[BYSTANDERS, VICTIMS])?;
            works(queue)
        });
    // The holder is killed; a sleeper that takes over what it held is killed; one more sleeps.
    let relay = Scenario::new("holder killed, the next one killed, one more asleep", work_of(2, 9))
        .first_victim(coarse(150), |queue, scene| {
            warm();
            let held = (queue.recv().unwrap(), queue.recv().unwrap());
            scene.begin();
            held.0.nack();
            std::mem::forget(held.1);
            scene.end();
        })
        .first_dies_late()
        .every(coarse(60))
        .victim(|queue, scene| {
            warm();
            scene.begin();
            std::mem::forget(queue.recv().unwrap());
            std::mem::forget(queue.recv().unwrap());
            scene.end();
        })
        .follower("a worker", worker)
        .settles(|queue, _| queue.glance() == [0, 0, 0])
        .check(|queue, scene| {
            queue.close();
            scene.await_ended(1);
            compare(&scene.logged(), &[1, 2], &[]).map(|()| 0)
        });
    conclude("work-double", vec![recv_recv, ends_recv, sends, relay]);
}

/// Nobody dies: the victim is held at every instruction while the others do all that they can.
pub(crate) fn held_up() {
    let receives = |queue: &Work, scene: &Scene| {
        warm();
        scene.begin();
        std::mem::forget(queue.recv().unwrap().ack());
        scene.end();
    };
    let sender_comes = Scenario::new("recv, held up while one is sent", work_of(0, 3))
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(item(1)).unwrap();
        })
        .victim(receives)
        .every(coarse(40))
        .wakes_sleeping_victim()
        .pauses()
        .check(|queue, _| works(queue));
    let two_come = Scenario::new("recv, one asleep, held up while two are sent", work_of(0, 3))
        .bystander("a worker", worker_of_one)
        .bystander("a sender", |queue, scene| {
            scene.hold();
            queue.send(item(1)).unwrap();
            queue.send(item(2)).unwrap();
        })
        .victim(receives)
        .every(coarse(40))
        .wakes_sleeping_victim()
        .pauses()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|queue, _| works(queue));
    let holder_ends = Scenario::new("recv, held up while a holder ends", work_of(1, 3))
        .bystander("a holder", |queue, scene| {
            std::mem::forget(queue.recv().unwrap());
            scene.hold();
        })
        .victim(receives)
        .every(coarse(40))
        .wakes_sleeping_victim()
        .pauses()
        .check(|queue, _| works(queue));
    let room_comes = Scenario::new("send, full, held up while one is done", work_of(CAPACITY, 3))
        .bystander("a worker", |queue, scene| {
            scene.hold();
            worker_of_one(queue, scene);
        })
        .victim(|queue, scene| {
            let item = item(VICTIMS);
            warm();
            scene.begin();
            queue.send(item).unwrap();
            scene.end();
        })
        .every(coarse(40))
        .wakes_sleeping_victim()
        .pauses()
        .check(|queue, _| {
            compare(&Left::in_queue(queue)?.numbers(), &[2, 3, 4, VICTIMS], &[])?;
            works(queue)
        });
    let joins = Scenario::new("join, held up while the worker is done", tasks_of(1, 3))
        .bystander("a worker", |tasks, scene| {
            tasks.recv().unwrap();
            scene.hold();
            tasks.task_done().unwrap();
        })
        .victim(|tasks, scene| {
            warm();
            scene.begin();
            tasks.join().unwrap();
            scene.end();
        })
        .every(coarse(40))
        .wakes_sleeping_victim()
        .pauses()
        .check(|_, _| Ok(0));
    let held_up = vec![sender_comes, two_come, holder_ends, room_comes];
    conclude("work-held-up", held_up);
    conclude("work-join-held-up", vec![joins]);
}
