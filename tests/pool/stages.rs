//! Every stage of a task and of a worker × every way to fail there: an error of its own, and never a hang.
#![expect(unsafe_code, reason = "ends processes in ways that the standard library does not know")]

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal::{SIGABRT, SIGKILL, SIGSEGV};
use nix::sys::signal::raise;
use offspring::pool::{MapOptions, TaskError};
use offspring::{ErrorKind, Pool, Shared, Signal};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crate::floors::LONG;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Stage {
    EncodeArgument,
    DecodeArgument,
    Function,
    DropArgument,
    /// The function panics, and then its argument as it is dropped.
    DropArgumentInPanic,
    /// A value in a thread's local state, as a thread of the task ends.
    DropLocal,
    EncodeResult,
    DropResult,
    DecodeResult,
    Nowhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Failing {
    Error,
    Panic,
    Exit,
    ExitAtOnce,
    Abort,
    Kill,
    Overflow,
}

use Failing::*;
use Stage::*;

const ENDS: [Failing; 5] = [Exit, ExitAtOnce, Abort, Kill, Overflow];

/// Recursion without an end, which the optimiser cannot see through.
fn overflow(n: u64) -> u64 {
    let page = std::hint::black_box([n; 512]);
    let next = std::hint::black_box(overflow as fn(u64) -> u64);
    next(n.wrapping_add(page[3])).wrapping_add(page[4])
}

impl Failing {
    /// Fails in this way; an `Err` where there can be one.
    fn happen(self) -> Result<(), String> {
        match self {
            Error => return Err("it does not want".to_owned()),
            Panic => panic!("it does not want"),
            Exit => std::process::exit(3),
            // SAFETY: no preconditions.
            ExitAtOnce => unsafe { libc::_exit(4) },
            Abort => std::process::abort(),
            Kill => _ = raise(SIGKILL),
            Overflow => _ = std::hint::black_box(overflow(1)),
        }
        Ok(())
    }

    fn end(self) -> Vec<offspring::Exit> {
        let signal = |signal| offspring::Exit::Signal(Signal::new(signal as i32).unwrap());
        match self {
            Exit => vec![offspring::Exit::Code(3)],
            ExitAtOnce => vec![offspring::Exit::Code(4)],
            Abort => vec![signal(SIGABRT)],
            Kill => vec![signal(SIGKILL)],
            // The runtime's handler aborts; on a thread that is ending it is gone.
            Overflow => vec![signal(SIGABRT), signal(SIGSEGV)],
            Error | Panic => vec![signal(SIGABRT)],
        }
    }
}

static CLIENT: OnceLock<u32> = OnceLock::new();

fn in_client() -> bool {
    *CLIENT.get_or_init(std::process::id) == std::process::id()
}

/// Fails where and as it is told: as the argument (`IS_RESULT` = false) or the result of a task.
struct Trap<const IS_RESULT: bool>(Stage, Failing);

type Argument = Trap<false>;
type Outcome = Trap<true>;

impl<const IS_RESULT: bool> Serialize for Trap<IS_RESULT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == if IS_RESULT { EncodeResult } else { EncodeArgument } {
            self.1.happen().map_err(ser::Error::custom)?;
        }
        (self.0, self.1).serialize(serializer)
    }
}

impl<'a, const IS_RESULT: bool> Deserialize<'a> for Trap<IS_RESULT> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let (stage, failing): (Stage, Failing) = Deserialize::deserialize(deserializer)?;
        if stage == if IS_RESULT { DecodeResult } else { DecodeArgument } {
            failing.happen().map_err(de::Error::custom)?;
        }
        Ok(Trap(stage, failing))
    }
}

impl<const IS_RESULT: bool> Drop for Trap<IS_RESULT> {
    fn drop(&mut self) {
        let is_here = match self.0 {
            DropArgument | DropArgumentInPanic => !IS_RESULT,
            DropResult => IS_RESULT,
            _ => false,
        };
        if is_here && !in_client() {
            self.1.happen().unwrap();
        }
    }
}

/// In a thread's local state.
struct Local(Failing);

impl Drop for Local {
    fn drop(&mut self) {
        self.0.happen().unwrap();
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

fn leave_local(failing: Failing) {
    LOCAL.with_borrow_mut(|local| _ = local.get_or_insert_with(|| Local(failing)));
}

fn run(argument: Argument) -> Outcome {
    let Trap(stage, failing) = argument;
    match stage {
        Function => failing.happen().unwrap(),
        DropArgumentInPanic => panic!("first"),
        DropLocal => std::thread::spawn(move || leave_local(failing)).join().unwrap(),
        _ => {}
    }
    Trap(stage, failing)
}

/// The error of a task that fails so.
fn error_of(pool: &Pool, stage: Stage, failing: Failing) -> TaskError {
    let task = pool.submit(run, Trap(stage, failing)).unwrap();
    let outcome = task.wait_timeout(LONG).unwrap_or_else(|| panic!("{stage:?} {failing:?} hangs"));
    let Err(error) = outcome else { panic!("{stage:?} {failing:?} has a result") };
    error
}

fn goes_on(pool: &Pool) {
    let task = pool.submit(run, Trap(Nowhere, Error)).unwrap();
    assert!(task.wait_timeout(LONG).expect("the pool goes on").is_ok());
}

fn exit_of(error: &TaskError) -> offspring::Exit {
    let death = error.worker_death().unwrap_or_else(|| panic!("{error}"));
    death.exit().unwrap()
}

const IN_WORKER: [Stage; 7] = [
    DecodeArgument,
    Function,
    DropArgument,
    DropArgumentInPanic,
    DropLocal,
    EncodeResult,
    DropResult,
];

pub(crate) fn each_stage_and_death_has_its_error() {
    assert!(in_client());
    // One slot: one that is not given back is noticed at once.
    let pool = Pool::builder().workers(1).capacity(1).build().unwrap();
    for stage in IN_WORKER {
        for failing in ENDS {
            let exit = exit_of(&error_of(&pool, stage, failing));
            assert!(failing.end().contains(&exit), "{stage:?} {failing:?}: {exit}");
        }
        goes_on(&pool);
    }
    pool.shutdown().unwrap();
}

pub(crate) fn each_stage_and_panic_has_its_error() {
    assert!(in_client());
    let pool = Pool::builder().workers(1).capacity(1).build().unwrap();
    for stage in IN_WORKER {
        let error = error_of(&pool, stage, Panic);
        match stage {
            // A second panic in the first one, or one in the drop of a thread's local value: Rust ends the process.
            DropArgumentInPanic | DropLocal => assert!(Panic.end().contains(&exit_of(&error))),
            _ => assert_eq!(error.panic().unwrap().message(), "it does not want", "{stage:?}"),
        }
        goes_on(&pool);
    }
    let pid = pool.apply(|()| std::process::id(), ()).unwrap();
    let refuses = |stage| error_of(&pool, stage, Error);
    let told = |text: &str| text.contains("Trap") && !text.is_empty();
    assert!(matches!(refuses(DecodeArgument), TaskError::Decode(text) if told(&text)));
    assert!(matches!(refuses(EncodeResult), TaskError::Encode(text) if told(&text)));
    assert!(matches!(refuses(DecodeResult), TaskError::Decode(text) if told(&text)));
    let error = pool.submit(run, Trap(EncodeArgument, Error)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encoding);
    for stage in [EncodeArgument, DecodeResult] {
        let call = || pool.apply(run, Trap(stage, Panic)).map(drop);
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "it is the caller's own panic");
        goes_on(&pool);
    }
    assert_eq!(pool.apply(|()| std::process::id(), ()).unwrap(), pid, "the worker lives on");
    pool.shutdown().unwrap();
}

/// The same items among others in a `map` and its iterators.
pub(crate) fn stages_in_a_map() {
    assert!(in_client());
    let pool = Pool::builder().workers(2).capacity(4).build().unwrap();
    let one_each = MapOptions::new().chunk(1);
    for stage in [DecodeArgument, Function, DropArgument, EncodeResult, DropResult] {
        for failing in [Panic, ExitAtOnce, Kill] {
            let item = |n| Trap(if n == 7 { stage } else { Nowhere }, failing);
            let failed = |results: Vec<Result<Outcome, TaskError>>| {
                let failed = results.iter().filter(|result| result.is_err()).count();
                assert_eq!((results.len(), failed), (20, 1), "{stage:?} {failing:?}");
                assert!(results[7].is_err());
            };
            failed(pool.map_each(one_each, run, (0..20).map(item)));
            failed(pool.imap_with(one_each, run, (0..20).map(item)).collect());
        }
    }
    for stage in [EncodeArgument, DecodeResult] {
        let item = |n| Trap(if n == 7 { stage } else { Nowhere }, Panic);
        let maps = || drop(pool.map_each(one_each, run, (0..20).map(item)));
        assert!(catch_unwind(AssertUnwindSafe(maps)).is_err());
        let iterates = || pool.imap_with(one_each, run, (0..20).map(item)).for_each(drop);
        assert!(catch_unwind(AssertUnwindSafe(iterates)).is_err());
        for _ in 0..4 {
            goes_on(&pool);
        }
    }
    pool.shutdown().unwrap();
}

pub(crate) fn each_end_of_an_initializer_has_its_error() {
    for failing in [Error, Panic].into_iter().chain(ENDS) {
        let builder = Pool::builder().workers(2).restart_limit(1, LONG);
        let fails = move || {
            // Also what it dropped, or left behind, does not matter.
            LOCAL.with_borrow_mut(|local| *local = None);
            failing.happen().unwrap()
        };
        let pool = builder.initializer(fails).build().unwrap();
        let text = match pool.submit(|()| 1, ()) {
            Ok(task) => match task.wait_timeout(LONG).expect("a bad initializer is no hang") {
                Err(error @ TaskError::PoolFailed(_)) => error.to_string(),
                other => panic!("{failing:?}: {other:?}"),
            },
            Err(error) => error.to_string(),
        };
        let expected = match failing {
            Error | Panic => "does not want",
            _ => "died without a task",
        };
        assert!(text.contains(expected), "{failing:?}: {text}");
        assert!(pool.shutdown().is_err());
    }
}

/// Made before the pool: how often the hook of the client was called.
static HOOKED: OnceLock<Shared<AtomicU32>> = OnceLock::new();

/// Such a panic goes to the hook that the client had set, from a worker, and from a worker of a pool in a task; and nobody hangs.
pub(crate) fn panics_of_threads_of_a_task() {
    let hooked = HOOKED.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    std::panic::set_hook(Box::new(|_| _ = HOOKED.get().unwrap().fetch_add(1, SeqCst)));
    let pool = Pool::new(1).unwrap();
    fn thread_panics(_: ()) -> bool {
        std::thread::spawn(|| panic!("on a thread")).join().is_err()
    }
    let inner = |()| Pool::new(1).unwrap().apply(thread_panics, ()).unwrap();
    let goes_on = |task: offspring::Task<bool>, count| {
        assert!(task.wait_timeout(LONG).expect("no hang").unwrap());
        assert_eq!(hooked.load(SeqCst), count);
    };
    goes_on(pool.submit(thread_panics, ()).unwrap(), 1);
    goes_on(pool.submit(inner, ()).unwrap(), 2);
    goes_on(pool.submit(thread_panics, ()).unwrap(), 3);
    let mine = |()| -> () { panic!("the task's own") };
    assert!(matches!(pool.apply(mine, ()), Err(TaskError::Panicked(_))));
    pool.shutdown().unwrap();
    assert_eq!(hooked.load(SeqCst), 3);
    assert!(catch_unwind(|| panic!("in the client")).is_err());
    assert_eq!(hooked.load(SeqCst), 4, "it has its hook back");
}

/// What a worker's last breath does is nobody's task.
pub(crate) fn local_values_of_a_worker_harm_nobody() {
    for failing in [Panic, Kill] {
        let pool = Pool::new(2).unwrap();
        pool.map(leave_local, [failing; 10]).unwrap();
        pool.resize(1).unwrap();
        assert_eq!(pool.apply(|()| 1, ()).unwrap(), 1);
        pool.shutdown().unwrap();
        let worn = Pool::builder().workers(1).max_tasks_per_worker(1).build().unwrap();
        for _ in 0..5 {
            worn.apply(leave_local, failing).unwrap();
        }
        worn.shutdown().unwrap();
        // An exit drops them, in the midst of the task.
        let pool = Pool::new(1).unwrap();
        let exits = |failing: Failing| -> () {
            leave_local(failing);
            std::process::exit(3)
        };
        let error = pool.submit(exits, failing).unwrap().wait().unwrap_err();
        assert!(failing.end().contains(&exit_of(&error)), "{error}");
    }
}

pub(crate) fn memory_limit_ends_one_task() {
    const LIMIT: u64 = 64 << 20;
    let pool = Pool::builder().workers(1).memory_limit_per_worker(LIMIT).build().unwrap();
    let fits = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    assert!(pool.apply(fits, 16 << 20).unwrap());
    assert!(!pool.apply(fits, 256 << 20).unwrap());
    let pid = pool.apply(|()| std::process::id(), ()).unwrap();
    let eats = |bytes: usize| vec![1u8; bytes].len();
    assert_eq!(pool.apply(eats, 16 << 20).unwrap(), 16 << 20);
    assert_eq!(pool.apply(|()| std::process::id(), ()).unwrap(), pid);
    let error = pool.apply(eats, 256 << 20).unwrap_err();
    assert!(Abort.end().contains(&exit_of(&error)), "{error}");
    // An argument that does not fit, and a result.
    for _ in 0..2 {
        let error = pool.apply(|bytes: Vec<u8>| bytes.len(), vec![1; 128 << 20]).unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(_) | TaskError::Decode(_)), "{error}");
    }
    let error = pool.apply(|n: usize| vec![1u64; n], 5 << 20).unwrap_err();
    assert!(matches!(error, TaskError::WorkerDied(_) | TaskError::OutOfMemory(_)), "{error}");
    assert!(pool.apply(fits, 16 << 20).unwrap());
    pool.shutdown().unwrap();
}

/// Finding the names for a backtrace takes more memory than a limited worker has.
pub(crate) fn panics_where_memory_is_limited() {
    let pool = Pool::builder().workers(1).memory_limit_per_worker(2 << 20).build().unwrap();
    let mut pids = Vec::new();
    for fill in [false, true, false] {
        let task = pool.submit(
            |fill: bool| -> u32 {
                let mut filled: Vec<Vec<u8>> = Vec::with_capacity(4096);
                while fill && filled.len() < 4096 {
                    let mut more = Vec::new();
                    if more.try_reserve_exact(4096).is_err() {
                        break;
                    }
                    filled.push(more);
                }
                panic!("no more")
            },
            fill,
        );
        let error = task.unwrap().wait_timeout(LONG).expect("it hangs").unwrap_err();
        let report = error.panic().unwrap_or_else(|| panic!("{error}"));
        assert_eq!(report.message(), "no more");
        assert!(report.backtrace().contains("panics_where_memory_is_limited"), "{report:?}");
        pids.push(pool.apply(|()| std::process::id(), ()).unwrap());
        let fits = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
        assert!(!pool.apply(fits, 64 << 20).unwrap(), "the limit holds again");
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "the worker lives on");
    pool.shutdown().unwrap();
    // A hard limit cannot be lifted: then there is no backtrace rather than a hang.
    let limit = || setrlimit(Resource::RLIMIT_AS, 400 << 20, 400 << 20).unwrap();
    let pool = Pool::builder().workers(1).initializer(limit).build().unwrap();
    let task = pool.submit(|()| -> u32 { panic!("no more") }, ()).unwrap();
    let error = task.wait_timeout(LONG).expect("it hangs").unwrap_err();
    let report = error.panic().unwrap_or_else(|| panic!("{error}"));
    assert_eq!(report.backtrace(), "not resolved: memory is limited (RLIMIT_AS)");
    pool.shutdown().unwrap();
}

pub(crate) fn ends_while_big_arguments_are_in_flight() {
    let big = || vec![7u8; 100_000_000];
    let with_two = |then: fn(Pool)| {
        let pool = Pool::new(2).unwrap();
        let measure = |bytes: Vec<u8>| bytes.len();
        let tasks = [(); 2].map(|()| pool.submit(measure, big()).unwrap());
        then(pool);
        for task in tasks {
            match task.wait_timeout(Duration::ZERO).expect("an end has resolved it") {
                Ok(length) => assert_eq!(length, 100_000_000),
                Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error}"),
            }
        }
    };
    with_two(|pool| pool.shutdown_now().unwrap());
    with_two(|pool| pool.shutdown_timeout(Duration::from_millis(5)).unwrap());
    with_two(|pool| pool.terminate(Duration::ZERO).unwrap());
    let pool = Pool::builder().workers(1).capacity(2).build().unwrap();
    for round in 0..2 {
        let task = pool.submit(|bytes: Vec<u8>| bytes, big()).unwrap();
        if round > 0 {
            let _too_early = task.wait_timeout(Duration::from_millis(round * 15));
        }
        let _either_way = task.cancel();
    }
    assert_eq!(pool.apply(|n: u8| n, 1).unwrap(), 1);
    pool.shutdown().unwrap();
}
