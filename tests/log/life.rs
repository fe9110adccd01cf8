//! What the runtime itself says, when, and to whom.

use crate::ears::{KEPT, Keeper, heard, kept};
use log::LevelFilter;
use offspring::{
    Builder, Condvar, LockError, Mutex, Pool, Shared, Signal, children, log_to, par_map, spawn,
};

/// What was kept, without pids and addresses.
fn said() -> Vec<String> {
    kept().into_iter().map(|line| blank(&line)).collect()
}

fn blank(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let digits = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_pid = digits.parse::<u32>().is_ok_and(|n| n > 99) || digits.starts_with("0x");
        if is_pid { word.replace(digits, "N") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) fn children_start_and_end() {
    log_to(Keeper, LevelFilter::Debug).unwrap();
    spawn(|| ()).unwrap().join().unwrap();
    let said_of_one = said();
    assert!(
        said_of_one[0].starts_with("DEBUG offspring: started child-1 (pid N) to run log::life::")
    );
    assert_eq!(said_of_one[1..], ["DEBUG offspring: child-1 (pid N) ended with code 0"]);

    let child = Builder::new().name("w").spawn(|| -> () { panic!("no luck") }).unwrap();
    let _panicked = child.join();
    let said_of_panic = said();
    assert!(
        said_of_panic[1].starts_with("WARN offspring: panicked: w (pid N): no luck, at "),
        "{said_of_panic:?}"
    );

    let child = spawn(|| -> () { std::process::abort() }).unwrap();
    while child.exit().unwrap().is_none() {
        std::thread::yield_now();
    }
    let _aborted = child.join();
    assert_eq!(said()[1..], ["WARN offspring: child-2 (pid N) was ended by SIGABRT"]);

    drop(spawn(|| -> () { std::process::exit(3) }).unwrap());
    while !children().is_empty() {
        std::thread::yield_now();
    }
    let _reaped = children();
    assert_eq!(said()[1..], ["WARN offspring: child-3 (pid N) ended with code 3"]);

    offspring::scope(|scope| drop(scope.spawn(|| ())));
    assert_eq!(said()[1..], ["DEBUG offspring: child-4 (pid N) ended with code 0"]);
}

/// A logger that has a lock of the very kind that is taken over.
struct Locking(Shared<Mutex<u32>>);

impl log::Log for Locking {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let guard = self.0.try_lock().expect("nothing is said while the lock is held");
        KEPT.lock().unwrap().push(format!("{} {} {}", record.level(), *guard, record.args()));
    }

    fn flush(&self) {}
}

/// A mutex with which a child named `w` has died.
fn orphaned() -> Shared<Mutex<u32>> {
    let lock = Shared::new(Mutex::new(0)).unwrap();
    let child = Builder::new().name("w").spawn(|| -> () {
        std::mem::forget(lock.lock().unwrap());
        std::process::abort()
    });
    let _aborted = child.unwrap().join();
    lock
}

fn died<'a, T>(locked: Result<T, LockError<'a, u32>>) -> offspring::OwnerDied<'a, u32> {
    match locked {
        Err(LockError::OwnerDied(died)) => died,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("expected a dead owner"),
    }
}

/// What they run is the caller's function, and nothing of ours around it.
pub(crate) fn children_of_a_parallel_call_run_its_function() {
    log_to(Keeper, LevelFilter::Debug).unwrap();
    assert_eq!(par_map(&[1, 2], |n| n + 1).unwrap(), [2, 3]);
    let said = said();
    let begun = "DEBUG offspring: started par-1 (pid N) to run log::life::children_of_a_parallel_call_run_its_function::";
    assert!(said[0].starts_with(begun), "{said:?}");
}

pub(crate) fn takeover_is_told_after_the_unlock() {
    let lock = orphaned();
    log_to(Locking(lock.clone()), LevelFilter::Warn).unwrap();
    let mut guard = died(lock.lock()).recover();
    *guard += 1;
    assert_eq!(*guard, 1);
    assert!(kept().is_empty());
    drop(guard);
    let told = "WARN 1 the mutex at N was taken over from process N (w), which died with it";
    assert_eq!(said(), [told]);
    drop(lock.lock().unwrap());
    assert!(said().is_empty(), "it is told once");
}

pub(crate) fn guard_with_news_is_a_guard() {
    log_to(Keeper, LevelFilter::Warn).unwrap();
    // It is dropped without a recovery: told, and the next one has the news again, from the mark.
    let lock = orphaned();
    drop(died(lock.lock()));
    assert_eq!(said().len(), 2, "the abort, and the takeover");
    let again = died(lock.lock());
    assert!(!again.owner().panicked());
    drop(again.recover());
    assert!(said().is_empty());

    // A child's copy does nothing, and may not be used.
    let lock = orphaned();
    let guard = died(lock.lock()).recover();
    assert_eq!(said().len(), 1, "the abort");
    let child = spawn(|| {
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| *guard)).is_err();
        drop(guard);
        used && kept().is_empty()
    });
    // The parent's copy of the closure, and of the guard in it, was dropped when `spawn` returned.
    assert_eq!(said().len(), 1, "the takeover");
    assert!(child.unwrap().join().unwrap());

    // A panic with it is a panic with the lock.
    let lock = orphaned();
    drop(said());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = died(lock.lock()).recover();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(said().len(), 1);
    assert!(died(lock.lock()).owner().panicked());

    // A wait gives the lock back in the midst.
    let (lock, changed) = (orphaned(), Shared::new(Condvar::new()).unwrap());
    let guard = died(lock.lock()).recover();
    let (guard, result) = changed.wait_timeout(guard, std::time::Duration::from_millis(1)).unwrap();
    assert!(result.timed_out());
    drop(guard);
    drop(lock.lock().unwrap());
}

pub(crate) fn workers_are_replaced() {
    let text = heard(|| {
        offspring::log_to_stderr(LevelFilter::Debug).unwrap();
        let pool = Pool::builder().workers(1).name("p").build().unwrap();
        let abort = |_: ()| -> () { std::process::abort() };
        let error = pool.submit(abort, ()).unwrap().wait().unwrap_err();
        assert!(error.worker_death().is_some());
        pool.submit(|n: u32| n, 1).unwrap().wait().unwrap();
        pool.shutdown().unwrap();
    });
    let lines: Vec<String> = text.lines().map(blank).collect();
    let expected = [
        "[WARN/p-supervisor] p-1 (pid N) was ended by SIGABRT",
        "[WARN/p-supervisor] p-1 (pid N) died with a task",
        "[DEBUG/p-supervisor] p-2 takes the place of a worker that is gone",
        "[DEBUG/p-supervisor] p-2 (pid N) leaves its pool: Closed",
    ];
    let mut rest = lines.iter();
    for expected in expected {
        assert!(rest.any(|line| line == expected), "no `{expected}` in its place:\n{text}");
    }
}

pub(crate) fn nothing_is_said_when_it_is_off() {
    log_to(Keeper, LevelFilter::Error).unwrap();
    let lock = orphaned();
    drop(died(lock.lock()).recover());
    let child = spawn(|| -> () {
        loop {
            std::thread::park()
        }
    })
    .unwrap();
    child.signal(Signal::KILL).unwrap();
    let _killed = child.join();
    assert!(said().is_empty());
}

/// A logger that the program has set itself is asked for nothing that `log` would not ask it for.
pub(crate) fn nothing_is_said_to_strangers_when_it_is_off() {
    log::set_logger(&Keeper).unwrap();
    log::set_max_level(LevelFilter::Error);
    let child = spawn(|| std::process::abort());
    let _aborted: Result<(), _> = child.unwrap().join();
    assert!(said().is_empty());
    log::set_max_level(LevelFilter::Warn);
    let child = spawn(|| std::process::abort());
    let _aborted: Result<(), _> = child.unwrap().join();
    assert_eq!(said().len(), 1);
}
