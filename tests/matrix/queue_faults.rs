//! The ring queue again: nobody dies but everything is late, two die, and one dies while another is late.

use offspring::proof::{Fault, Scenario};

use crate::matrix::account::{BYSTANDERS, Books, STOP, VICTIMS, log, message, queue_of, works};
use crate::matrix::actors::*;
use crate::{coarse, conclude, stride};

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
        .first_victim(stride(23), |queue, scene| {
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
        .first_victim(stride(23), |queue, scene| {
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
