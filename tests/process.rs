//! One child: its result, how it ended, its handle. What a fork must not leave behind or mix up is in `hygiene.rs`.

mod support;

use offspring::{
    Builder, Child, Counter, ErrorKind, Exit, JoinError, Shared, Signal, join_all, scope, spawn,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use support::case;

const LONG: Duration = Duration::from_secs(50);

fn main() {
    support::run(&[
        case!(closure_borrows_and_returns),
        case!(results_of_any_size),
        case!(result_that_does_not_encode_is_said_so),
        case!(result_that_does_not_decode_is_said_so),
        case!(panic_arrives_with_message_location_and_backtrace),
        case!(panic_after_a_caught_one_is_the_one_reported),
        case!(panic_payload_without_text_arrives),
        case!(panic_of_a_child_of_a_panicking_parent_arrives),
        case!(exit_codes_arrive),
        case!(exit_0_is_no_result),
        case!(abort_and_each_signal_arrive),
        case!(timeouts_keep_the_handle),
        case!(dead_child_is_joined_though_a_grandchild_lives),
        case!(result_is_given_once),
        case!(join_all_waits_for_all),
        case!(exit_leaves_the_result),
        case!(handles_work_from_several_threads),
        case!(signal_after_the_end_does_nothing),
        case!(handle_in_another_process_does_not_join),
        case!(pidfd_polls),
        case!(names_parents_and_children),
        case!(children_of_children),
        case!(scope_joins_all),
        case!(scope_panics_for_a_child_nobody_joined),
        case!(scope_does_not_panic_for_a_child_that_was_joined),
        case!(scope_waits_though_its_body_panics),
        case!(scope_of_the_parent_is_refused_in_a_child),
        case!(hooks_run_in_order_and_their_panics_arrive),
        case!(workers_are_counted),
    ])
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

fn end_of<R: for<'a> Deserialize<'a>>(child: Child<R>) -> Exit {
    match child.join() {
        Err(JoinError::Exited(exit, _)) => exit,
        Err(error) => panic!("expected an end, not {error}"),
        Ok(_) => panic!("expected an end, not a result"),
    }
}

fn closure_borrows_and_returns() {
    let words = vec!["not".to_owned(), "Send".to_owned()];
    let shared = std::rc::Rc::new(3);
    let child = spawn(|| (words.clone(), *shared)).unwrap();
    assert_eq!(child.join().unwrap(), (words, 3));
}

fn results_of_any_size() {
    for bytes in [0, 10, 950, 960, 970, 1 << 20] {
        let made: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
        let child = spawn(|| made.clone()).unwrap();
        assert!(child.join().unwrap() == made, "{bytes} bytes");
    }
    let child = spawn(|| "offspring".repeat((64 << 20) / 9)).unwrap();
    let text = child.join().unwrap();
    assert!(text.len() == (64 << 20) / 9 * 9 && text.ends_with("offspringoffspring"));
    // A big result's memory is given back once it was taken, so that the next child's cell is clean.
    assert_eq!(spawn(|| 5u8).unwrap().join().unwrap(), 5);
}

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

fn result_that_does_not_encode_is_said_so() {
    let Err(JoinError::Failed(error)) = spawn(|| OneWay(false)).unwrap().join() else {
        panic!("expected a failure")
    };
    assert_eq!(error.kind(), ErrorKind::Encoding, "{error}");
}

fn result_that_does_not_decode_is_said_so() {
    let Err(JoinError::Failed(error)) = spawn(|| OneWay(true)).unwrap().join() else {
        panic!("expected a failure")
    };
    assert_eq!(error.kind(), ErrorKind::Encoding, "{error}");
}

#[inline(never)]
fn fails_in_here() {
    panic!("the reason, at line {}", line!());
}

fn panic_arrives_with_message_location_and_backtrace() {
    let child = Builder::new().name("unlucky").spawn(fails_in_here).unwrap();
    let pid = child.pid();
    let Exit::Panicked(report) = end_of(child) else { panic!("expected a panic") };
    let location = report.location().expect("a location");
    assert_eq!(report.message(), format!("the reason, at line {}", location.line()));
    assert!(location.file().ends_with("process.rs"), "{location}");
    assert!(report.backtrace().contains("fails_in_here"), "{}", report.backtrace());
    assert_eq!((report.process().pid(), report.process().name()), (pid, "unlucky"));
}

fn panic_after_a_caught_one_is_the_one_reported() {
    let child = spawn(|| {
        let _ = std::panic::catch_unwind(|| panic!("caught"));
        std::panic::resume_unwind(Box::new("resumed"));
    });
    let Exit::Panicked(report) = end_of::<()>(child.unwrap()) else { panic!("expected a panic") };
    assert_eq!((report.message(), report.location()), ("resumed", None));
    // A caught one alone is the closure's own business.
    let child = spawn(|| std::panic::catch_unwind(|| panic!("caught")).is_err());
    assert!(child.unwrap().join().unwrap());
}

fn panic_payload_without_text_arrives() {
    let child: Child<()> = spawn(|| std::panic::panic_any(7u64)).unwrap();
    let Exit::Panicked(report) = end_of(child) else { panic!("expected a panic") };
    assert!(report.location().is_some());
}

fn panic_of_a_child_of_a_panicking_parent_arrives() {
    struct Spawner<'a>(&'a mut Option<Exit>);
    impl Drop for Spawner<'_> {
        fn drop(&mut self) {
            *self.0 = Some(end_of::<()>(spawn(|| panic!("inner")).unwrap()));
        }
    }
    let mut exit = None;
    let outer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _spawner = Spawner(&mut exit);
        std::panic::resume_unwind(Box::new("outer"));
    }));
    assert!(outer.is_err());
    // Inside a panic, the runtime may turn the next one into an abort: either way it arrives as what it was.
    match exit.unwrap() {
        Exit::Panicked(report) => assert_eq!(report.message(), "inner"),
        exit => assert_eq!(exit, Exit::Signal(Signal::ABRT)),
    }
}

fn exit_codes_arrive() {
    for code in [0, 1, 3, 101, 255] {
        assert_eq!(end_of::<()>(spawn(|| std::process::exit(code)).unwrap()), Exit::Code(code));
    }
}

fn exit_0_is_no_result() {
    let child: Child<()> = spawn(|| std::process::exit(0)).unwrap();
    assert_eq!(end_of(child), Exit::Code(0));
}

fn abort_and_each_signal_arrive() {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{SigSet, Signal as Sig, raise};
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap();
    let child: Child<()> = spawn(|| std::process::abort()).unwrap();
    assert_eq!(end_of(child), Exit::Signal(Signal::ABRT));
    let harmless = [
        Sig::SIGCHLD,
        Sig::SIGCONT,
        Sig::SIGSTOP,
        Sig::SIGTSTP,
        Sig::SIGTTIN,
        Sig::SIGTTOU,
        Sig::SIGURG,
        Sig::SIGWINCH,
    ];
    let mut count = 0;
    for sig in Sig::iterator().filter(|sig| !harmless.contains(sig)) {
        let child: Child<()> = spawn(|| {
            if sig != Sig::SIGKILL {
                default_action(sig);
            }
            SigSet::empty().thread_set_mask().unwrap();
            raise(sig).unwrap();
            park()
        })
        .unwrap();
        let expected = Signal::new(sig as i32).unwrap();
        assert_eq!(expected.name(), sig.as_str());
        assert_eq!(end_of(child), Exit::Signal(expected));
        count += 1;
    }
    assert_eq!(count, 31 - harmless.len());
}

/// Undoes what Rust's start and this runner changed (SIGPIPE is ignored by default).
#[expect(unsafe_code, reason = "signal dispositions")]
fn default_action(signal: nix::sys::signal::Signal) {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(signal, &action) }.unwrap();
}

fn timeouts_keep_the_handle() {
    let (mut door, mut key) = pipe().unwrap();
    let child = spawn(|| door.read(&mut [0]).unwrap()).unwrap();
    assert!(child.try_join().is_none());
    assert!(child.join_timeout(Duration::ZERO).is_none());
    assert!(child.join_timeout(Duration::from_millis(2)).is_none());
    assert!(child.join_deadline(Instant::now()).is_none());
    assert!(child.exit().unwrap().is_none());
    assert!(child.is_alive());
    key.write_all(&[1]).unwrap();
    assert_eq!(child.join_timeout(LONG).unwrap().unwrap(), 1);
    assert!(!child.is_alive());
}

fn dead_child_is_joined_though_a_grandchild_lives() {
    let (mut alive, mut words) = pipe().unwrap();
    let child = spawn(|| {
        let grandchild = Builder::new().outlive_parent(true).spawn(|| {
            words.write_all(b"I live").unwrap();
            park()
        });
        // Detached.
        drop::<Child<()>>(grandchild.unwrap());
        7
    })
    .unwrap();
    assert_eq!(child.join_timeout(LONG).expect("the grandchild does not count").unwrap(), 7);
    let mut said = [0; 6];
    alive.read_exact(&mut said).unwrap();
}

fn result_is_given_once() {
    let child = spawn(|| 1).unwrap();
    assert_eq!(child.join_timeout(LONG).unwrap().unwrap(), 1);
    let Some(Err(JoinError::Failed(error))) = child.try_join() else {
        panic!("expected a failure")
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(matches!(child.join(), Err(JoinError::Failed(_))));
}

/// Those behind the first failure, too; they end only when that one has been joined.
fn join_all_waits_for_all() {
    let ended = Shared::new(Counter::new("ended")).unwrap();
    let first = spawn(|| std::process::exit(3)).unwrap();
    let status = format!("/proc/{}/stat", first.pid());
    let behind = || {
        while std::fs::exists(&status).unwrap() {
            std::thread::yield_now();
        }
        (0..100).for_each(|_| _ = ended.add(1));
    };
    let mut children = vec![first];
    children.extend((0..3).map(|_| spawn(behind).unwrap()));
    let error = join_all(children).unwrap_err();
    assert_eq!(error.exit(), Some(&Exit::Code(3)));
    assert_eq!((ended.get(), offspring::children().len()), (300, 0));
    assert_eq!(join_all((0..3).map(|n| spawn(move || n).unwrap())).unwrap(), [0, 1, 2]);
    assert_eq!(join_all(Vec::<Child<u8>>::new()).unwrap(), []);
}

fn exit_leaves_the_result() {
    let child = spawn(|| 1).unwrap();
    assert!(support::until(|| child.exit().unwrap() == Some(Exit::Code(0)), LONG));
    assert_eq!(child.join().unwrap(), 1);
}

fn handles_work_from_several_threads() {
    let children: Vec<Child<u8>> = (0..4).map(|_| spawn(|| park()).unwrap()).collect();
    std::thread::scope(|threads| {
        for child in &children {
            let waiting = threads.spawn(|| child.join_timeout(LONG));
            let looking = threads.spawn(|| child.is_alive() && child.exit().unwrap().is_none());
            assert!(looking.join().unwrap());
            threads.spawn(|| child.terminate().unwrap()).join().unwrap();
            let ended = waiting.join().unwrap().expect("it was ended");
            assert_eq!(ended.unwrap_err().exit(), Some(&Exit::Signal(Signal::TERM)));
        }
    });
    // And a join by value, in a thread, of a child that was made in another.
    let child = spawn(|| 6).unwrap();
    assert_eq!(std::thread::spawn(|| child.join().unwrap()).join().unwrap(), 6);
}

fn signal_after_the_end_does_nothing() {
    let child = spawn(|| ()).unwrap();
    child.join_timeout(LONG).unwrap().unwrap();
    child.kill().unwrap();
    child.terminate().unwrap();
    child.signal(Signal::USR1).unwrap();
}

fn handle_in_another_process_does_not_join() {
    let elder: Child<()> = spawn(|| park()).unwrap();
    let younger = spawn(|| {
        let Some(Err(JoinError::Failed(error))) = elder.try_join() else { return false };
        elder.kill().unwrap();
        error.kind() == ErrorKind::InvalidInput
    });
    assert!(younger.unwrap().join().unwrap());
    assert_eq!(end_of(elder), Exit::Signal(Signal::KILL));
}

fn pidfd_polls() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let child = spawn(|| ()).unwrap();
    let mut fds = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(50_000u16)).unwrap(), 1);
    child.join().unwrap();
}

fn names_parents_and_children() {
    assert_eq!(offspring::current().name(), "main");
    assert!(offspring::current().parent().is_none());
    let first = spawn(|| offspring::current().name().to_owned()).unwrap();
    assert_eq!(first.name(), "child-1");
    assert_eq!(first.join().unwrap(), "child-1");
    let sleeper: Child<()> = spawn(|| park()).unwrap();
    let living = offspring::children();
    assert_eq!((living.len(), living[0].pid(), living[0].name()), (1, sleeper.pid(), "child-2"));
    sleeper.kill().unwrap();
    assert!(sleeper.join().is_err());
    assert!(offspring::children().is_empty());
}

fn children_of_children() {
    let me = std::process::id();
    let child = Builder::new().name("b").spawn(move || {
        assert!(offspring::children().is_empty(), "a child starts without children");
        let own = offspring::current();
        let grandchild = spawn(|| {
            let own = offspring::current();
            (own.name().to_owned(), own.parent().unwrap().pid())
        });
        let (name, parent) = grandchild.unwrap().join().unwrap();
        own.parent().unwrap().pid() == me && name == "b:1" && parent == own.pid()
    });
    assert!(child.unwrap().join().unwrap());
}

fn scope_joins_all() {
    let (mut reader, writer) = pipe().unwrap();
    let mut numbers = [1, 2, 3];
    let sum = scope(|s| {
        for number in &numbers {
            let mut writer = writer.try_clone().unwrap();
            s.spawn(move || writer.write_all(&[*number]).unwrap()).unwrap();
        }
        s.spawn(|| numbers.iter().map(|n| u32::from(*n)).sum::<u32>()).unwrap().join().unwrap()
    });
    assert_eq!(sum, 6);
    assert!(offspring::children().is_empty());
    drop(writer);
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    written.sort();
    numbers[0] = 1;
    assert_eq!(written, numbers);
}

fn scope_panics_for_a_child_nobody_joined() {
    let result = std::panic::catch_unwind(|| {
        scope(|s| drop(s.spawn::<_, ()>(|| panic!("forgotten")).unwrap()));
    });
    let payload = result.unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("forgotten") && message.contains("child-1"), "{message}");
}

fn scope_does_not_panic_for_a_child_that_was_joined() {
    scope(|s| {
        assert!(s.spawn::<_, ()>(|| panic!("seen")).unwrap().join().is_err());
        let child = s.spawn::<_, ()>(|| std::process::exit(4)).unwrap();
        assert!(child.join_timeout(LONG).unwrap().is_err());
    });
}

fn scope_waits_though_its_body_panics() {
    let (mut reader, mut writer) = pipe().unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope(|s| {
            s.spawn(|| writer.write_all(b"done").unwrap()).unwrap();
            panic!("body");
        })
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"body"));
    assert!(offspring::children().is_empty());
    let mut said = [0; 4];
    reader.read_exact(&mut said).unwrap();
}

fn scope_of_the_parent_is_refused_in_a_child() {
    scope(|s| {
        let child = s.spawn(|| s.spawn(|| ()).unwrap_err().kind() == ErrorKind::InvalidInput);
        assert!(child.unwrap().join().unwrap());
    });
}

fn hooks_run_in_order_and_their_panics_arrive() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TRACE: AtomicU32 = AtomicU32::new(0);
    offspring::at_fork_child(|| TRACE.store(1, Ordering::Relaxed));
    offspring::at_fork_child(|| {
        TRACE.store(TRACE.load(Ordering::Relaxed) * 10 + 2, Ordering::Relaxed)
    });
    assert_eq!(spawn(|| TRACE.load(Ordering::Relaxed)).unwrap().join().unwrap(), 12);
    assert_eq!(TRACE.load(Ordering::Relaxed), 0, "not in the parent");
    offspring::at_fork_child(|| panic!("hook"));
    let Exit::Panicked(report) = end_of(spawn(|| 1).unwrap()) else { panic!("expected a panic") };
    assert_eq!(report.message(), "hook");
}

fn workers_are_counted() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let mine = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let first = (0..CpuSet::count()).find(|&cpu| mine.is_set(cpu).unwrap()).unwrap();
    let all = (0..CpuSet::count()).filter(|&cpu| mine.is_set(cpu).unwrap()).count();
    assert!((1..=all).contains(&offspring::available_workers()));
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    assert_eq!(offspring::available_workers(), 1);
}
