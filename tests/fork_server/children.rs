//! What a child of a fork server has, and what it gives back.
#![expect(unsafe_code, reason = "a signal's disposition, and a lock of the C library")]

use crate::floors::LONG;
use crate::support::until;
use offspring::{
    Builder, Child, Counter, ErrorKind, Exit, ForkServer, JoinError, LockError, Mutex, Shared,
    Signal, spawn,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

fn park() -> ! {
    loop {
        thread::park();
    }
}

fn end_of<R: for<'a> Deserialize<'a>>(child: Child<R>) -> Exit {
    match child.join() {
        Err(JoinError::Exited(exit, _)) => exit,
        Err(error) => panic!("expected an end, not {error}"),
        Ok(_) => panic!("expected an end, not a result"),
    }
}

fn describe<T: std::fmt::Debug>(value: T) -> String {
    format!("{value:?}")
}

pub(crate) fn functions_and_closures_return() {
    let server = ForkServer::start().unwrap();
    assert_eq!(server.spawn(u64::count_ones, 255).unwrap().join().unwrap(), 8);
    let child = server.spawn(describe::<(u8, String)>, (1, "x".to_owned()));
    assert_eq!(child.unwrap().join().unwrap(), r#"(1, "x")"#);
    let child = server.spawn(|n: i32| (n..n + 3).collect::<Vec<_>>(), -1);
    assert_eq!(child.unwrap().join().unwrap(), [-1, 0, 1]);
}

pub(crate) fn arguments_and_results_of_any_size() {
    let server = ForkServer::start().unwrap();
    for bytes in [0, 10, 65_000, 65_536, 70_000, 16 << 20] {
        let made: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
        let child = server.spawn(|bytes: Vec<u8>| bytes, made.clone()).unwrap();
        assert!(child.join().unwrap() == made, "{bytes} bytes");
    }
}

#[derive(Debug, PartialEq)]
struct OneWay(bool);

impl Serialize for OneWay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 { to.serialize_u32(7) } else { Err(serde::ser::Error::custom("not today")) }
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<OneWay, D::Error> {
        Err(serde::de::Error::custom("no way back"))
    }
}

pub(crate) fn arguments_that_do_not_encode_come_back() {
    let server = ForkServer::start().unwrap();
    let error = server.spawn(drop::<(OneWay, String)>, (OneWay(false), "mine".to_owned()));
    let error = error.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Encoding, "{error}");
    assert_eq!(error.into_inner(), (OneWay(false), "mine".to_owned()));
    assert!(offspring::children().iter().all(|child| child.name() == "fork-server"));
}

pub(crate) fn arguments_that_do_not_decode_are_said_so() {
    let server = ForkServer::start().unwrap();
    let Err(JoinError::Failed(error)) = server.spawn(|_: OneWay| 7, OneWay(true)).unwrap().join()
    else {
        panic!("expected a failure")
    };
    assert_eq!(error.kind(), ErrorKind::Encoding, "{error}");
    assert!(error.to_string().contains("decode the arguments"), "{error}");
}

#[inline(never)]
fn fails_in_here(number: u32) {
    panic!("the reason is {number}");
}

pub(crate) fn ends_of_all_kinds_arrive() {
    let server = ForkServer::start().unwrap();
    let Exit::Panicked(report) = end_of(server.spawn(fails_in_here, 7).unwrap()) else {
        panic!("expected a panic")
    };
    assert_eq!(report.message(), "the reason is 7");
    assert!(report.location().unwrap().file().ends_with("children.rs"));
    assert!(report.backtrace().contains("fails_in_here"), "{}", report.backtrace());
    let child = server.spawn(|code: i32| -> () { std::process::exit(code) }, 3).unwrap();
    assert_eq!(end_of(child), Exit::Code(3));
    let child = server.spawn(|()| -> () { std::process::abort() }, ()).unwrap();
    assert_eq!(end_of(child), Exit::Signal(Signal::ABRT));
    for signal in [Signal::KILL, Signal::TERM, Signal::USR1] {
        let child = server.spawn(|()| -> () { park() }, ()).unwrap();
        assert!(child.is_alive() && child.try_join().is_none());
        child.signal(signal).unwrap();
        assert_eq!(end_of(child), Exit::Signal(signal));
    }
}

pub(crate) fn names_and_relatives() {
    let server = ForkServer::start().unwrap();
    let who = |()| {
        let me = offspring::current();
        (me.pid(), me.name().to_owned(), me.parent().unwrap().clone())
    };
    let child = server.spawn_with(Builder::new().name("worker-7"), who, ()).unwrap();
    assert_eq!(child.name(), "worker-7");
    let (pid, name, parent) = {
        let pid = child.pid();
        let (child_pid, name, parent) = child.join().unwrap();
        assert_eq!(pid, child_pid);
        (pid, name, parent)
    };
    assert_ne!(pid, server.pid());
    assert_eq!(
        (name.as_str(), parent.pid(), parent.name()),
        ("worker-7", std::process::id(), "main")
    );
    let child = server.spawn(|()| -> () { park() }, ()).unwrap();
    let mut names: Vec<_> =
        offspring::children().iter().map(|child| child.name().to_owned()).collect();
    names.sort();
    assert_eq!(names, [child.name(), "fork-server"]);
    // A child of this process, as the kernel sees it.
    let pid = nix::unistd::Pid::from_raw(child.pid() as i32);
    child.kill().unwrap();
    assert!(nix::sys::wait::waitpid(pid, None).is_ok());
}

pub(crate) fn many_threads_spawn() {
    let server = ForkServer::start().unwrap();
    thread::scope(|threads| {
        for thread in 0..8_u64 {
            let server = server.clone();
            threads.spawn(move || {
                for turn in 0..25 {
                    let child = server.spawn(|(a, b): (u64, u64)| a * 1000 + b, (thread, turn));
                    assert_eq!(child.unwrap().join().unwrap(), thread * 1000 + turn);
                }
            });
        }
    });
}

/// The client's threads are always in malloc and in the lock of standard output; a plain fork's child would hang on both.
pub(crate) fn threads_hold_locks_meanwhile() {
    let server = ForkServer::start().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _out = std::io::stdout().lock();
                    std::hint::black_box(
                        (0..100).map(|n| vec![n; 1 << (n % 12)]).collect::<Vec<_>>(),
                    );
                }
            });
        }
        for turn in 0..50_usize {
            let child = server.spawn(
                |turn: usize| {
                    println!("turn {turn}");
                    vec![1_u8; turn].len()
                },
                turn,
            );
            assert_eq!(child.unwrap().join_timeout(LONG).expect("no hang").unwrap(), turn);
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn copies((prefix, times): (String, usize), fds: Vec<OwnedFd>) -> usize {
    let count = fds.len();
    for fd in fds {
        let mut file = std::fs::File::from(fd);
        file.write_all(prefix.repeat(times).as_bytes()).unwrap();
    }
    count
}

pub(crate) fn descriptors_arrive() {
    let server = ForkServer::start().unwrap();
    // With small arguments, and with such as travel by a descriptor of their own.
    for (times, text) in [(3, "ab".to_owned()), (1, "x".repeat(100_000))] {
        let (mut first, to_first) = pipe().unwrap();
        let (mut second, to_second) = pipe().unwrap();
        let fds = [to_first.as_fd(), to_second.as_fd()];
        let child = server.spawn_with_fds(Builder::new(), copies, (text.clone(), times), &fds);
        let child = child.unwrap();
        drop((to_first, to_second));
        for reader in [&mut first, &mut second] {
            let mut got = String::new();
            reader.read_to_string(&mut got).unwrap();
            assert!(got == text.repeat(times));
        }
        assert_eq!(child.join().unwrap(), 2);
    }
    let (_reader, writer) = pipe().unwrap();
    let many = vec![writer.as_fd(); 252];
    let count = |(): (), fds: Vec<OwnedFd>| fds.len();
    let child = server.spawn_with_fds(Builder::new(), count, (), &many).unwrap();
    assert_eq!(child.join().unwrap(), 252);
    let more = vec![writer.as_fd(); 253];
    let error = server.spawn_with_fds(Builder::new(), count, (), &more).unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
}

static TOTAL: OnceLock<Shared<Counter>> = OnceLock::new();
static LOCK: OnceLock<Shared<Mutex<u64>>> = OnceLock::new();

fn add_one(_: ()) {
    *LOCK.get().unwrap().lock().unwrap() += 1;
    TOTAL.get().unwrap().add(1);
}

fn die_with_the_lock(_: ()) {
    let _guard = LOCK.get().unwrap().lock().unwrap();
    std::process::abort();
}

pub(crate) fn shared_memory_and_locks_work() {
    crate::floors::without_backstop();
    TOTAL.get_or_init(|| Shared::new(Counter::new("total")).unwrap());
    let lock = LOCK.get_or_init(|| Shared::new(Mutex::new(0)).unwrap());
    let server = ForkServer::start().unwrap();
    let children: Vec<_> = (0..20).map(|_| server.spawn(add_one, ()).unwrap()).collect();
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!((*lock.lock().unwrap(), TOTAL.get().unwrap().get()), (20, 20));
    // The kernel tells of a death in it, as of any other's: its thread has a robust list.
    let child = server.spawn_with(Builder::new().name("dies"), die_with_the_lock, ()).unwrap();
    let pid = child.pid();
    assert_eq!(end_of(child), Exit::Signal(Signal::ABRT));
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("expected a death") };
    assert_eq!((died.owner().pid(), died.owner().name()), (Some(pid), "dies"));
    drop(died.recover());
}

/// A robust mutex of the C library in shared memory.
struct CLock(std::ptr::NonNull<libc::pthread_mutex_t>);

// SAFETY: made for several processes, used by its address alone.
unsafe impl Send for CLock {}
// SAFETY: as above.
unsafe impl Sync for CLock {}

static C_LOCK: OnceLock<CLock> = OnceLock::new();

impl CLock {
    fn new() -> CLock {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        let lock = std::ptr::NonNull::new(page.cast::<libc::pthread_mutex_t>()).unwrap();
        let mut attributes = std::mem::MaybeUninit::uninit();
        // SAFETY: there is room for them.
        unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        let (robust, shared) = (libc::PTHREAD_MUTEX_ROBUST, libc::PTHREAD_PROCESS_SHARED);
        // SAFETY: initialised.
        unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), robust) };
        // SAFETY: initialised.
        unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), shared) };
        // SAFETY: the page has room for a mutex, and nobody uses it yet.
        let made = unsafe { libc::pthread_mutex_init(lock.as_ptr(), attributes.as_ptr()) };
        assert_eq!(made, 0);
        CLock(lock)
    }

    fn lock(&self) -> i32 {
        // SAFETY: initialised, and mapped for ever.
        unsafe { libc::pthread_mutex_lock(self.0.as_ptr()) }
    }
}

/// The C library has the child's thread id and robust list right, although it did not make the child.
pub(crate) fn c_locks_of_dead_children_are_told() {
    let lock = C_LOCK.get_or_init(CLock::new);
    let server = ForkServer::start().unwrap();
    assert_eq!(server.spawn(|()| C_LOCK.get().unwrap().lock(), ()).unwrap().join().unwrap(), 0);
    assert_eq!(lock.lock(), libc::EOWNERDEAD);
}

pub(crate) fn children_start_threads_and_children() {
    let server = ForkServer::start().unwrap();
    let child = server.spawn(
        |base: u32| {
            let threads: Vec<_> = (0..3).map(|n| thread::spawn(move || base + n)).collect();
            let sum: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            let child = spawn(|| spawn(|| sum).unwrap().join().unwrap() + 1).unwrap();
            let own = ForkServer::start().unwrap();
            (child.join().unwrap(), own.spawn(|n: u32| n * 2, base).unwrap().join().unwrap())
        },
        10,
    );
    assert_eq!(child.unwrap().join().unwrap(), (34, 20));
}

pub(crate) fn hooks_run_in_children_only() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    offspring::at_fork_child(|| {
        RUNS.fetch_add(1, Ordering::Relaxed);
    });
    let server = ForkServer::start().unwrap();
    for _ in 0..2 {
        let child = server.spawn(|()| RUNS.load(Ordering::Relaxed), ());
        assert_eq!(child.unwrap().join().unwrap(), 1);
    }
}

/// Ctrl-C is for the client to decide about, so the server blocks it; its children do with it what the client would.
pub(crate) fn interrupts_are_for_children() {
    let server = ForkServer::start().unwrap();
    let pid = server.pid();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid as i32),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    // One that comes before the child has come to itself is not lost either.
    for _ in 0..50 {
        let child = server.spawn(|()| -> () { park() }, ()).unwrap();
        child.signal(Signal::INT).unwrap();
        assert_eq!(end_of(child), Exit::Signal(Signal::INT));
    }
    assert_eq!(server.pid(), pid);
}

pub(crate) fn lost_exit_status_is_no_loss() {
    let ignore = nix::sys::signal::SigHandler::SigIgn;
    let sigchld = nix::sys::signal::Signal::SIGCHLD;
    // SAFETY: no handler of ours.
    unsafe { nix::sys::signal::signal(sigchld, ignore) }.unwrap();
    let server = ForkServer::start().unwrap();
    for turn in 0..20_u32 {
        let child = server.spawn(|turn: u32| turn + 1, turn).unwrap();
        assert!(until(|| !child.is_alive(), LONG));
        assert_eq!(child.join().unwrap(), turn + 1);
    }
}

pub(crate) fn server_of_another_process_is_refused() {
    let server = ForkServer::start().unwrap();
    let child = spawn(|| {
        let error = server.spawn(|(): ()| (), ()).unwrap_err();
        (error.error().kind() == ErrorKind::InvalidInput, error.to_string())
    });
    let (is_refused, why) = child.unwrap().join().unwrap();
    assert!(is_refused && why.contains(&std::process::id().to_string()), "{why}");
    // Its drop in the child has not hurt it.
    assert_eq!(server.spawn(|n: u8| n, 4).unwrap().join().unwrap(), 4);
}
