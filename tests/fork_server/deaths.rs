//! Who dies when: the client, the server, a child; and what the others see.

use crate::floors::{LONG, without_backstop};
use crate::support::{Kid, Rng, processes, seed, until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offspring::{Builder, Counter, ErrorKind, ForkServer, Shared};
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;

fn pid(id: u32) -> Pid {
    Pid::from_raw(id as i32)
}

fn is_gone(id: u32) -> bool {
    processes().iter().all(|process| process.id != id || process.state == 'Z')
}

fn park(_: ()) {
    loop {
        thread::park();
    }
}

/// A client that has a server and three children, one of them by a thread, and tells their pids.
fn client(outlive: bool) -> (Kid, Vec<u32>) {
    let (mut reader, mut writer) = pipe().unwrap();
    let client = Kid::fork(|| {
        let server = ForkServer::start().unwrap();
        let builder = || Builder::new().outlive_parent(outlive);
        let mut children = vec![server.spawn_with(builder(), park, ()).unwrap()];
        children.push(server.spawn_with(builder(), park, ()).unwrap());
        let by_thread = thread::scope(|threads| {
            threads.spawn(|| server.spawn_with(builder(), park, ()).unwrap()).join().unwrap()
        });
        children.push(by_thread);
        let pids = children.iter().map(|child| child.pid()).chain([server.pid()]);
        writer.write_all(&pids.flat_map(u32::to_ne_bytes).collect::<Vec<u8>>()).unwrap();
        park(());
    });
    let mut bytes = [0; 16];
    reader.read_exact(&mut bytes).unwrap();
    let (words, _) = bytes.as_chunks();
    (client, words.iter().map(|&word| u32::from_ne_bytes(word)).collect())
}

pub(crate) fn client_takes_all_with_it() {
    for _ in 0..10 {
        let (client, pids) = client(false);
        client.kill();
        for &id in &pids {
            assert!(until(|| is_gone(id), LONG), "{id} of {pids:?} lives on");
        }
    }
}

/// Wherever the server, and its child, are with an order.
pub(crate) fn client_killed_at_any_moment_takes_all_with_it() {
    for round in 0..150_u64 {
        let (witness, held) = pipe().unwrap();
        let mut word = held.try_clone().unwrap();
        let client = Kid::fork(|| {
            let server = ForkServer::start().unwrap();
            word.write_all(&[1]).unwrap();
            loop {
                std::mem::forget(server.spawn(park, ()));
            }
        });
        drop((held, word));
        (&witness).read_exact(&mut [0]).unwrap();
        (0..round * 400).for_each(|_| std::hint::spin_loop());
        client.kill();
        // The server and all children have copies of the pipe's other end.
        let mut fds = [PollFd::new(witness.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut fds, PollTimeout::from(5000_u16)).unwrap(), 1, "round {round}");
    }
}

pub(crate) fn child_that_may_outlives_its_client() {
    let (client, pids) = client(true);
    client.kill();
    assert!(until(|| is_gone(pids[3]), LONG), "the server lives on");
    assert!(pids[..3].iter().all(|&id| !is_gone(id)));
    pids[..3].iter().for_each(|&id| kill(pid(id), Signal::SIGKILL).unwrap());
}

pub(crate) fn dead_server_is_started_anew() {
    let server = ForkServer::start().unwrap();
    for turn in 0..20_u32 {
        let id = server.pid();
        let before = server.spawn(park, ()).unwrap();
        kill(pid(id), Signal::SIGKILL).unwrap();
        // Now and then when it is dead for sure, else while it dies.
        if turn % 2 == 0 {
            assert!(until(|| is_gone(id), LONG));
        }
        // Such as travel by descriptor, too.
        let args = vec![7_u8; if turn % 4 < 2 { 10 } else { 100_000 }];
        let child = server.spawn(|bytes: Vec<u8>| bytes.len(), args.clone()).unwrap();
        assert_eq!(child.join().unwrap(), args.len());
        assert!(before.is_alive(), "a child does not end with the server");
        before.kill().unwrap();
        let _killed = before.join();
    }
    assert_eq!(offspring::children().len(), 1);
}

pub(crate) fn dead_server_is_named_where_threads_forbid_another() {
    let server = ForkServer::start().unwrap();
    let id = server.pid();
    let (stop, stopped) = channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    assert_eq!(server.spawn(|n: u8| n, 1).unwrap().join().unwrap(), 1);
    kill(pid(id), Signal::SIGKILL).unwrap();
    assert!(until(|| is_gone(id), LONG));
    for _ in 0..2 {
        let error = server.spawn(|n: u8| n, 2).unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::ServerDied);
        let text = error.to_string();
        assert!(text.contains(&format!("fork-server (pid {id})")), "{text}");
        assert!(text.contains("SIGKILL") && text.contains("threads"), "{text}");
        assert_eq!(error.into_inner(), 2);
    }
    assert!(offspring::children().is_empty());
    drop(stop);
    let _ = thread.join();
    assert_eq!(server.spawn(|n: u8| n, 3).unwrap().join().unwrap(), 3);
    assert_ne!(server.pid(), id);
}

static RUNS: OnceLock<Shared<Counter>> = OnceLock::new();
static SERVER: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn kill_the_server(id: u32) -> u32 {
    RUNS.get().unwrap().add(1);
    let _ = kill(pid(id), Signal::SIGKILL);
    id
}

/// Often before the server could reply: then the kernel's word in the child's cell is all that the client has.
pub(crate) fn server_killed_by_its_child_loses_nobody() {
    without_backstop();
    RUNS.get_or_init(|| Shared::new(Counter::new("runs")).unwrap());
    let server = ForkServer::start().unwrap();
    for turn in 1..=200 {
        let id = server.pid();
        // The order may meet the server of the turn before, which is not quite dead.
        let child = server.spawn(kill_the_server, id).unwrap();
        assert_eq!(child.join().unwrap(), id);
        assert_eq!(RUNS.get().unwrap().get(), turn);
    }
    drop(server);
    assert!(offspring::children().is_empty());
}

fn run_once(_: ()) {
    RUNS.get().unwrap().add(1);
}

/// Each order is carried out once, whatever moment the server dies at.
pub(crate) fn server_killed_at_random_loses_nobody() {
    const KILLS: u32 = 400;
    let mut rng = Rng::new(seed());
    let runs = RUNS.get_or_init(|| Shared::new(Counter::new("runs")).unwrap());
    let word = SERVER.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    let killer = Kid::fork(|| {
        for _ in 0..KILLS {
            let id = loop {
                match word.swap(0, Ordering::Relaxed) {
                    0 => thread::yield_now(),
                    id => break id,
                }
            };
            for _ in 0..rng.below(60_000) {
                std::hint::spin_loop();
            }
            let _ = kill(pid(id), Signal::SIGKILL);
        }
    });
    let server = ForkServer::start().unwrap();
    let mut orders = 0;
    while !crate::support::has_ended(killer.pid()) {
        word.store(server.pid(), Ordering::Relaxed);
        match server.spawn(run_once, ()) {
            Ok(child) => child.join().unwrap(),
            // It died once more, right after it had been started anew.
            Err(error) => {
                assert_eq!(error.error().kind(), ErrorKind::ServerDied, "{error}");
                continue;
            }
        }
        orders += 1;
        assert_eq!(runs.get(), orders);
    }
    killer.join();
    word.store(0, Ordering::Relaxed);
    println!("{orders} orders, {KILLS} kills");
    drop(server);
    let me = std::process::id();
    assert!(processes().iter().all(|process| process.parent != me), "a child is left");
}

pub(crate) fn dropped_server_is_gone() {
    let server = ForkServer::start().unwrap();
    let clone = server.clone();
    let id = server.pid();
    drop(server);
    assert_eq!(clone.spawn(|n: u8| n, 1).unwrap().join().unwrap(), 1);
    let child = clone.spawn(park, ()).unwrap();
    drop(clone);
    assert!(processes().iter().all(|process| process.id != id), "reaped, too");
    assert!(child.is_alive());
    child.kill().unwrap();
    let _killed = child.join();
}
