//! Looks while everything changes and processes are killed: never a panic, never an error, never a deadlock that is none.

use crate::support::{Kid, Rng, seed};
use offspring::observe::Observer;
use offspring::{Condvar, LockError, Mutex, RingQueue, RwLock, Semaphore, Shared};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Unless the environment says otherwise: `LOOKS=10000 cargo test --test top -- traffic`.
const LOOKS: usize = 500;
const LOCKS: usize = 4;
const KIDS: usize = 5;

struct World {
    locks: Shared<[Mutex<u64>; LOCKS]>,
    table: Shared<RwLock<u64>>,
    condvar: Shared<Condvar>,
    semaphore: Shared<Semaphore>,
    ring: RingQueue<u64>,
}

fn taken<'a>(lock: &'a Mutex<u64>) -> offspring::MutexGuard<'a, u64> {
    match lock.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(error) => panic!("{error:?}"),
    }
}

impl World {
    /// Locks are taken in one order, so there can be no deadlock.
    fn act(&self, rng: &mut Rng) {
        let timeout = Duration::from_micros(rng.below(300));
        match rng.below(6) {
            0 | 1 => {
                let first = rng.below(LOCKS as u64 - 1) as usize;
                let second = first + 1 + rng.below((LOCKS - first - 1) as u64) as usize;
                let mut first = taken(&self.locks[first]);
                *first = first.wrapping_add(1);
                let mut second = taken(&self.locks[second]);
                *second = second.wrapping_add(*first);
            }
            2 => drop(self.ring.send_timeout(7, timeout)),
            3 => drop(self.ring.recv_timeout(timeout)),
            4 => {
                let _permit = self.semaphore.acquire_timeout(timeout);
                drop(self.table.read());
                let guard = taken(&self.locks[0]);
                drop(self.condvar.wait_timeout(guard, timeout));
            }
            _ => {
                let _write = self.table.write();
                self.condvar.notify_all();
            }
        }
    }
}

pub(crate) fn looks_among_deaths() {
    let seed = seed();
    println!("seed {seed}");
    let looks = std::env::var("LOOKS").ok().and_then(|text| text.parse().ok()).unwrap_or(LOOKS);
    let mut rng = Rng::new(seed);
    let world = World {
        locks: Shared::new([const { Mutex::new(0) }; LOCKS]).unwrap().named("locks"),
        table: Shared::new(RwLock::new(0)).unwrap().named("table"),
        condvar: Shared::new(Condvar::new()).unwrap(),
        semaphore: Shared::new(Semaphore::new(2)).unwrap().named("semaphore"),
        ring: RingQueue::new(3).unwrap().named("ring"),
    };
    let births = Shared::new(AtomicU32::new(0)).unwrap();
    let kid = |seed: u64| {
        let (world, births) = (&world, &births);
        Kid::fork(move || {
            births.fetch_add(1, Ordering::Relaxed);
            let mut rng = Rng::new(seed);
            loop {
                world.act(&mut rng);
            }
        })
    };
    let mut kids: Vec<Kid> = (0..KIDS).map(|_| kid(rng.next_u64())).collect();
    let mut observer = Observer::new(std::process::id()).unwrap();
    let (mut waits, mut held, mut kills) = (0, 0, 0);
    for look in 0..looks {
        if look % 20 == 0 {
            let victim = rng.below(KIDS as u64) as usize;
            drop(kids.swap_remove(victim));
            kids.push(kid(rng.next_u64()));
            kills += 1;
        }
        let seen = observer.look().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(seen.deadlocks.is_empty(), "seed {seed}: {:#?}", seen.deadlocks);
        assert!(seen.queues.iter().all(|queue| queue.depth <= 3), "seed {seed}");
        assert_eq!(seen.queues.len(), 1, "seed {seed}");
        waits += seen.waits().count();
        held += seen.waits().filter(|(_, _, wait)| !wait.holders.is_empty()).count();
    }
    println!("{looks} looks, {kills} kills, {waits} waits seen, {held} of them for somebody");
    assert!(waits > looks / 100, "expected sleepers");
}
