//! Who dies when: a worker, the server, the supervisor, the client.
#![expect(unsafe_code, reason = "ends a main thread and no other")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offspring::pool::{MapOptions, TaskError, TaskOptions};
use offspring::{ErrorKind, ForkServer, Pool, Shared, Task};
use std::io::{Read, pipe};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;

use super::tasks::{among_threads, pool};
use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, processes, seed, until};

fn sigkill(pid: u32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

fn parent_of(pid: u32) -> Option<u32> {
    processes().into_iter().find(|process| process.id == pid).map(|process| process.parent)
}

fn children_of(pid: u32) -> Vec<u32> {
    let living = processes().into_iter().filter(|process| process.state != 'Z');
    living.filter(|process| process.parent == pid).map(|process| process.id).collect()
}

fn is_gone(pid: u32) -> bool {
    processes().iter().all(|process| process.id != pid || process.state == 'Z')
}

/// The supervisor of the only pool.
fn supervisor_besides(server: &ForkServer) -> u32 {
    let mut children = children_of(std::process::id());
    children.retain(|&pid| pid != server.pid());
    assert_eq!(children.len(), 1);
    children[0]
}

fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

pub(crate) fn killed_worker_is_replaced_by_the_supervisor() {
    let begun = BEGUN.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = Pool::builder().workers(1).fork_server(&server).restart_limit(100, LONG);
        let pool = pool.build().unwrap();
        let supervisor = supervisor_besides(&server);
        assert_eq!(parent_of(supervisor), Some(std::process::id()));
        let mut last = 0;
        for round in 0..8 {
            let task = pool.submit(|()| std::process::id(), ()).unwrap();
            // After an idle one's death another may have begun with the task, and died.
            let Ok(worker) = task.wait() else { continue };
            assert_ne!(worker, last);
            assert_eq!(parent_of(worker), Some(supervisor));
            last = worker;
            if round % 2 == 0 {
                begun.store(0, SeqCst);
                let running = pool.submit(begin_and_park, ()).unwrap();
                assert!(until(|| begun.load(SeqCst) == 1, LONG));
                sigkill(worker);
                let error = running.wait().unwrap_err();
                let exit = error.worker_death().unwrap().exit().unwrap();
                assert_eq!(exit.to_string(), "was ended by SIGKILL");
            } else {
                sigkill(worker);
            }
            assert!(until(|| is_gone(worker), LONG));
        }
    });
}

/// The workers that were born last. Made before the server.
static WORKERS: OnceLock<Shared<[AtomicU32; 4]>> = OnceLock::new();

fn announce() {
    let pid = std::process::id();
    WORKERS.get().unwrap()[pid as usize % 4].store(pid, SeqCst);
}

/// Wherever they are, in rings and event counts that lie elsewhere in the client: nobody waits for ever, and no task is lost.
pub(crate) fn workers_killed_at_random() {
    const KILLS: u32 = 200;
    let mut rng = Rng::new(seed());
    let workers = Shared::new([const { AtomicU32::new(0) }; 4]).unwrap();
    let workers = WORKERS.get_or_init(|| workers);
    let server = ForkServer::start().unwrap();
    among_threads(|| {
        let pool = Pool::builder().workers(3).fork_server(&server).capacity(16);
        let pool = pool.restart_limit(u32::MAX, LONG).initializer(announce).build().unwrap();
        std::thread::scope(|threads| {
            let killer = threads.spawn(move || {
                let mut kills = 0;
                while kills < KILLS {
                    let pid = workers[rng.below(4) as usize].swap(0, SeqCst);
                    if pid != 0 {
                        (0..rng.below(200_000)).for_each(|_| std::hint::spin_loop());
                        sigkill(pid);
                        kills += 1;
                    }
                    std::thread::yield_now();
                }
            });
            let mut done = 0;
            while !killer.is_finished() {
                let options = MapOptions::new().chunk(1).task(TaskOptions::new().retries(60));
                let results = pool.map_each(options, |n: u32| n + 1, 0..300);
                for (n, result) in results.into_iter().enumerate() {
                    assert_eq!(result.unwrap(), n as u32 + 1);
                    done += 1;
                }
            }
            println!("{done} tasks, {KILLS} kills");
        });
        pool.shutdown().unwrap();
    });
}

pub(crate) fn server_dead_before_build() {
    let server = ForkServer::start().unwrap();
    for turn in 0..6 {
        let old = server.pid();
        sigkill(old);
        if turn % 2 == 0 {
            assert!(until(|| is_gone(old), LONG));
        }
        let pool = pool(&server, 2);
        assert_ne!(server.pid(), old, "started anew");
        assert_eq!(pool.apply(|n: u32| n, turn).unwrap(), turn);
    }
    let (stop, stopped) = channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    sigkill(server.pid());
    let error = Pool::builder().workers(1).fork_server(&server).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerDied, "{error}");
    drop(stop);
    let _ = thread.join();
    assert_eq!(pool(&server, 1).apply(|n: u32| n, 5).unwrap(), 5);
}

pub(crate) fn server_dead_after_build() {
    for dropped in [false, true] {
        let server = ForkServer::start().unwrap();
        let pool = Pool::builder().workers(2).fork_server(&server).restart_limit(100, LONG);
        let pool = pool.build().unwrap();
        let (pid, supervisor) = (server.pid(), supervisor_besides(&server));
        match dropped {
            true => drop(server),
            false => {
                sigkill(pid);
                std::mem::forget(server);
            }
        }
        assert!(until(|| is_gone(pid), LONG));
        among_threads(|| {
            for round in 0..5 {
                let crash = pool.submit(|()| std::process::abort(), ()).unwrap();
                let crash: Task<()> = crash;
                assert!(crash.wait().unwrap_err().worker_death().is_some());
                assert_eq!(pool.map(|n: u32| n, 0..500).unwrap().len(), 500, "round {round}");
                let worker = pool.apply(|()| std::process::id(), ()).unwrap();
                assert_eq!(parent_of(worker), Some(supervisor));
            }
        });
        pool.shutdown().unwrap();
    }
}

pub(crate) fn supervisor_killed() {
    let server = ForkServer::start().unwrap();
    for round in 0..5 {
        let pool = pool(&server, 2);
        let tasks: Vec<Task<()>> = (0..10).map(|_| pool.submit(forever, ()).unwrap()).collect();
        let supervisor = supervisor_besides(&server);
        assert!(until(|| children_of(supervisor).len() == 2, LONG));
        let workers = children_of(supervisor);
        std::thread::scope(|threads| {
            // One waits before it happens, on a task of its own.
            let last = pool.submit(forever, ()).unwrap();
            let waiting = threads.spawn(move || last.wait());
            if round % 2 == 0 {
                assert!(until(|| pool.submit(|n: u8| n, 1).is_ok(), LONG));
            }
            sigkill(supervisor);
            let end = waiting.join().unwrap();
            assert!(matches!(end, Err(TaskError::PoolFailed(_))), "{end:?}");
        });
        assert!(tasks.into_iter().all(|task| matches!(task.wait(), Err(TaskError::PoolFailed(_)))));
        assert_eq!(pool.submit(|()| 1, ()).unwrap_err().kind(), ErrorKind::Closed);
        assert!(pool.shutdown().is_err());
        assert!(until(|| workers.iter().all(|&worker| is_gone(worker)), LONG));
    }
}

/// The supervisor that was born last; [`AT_ONCE`] if it is to end itself first of all. Made before the server.
static SUPERVISOR: OnceLock<Shared<AtomicU32>> = OnceLock::new();
const AT_ONCE: u32 = u32::MAX;

/// `build` gives a pool or an error, and does not wait for one who is dead.
pub(crate) fn supervisor_killed_at_its_birth() {
    const POOLS: u32 = 150;
    let mut rng = Rng::new(seed());
    let word = SUPERVISOR.get_or_init(|| Shared::new(AtomicU32::new(AT_ONCE)).unwrap());
    offspring::at_fork_child(|| {
        if offspring::current().name().ends_with("-supervisor") {
            let pid = std::process::id();
            if SUPERVISOR.get().unwrap().swap(pid, SeqCst) == AT_ONCE {
                sigkill(pid);
            }
        }
    });
    let server = ForkServer::start().unwrap();
    let build = || Pool::builder().workers(1).fork_server(&server).build();
    among_threads(|| {
        let error = build().unwrap_err();
        assert!(error.to_string().contains("SIGKILL"), "{error}");
        word.store(0, SeqCst);
        let (mut pools, mut errors) = (0, 0);
        std::thread::scope(|threads| {
            let killer = threads.spawn(move || {
                for _ in 0..POOLS {
                    let pid = loop {
                        match word.swap(0, SeqCst) {
                            0 => std::thread::yield_now(),
                            pid => break pid,
                        }
                    };
                    (0..rng.below(20_000)).for_each(|_| std::hint::spin_loop());
                    sigkill(pid);
                }
            });
            while !killer.is_finished() {
                match build() {
                    Ok(pool) => {
                        pools += 1;
                        // Its outcome is either, and is there.
                        let _ = pool.apply(|n: u8| n, 1);
                    }
                    Err(error) => {
                        errors += 1;
                        assert!(error.to_string().contains("SIGKILL"), "{error}");
                    }
                }
            }
        });
        println!("{pools} pools, {errors} errors");
        assert_eq!(build().unwrap().apply(|n: u8| n, 1).unwrap(), 1);
    });
}

/// Made before the client is forked.
static BEGUN: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn begin_and_park(_: ()) {
    BEGUN.get().unwrap().fetch_add(1, SeqCst);
    forever(());
}

/// The server was the main thread's. Whatever becomes of the pool, those who wait are told.
pub(crate) fn main_thread_ends_before_another_waits() {
    BEGUN.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    let kid = Kid::fork(|| {
        let server = ForkServer::start().unwrap();
        std::thread::spawn(move || {
            let pool = pool(&server, 2);
            let tasks = [0, 1].map(|_| pool.submit(begin_and_park, ()).unwrap());
            for task in tasks {
                let error = task.wait_timeout(LONG).expect("no hang").unwrap_err();
                assert!(matches!(error, TaskError::PoolFailed(_)), "{error}");
            }
            drop(pool);
            std::process::exit(7);
        });
        assert!(until(|| BEGUN.get().unwrap().load(SeqCst) == 2, LONG));
        // SAFETY: no destructor runs and no lock is held; the other thread has nothing of this one's.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        unreachable!("a thread that has ended")
    });
    assert_eq!(kid.join(), Ended::Exited(7));
}

pub(crate) fn client_takes_all_with_it() {
    let begun = BEGUN.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    for round in 0..4 {
        begun.store(0, SeqCst);
        let client = Kid::fork(|| {
            let server = ForkServer::start().unwrap();
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    let pool = pool(&server, 2);
                    let tasks: Vec<Task<()>> =
                        (0..2).map(|_| pool.submit(begin_and_park, ()).unwrap()).collect();
                    tasks.into_iter().for_each(|task| drop(task.wait()));
                });
            });
        });
        assert!(until(|| begun.load(SeqCst) == 2, LONG));
        let mut tree = children_of(client.pid() as u32);
        assert_eq!(tree.len(), 2, "the server and the supervisor");
        let workers: Vec<u32> = tree.iter().flat_map(|&pid| children_of(pid)).collect();
        assert_eq!(workers.len(), 2);
        tree.extend(workers);
        client.kill();
        for &pid in &tree {
            assert!(until(|| is_gone(pid), LONG), "round {round}: {pid} of {tree:?} lives on");
        }
    }
}

/// Wherever it, its server or the supervisor is with a pool.
pub(crate) fn client_killed_at_any_moment() {
    for round in 0..60_u64 {
        let (witness, held) = pipe().unwrap();
        let mut word = held.try_clone().unwrap();
        let client = Kid::fork(|| {
            let server = ForkServer::start().unwrap();
            std::io::Write::write_all(&mut word, &[1]).unwrap();
            loop {
                let pool = pool(&server, 2);
                assert_eq!(pool.apply(|n: u32| n, 1).unwrap(), 1);
            }
        });
        drop((held, word));
        (&witness).read_exact(&mut [0]).unwrap();
        (0..round * 2000).for_each(|_| std::hint::spin_loop());
        client.kill();
        // All of the tree have copies of the pipe's other end.
        let mut fds = [nix::poll::PollFd::new(witness.as_fd(), nix::poll::PollFlags::empty())];
        let timeout = nix::poll::PollTimeout::from(10_000_u16);
        assert_eq!(nix::poll::poll(&mut fds, timeout).unwrap(), 1, "round {round}");
    }
}
