//! Chapter 6: work shared out by hand.

use crate::Done;
use offspring::{Builder, Queue, current, spawn};

/// A child for each list; the counts are collected while the children run, and then they are joined.
pub(crate) fn lists() -> Done {
    let lists = [vec![2, 9, 4, 6, 8], vec![1, 5, 7], vec![3, 10, 11], vec![4, 4, 5, 8, 9, 6]];
    let counts = Queue::<(usize, usize)>::new()?;
    let mut children = Vec::new();
    for (nth, list) in lists.iter().enumerate() {
        children.push(spawn(|| {
            let count = list.iter().filter(|n| (4..=8).contains(*n)).count();
            counts.send((nth, count)).expect("nobody closes it");
        })?);
    }
    for _ in &children {
        let (nth, count) = counts.recv()?;
        println!("list {nth} has {count} numbers from 4 to 8");
    }
    for child in children {
        child.join()?;
    }
    Ok(())
}

fn is_prime(n: u32) -> bool {
    n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// One queue has the tasks, the other the results. Workers take what is next, until the tasks' queue is closed and empty.
pub(crate) fn master() -> Done {
    let (tasks, results) = (Queue::<u32>::new()?, Queue::<(u32, usize, String)>::new()?);
    let mut workers = Vec::new();
    for nth in 1..=4 {
        workers.push(Builder::new().name(format!("worker-{nth}")).spawn(|| {
            let name = current().name().to_owned();
            for task in &tasks {
                let limit = task.expect("a task is a number");
                let primes = (0..limit).filter(|&n| is_prime(n)).count();
                results.send((limit, primes, name.clone())).expect("nobody closes it");
            }
        })?);
    }
    let limits = (1..=12).map(|n| n * 1000);
    for limit in limits.clone() {
        tasks.send(limit)?;
    }
    tasks.close();
    for _ in limits {
        let (limit, primes, name) = results.recv()?;
        println!("{primes} primes below {limit}, says {name}");
    }
    for worker in workers {
        worker.join()?;
    }
    Ok(())
}
