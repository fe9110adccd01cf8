//! What each lock and signal is for, one short scene each, played by a parent and its children.
//!
//! ```text
//! cargo run --release --example 06_locks
//! cargo run --release --example 06_locks -- barrier
//! ```
//!
//! What it prints (the pids differ):
//!
//! ```text
//! Mutex: one at a time
//!   4 children added 1,000 each: 4,000
//!   a child was killed inside; the lock says so: process 4242 (clumsy) died; the sum is repaired: 4,000
//! ReentrantMutex: a lock for a function that calls itself
//!   3 children moved the tower of 5 discs on, each with nested locks: 93 moves
//! RwLock: many look, or one changes
//!   2 readers met inside; of 2,000 reads beside 1,000 writes 0 saw half a change
//!   one stayed inside (write under an rwlock: another thread holds it); it was ended by SIGKILL: its share is back, and the parent writes 1,001
//! OnceLock: computed once, by whoever comes first
//!   the first was ended by SIGKILL in its initialiser, the next ran its own: 2 begun, and 3 children see one value
//! Condvar: wait for what others do under a lock
//!   the cook filled the plate 3 times, the guest emptied it 3 times, nobody looked in vain
//! Event: a flag for all
//!   3 runners waited for the start, 3 ran when it was set
//! Semaphore: so many at a time
//!   2 permits, 5 workers: 2 were at the counter at most
//!   both taken (acquire a permit: none is available); worker-1 was ended by SIGKILL: its permit is back
//! Barrier: wait for each other
//!   3 children went through 3 phases in step, each phase with one leader
//!   of two that waited one was killed, and the other hears: wait at a barrier: process 4243 (doomed) died while it waited
//!   the barrier was reset, and 3 went through
//! ```
//!
//! The exit status is 1 if a scene went wrong, and 2 for arguments that make no sense.

mod terminal;

use offspring::{
    Barrier, Builder, Child, Condvar, Counter, Event, LockError, Mutex, OnceLock, ReentrantMutex,
    RwLock, Semaphore, Shared, spawn,
};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

/// Much longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

const USAGE: &str = "\
Shows what each lock and signal is for, in one short scene each.

Usage: 06_locks [NAME]

  NAME   one scene alone: mutex, reentrantmutex, rwlock, oncelock, condvar, event, semaphore, barrier
";

type Told = Result<String, Box<dyn Error>>;

/// A scene: whose it is, what that is for, and what happened.
type Scene = (&'static str, &'static str, fn() -> Told);

const SCENES: [Scene; 8] = [
    ("Mutex", "one at a time", mutex),
    ("ReentrantMutex", "a lock for a function that calls itself", reentrant),
    ("RwLock", "many look, or one changes", rwlock),
    ("OnceLock", "computed once, by whoever comes first", once),
    ("Condvar", "wait for what others do under a lock", condvar),
    ("Event", "a flag for all", event),
    ("Semaphore", "so many at a time", semaphore),
    ("Barrier", "wait for each other", barrier),
];

fn main() -> ExitCode {
    let scenes = match parse(lexopt::Parser::from_env()) {
        Ok(Some(scenes)) => scenes,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    let mut text = String::new();
    for (name, purpose, play) in scenes {
        match play() {
            Ok(told) => {
                let title = paint(Style::Title, format!("{name}: {purpose}"));
                let _ = write!(text, "{title}\n{told}");
            }
            Err(error) => return terminal::failure(&format!("{name}: {error}")),
        }
    }
    terminal::show(&text, ExitCode::SUCCESS)
}

/// The scenes to play; `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Vec<Scene>>, String> {
    use lexopt::prelude::*;
    let mut scenes = SCENES.to_vec();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Value(name) if scenes.len() == SCENES.len() => {
                scenes.retain(|(known, ..)| name.eq_ignore_ascii_case(known));
                if scenes.is_empty() {
                    return Err(format!("there is no scene {name:?}"));
                }
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(scenes))
}

/// Where a child stays until it is killed.
fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

/// Kills a child and tells how it ended.
fn kill(child: Child<()>) -> Told {
    child.kill()?;
    match child.join() {
        Ok(()) => Err("it was not killed".into()),
        Err(error) => Ok(error.exit().ok_or("it ended in no known way")?.to_string()),
    }
}

/// The data lives inside the lock. If a process dies in there, the next one is told, and repairs.
fn mutex() -> Told {
    let sums = Shared::new(Mutex::new([0u64; 2]))?; // equal, unless somebody dies in between
    let add = || {
        for _ in 0..1000 {
            let mut sums = sums.lock().unwrap();
            sums[0] += 1;
            sums[1] += 1;
        }
    };
    let children = (0..4).map(|_| spawn(add)).collect::<Result<Vec<_>, _>>()?;
    for child in children {
        child.join()?;
    }
    let total = sums.lock().map_err(|error| error.to_string())?[0];

    let clumsy = Builder::new().name("clumsy").spawn(|| -> () {
        let mut sums = sums.lock().unwrap();
        sums[0] += 1;
        std::process::abort()
    })?;
    drop(clumsy.join());
    let Err(LockError::OwnerDied(mut died)) = sums.lock_timeout(TIMEOUT) else {
        return Err("the lock does not know that its owner died".into());
    };
    let owner = died.owner();
    died.get_mut()[0] = died.get()[1];
    let repaired = died.recover()[0];
    Ok(format!(
        "  4 children added 1,000 each: {}\n  a child was killed inside; the lock says so: {owner} died; the sum is repaired: {}\n",
        grouped(total),
        grouped(repaired)
    ))
}

/// The heights of three piles of discs, and the moves so far.
type Piles = ReentrantMutex<[u32; 4]>;

const DISCS: u32 = 5;

/// Locks at each depth, so that it may be called with the lock held or without. A `Mutex` would wait for itself.
fn hanoi(piles: &Piles, discs: u32, from: usize, to: usize) {
    let piles_locked = piles.lock().unwrap();
    if discs == 0 {
        return;
    }
    let spare = 3 - from - to;
    hanoi(piles, discs - 1, from, spare);
    let mut now = piles_locked.get();
    now[from] -= 1;
    now[to] += 1;
    now[3] += 1;
    piles_locked.set(now);
    hanoi(piles, discs - 1, spare, to);
}

/// The outermost guard unlocks, so nobody finds a tower in pieces.
fn reentrant() -> Told {
    let piles: Shared<Piles> = Shared::new(ReentrantMutex::new([DISCS, 0, 0, 0]))?;
    let move_on = || {
        let whole = piles.lock().unwrap();
        let from = whole.get().iter().position(|&height| height == DISCS).expect("a whole tower");
        hanoi(&piles, DISCS, from, (from + 1) % 3);
    };
    let children = (0..3).map(|_| spawn(move_on)).collect::<Result<Vec<_>, _>>()?;
    for child in children {
        child.join()?;
    }
    let [first, second, third, moves] = piles.lock().map_err(|error| error.to_string())?.get();
    if (first, second, third) != (DISCS, 0, 0) {
        return Err(format!("piles of {first}, {second} and {third}").into());
    }
    Ok(format!(
        "  3 children moved the tower of {DISCS} discs on, each with nested locks: {moves} moves\n"
    ))
}

/// Readers are in together, a writer alone; a dead reader has left, and no harm is done.
fn rwlock() -> Told {
    let halves = Shared::new(RwLock::new([0u32; 2]))?; // equal, unless somebody writes
    let met = Shared::new(Barrier::new(3))?;
    let read = || {
        let share = halves.read().unwrap();
        met.wait_timeout(TIMEOUT).unwrap(); // with a lock for one at a time, nobody would come
        drop(share);
        let is_torn = || {
            let [one, other] = *halves.read().unwrap();
            one != other
        };
        (0..1000).filter(|_| is_torn()).count()
    };
    let readers = (0..2).map(|_| spawn(read)).collect::<Result<Vec<_>, _>>()?;
    met.wait_timeout(TIMEOUT)?;
    for _ in 0..1000 {
        let mut halves = halves.write().map_err(|error| error.to_string())?;
        halves[0] += 1;
        halves[1] += 1;
    }
    let mut torn = 0;
    for reader in readers {
        torn += reader.join()?;
    }

    let inside = Shared::new(Event::new())?;
    let reader = spawn(|| -> () {
        let _share = halves.read().unwrap();
        inside.set();
        stay()
    })?;
    inside.wait_timeout(TIMEOUT);
    let Err(refused) = halves.try_write() else {
        return Err("a writer came in beside a reader".into());
    };
    let refused = refused.to_string();
    let ended = kill(reader)?;
    let mut halves = halves.write_timeout(TIMEOUT).map_err(|error| error.to_string())?;
    halves[0] += 1;
    Ok(format!(
        "  2 readers met inside; of 2,000 reads beside 1,000 writes {torn} saw half a change\n  one stayed inside ({refused}); it {ended}: its share is back, and the parent writes {}\n",
        grouped(halves[0].into())
    ))
}

/// Whoever dies in the initialiser has not run it.
fn once() -> Told {
    let table = Shared::new(OnceLock::<u32>::new())?;
    let begun = Shared::new((Counter::new("begun"), Event::new()))?;
    let first = spawn(|| {
        table.get_or_init(|| {
            begun.0.add(1);
            begun.1.set();
            stay()
        });
    })?;
    begun.1.wait_timeout(TIMEOUT);
    let look = || {
        *table.get_or_init(|| {
            begun.0.add(1);
            std::process::id()
        })
    };
    let next = (0..3).map(|_| spawn(look)).collect::<Result<Vec<_>, _>>()?;
    let pids: Vec<u32> = next.iter().map(Child::pid).collect();
    let ended = kill(first)?;
    let seen = next.into_iter().map(Child::join).collect::<Result<Vec<_>, _>>()?;
    if seen != [seen[0]; 3] || !pids.contains(&seen[0]) {
        return Err(format!("{pids:?} see {seen:?}").into());
    }
    Ok(format!(
        "  the first {ended} in its initialiser, the next ran its own: {} begun, and 3 children see one value\n",
        begun.0.get()
    ))
}

/// The guest waits for a full plate and the cook for an empty one; both sleep meanwhile, and neither holds the lock.
fn condvar() -> Told {
    let table = Shared::new((Mutex::new(0u32), (Condvar::new(), Condvar::new())))?;
    let (plate, (filled, emptied)) = &*table;
    let guest = spawn(|| {
        for _ in 0..3 {
            let mut plate = filled.wait_while(plate.lock().unwrap(), |plate| *plate == 0).unwrap();
            *plate = 0;
            emptied.notify_one(); // before the unlock: if this process dies, the cook is told instead
        }
        3
    })?;
    let mut cooked = 0;
    while cooked < 3 {
        let empty = plate.lock().map_err(|error| error.to_string())?;
        let (mut plate, result) = emptied
            .wait_timeout_while(empty, TIMEOUT, |plate| *plate == 1)
            .map_err(|error| error.to_string())?;
        if result.timed_out() {
            return Err("the guest does not eat".into());
        }
        *plate = 1;
        cooked += 1;
        filled.notify_one();
    }
    let eaten = guest.join()?;
    Ok(format!(
        "  the cook filled the plate {cooked} times, the guest emptied it {eaten} times, nobody looked in vain\n"
    ))
}

/// Nothing is taken, and nobody goes first: whoever waits goes on when the flag is up.
fn event() -> Told {
    let start = Shared::new(Event::new())?;
    let ready = Shared::new(Counter::new("at the start"))?;
    let ran = Shared::new(Counter::new("ran"))?;
    let run = || {
        ready.add(1);
        if start.wait_timeout(TIMEOUT) {
            ran.add(1);
        }
    };
    let runners = (0..3).map(|_| spawn(run)).collect::<Result<Vec<_>, _>>()?;
    start.set();
    for runner in runners {
        runner.join()?;
    }
    if (ready.get(), ran.get()) != (3, 3) {
        return Err(format!("{} of {} ran", ran.get(), ready.get()).into());
    }
    Ok(format!("  3 runners waited for the start, {} ran when it was set\n", ran.get()))
}

/// A permit has no data: it says how many may be in. Those of the dead return.
fn semaphore() -> Told {
    let permits = Shared::new(Semaphore::new(2))?;
    let counter = Shared::new(Mutex::new([0u32; 2]))?; // how many are there, and the most so far
    let there = Shared::new(Event::new())?;
    let step_up = || {
        let mut counter = counter.lock().unwrap();
        counter[0] += 1;
        counter[1] = counter[1].max(counter[0]);
    };
    let slow = Builder::new().name("worker-1").spawn(|| -> () {
        let _permit = permits.acquire();
        step_up();
        there.set();
        stay()
    })?;
    there.wait_timeout(TIMEOUT);
    let work = || {
        let _permit = permits.acquire(); // given back last
        step_up();
        counter.lock().unwrap()[0] -= 1;
    };
    let others = (2..=5)
        .map(|n| Builder::new().name(format!("worker-{n}")).spawn(work))
        .collect::<Result<Vec<_>, _>>()?;
    for other in others {
        other.join()?;
    }
    let most = counter.lock().map_err(|error| error.to_string())?[1];

    let _second = permits.acquire_timeout(TIMEOUT)?;
    let Err(refused) = permits.try_acquire() else {
        return Err("there was a third permit".into());
    };
    let ended = kill(slow)?;
    let _first = permits.acquire_timeout(TIMEOUT)?;
    Ok(format!(
        "  2 permits, 5 workers: {most} were at the counter at most\n  both taken ({refused}); worker-1 {ended}: its permit is back\n"
    ))
}

/// Nobody goes on before all have come. One that dies meanwhile cannot go on, so the others are told.
fn barrier() -> Told {
    let line = Shared::new(Barrier::new(3))?;
    let done = Shared::new(Counter::new("parts done"))?;
    let walk = || {
        let mut led = [0u32; 3];
        for (led, phase) in led.iter_mut().zip(1..) {
            done.add(1);
            *led = line.wait_timeout(TIMEOUT).unwrap().is_leader().into();
            assert!(done.get() >= 3 * phase, "somebody is behind");
        }
        led
    };
    let walkers = (0..3).map(|_| spawn(walk)).collect::<Result<Vec<_>, _>>()?;
    let mut leaders = [0; 3];
    for walker in walkers {
        walker.join()?.iter().zip(&mut leaders).for_each(|(led, sum)| *sum += led);
    }
    if leaders != [1; 3] {
        return Err(format!("{leaders:?} leaders").into());
    }

    let wait = || line.wait_timeout(TIMEOUT).map(|_| ()).map_err(|error| error.to_string());
    let doomed = Builder::new().name("doomed").spawn(|| drop(wait()))?;
    let friend = spawn(wait)?;
    let deadline = Instant::now() + TIMEOUT;
    while line.waiting() < 2 {
        if Instant::now() > deadline {
            return Err("two do not come".into());
        }
        std::thread::yield_now();
    }
    kill(doomed)?;
    let Err(why) = friend.join()? else {
        return Err("the dead went through".into());
    };
    line.reset();
    let two = (0..2).map(|_| spawn(wait)).collect::<Result<Vec<_>, _>>()?;
    wait()?;
    for child in two {
        child.join()??;
    }
    Ok(format!(
        "  3 children went through 3 phases in step, each phase with one leader\n  of two that waited one was killed, and the other hears: {why}\n  the barrier was reset, and 3 went through\n"
    ))
}
