//! Faults of children: their address is told, and everything else is as it would be without.
#![expect(unsafe_code, reason = "faults on purpose")]

use crate::ears::heard;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as Number, sigaction};
use offspring::pool::MapOptions;
use offspring::process::Fault;
use offspring::{Child, Exit, ForkServer, Pool, Signal, spawn};
use std::hint::black_box;
use std::os::fd::AsRawFd;

const NOWHERE: usize = 0x1234_5678_0000;

/// Reads what is not there.
fn read_nowhere() {
    // SAFETY: none; that is the point.
    black_box(unsafe {
        std::ptr::with_exposed_provenance::<u8>(black_box(NOWHERE)).read_volatile()
    });
}

fn fault_of(child: Child<()>) -> (Option<Exit>, Option<Fault>, String) {
    let error = child.join().unwrap_err();
    let fault = error.post_mortem().and_then(|post_mortem| post_mortem.fault());
    (error.exit().cloned(), fault, error.to_string())
}

pub(crate) fn address_is_told() {
    let (exit, fault, text) = fault_of(spawn(read_nowhere).unwrap());
    assert_eq!(exit, Some(Exit::Signal(Signal::SEGV)));
    let fault = fault.unwrap();
    assert_eq!((fault.signal(), fault.address()), (Signal::SEGV, Some(NOWHERE as u64)));
    let expected = "was ended by SIGSEGV at address 0x123456780000 (nothing is mapped there) in log::faults::read_nowhere";
    assert!(text.ends_with(expected), "{text}");

    // Beyond the end of a file: SIGBUS.
    let beyond = || {
        let file = nix::sys::memfd::memfd_create(c"short", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
            .unwrap();
        // SAFETY: a new mapping, of an empty file.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        // SAFETY: none; that is the point.
        black_box(unsafe { address.cast::<u8>().read_volatile() });
    };
    let (exit, fault, text) = fault_of(spawn(beyond).unwrap());
    assert_eq!(exit, Some(Exit::Signal(Signal::new(libc::SIGBUS).unwrap())));
    assert_eq!(fault.unwrap().signal().name(), "SIGBUS");
    assert!(text.contains("beyond the end of a mapped file"), "{text}");
}

pub(crate) fn address_is_told_in_threads_and_grandchildren() {
    let child = spawn(|| std::thread::spawn(read_nowhere).join().unwrap()).unwrap();
    let (exit, fault, _) = fault_of(child);
    assert_eq!(exit, Some(Exit::Signal(Signal::SEGV)));
    assert_eq!(fault.unwrap().address(), Some(NOWHERE as u64));

    let child = spawn(|| {
        let (exit, fault, _) = fault_of(spawn(read_nowhere).unwrap());
        exit == Some(Exit::Signal(Signal::SEGV)) && fault.unwrap().address() == Some(NOWHERE as u64)
    });
    assert!(child.unwrap().join().unwrap());
}

fn task(_: u32) {
    read_nowhere();
}

pub(crate) fn address_is_told_by_pools_and_fork_servers() {
    let server = ForkServer::start().unwrap();
    let (exit, fault, text) = fault_of(server.spawn(task, 1).unwrap());
    assert_eq!(exit, Some(Exit::Signal(Signal::SEGV)));
    assert_eq!(fault.unwrap().address(), Some(NOWHERE as u64));
    assert!(text.ends_with("in log::faults::task"), "{text}");
    drop(server);

    offspring::log_to_stderr(log::LevelFilter::Info).unwrap();
    let text = heard(|| {
        let pool = Pool::builder().workers(1).name("p").build().unwrap();
        let crash = |n: u32| {
            log::info!("task {n}");
            task(n);
        };
        for number in [7, 8] {
            let error = pool.submit(crash, number).unwrap().wait().unwrap_err();
            let death = error.worker_death().unwrap();
            let post_mortem = death.post_mortem().unwrap();
            assert_eq!(post_mortem.fault().unwrap().address(), Some(NOWHERE as u64));
            assert_eq!(post_mortem.log_lines(), [format!("INFO task {number}")]);
            assert!(death.task().starts_with("log::faults::address_is_told_by"), "{death}");
            assert_eq!(post_mortem.task(), death.task());
            let text = error.to_string();
            assert!(text.starts_with(&format!("the worker p-{} (pid ", number - 6)), "{text}");
            assert!(text.contains("died with the task log::faults::"), "{text}");
            assert!(text.contains("ended by SIGSEGV at address 0x123456780000"), "{text}");
            assert!(text.ends_with(&format!("last log lines:\n    INFO task {number}")), "{text}");
        }
        let results = pool.map_each(MapOptions::new(), task, 0..1);
        let death = results[0].as_ref().unwrap_err().worker_death().unwrap();
        assert_eq!(death.task(), "log::faults::task");
        pool.shutdown().unwrap();
    });
    assert_eq!(text.matches("died with a task").count(), 3, "{text}");
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    recurse(depth + 1) + room[7]
}

pub(crate) fn stack_overflow_has_its_message() {
    for in_thread in [false, true] {
        let text = heard(|| {
            let child = spawn(move || match in_thread {
                false => _ = recurse(black_box(0)),
                true => std::thread::spawn(|| _ = recurse(black_box(0))).join().unwrap(),
            });
            let (exit, fault, text) = fault_of(child.unwrap());
            assert_eq!(exit, Some(Exit::Signal(Signal::ABRT)));
            assert_eq!(fault.unwrap().signal(), Signal::SEGV);
            assert!(text.contains("was ended by SIGABRT after SIGSEGV at address 0x"), "{text}");
        });
        assert!(text.contains("has overflowed its stack"), "{text}");
    }
}

extern "C" fn leave(_: i32) {
    // SAFETY: allowed in a handler.
    unsafe { libc::_exit(42) }
}

fn set(handler: SigHandler) -> SigHandler {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: `leave` does what a handler may.
    unsafe { sigaction(Number::SIGSEGV, &action) }.unwrap().handler()
}

pub(crate) fn handlers_of_the_program_are_called() {
    // Set in the child: the child's only.
    let child = spawn(|| {
        set(SigHandler::Handler(leave));
        read_nowhere();
    });
    let (exit, fault, _) = fault_of(child.unwrap());
    assert_eq!((exit, fault), (Some(Exit::Code(42)), None));

    // Set before the fork: told first, then called.
    let before = set(SigHandler::Handler(leave));
    let (exit, fault, text) = fault_of(spawn(read_nowhere).unwrap());
    assert_eq!(exit, Some(Exit::Code(42)));
    assert_eq!(fault.unwrap().address(), Some(NOWHERE as u64));
    assert!(!text.contains("SIGSEGV"), "it is not what the child died of: {text}");

    // The default action set before the fork.
    set(SigHandler::SigDfl);
    let (exit, fault, _) = fault_of(spawn(read_nowhere).unwrap());
    assert_eq!(exit, Some(Exit::Signal(Signal::SEGV)));
    assert_eq!(fault.unwrap().address(), Some(NOWHERE as u64));
    // One that somebody sends ends the child too, and is no fault.
    let child = spawn(|| -> () {
        loop {
            std::thread::park()
        }
    })
    .unwrap();
    child.signal(Signal::SEGV).unwrap();
    let (exit, fault, text) = fault_of(child);
    assert_eq!((exit, fault), (Some(Exit::Signal(Signal::SEGV)), None), "{text}");

    // Ignored: no handler is put there.
    set(SigHandler::SigIgn);
    let child = spawn(|| matches!(set(SigHandler::SigIgn), SigHandler::SigIgn)).unwrap();
    assert!(child.join().unwrap());
    set(before);
}

pub(crate) fn parent_has_no_handler() {
    let before = set(SigHandler::SigDfl);
    spawn(|| ()).unwrap().join().unwrap();
    assert!(matches!(set(before), SigHandler::SigDfl));
}
