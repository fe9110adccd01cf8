//! The locks that a dead process held.
#![expect(unsafe_code, reason = "a struct of the program's in shared memory")]

use crate::support::{Rng, seed};
use offspring::process::PostMortem;
use offspring::{
    Builder, Child, Event, LockError, Mutex, Pool, RawMutex, ReentrantMutex, Region, RwLock,
    Shared, spawn,
};
use parking_lot::lock_api::RawMutex as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends the other thread, also in a panic.
struct Stop<'a>(&'a AtomicBool);
impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a child that says when it is ready, and waits for its end.
fn ready<G>(enter: impl FnOnce() -> G) -> Child<()> {
    let event = Shared::new(Event::new()).unwrap();
    // SAFETY: what the child does takes no lock of this program's.
    let builder = unsafe { Builder::new().allow_threads() };
    let child = builder.spawn(|| -> () {
        let _guards = enter();
        event.set();
        loop {
            std::thread::park();
        }
    });
    let child = child.unwrap();
    event.wait();
    child
}

/// Its text, and what it left.
fn killed(child: Child<()>) -> (String, PostMortem) {
    child.kill().unwrap();
    let error = child.join().unwrap_err();
    (error.to_string(), error.post_mortem().unwrap().clone())
}

fn names(post_mortem: &PostMortem) -> Vec<String> {
    let mut names: Vec<String> = post_mortem.locks().iter().map(ToString::to_string).collect();
    names.sort();
    names
}

pub(crate) fn locks_are_named() {
    let table = Shared::new(Mutex::new(0u64)).unwrap().named("table");
    let (text, post_mortem) = killed(ready(|| table.lock()));
    assert!(text.starts_with("join: the child was ended by SIGKILL in "), "{text}");
    assert!(text.ends_with("; it held Mutex<u64> table"), "{text}");
    let [lock] = post_mortem.locks() else { panic!("expected one lock: {post_mortem:?}") };
    assert_eq!((lock.name(), lock.type_name()), (Some("table"), "Mutex<u64>"));
    assert_eq!(lock.address(), std::ptr::from_ref(&*table).addr() as u64);

    // Whoever has the lock next, without recovery, is told of too; who only waits is not.
    let waiting = ready(|| ());
    let (text, _) = killed(ready(|| table.lock().unwrap_err()));
    assert!(text.ends_with("; it held Mutex<u64> table"), "{text}");
    assert!(killed(waiting).1.locks().is_empty());
}

pub(crate) fn locks_of_all_kinds_are_named() {
    let mutex = Shared::new(Mutex::new([0u8; 3])).unwrap();
    let (left, middle) =
        (Shared::new(Mutex::new(0u8)).unwrap(), Shared::new(Mutex::new(0u8)).unwrap());
    let (left, middle) = (left.named("left"), middle.named("middle"));
    let table = Shared::new(RwLock::new(0u32)).unwrap().named("table");
    let read = Shared::new(RwLock::new(0u32)).unwrap().named("read");
    let again = Shared::new(ReentrantMutex::new(0u32)).unwrap().named("again");
    let raw = Shared::new(RawMutex::INIT).unwrap().named("raw");
    let region = Region::new(1 << 16).unwrap();
    let rows = region.place_slice(10, |_| Mutex::new(0u64)).unwrap();
    let pair = region.place([const { Mutex::new(0u16) }; 2]).unwrap().named("pair");
    let held_here = (left.lock().unwrap(), ready(|| middle.lock()));
    let (_, post_mortem) = killed(ready(|| {
        drop(left.try_lock());
        raw.lock();
        let guards = (mutex.lock(), table.write(), read.read(), again.lock(), again.lock());
        (guards, rows[3].lock(), pair[1].lock())
    }));
    let at = |lock: &dyn Fn() -> usize| format!("{:#x}", lock());
    let mut expected = [
        format!("Mutex<[u8; 3]> at {}", at(&|| std::ptr::from_ref(&*mutex).addr())),
        format!("Mutex<u64> at {}", at(&|| std::ptr::from_ref(&rows[3]).addr())),
        "RwLock<u32> table".to_owned(),
        "ReentrantMutex<u32> again".to_owned(),
        "RawMutex raw".to_owned(),
        "[Mutex<u16>; 2] pair[1]".to_owned(),
    ];
    expected.sort();
    assert_eq!(names(&post_mortem), expected);
    killed(held_here.1);
}

/// The next one has it, has recovered, has unlocked, and is gone, before the parent asks.
pub(crate) fn takeover_hides_nothing() {
    #[repr(C)]
    struct Two {
        left: Mutex<u64>,
        right: Mutex<u64>,
    }
    // SAFETY: two mutexes.
    unsafe impl offspring::ShmSafe for Two {}
    let two = Two { left: Mutex::new(0), right: Mutex::new(0) };
    let two = Shared::new(two).unwrap().named("two");
    let lock = Shared::new(Mutex::new(0u64)).unwrap().named("lock");
    for held in [0, 1, 2] {
        let child = ready(|| (lock.lock(), (held > 0).then(|| two.right.lock())));
        let heir = spawn(|| {
            let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("its owner died") };
            drop(died.recover());
            if held > 1 {
                let Err(LockError::OwnerDied(died)) = two.right.lock() else { panic!() };
                drop(died.recover());
            }
            drop(lock.lock().unwrap());
        });
        child.kill().unwrap();
        heir.unwrap().join().unwrap();
        let (text, post_mortem) = killed(child);
        // In a struct of the program's a lock is known when somebody has taken it over.
        let mut expected = vec!["Mutex<u64> lock".to_owned()];
        expected.extend((held > 1).then(|| format!("Two two+{}", size_of::<Mutex<u64>>())));
        assert_eq!(names(&post_mortem), expected, "{text}");
        if held == 1 {
            let Err(LockError::OwnerDied(died)) = two.right.lock() else { panic!() };
            drop(died.recover());
        }
    }
    assert_eq!(*two.left.lock().unwrap(), 0);
}

fn stay(_: u32) {
    let lock = LOCK.get().unwrap();
    let _guard = lock.lock();
    READY.get().unwrap().set();
    loop {
        std::thread::park();
    }
}

static LOCK: std::sync::OnceLock<Shared<Mutex<u64>>> = std::sync::OnceLock::new();
static READY: std::sync::OnceLock<Shared<Event>> = std::sync::OnceLock::new();

pub(crate) fn pool_tells_which_locks_its_worker_held() {
    let lock = LOCK.get_or_init(|| Shared::new(Mutex::new(0)).unwrap().named("ledger"));
    let ready = READY.get_or_init(|| Shared::new(Event::new()).unwrap());
    let pool = Pool::new(2).unwrap();
    let task = pool.submit(stay, 1).unwrap();
    ready.wait();
    let owner = offspring::snapshot(std::process::id()).unwrap().pools[0]
        .seats
        .iter()
        .find_map(|seat| seat.task.is_some().then(|| seat.worker.clone().unwrap().pid));
    let pid = nix::unistd::Pid::from_raw(owner.unwrap().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let error = task.wait().unwrap_err();
    // Recovered before anybody asks.
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("its owner died") };
    drop(died.recover());
    let death = error.worker_death().unwrap();
    let post_mortem = death.post_mortem().unwrap();
    assert_eq!(names(&post_mortem), ["Mutex<u64> ledger"]);
    let text = error.to_string();
    assert!(text.ends_with("it was ended by SIGKILL; it held Mutex<u64> ledger"), "{text}");
    pool.shutdown().unwrap();
}

/// Memory that is gone is not taken for what lies in its place now.
pub(crate) fn old_names_do_not_come_back() {
    for _ in 0..10 {
        drop(Shared::new(Mutex::new(0u64)).unwrap().named("old"));
        let new = Shared::new(Mutex::new(0u64)).unwrap().named("new");
        assert_eq!(names(&killed(ready(|| new.lock())).1), ["Mutex<u64> new"]);
    }
}

/// More than the tree remembers; what has a name and is older than that is named still.
pub(crate) fn thousands_of_locks() {
    let region = Region::new(1 << 20).unwrap();
    let locks: Vec<_> = (0..3000).map(|_| region.place(Mutex::new(0u64)).unwrap()).collect();
    let old = locks[0].clone().named("old");
    let more: Vec<_> = (0..3000).map(|_| region.place(Mutex::new(0u64)).unwrap()).collect();
    let (_, post_mortem) = killed(ready(|| (old.lock(), more[2999].lock(), locks[1].lock())));
    let last = std::ptr::from_ref(&*more[2999]).addr();
    assert_eq!(
        names(&post_mortem),
        [format!("Mutex<u64> at {last:#x}"), "Mutex<u64> old".to_owned()]
    );
    let (_, post_mortem) =
        killed(ready(|| more.iter().map(|lock| lock.lock()).collect::<Vec<_>>()));
    assert_eq!(post_mortem.locks().len(), 32);
}

/// Memory comes and goes in another thread while deaths are looked into: no crash, nothing named that was not held.
pub(crate) fn memory_comes_and_goes_meanwhile() {
    let seed = seed();
    let (lock, stop) =
        (Shared::new(Mutex::new(0u64)).unwrap().named("lock"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let (mut rng, mut kept, mut rounds) = (Rng::new(seed), Vec::new(), 0u64);
            while !stop.load(Ordering::Relaxed) {
                kept.push(Shared::new(Mutex::new(rng.next_u64())).unwrap());
                if kept.len() > 20 {
                    kept.swap_remove(rng.below(20) as usize);
                }
                rounds += 1;
            }
            rounds
        });
        let stops = Stop(&stop);
        for _ in 0..60 {
            let (_, post_mortem) = killed(ready(|| lock.lock()));
            assert_eq!(names(&post_mortem), ["Mutex<u64> lock"], "seed {seed}");
            let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("its owner died") };
            drop(died.recover());
        }
        drop(stops);
        println!("{} mutexes came and went", churn.join().unwrap());
    });
}

/// A fork in the midst of a look copies that the look goes on. The copy must not wait for its end.
pub(crate) fn forks_beside_a_look() {
    let region = Region::new(1 << 20).unwrap();
    let locks: Vec<_> = (0..2048).map(|_| region.place(Mutex::new(0u64)).unwrap()).collect();
    let (stop, mine) = (AtomicBool::new(false), Shared::new(Mutex::new(0u64)).unwrap());
    let stops = Stop(&stop);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: the child does nothing.
                let builder = unsafe { Builder::new().allow_threads() };
                let _killed = builder.spawn(|| -> () { std::process::abort() }).unwrap().join();
            }
        });
        for _ in 0..200 {
            let own = Some(mine.clone());
            // SAFETY: the child unmaps what it has mapped.
            let builder = unsafe { Builder::new().allow_threads() };
            let child = builder.spawn(|| drop((own, Shared::new(Mutex::new(0u64))))).unwrap();
            child.join_timeout(Duration::from_secs(20)).expect("it ends").unwrap();
        }
        drop(stops);
    });
    assert_eq!(locks.len(), 2048);
}
