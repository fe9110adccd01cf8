//! Chapter 5: pools of workers.

use crate::Done;
use crate::terminal::bar;
use offspring::{Barrier, Pool, Shared, available_workers, current};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// A function of many arguments; the results come in their order.
pub(crate) fn map() -> Done {
    let pool = Pool::new(4)?;
    let squares = pool.map(|n: u32| n * n, 1..=10)?;
    println!("{squares:?}");
    Ok(())
}

/// Something that keeps a core busy.
fn crunch(seed: u64) -> u64 {
    (0..50_000).fold(seed, |digest, n| black_box(digest ^ n).wrapping_mul(0x0100_0000_01b3))
}

/// How many milliseconds so many workers need for the same work: the best of three times.
fn time(workers: usize) -> Result<f64, Box<dyn Error>> {
    let pool = Pool::new(workers)?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let started = Instant::now();
        pool.map(crunch, 0..32)?;
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

/// A table and a bar chart: beyond the number of cores there is nothing to gain.
pub(crate) fn timing() -> Done {
    let mut times = Vec::new();
    for workers in [1, 2, 4, 8, 16] {
        times.push((workers, time(workers)?));
    }
    let (alone, longest) =
        (times[0].1, times.iter().fold(0.0, |longest, time| time.1.max(longest)));
    println!("cores: {}", available_workers());
    println!("workers     ms  speed-up");
    for (workers, ms) in times {
        println!("{workers:>7}  {ms:>5.1}  {:>8.2}  {}", alone / ms, bar(ms / longest, 32));
    }
    Ok(())
}

/// Works for a while, and says who did it.
fn sign(task: u64) -> (u64, String, u32) {
    black_box(crunch(task));
    let me = current();
    (task, me.name().to_owned(), me.pid())
}

/// A task can ask in which process it runs.
pub(crate) fn who() -> Done {
    let pool = Pool::builder().workers(3).name("crew").build()?;
    for (task, name, pid) in pool.map(sign, 1..=6)? {
        println!("task {task} was done by {name} ({pid})");
    }
    Ok(())
}

/// As many workers as can run at once; each says so when it begins.
pub(crate) fn cores() -> Done {
    let workers = available_workers();
    let all_are_there = Shared::new(Barrier::new(workers + 1))?;
    let at_the_start = all_are_there.clone();
    let pool = Pool::builder().workers(workers).initializer(move || {
        println!("{} is ready", current().name());
        at_the_start.wait().expect("nobody dies here");
    });
    let pool = pool.name("worker").build()?;
    all_are_there.wait()?;
    println!("{workers} cores, and as many workers");
    pool.shutdown()?;
    Ok(())
}
