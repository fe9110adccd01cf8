//! What a fork must not mix up, and what a child, or a dead parent, must not leave behind.
#![expect(unsafe_code, reason = "exit handlers, C's stdout, signal dispositions")]

mod support;

mod hygiene {
    pub(crate) mod limits;
    pub(crate) mod orphans;
    use super::*;
}

use hygiene::{limits, orphans};
use offspring::{Builder, Child, ErrorKind, Exit, JoinError, Signal, spawn};
use std::fs::File;
use std::io::{PipeReader, Read, Seek, SeekFrom, Write, pipe};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;
use support::case;

const LONG: Duration = Duration::from_secs(50);

fn main() {
    support::run(&[
        case!(buffered_output_is_not_printed_twice),
        case!(output_of_a_child_is_flushed),
        case!(panic_prints_nothing),
        case!(panic_of_a_detached_child_is_printed_when_it_is_reaped),
        case!(exit_handlers_of_the_parent_do_not_run),
        case!(exit_handlers_of_the_child_do_run),
        case!(values_of_the_parent_are_not_dropped),
        case!(nothing_is_left_after_10_000_spawns),
        case!(detached_children_are_reaped),
        case!(orphans::killed_parent_takes_its_tree),
        case!(orphans::killed_parent_takes_the_tree_of_its_second_thread),
        case!(orphans::parent_killed_at_any_moment_takes_its_tree),
        case!(orphans::child_that_may_outlives_its_parent),
        case!(orphans::foreign_fork_does_not_keep_orphans_alive),
        case!(spawn_from_a_second_thread_is_refused),
        case!(joined_thread_does_not_count),
        case!(allow_threads_forks_beside_printing_threads),
        case!(random_numbers_differ_once_a_hook_reseeds),
        case!(limits::few_descriptors_suffice),
        case!(limits::ignored_sigchld_loses_only_what_it_must),
        case!(limits::foreign_wait_loses_only_what_it_must),
        case!(limits::foreign_fork_inside_a_closure_does_not_report),
        case!(limits::file_size_limit_does_not_kill_a_result),
    ])
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

fn exit_of<R: serde::de::DeserializeOwned>(child: Child<R>) -> Exit {
    match child.join() {
        Err(JoinError::Exited(exit, _)) => exit,
        Err(error) => panic!("expected an end, not {error}"),
        Ok(_) => panic!("expected an end, not a result"),
    }
}

/// A file without a name. In append mode: the position of a memfd is not locked against two writers.
fn memory_file() -> File {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).unwrap();
    file
}

fn text_of(file: &File) -> String {
    let mut file = file.try_clone().unwrap();
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Prints with C's buffered stdout.
fn c_print(text: &std::ffi::CStr) {
    // SAFETY: a C string.
    let printed = unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
    assert!(printed >= 0);
}

fn c_flush() {
    // SAFETY: null means all streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

fn buffered_output_is_not_printed_twice() {
    let file = memory_file();
    nix::unistd::dup2_stdout(&file).unwrap();
    print!("rust ");
    c_print(c"c ");
    for _ in 0..3 {
        spawn(|| ()).unwrap().join().unwrap();
        let _panics: Child<()> = spawn(|| panic!()).unwrap();
        assert_eq!(exit_of::<()>(spawn(|| std::process::exit(1)).unwrap()), Exit::Code(1));
    }
    std::io::stdout().flush().unwrap();
    c_flush();
    assert_eq!(text_of(&file), "rust c ");
}

fn output_of_a_child_is_flushed() {
    let file = memory_file();
    nix::unistd::dup2_stdout(&file).unwrap();
    spawn(|| print!("a ")).unwrap().join().unwrap();
    spawn(|| c_print(c"b ")).unwrap().join().unwrap();
    let exits = || {
        print!("c ");
        c_print(c"d ");
        std::process::exit(2)
    };
    assert_eq!(exit_of::<()>(spawn(exits).unwrap()), Exit::Code(2));
    let panics = || {
        print!("e ");
        panic!()
    };
    assert!(spawn::<_, ()>(panics).unwrap().join().is_err());
    assert_eq!(text_of(&file), "a b c d e ");
}

fn panic_prints_nothing() {
    let file = memory_file();
    nix::unistd::dup2_stderr(&file).unwrap();
    let child: Child<()> = spawn(|| panic!("quiet")).unwrap();
    assert!(child.join().unwrap_err().panic().is_some());
    assert_eq!(text_of(&file), "");
}

fn panic_of_a_detached_child_is_printed_when_it_is_reaped() {
    let file = memory_file();
    nix::unistd::dup2_stderr(&file).unwrap();
    drop::<Child<()>>(Builder::new().name("loose").spawn(|| panic!("unheard")).unwrap());
    let reaped = support::until(
        || {
            let _ = offspring::children();
            text_of(&file).contains("unheard")
        },
        LONG,
    );
    assert!(reaped, "{}", text_of(&file));
    assert!(text_of(&file).contains("loose"));
    assert!(no_child_is_left());
}

static LOG: OnceLock<File> = OnceLock::new();

extern "C" fn log_p() {
    LOG.get().unwrap().write_all(b"p").unwrap();
}

extern "C" fn log_c() {
    LOG.get().unwrap().write_all(b"c").unwrap();
}

fn at_exit(handler: extern "C" fn()) {
    // SAFETY: a plain function of this binary.
    assert_eq!(unsafe { libc::atexit(handler) }, 0);
}

fn exit_handlers_of_the_parent_do_not_run() {
    LOG.set(memory_file()).unwrap();
    at_exit(log_p);
    spawn(|| ()).unwrap().join().unwrap();
    assert_eq!(exit_of::<()>(spawn(|| std::process::exit(3)).unwrap()), Exit::Code(3));
    assert!(spawn::<_, ()>(|| panic!()).unwrap().join().is_err());
    let exits_below = || exit_of::<()>(spawn(|| std::process::exit(4)).unwrap()) == Exit::Code(4);
    assert!(spawn(exits_below).unwrap().join().unwrap());
    let from_thread = || {
        let exits = std::thread::spawn(|| std::process::exit(5));
        let _ = exits.join();
    };
    assert_eq!(exit_of(spawn(from_thread).unwrap()), Exit::Code(5));
    assert_eq!(text_of(LOG.get().unwrap()), "");
}

fn exit_handlers_of_the_child_do_run() {
    LOG.set(memory_file()).unwrap();
    at_exit(log_p);
    let child: Child<()> = spawn(|| {
        at_exit(log_c);
        std::process::exit(3)
    })
    .unwrap();
    assert_eq!(exit_of(child), Exit::Code(3));
    assert_eq!(text_of(LOG.get().unwrap()), "c");
}

fn values_of_the_parent_are_not_dropped() {
    struct Loud<'a>(&'a File);
    impl Drop for Loud<'_> {
        fn drop(&mut self) {
            let mut file = self.0;
            writeln!(file, "{}", std::process::id()).unwrap();
        }
    }
    let file = memory_file();
    let lent = Loud(&file);
    spawn(|| assert!(lent.0.metadata().is_ok())).unwrap().join().unwrap();
    assert!(spawn::<_, ()>(|| panic!()).unwrap().join().is_err());
    assert_eq!(text_of(&file), "");
    // A value that was moved in exists twice, and is dropped on both sides.
    let moved = Loud(&file);
    let child = spawn(move || {
        let whole = moved; // not its field alone
        assert!(whole.0.metadata().is_ok())
    })
    .unwrap();
    let pid = child.pid();
    child.join().unwrap();
    let mut dropped_by: Vec<u32> =
        text_of(&file).lines().map(|line| line.parse().unwrap()).collect();
    dropped_by.sort();
    let mut expected = [pid, std::process::id()];
    expected.sort();
    assert_eq!(dropped_by, expected);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn no_child_is_left() -> bool {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    waitpid(None, Some(WaitPidFlag::WNOHANG)) == Err(nix::errno::Errno::ECHILD)
}

fn nothing_is_left_after_10_000_spawns() {
    let round = |number: u32| {
        let child = spawn(move || number).unwrap();
        match number % 8 {
            0 => drop(child),
            1 => {
                child.kill().unwrap();
                let _either_way = child.join();
            }
            2 => {
                let ended = child.join_timeout(LONG).unwrap();
                assert_eq!(ended.unwrap(), number);
            }
            _ => assert_eq!(child.join().unwrap(), number),
        }
    };
    let before_any = (descriptors(), mappings());
    (0..16).for_each(round);
    let settled = || support::until(|| offspring::children().is_empty(), LONG);
    assert!(settled());
    let before = (descriptors(), mappings());
    (0..10_000).for_each(round);
    assert!(settled() && no_child_is_left());
    let after = (descriptors(), mappings());
    println!(
        "descriptors, mappings: {before_any:?} at first, {before:?} after 16 spawns, {after:?} after 10,000 more"
    );
    assert_eq!(after.0, before.0);
    // malloc may map an arena more or less.
    assert!(after.1 <= before.1 + 2);
    assert!(before.0 <= before_any.0 + 3, "a lifeline, a kept end of it, a board");
}

fn detached_children_are_reaped() {
    for _ in 0..50 {
        drop(spawn(|| ()).unwrap());
    }
    // The next spawns, joins and looks reap; `children` alone would do.
    assert!(support::until(|| offspring::children().is_empty() && no_child_is_left(), LONG));
}

fn spawn_from_a_second_thread_is_refused() {
    let error = std::thread::spawn(|| spawn(|| ()).unwrap_err()).join().unwrap();
    assert_eq!(error.kind(), ErrorKind::MultiThreaded);
    let message = error.to_string();
    assert!(message.contains("ForkServer") && message.contains("allow_threads"), "{message}");
}

fn joined_thread_does_not_count() {
    for _ in 0..500 {
        std::thread::spawn(|| ()).join().unwrap();
        spawn(|| ()).unwrap().join().unwrap();
    }
}

fn allow_threads_forks_beside_printing_threads() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let file = memory_file();
    nix::unistd::dup2_stdout(&file).unwrap();
    static DONE: AtomicBool = AtomicBool::new(false);
    let printer = std::thread::spawn(|| {
        while !DONE.load(Ordering::Relaxed) {
            println!("from a thread");
        }
    });
    for number in 0..100 {
        // SAFETY: the other thread only prints, and its memory allocator is safe to fork.
        let builder = unsafe { Builder::new().allow_threads() };
        let child = builder.spawn(move || println!("from child {number}")).unwrap();
        child.join_timeout(LONG).expect("a child that prints does not hang").unwrap();
    }
    DONE.store(true, Ordering::Relaxed);
    printer.join().unwrap();
    let text = text_of(&file);
    assert_eq!(text.lines().filter(|line| line.starts_with("from child")).count(), 100);
    let torn =
        text.lines().find(|line| *line != "from a thread" && !line.starts_with("from child "));
    assert_eq!(torn, None);
}

fn random_numbers_differ_once_a_hook_reseeds() {
    use rand::Rng;
    let _ = rand::rng().random::<u64>();
    let draw = || {
        let children: Vec<_> =
            (0..8).map(|_| spawn(|| rand::rng().random::<u64>()).unwrap()).collect();
        let mut drawn: Vec<u64> = children.into_iter().map(|child| child.join().unwrap()).collect();
        drawn.sort();
        drawn.dedup();
        drawn.len()
    };
    assert_eq!(draw(), 1, "a fork copies the generator: if this fails, rand has learned to notice");
    offspring::at_fork_child(|| rand::rng().reseed().unwrap());
    assert_eq!(draw(), 8);
}
