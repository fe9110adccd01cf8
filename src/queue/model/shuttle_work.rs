//! The work queue under random schedules, with deaths: every item is acknowledged once or is a dead letter, in order, and nobody
//! who lives waits for ever for what is there.
//!
//! An item is two words, so that a half-written one shows; a block is one word. The ledger is std's, which no schedule sees.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64};
use crate::queue::ring_core::Failed;
use crate::queue::work::core::{Lease, Work, WorkHead};
use crate::queue::work::slot::{Kind, Slot};
use crate::queue::work::table::{End, Holder};
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use crate::sync::patience::Patience;
use shuttle::thread::JoinHandle;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const EVER: Patience = Patience::Until(Deadline::NEVER);
const MAX_ATTEMPTS: u32 = 2;
const ITEM_BYTES: usize = 16;

/// What is known of an item without the queue's help.
#[derive(Clone, Debug, Default)]
struct Fate {
    sent: bool,
    attempts: u32,
    /// Its acknowledgement, or rejection, has begun; has returned.
    ending: bool,
    ended: bool,
}

struct Watched {
    head: WorkHead,
    slots: Vec<Slot>,
    holders: Vec<Holder>,
    links: Vec<AtomicU32>,
    words: Vec<AtomicU64>,
    /// By sender in the upper half and a running number in the lower.
    ledger: Mutex<BTreeMap<u64, Fate>>,
    /// The parties that have ended.
    gone: Mutex<Vec<u32>>,
}

impl Watched {
    /// For `items`, of which so many fit into the blocks.
    fn new(items: usize, fit: usize) -> Watched {
        let watched = Watched {
            head: WorkHead::new(MAX_ATTEMPTS),
            slots: (0..items).map(|_| Slot::new()).collect(),
            holders: (0..items).map(|_| Holder::new()).collect(),
            links: (0..2 * fit).map(|_| AtomicU32::new(0)).collect(),
            words: (0..2 * fit).map(|_| AtomicU64::new(0)).collect(),
            ledger: Mutex::default(),
            gone: Mutex::default(),
        };
        watched.as_seen_by(1).found();
        watched
    }

    fn as_seen_by(&self, me: u32) -> Work<'_> {
        Work::new(&self.head, &self.slots, &self.holders, &self.links, &self.words, me)
    }

    fn work(&self, party: &Party) -> Work<'_> {
        self.as_seen_by(party.id)
    }

    fn with<R>(&self, number: u64, note: impl FnOnce(&mut Fate) -> R) -> R {
        note(self.ledger.lock().unwrap().entry(number).or_default())
    }

    fn send(&self, party: &Party, patience: Patience, index: u32) -> Result<(), Failed> {
        let number = u64::from(party.id) << 32 | u64::from(index);
        let mut payload = number.to_ne_bytes().to_vec();
        payload.extend((!number).to_ne_bytes());
        self.with(number, |_| ());
        let sent = self.work(party).send(party, patience, &payload);
        match sent {
            Ok(()) => self.with(number, |fate| fate.sent = true),
            Err(_) => _ = self.ledger.lock().unwrap().remove(&number),
        }
        sent
    }

    fn recv(&self, party: &Party, patience: Patience) -> Result<(Lease, u64), Failed> {
        let work = self.work(party);
        let lease = work.recv(party, patience)?;
        let number = number_of(&work.payload(lease));
        let mut ledger = self.ledger.lock().unwrap();
        let fate = ledger.get_mut(&number).expect("an item that nobody sent");
        assert!(!fate.ended, "item {number:x} is delivered after its end");
        assert!(lease.attempts > fate.attempts, "{} after {fate:?}", lease.attempts);
        assert!(lease.attempts <= MAX_ATTEMPTS);
        fate.attempts = lease.attempts;
        Ok((lease, number))
    }

    fn end(&self, party: &Party, (lease, number): (Lease, u64), end: End) {
        if end == End::Done {
            self.with(number, |fate| fate.ending = true);
        }
        self.work(party).end(party, lease, end);
        if end == End::Done {
            self.ended(number);
        }
    }

    fn ended(&self, number: u64) {
        self.with(number, |fate| assert!(!std::mem::replace(&mut fate.ended, true), "ended twice"));
    }

    /// T2: at every death.
    fn check_words(&self) {
        for slot in &self.slots {
            let standing = slot.standing();
            let counted = match standing.kind {
                Kind::Free | Kind::Ready => standing.attempts < MAX_ATTEMPTS,
                Kind::Leased => (1..=MAX_ATTEMPTS).contains(&standing.attempts),
                Kind::Dead => standing.attempts == MAX_ATTEMPTS,
            };
            assert!(counted, "{standing:?}");
        }
    }

    /// When all others have ended: what is left comes in order, and nothing is lost; all places and blocks are free then.
    fn settle(&self, last: &Party) {
        let work = self.work(last);
        let mut order = Vec::new();
        while let Ok(item) = self.recv(last, Patience::None) {
            order.push(self.slots[item.0.slot as usize].number());
            self.end(last, item, End::Done);
        }
        assert!(order.is_sorted(), "{order:?}");
        while let Some(letter) = work.take_letter(last) {
            assert_eq!(letter.standing.attempts, MAX_ATTEMPTS);
            self.ended(number_of(&letter.payload));
        }
        for (number, fate) in self.ledger.lock().unwrap().iter() {
            assert!(fate.ended || fate.ending || !fate.sent, "{number:x} was lost: {fate:?}");
        }
        let counts = work.count(last);
        assert_eq!((counts.ready, counts.leased, counts.dead), (0, 0, 0));
        assert!(!work.is_full(last, self.words.len() * 8), "blocks are lost");
        if !work.is_closed() {
            for _ in &self.slots {
                work.send(last, Patience::None, &[]).expect("a place is lost");
            }
            assert_eq!(work.send(last, Patience::None, &[]), Err(Failed::NotNow));
        }
    }
}

fn number_of(payload: &[u8]) -> u64 {
    assert_eq!(payload.len(), ITEM_BYTES);
    let word = |at: usize| u64::from_ne_bytes(payload[at..at + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "half an item");
    word(0)
}

/// So many parties with their lives; the last one never dies, nor does who settles after them.
struct Stage {
    world: Arc<World>,
    queue: Arc<Watched>,
    fates: Vec<u32>,
}

impl Stage {
    fn new(mortals: usize, others: usize, deaths: usize, steps: u32) -> Stage {
        let items = 1 + random(3) as usize;
        let fit = 1 + random(items as u32) as usize;
        let mut fates = fates(mortals, deaths, steps);
        fates.resize(mortals + others, 0);
        let world = Arc::new(World::new(fates.len() as u32 + 1, false));
        Stage { world, queue: Arc::new(Watched::new(items, fit)), fates }
    }

    fn start(&self, id: u32, life: fn(&Party, &Watched)) -> JoinHandle<bool> {
        let (queue, theirs) = (Arc::clone(&self.queue), Arc::clone(&self.queue));
        let life = move |party: &Party| {
            life(party, &queue);
            assert!(party.is_quiet(), "an alarm is still named");
            queue.gone.lock().unwrap().push(party.id);
        };
        let last_words = move |party: &Party| {
            theirs.check_words();
            theirs.gone.lock().unwrap().push(party.id);
        };
        start(&self.world, id, self.fates[id as usize - 1], life, last_words)
    }

    fn last(&self) -> Party {
        Party::new(&self.world, self.fates.len() as u32 + 1)
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<bool>>) {
    threads.into_iter().for_each(|thread| _ = thread.join().unwrap());
}

fn send_two(party: &Party, queue: &Watched) {
    for index in 0..2 {
        queue.send(party, EVER, index).unwrap();
    }
}

/// Until the queue is closed and done with: acknowledges, gives back, and holds two at a time.
fn work_all(party: &Party, queue: &Watched) {
    while let Ok(item) = queue.recv(party, EVER) {
        match random(6) {
            0 => queue.end(party, item, End::Again),
            1 => {
                let other = queue.recv(party, Patience::None);
                queue.end(party, item, End::Done);
                if let Ok(other) = other {
                    queue.end(party, other, End::Done);
                }
            }
            _ => queue.end(party, item, End::Done),
        }
    }
}

/// Two send, two work, the queue is closed. Dead letters must not fill it up: somebody takes them.
fn two_and_two(deaths: usize, steps: u32) {
    let stage = Stage::new(4, 1, deaths, steps);
    let senders = [stage.start(1, send_two), stage.start(2, send_two)];
    let workers = [stage.start(3, work_all), stage.start(4, work_all)];
    let undertaker = stage.start(5, |party, queue| {
        // It works too, so that the end does not hang on those who may die, and makes room.
        while let Ok(item) = queue.recv(party, EVER) {
            queue.end(party, item, End::Done);
            while let Some(letter) = queue.work(party).take_letter(party) {
                queue.ended(number_of(&letter.payload));
            }
        }
    });
    let last = stage.last();
    let are_gone = || [1, 2].iter().all(|id| stage.queue.gone.lock().unwrap().contains(id));
    while !are_gone() {
        if let Some(letter) = stage.queue.work(&last).take_letter(&last) {
            stage.queue.ended(number_of(&letter.payload));
        }
        shuttle::thread::yield_now();
    }
    join(senders);
    stage.queue.work(&last).close(&last);
    join(workers);
    join([undertaker]);
    stage.queue.settle(&last);
}

#[test]
fn shuttle_work_two_to_two() {
    explore(1, || two_and_two(0, 1));
}

#[test]
fn shuttle_work_two_to_two_with_deaths() {
    explore(4, || two_and_two(3, 500));
}

/// A sleeper and a holder that dies: nobody else comes.
#[test]
fn shuttle_work_holder_dies() {
    explore(3, || {
        let stage = Stage::new(2, 1, 2, 400);
        let last = stage.last();
        stage.queue.send(&last, EVER, 0).unwrap();
        let one = |party: &Party, queue: &Watched| {
            if let Ok(item) = queue.recv(party, EVER) {
                let end = if random(2) == 0 { End::Again } else { End::Done };
                queue.end(party, item, end);
            }
        };
        stage.queue.work(&last).close(&last);
        // The third one lives, and ends because the item is done with or dead.
        join([stage.start(1, one), stage.start(2, one), stage.start(3, work_all)]);
        stage.queue.settle(&last);
    });
}

/// What comes back, from the living and from the dead, comes back to its old place.
#[test]
fn shuttle_work_order_with_deaths() {
    explore(1, || {
        let mut stage = Stage::new(2, 0, 2, 300);
        stage.queue = Arc::new(Watched::new(3, 3));
        let last = stage.last();
        for index in 0..3 {
            stage.queue.send(&last, EVER, index).unwrap();
        }
        let gives_back = |party: &Party, queue: &Watched| {
            let item = queue.recv(party, EVER).unwrap();
            queue.end(party, item, End::Again);
        };
        join([stage.start(1, gives_back), stage.start(2, gives_back)]);
        stage.queue.settle(&last);
    });
}

/// One sends and joins, others work and die; the joiner is told when all is done with.
#[test]
fn shuttle_work_join_with_deaths() {
    explore(3, || {
        let stage = Stage::new(2, 2, 2, 400);
        let workers = [stage.start(1, work_all), stage.start(2, work_all)];
        let helper = stage.start(3, work_all);
        let joiner = stage.start(4, |party, queue| {
            for index in 0..2 {
                while queue.send(party, Patience::None, index) == Err(Failed::NotNow) {
                    if let Some(letter) = queue.work(party).take_letter(party) {
                        queue.ended(number_of(&letter.payload));
                    }
                    shuttle::thread::yield_now();
                }
            }
            let letters = queue.work(party).join(party, EVER).unwrap();
            let counts = queue.work(party).count(party);
            assert_eq!((counts.ready, counts.leased, counts.dead), (0, 0, letters));
            queue.work(party).close(party);
        });
        join(workers);
        join([helper, joiner]);
        stage.queue.settle(&stage.last());
    });
}

/// Waits that end without an item, without room, or too early.
#[test]
fn shuttle_work_with_deadlines_and_deaths() {
    fn patience() -> Patience {
        match random(3) {
            0 => Patience::None,
            1 => Patience::Until(Deadline::after(Duration::ZERO)),
            _ => EVER,
        }
    }
    explore(3, || {
        let stage = Stage::new(3, 1, 2, 400);
        let sender = stage.start(1, |party, queue| {
            for index in 0..3 {
                let patience = Patience::Until(Deadline::after(Duration::ZERO));
                let _ = queue.send(party, patience, index);
            }
        });
        let worker = |party: &Party, queue: &Watched| {
            for _ in 0..2 {
                match queue.recv(party, patience()) {
                    Ok(item) if random(3) == 0 => queue.end(party, item, End::Again),
                    Ok(item) => queue.end(party, item, End::Done),
                    Err(Failed::Closed) => return,
                    Err(_) => {}
                }
            }
        };
        let workers = [stage.start(2, worker), stage.start(3, worker)];
        let steady = stage.start(4, work_all);
        let last = stage.last();
        join([sender]);
        stage.queue.work(&last).close(&last);
        join(workers);
        join([steady]);
        stage.queue.settle(&last);
    });
}
