//! Random deaths, and those of the client.
#![expect(unsafe_code, reason = "starts a pool from a second thread")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use offspring::pool::{MapOptions, TaskError, TaskOptions};
use offspring::{Pool, Shared, Task};
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::floors::LONG;
use crate::support::{Kid, Rng, processes, seed, until};

/// The supervisor of the only pool of this process.
fn supervisor() -> u32 {
    let me = std::process::id();
    processes().into_iter().find(|process| process.parent == me).expect("a supervisor").id
}

fn children_of(id: u32) -> Vec<u32> {
    processes()
        .into_iter()
        .filter(|process| process.parent == id)
        .map(|process| process.id)
        .collect()
}

/// Without those that are dead and not yet reaped.
fn living_children_of(id: u32) -> Vec<u32> {
    let all = processes().into_iter().filter(|process| process.parent == id);
    all.filter(|process| process.state != 'Z').map(|process| process.id).collect()
}

fn sigkill(id: u32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(id as i32), Signal::SIGKILL);
}

/// Kills a random worker again and again until told to stop, and counts.
fn killer(mut rng: Rng, supervisor: u32, stop: &AtomicBool, kills: &AtomicU32) {
    while !stop.load(Ordering::SeqCst) {
        let workers = living_children_of(supervisor);
        if let Some(&id) = workers.get(rng.below(workers.len().max(1) as u64) as usize) {
            (0..rng.below(3000)).for_each(|_| std::hint::spin_loop());
            sigkill(id);
            kills.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn busy(n: u64) -> u64 {
    let spins = n % 40 * 1000;
    (0..spins).fold(n, |n, _| std::hint::black_box(n))
}

/// Enough for a machine under load; the count of kills is what matters.
fn kills_wanted() -> u32 {
    std::env::var("OFFSPRING_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(250)
}

fn under_fire(retries: u32, check: impl Fn(&Result<u64, TaskError>)) {
    let seed = seed();
    let pool =
        Pool::builder().workers(3).capacity(32).restart_limit(1_000_000, LONG).build().unwrap();
    let (stop, supervisor) = (AtomicBool::new(false), supervisor());
    let kills = AtomicU32::new(0);
    let (mut values, mut deaths) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| killer(Rng::new(seed), supervisor, &stop, &kills));
        let mut rng = Rng::new(seed ^ 1);
        let mut tasks: VecDeque<(u64, Task<u64>)> = VecDeque::new();
        let options = TaskOptions::new().retries(retries);
        let mut n = 0;
        while kills.load(Ordering::SeqCst) < kills_wanted() || !tasks.is_empty() {
            let goes_on = kills.load(Ordering::SeqCst) < kills_wanted();
            if goes_on && tasks.len() < 1 + rng.below(80) as usize {
                tasks.push_back((n, pool.submit_with(options, busy, n).unwrap()));
                n += 1;
                continue;
            }
            let Some((sent, task)) = tasks.pop_front() else { continue };
            let result = task.wait();
            check(&result);
            match result {
                Ok(value) => {
                    assert_eq!(value, sent);
                    values += 1;
                }
                Err(_) => deaths += 1,
            }
        }
        let mapped = pool.map_each(MapOptions::new().chunk(3), busy, 0..300);
        assert_eq!(mapped.len(), 300);
        stop.store(true, Ordering::SeqCst);
    });
    println!("{values} values, {deaths} deaths, {} kills", kills.load(Ordering::SeqCst));
    pool.shutdown().unwrap();
}

pub(crate) fn workers_killed_at_random() {
    under_fire(0, |result| {
        if let Err(error) = result {
            assert_eq!(error.worker_death().unwrap_or_else(|| panic!("{error}")).attempts(), 1);
        }
    });
}

pub(crate) fn workers_killed_at_random_with_retries() {
    under_fire(60, |result| assert!(result.is_ok(), "{result:?}"));
}

pub(crate) fn supervisors_killed_at_random() {
    let mut rng = Rng::new(seed());
    let (mut values, mut failures) = (0, 0);
    for _ in 0..kills_wanted() / 3 {
        let pool = Pool::builder().workers(2).capacity(16).build().unwrap();
        let id = supervisor();
        let delay = rng.below(200_000);
        std::thread::scope(|scope| {
            let assassin = scope.spawn(move || {
                (0..delay).for_each(|_| std::hint::spin_loop());
                sigkill(id);
            });
            let mut tasks = Vec::new();
            // Until it takes nothing more, or has taken enough.
            for n in 0..400u64 {
                match pool.submit(busy, n) {
                    Ok(task) => tasks.push(task),
                    Err(_) => break,
                }
            }
            for (n, task) in tasks.into_iter().enumerate() {
                match task.wait() {
                    Ok(value) => assert_eq!(value, n as u64),
                    Err(TaskError::PoolFailed(_) | TaskError::WorkerDied(_)) => failures += 1,
                    Err(error) => panic!("{error}"),
                }
                values += 1;
            }
            // Joined, so that this process has one thread again.
            assassin.join().unwrap();
        });
        assert!(until(|| children_of(id).is_empty(), LONG));
        drop(pool);
    }
    println!("{values} outcomes, {failures} of them failures");
}

pub(crate) fn cancels_among_deaths() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let pool =
        Pool::builder().workers(3).capacity(16).restart_limit(1_000_000, LONG).build().unwrap();
    let (stop, supervisor) = (AtomicBool::new(false), supervisor());
    let (kills, mut counts) = (AtomicU32::new(0), [0; 4]);
    std::thread::scope(|scope| {
        scope.spawn(|| killer(Rng::new(seed ^ 2), supervisor, &stop, &kills));
        let mut round = 0;
        while kills.load(Ordering::SeqCst) < kills_wanted() {
            round += 1;
            let task = |n: u64| pool.submit_with(TaskOptions::new().retries(1), busy, n).unwrap();
            let mut tasks: Vec<Task<u64>> = (0..8).map(|n| task(round * 8 + n)).collect();
            let victim = rng.below(8) as usize;
            let cancelled = tasks[victim].cancel();
            for (n, task) in tasks.drain(..).enumerate() {
                let result = task.wait();
                let is_cancelled = matches!(result, Err(TaskError::Cancelled));
                assert_eq!(is_cancelled, cancelled && n == victim, "{result:?}");
                counts[match result {
                    Ok(_) => 0,
                    Err(TaskError::Cancelled) => 1,
                    Err(TaskError::WorkerDied(_)) => 2,
                    Err(_) => 3,
                }] += 1;
            }
        }
        stop.store(true, Ordering::SeqCst);
        println!(
            "{counts:?} values, cancels, deaths, others; {} kills",
            kills.load(Ordering::SeqCst)
        );
    });
    assert_eq!(counts[3], 0);
}

/// Also if the case fails, nobody is stopped any more.
struct End<'a>(&'a AtomicU32);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(u32::MAX, Ordering::SeqCst);
    }
}

/// Stops workers for ever, wherever they are: in a task, on the way to it or from it, idle. Each task has a deadline, and the pool works on.
pub(crate) fn workers_stopped_at_random() {
    let seed = seed();
    let (mut counts, count) = ([0; 3], kills_wanted());
    let pool =
        Pool::builder().workers(2).capacity(4).restart_limit(1_000_000, LONG).build().unwrap();
    let (supervisor, stops) = (supervisor(), AtomicU32::new(0));
    let mut task = |n| {
        let soon = TaskOptions::new().timeout(Duration::from_millis(20));
        let task = pool.submit_with(soon, busy, n).unwrap();
        let outcome = task.wait_timeout(LONG).unwrap_or_else(|| panic!("task {n} hangs"));
        counts[match outcome {
            Ok(value) => {
                assert_eq!(value, n);
                0
            }
            Err(TaskError::TimedOut) => 1,
            // Its worker was on the way to it, and in the way of one that was late.
            Err(TaskError::WorkerDied(_)) => 2,
            Err(error) => panic!("{error}"),
        }] += 1;
        counts[0]
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = Rng::new(seed);
            while stops.load(Ordering::SeqCst) < count {
                let all = processes().into_iter();
                let running: Vec<u32> = all
                    .filter(|process| process.parent == supervisor && !"TZ".contains(process.state))
                    .map(|process| process.id)
                    .collect();
                if let Some(&id) = running.get(rng.below(running.len().max(1) as u64) as usize) {
                    (0..rng.below(3000)).for_each(|_| std::hint::spin_loop());
                    let _ = kill(Pid::from_raw(id as i32), Signal::SIGSTOP);
                    stops.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let _ends = End(&stops);
        let (mut n, mut values, mut since) = (0, 0, Instant::now());
        while stops.load(Ordering::SeqCst) < count {
            let now = task(n);
            if now > values {
                (values, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < LONG, "all are late: nobody works any more");
            n += 1;
        }
        // Whoever is stopped now is found, or not in the way.
        let values = task(n);
        assert!(until(|| task(n) > values + 9, LONG));
    });
    println!("{counts:?} values, late, deaths; {count} stops");
    pool.terminate(Duration::ZERO).unwrap();
}

/// Forks a client, kills it when its pool works, and waits until nothing of it is left.
fn kill_client(client: impl FnOnce()) {
    let kid = Kid::fork(client);
    let id = kid.pid() as u32;
    let workers =
        || children_of(id).first().map(|&supervisor| (supervisor, children_of(supervisor)));
    assert!(until(|| workers().is_some_and(|(_, workers)| workers.len() == 2), LONG));
    let (supervisor, mut tree) = workers().unwrap();
    tree.push(supervisor);
    kid.kill();
    let is_gone =
        |id: &u32| processes().iter().all(|process| process.id != *id || process.state == 'Z');
    assert!(until(|| tree.iter().all(is_gone), LONG));
}

fn forever(_: u32) {
    loop {
        std::hint::spin_loop();
    }
}

pub(crate) fn client_killed() {
    kill_client(|| {
        let pool = Pool::new(2).unwrap();
        drop(pool.map(forever, 0..10));
    });
}

pub(crate) fn client_killed_whose_forking_thread_has_ended() {
    kill_client(|| {
        let start = || {
            // SAFETY: the other thread only waits for this one to end; it holds no lock.
            unsafe { Pool::builder().workers(2).allow_threads() }.build().unwrap()
        };
        let pool = std::thread::spawn(start).join().unwrap();
        drop(pool.map(forever, 0..10));
    });
}

/// How many tasks have begun; made before the pool.
static BEGUN: OnceLock<Shared<AtomicU32>> = OnceLock::new();

fn begin_and_spin(_: ()) {
    BEGUN.get().unwrap().fetch_add(1, Ordering::SeqCst);
    forever(0);
}

/// Measured for the record; that it comes at all without a timeout is what is tested.
pub(crate) fn outcome_of_a_killed_worker_is_there_at_once() {
    let begun = BEGUN.get_or_init(|| Shared::new(AtomicU32::new(0)).unwrap());
    let pool = Pool::builder().workers(1).build().unwrap();
    let supervisor = supervisor();
    let mut delays = Vec::new();
    for round in 1..=20 {
        let task = pool.submit(begin_and_spin, ()).unwrap();
        assert!(until(|| begun.load(Ordering::SeqCst) == round, LONG));
        let worker = children_of(supervisor)[0];
        let start = Instant::now();
        sigkill(worker);
        assert!(task.wait().unwrap_err().worker_death().is_some());
        delays.push(start.elapsed());
    }
    delays.sort();
    println!("median {:?}, longest {:?}", delays[10], delays[19]);
}
