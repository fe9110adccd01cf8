//! The message queue: small and large messages, views, `close`, with and without others asleep.
//!
//! A message is its number, as often as its kind says; so a torn one shows. The queue's page holds 127 units of small ones, or one
//! large one.

use std::collections::BTreeSet;

use offspring::Queue;
use offspring::proof::{Fault, Scenario, Scene, Verdict};

use crate::conclude;
use crate::matrix::actors::warm;
use crate::{calibrate, coarse};

const SMALL: usize = 40;
/// More than is copied under the lock, and than half of a page.
const LARGE: usize = 2400;
const VICTIM: u8 = 100;
const OTHER: u8 = 200;
/// Tells a receiving bystander to end.
const STOP: u8 = 250;

/// A queue of a page, with the messages 1, 2, … of these sizes in it.
fn queue_of(sizes: &'static [usize]) -> impl Fn() -> Queue<()> {
    move || {
        calibrate();
        let queue = Queue::with_capacity_bytes(4000).expect("make a queue");
        for (index, &bytes) in sizes.iter().enumerate() {
            queue.try_send_bytes(&vec![index as u8 + 1; bytes]).expect("there is room");
        }
        queue
    }
}

/// The message's number, or 0 if it is torn.
fn number(bytes: &[u8]) -> u8 {
    let whole = bytes.iter().all(|byte| *byte == bytes[0]);
    if whole && [SMALL, LARGE].contains(&bytes.len()) { bytes[0] } else { 0 }
}

fn sends(bytes: usize) -> impl Fn(&Queue<()>, &Scene) {
    move |queue, scene| {
        warm();
        let message = vec![VICTIM; bytes];
        scene.begin();
        queue.send_bytes(&message).unwrap();
        scene.note(0, 1);
        scene.end();
    }
}

/// Into a buffer of its own: an allocation would be swept too.
fn receives(queue: &Queue<()>, scene: &Scene) {
    warm();
    let mut buffer = [0; LARGE];
    scene.begin();
    let bytes = queue.recv_bytes_into(&mut buffer).unwrap();
    scene.note(1, u64::from(number(&buffer[..bytes])));
    scene.end();
}

fn views(queue: &Queue<()>, scene: &Scene) {
    warm();
    // The first view of a thread has it remember to look at its end.
    let own = Queue::<()>::with_capacity_bytes(1).unwrap();
    own.send_bytes(&[]).unwrap();
    drop(own.recv_view());
    scene.begin();
    let view = queue.recv_view().unwrap();
    let number = number(&view);
    drop(view);
    scene.note(1, u64::from(number));
    scene.end();
}

/// A bystander that receives until it is stopped or the queue is closed.
fn receiver(queue: &Queue<()>, scene: &Scene) {
    let mut buffer = [0; LARGE];
    while let Ok(bytes) = queue.recv_bytes_into(&mut buffer) {
        match number(&buffer[..bytes]) {
            STOP => return,
            number => scene.log(u64::from(number)),
        }
    }
}

fn sender(bytes: usize) -> impl Fn(&Queue<()>, &Scene) {
    move |queue, _| _ = queue.send_bytes(&vec![OTHER; bytes])
}

/// What there was, and who was there.
#[derive(Clone, Copy, Debug, Default)]
struct Books {
    before: u8,
    receivers: usize,
    senders: usize,
    /// How many receive one message each.
    ones: usize,
    /// The victim sends, or receives one; a small one may be gone with it.
    sends: bool,
    takes: bool,
    may_lose: bool,
}

impl Books {
    fn check(self, queue: &Queue<()>, scene: &Scene) -> Verdict {
        let bystanders = self.receivers + self.senders + self.ones;
        for _ in 0..self.receivers {
            if !queue.is_closed() {
                queue
                    .send_bytes(&[STOP; SMALL])
                    .map_err(|error| Fault::broken(error.to_string()))?;
            }
        }
        let mut all = Vec::new();
        while !(0..bystanders).all(|bystander| scene.has_ended(bystander)) {
            if self.receivers + self.ones == 0 {
                all.extend(queue.try_recv_bytes().ok().map(|bytes| number(&bytes)));
            }
            std::thread::yield_now();
        }
        let len = queue.len();
        let drained =
            std::iter::from_fn(|| queue.try_recv_bytes().ok()).map(|bytes| number(&bytes));
        let drained: Vec<u8> = drained.collect();
        if len != drained.len() {
            return Err(Fault::broken(format!("len said {len}, and {drained:?} were there")));
        }
        all.extend(drained);
        all.extend(scene.logged().iter().map(|&number| number as u8));
        let got = scene.noted(1) as u8;
        all.extend((got != 0).then_some(got));
        let seen: BTreeSet<u8> = all.iter().copied().collect();
        if all.contains(&0) || all.contains(&STOP) {
            return Err(Fault::torn(format!("{all:?}")));
        }
        if seen.len() != all.len() {
            return Err(Fault::doubled(format!("{all:?}")));
        }
        let sent = seen.contains(&VICTIM);
        if !sent && (scene.noted(0) != 0 || self.sends && scene.is_finished()) {
            return Err(Fault::lost("the victim's send returned"));
        }
        let sent_too = if self.senders > 0 { 1 + self.ones as u8 } else { 0 };
        let others = (1..=self.before).chain(OTHER..OTHER + sent_too);
        let missing = others.filter(|number| !seen.contains(number)).count();
        let room = usize::from(self.takes && self.may_lose && got == 0 && !scene.is_finished());
        if missing > room {
            return Err(Fault::lost(format!("{missing} are missing: {all:?}")));
        }
        works(queue)?;
        Ok(u64::from(sent) + u64::from(got != 0) + missing as u64)
    }
}

/// All its room is there, twice.
fn works(queue: &Queue<()>) -> Result<(), Fault> {
    for _ in 0..2 * usize::from(!queue.is_closed()) {
        let full = vec![9; queue.max_message_bytes()];
        let sent = queue.try_send_bytes(&full);
        sent.map_err(|error| Fault::broken(format!("{error}, {} are used", queue.used_bytes())))?;
        if queue.len() != 1 || queue.recv_bytes() != Ok(full) || queue.try_recv_bytes().is_ok() {
            return Err(Fault::broken("a large message does not come through"));
        }
    }
    Ok(())
}

fn with_receivers(mut scenario: Scenario<Queue<()>>, count: usize) -> Scenario<Queue<()>> {
    for n in 1..=count {
        scenario = scenario.bystander(format!("receiver {n}"), receiver);
    }
    // A message that is there does not stay while receivers sleep.
    scenario.settles(move |queue, _| count == 0 || queue.used_bytes() == 0 || queue.is_empty())
}

fn with_sender(scenario: Scenario<Queue<()>>, bytes: usize) -> Scenario<Queue<()>> {
    scenario.bystander("a sender", sender(bytes))
}

fn checked(scenario: Scenario<Queue<()>>, books: Books) -> Scenario<Queue<()>> {
    scenario.check(move |queue, scene| books.check(queue, scene))
}

pub(crate) fn send() {
    let plain = |name: &str, bytes: usize, sizes: &'static [usize], receivers: usize| {
        let scenario = Scenario::new(name, queue_of(sizes)).victim(sends(bytes));
        let books = Books { before: sizes.len() as u8, sends: true, receivers, ..Books::default() };
        checked(with_receivers(scenario, receivers), books)
    };
    let blocked = |name: &str, bytes: usize| {
        let scenario = Scenario::new(name, queue_of(&[LARGE, SMALL]))
            .bystander("a receiver", |queue, scene| {
                scene.hold();
                receiver(queue, scene);
            })
            .victim(sends(bytes))
            .wakes_sleeping_victim();
        checked(scenario, Books { before: 2, sends: true, receivers: 1, ..Books::default() })
    };
    conclude(
        "message-send",
        vec![
            plain("send small, empty", SMALL, &[], 0),
            plain("send small, some there", SMALL, &[SMALL, SMALL], 0),
            plain("send small, one receiver asleep", SMALL, &[], 1),
            plain("send small, two receivers asleep", SMALL, &[], 2),
            plain("send large, empty", LARGE, &[], 0),
            plain("send large, behind a small one", LARGE, &[SMALL], 0),
            plain("send large, one receiver asleep", LARGE, &[], 1),
            plain("send large, two receivers asleep", LARGE, &[], 2),
            blocked("send large, full, then one receives", LARGE),
        ],
    );
}

pub(crate) fn recv() {
    type Victim = fn(&Queue<()>, &Scene);
    let plain =
        |name: &str, victim: Victim, sizes: &'static [usize], may_lose: bool, wait: bool| {
            let scenario = Scenario::new(name, queue_of(sizes)).victim(victim);
            let senders = usize::from(wait);
            let scenario = if wait { with_sender(scenario, LARGE) } else { scenario };
            let before = sizes.len() as u8;
            checked(scenario, Books { before, takes: true, senders, may_lose, ..Books::default() })
        };
    // As many messages come as there are receivers, the victim among them.
    let blocked = |name: &str, victim: Victim, bytes: usize, ones: usize| {
        let mut scenario = Scenario::new(name, queue_of(&[]));
        for n in 1..=ones {
            scenario = scenario.bystander(format!("receiver {n}"), |queue, scene| {
                let bytes = queue.recv_bytes().unwrap();
                scene.log(u64::from(number(&bytes)));
            });
        }
        let scenario = scenario
            .bystander("a sender", move |queue, scene| {
                scene.hold();
                for n in 0..=ones as u8 {
                    let _ = queue.send_bytes(&vec![OTHER + n; bytes]);
                }
            })
            .victim(victim)
            .wakes_sleeping_victim()
            .every(coarse(4));
        let books = Books { takes: true, senders: 1, ones, may_lose: true, ..Books::default() };
        checked(scenario, books)
    };
    conclude(
        "message-recv",
        vec![
            plain("recv small", receives, &[SMALL, SMALL], true, false),
            plain("recv large", receives, &[LARGE, SMALL], true, false),
            plain("recv large, a sender waits for room", receives, &[LARGE], true, true),
            plain("view small, dropped", views, &[SMALL, SMALL], true, false),
            plain("view large, dropped, a sender waits for room", views, &[LARGE], true, true),
            blocked("recv, empty, then one sends small", receives, SMALL, 0),
            blocked("recv, empty, then one sends large", receives, LARGE, 0),
            blocked("recv, empty, one asleep, then one sends large", receives, LARGE, 1),
            blocked("view, empty, one asleep, then one sends large", views, LARGE, 1),
        ],
    );
}

/// Nobody lets a message go that it has only looked at; and `close`.
pub(crate) fn lent_and_closed() {
    let kept = Scenario::new("view taken and put back", queue_of(&[LARGE, SMALL])).victim(
        |queue, scene| {
            warm();
            scene.begin();
            queue.recv_view().unwrap().put_back();
            scene.end();
        },
    );
    let kept = checked(kept, Books { before: 2, ..Books::default() });
    let past =
        Scenario::new("recv past a view that another holds", queue_of(&[LARGE, SMALL, SMALL]))
            .bystander("the viewer", |queue, scene| {
                let view = queue.recv_view().unwrap();
                scene.hold();
                scene.log(u64::from(number(&view)));
            })
            .victim(receives);
    let books = Books { before: 3, takes: true, may_lose: true, senders: 0, ..Books::default() };
    let past = past.check(move |queue, scene| {
        scene.await_ended(1);
        books.check(queue, scene)
    });
    let closes = |name: &str, sizes: &'static [usize], receivers: usize, sends: bool| {
        let mut scenario = Scenario::new(name, queue_of(sizes)).victim(|queue, scene| {
            warm();
            scene.begin();
            queue.close();
            scene.end();
        });
        for n in 1..=receivers {
            scenario = scenario.bystander(format!("receiver {n}"), receiver);
        }
        if sends {
            scenario = with_sender(scenario, LARGE);
        }
        let bystanders = receivers + usize::from(sends);
        scenario.check(move |queue, scene| {
            let was_closed = queue.is_closed();
            queue.close();
            scene.await_ended(bystanders);
            let left = std::iter::from_fn(|| queue.recv_bytes().ok()).count();
            match left == sizes.len() && queue.try_send_bytes(&[1]).is_err() {
                true => Ok(u64::from(was_closed)),
                false => Err(Fault::lost(format!("{left} are left"))),
            }
        })
    };
    conclude(
        "message-lent",
        vec![
            kept,
            past,
            closes("close, empty, two receivers asleep", &[], 2, false),
            closes("close, full, one sender asleep", &[LARGE], 0, true),
        ],
    );
}

/// A first one dies, and who comes after it dies of its own.
pub(crate) fn double_faults() {
    let first_sends = |queue: &Queue<()>, scene: &Scene| {
        warm();
        let message = [OTHER; LARGE];
        scene.begin();
        let _ = queue.send_bytes(&message);
        scene.end();
    };
    let recv = Scenario::new("send large killed, recv killed", queue_of(&[SMALL]))
        .first_victim(coarse(241), first_sends)
        .victim(receives)
        .every(coarse(29))
        .check(|queue, scene| {
            let books = Books { before: 1, takes: true, may_lose: true, ..Books::default() };
            books.check(queue, scene)
        });
    let take = Scenario::new("recv large killed, recv large killed", queue_of(&[LARGE, SMALL]))
        .first_victim(coarse(241), |queue, scene| {
            warm();
            let mut buffer = [0; LARGE];
            scene.begin();
            let _ = queue.recv_bytes_into(&mut buffer);
            scene.end();
        })
        .victim(receives)
        .every(coarse(29))
        .check(|queue, scene| {
            let left: Vec<u8> =
                std::iter::from_fn(|| queue.try_recv_bytes().ok()).map(|b| number(&b)).collect();
            if left.contains(&0) || !left.is_sorted() || left.len() > 2 {
                return Err(Fault::torn(format!("{left:?}")));
            }
            works(queue)?;
            Ok(u64::from(scene.noted(1) != 0) + 2 - left.len() as u64)
        });
    conclude("message-double", vec![recv, take]);
}
