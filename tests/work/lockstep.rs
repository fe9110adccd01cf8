//! Random scripts for five processes, one step at a time, against a model that knows what each step must give: which item comes
//! next, at which attempt, what comes back at a death, and which are dead letters in the end.

use std::collections::{BTreeMap, VecDeque};

use offspring::queue::{Delivery, NotReceived, WorkLimits};
use offspring::{RingQueue, WorkQueue};

use crate::support::{Kid, Rng, seed};

const SEATS: usize = 5;
const ITEMS: usize = 12;
const MAX_ATTEMPTS: u32 = 3;

/// What a process is told to do, and a number.
type Order = [u32; 2];
const SEND: u32 = 1;
const RECV: u32 = 2;
const ACK: u32 = 3;
const NACK: u32 = 4;
const REJECT: u32 = 5;
/// What it answers, and two numbers.
type Answer = [u32; 3];
const DONE: u32 = 1;
const NOTHING: u32 = 2;

type Item = (u32, Vec<u8>);

/// An item's content follows from its number; lengths are on both sides of a block's.
fn item(number: u32) -> Item {
    let length = number.wrapping_mul(0x9e37_79b9) % 700;
    (number, (0..length).map(|n| (n ^ number) as u8).collect())
}

/// One process and the ways to it.
struct Seat {
    kid: Kid,
    orders: RingQueue<Order>,
    answers: RingQueue<Answer>,
    /// What it holds, as the model knows: numbers, in the order of deliveries.
    holds: VecDeque<u32>,
}

impl Seat {
    fn new(queue: &WorkQueue<Item>) -> Seat {
        let (orders, answers) = (RingQueue::new(1).unwrap(), RingQueue::new(1).unwrap());
        let kid = Kid::fork(|| obey(queue, &orders, &answers));
        Seat { kid, orders, answers, holds: VecDeque::new() }
    }

    fn tell(&self, order: u32, number: u32) -> Answer {
        self.orders.send([order, number]).unwrap();
        self.answers.recv().unwrap()
    }
}

fn obey(queue: &WorkQueue<Item>, orders: &RingQueue<Order>, answers: &RingQueue<Answer>) {
    let mut held: VecDeque<Delivery<'_, Item>> = VecDeque::new();
    for [order, number] in orders {
        let answer = match order {
            SEND => match queue.try_send(item(number)) {
                Ok(()) => [DONE, 0, 0],
                Err(_) => [NOTHING, 0, 0],
            },
            RECV => match queue.try_recv() {
                Ok(delivery) => {
                    assert_eq!(*delivery, item(delivery.0));
                    let answer = [DONE, delivery.0, delivery.attempts()];
                    held.push_back(delivery);
                    answer
                }
                Err(error) => {
                    assert_eq!(error, NotReceived::Empty);
                    [NOTHING, 0, 0]
                }
            },
            _ => {
                let delivery = held.remove(number as usize).unwrap();
                match order {
                    ACK => _ = delivery.ack(),
                    NACK => delivery.nack(),
                    _ => delivery.reject(),
                }
                [DONE, 0, 0]
            }
        };
        answers.send(answer).unwrap();
    }
}

/// What must be.
#[derive(Default)]
struct Model {
    /// Ready items by number, with the attempts so far.
    ready: BTreeMap<u32, u32>,
    leased: BTreeMap<u32, u32>,
    dead: BTreeMap<u32, u32>,
    acknowledged: u32,
}

impl Model {
    fn comes_back(&mut self, number: u32) {
        let attempts = self.leased.remove(&number).unwrap();
        let to = if attempts < MAX_ATTEMPTS { &mut self.ready } else { &mut self.dead };
        to.insert(number, attempts);
    }

    fn items(&self) -> usize {
        self.ready.len() + self.leased.len() + self.dead.len()
    }
}

pub(crate) fn random_scripts_with_deaths() {
    let mut rng = Rng::new(seed());
    let (mut deaths, mut acknowledged, mut letters) = (0, 0, 0);
    for _ in 0..12 {
        let limits = WorkLimits::items(ITEMS).bytes(1 << 16).max_attempts(MAX_ATTEMPTS);
        let queue = WorkQueue::<Item>::with_limits(limits).unwrap();
        let mut seats: Vec<Seat> = (0..SEATS).map(|_| Seat::new(&queue)).collect();
        let mut model = Model::default();
        let mut next = 0;
        for _ in 0..600 {
            let at = rng.below(SEATS as u64) as usize;
            let seat = &mut seats[at];
            match rng.below(16) {
                0 => {
                    let Seat { kid, holds, .. } = std::mem::replace(seat, Seat::new(&queue));
                    kid.kill();
                    holds.into_iter().for_each(|number| model.comes_back(number));
                    deaths += 1;
                }
                1 if rng.one_in(4) => match queue.take_dead_letter() {
                    Some(letter) => {
                        let (number, attempts) = model.dead.pop_first().unwrap();
                        assert_eq!(letter.attempts(), attempts);
                        assert_eq!(letter.into_value(), Ok(item(number)));
                        letters += 1;
                    }
                    None => assert!(model.dead.is_empty()),
                },
                1 if rng.one_in(3) => {
                    assert_eq!(queue.retry_dead_letters(), model.dead.len());
                    model.ready.extend(std::mem::take(&mut model.dead).keys().map(|&n| (n, 0)));
                }
                2..=5 => {
                    let room = model.items() < ITEMS;
                    assert_eq!(seat.tell(SEND, next)[0] == DONE, room);
                    if room {
                        model.ready.insert(next, 0);
                        next += 1;
                    }
                }
                6..=10 => {
                    let expected = match model.ready.pop_first() {
                        Some((number, attempts)) => {
                            model.leased.insert(number, attempts + 1);
                            seat.holds.push_back(number);
                            [DONE, number, attempts + 1]
                        }
                        None => [NOTHING, 0, 0],
                    };
                    assert_eq!(seat.tell(RECV, 0), expected);
                }
                way if !seat.holds.is_empty() => {
                    let which = rng.below(seat.holds.len() as u64) as usize;
                    let number = seat.holds.remove(which).unwrap();
                    let order = match way {
                        11 => REJECT,
                        12 | 13 => NACK,
                        _ => ACK,
                    };
                    seat.tell(order, which as u32);
                    match order {
                        NACK => model.comes_back(number),
                        ACK => {
                            model.leased.remove(&number);
                            model.acknowledged += 1;
                        }
                        _ => {
                            let attempts = model.leased.remove(&number).unwrap();
                            model.dead.insert(number, attempts);
                        }
                    }
                }
                _ => {}
            }
            if rng.one_in(8) {
                let counts = (queue.len(), queue.in_delivery(), queue.dead_letter_count());
                let expected = (model.ready.len(), model.leased.len(), model.dead.len());
                assert_eq!(counts, expected);
                assert_eq!(queue.is_full(), model.items() == ITEMS);
                let dead = queue.dead_letters().into_iter();
                let dead: Vec<_> =
                    dead.map(|letter| (letter.value().unwrap().0, letter.attempts())).collect();
                assert_eq!(dead, model.dead.clone().into_iter().collect::<Vec<_>>());
            }
        }
        // All die; what they held comes back to its old place.
        seats.into_iter().for_each(|seat| _ = seat.kid.kill());
        let leased: Vec<u32> = model.leased.keys().copied().collect();
        leased.into_iter().for_each(|number| model.comes_back(number));
        for (number, attempts) in std::mem::take(&mut model.ready) {
            let delivery = queue.try_recv().unwrap();
            assert_eq!((delivery.0, delivery.attempts()), (number, attempts + 1));
            delivery.ack();
            model.acknowledged += 1;
        }
        assert_eq!(queue.unfinished(), 0);
        assert_eq!(queue.dead_letter_count(), model.dead.len());
        acknowledged += model.acknowledged;
    }
    println!("{deaths} deaths, {acknowledged} items acknowledged, {letters} dead letters taken");
}
