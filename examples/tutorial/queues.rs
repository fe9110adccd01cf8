//! Chapter 2: queues and pipes.

use crate::Done;
use offspring::{Queue, at_fork_child, pipe, simplex, spawn};

/// Random numbers again, sent through a queue and collected after all senders have ended.
pub(crate) fn random_queue() -> Done {
    // Every child of this process begins with this from now on, so that nobody has to think of it.
    at_fork_child(|| rand::rng().reseed().expect("random bytes from the kernel"));
    let _: u64 = rand::random();
    let numbers = Queue::<u64>::new()?;
    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(spawn(|| numbers.send(rand::random()).expect("nobody closes it"))?);
    }
    for child in children {
        child.join()?;
    }
    for number in numbers.try_iter() {
        println!("{}", number?);
    }
    Ok(())
}

/// The messages are in shared memory: the queue holds them when their sender is gone.
pub(crate) fn evens() -> Done {
    let evens = Queue::<u32>::new()?;
    let child = spawn(|| {
        for n in (0..20).filter(|n| n % 2 == 0) {
            evens.send(n).expect("nobody closes it");
        }
    })?;
    child.join()?;
    while !evens.is_empty() {
        println!("{}", evens.recv()?);
    }
    Ok(())
}

/// One direction: a sender for the child, a receiver for the parent.
pub(crate) fn one_way() -> Done {
    let (sender, receiver) = simplex::<String>()?;
    let child = spawn(move || sender.send("hello world".into()).expect("the parent listens"))?;
    println!("{}", receiver.recv()?);
    child.join()?;
    Ok(())
}

/// Both directions: each end sends and receives.
pub(crate) fn request() -> Done {
    let (here, there) = pipe::<String>()?;
    let child = spawn(move || {
        let request = there.recv().expect("the parent asks");
        there.send(format!("{request}? Forty-two!")).expect("the parent listens");
    })?;
    here.send("six times seven".into())?;
    println!("{}", here.recv()?);
    child.join()?;
    Ok(())
}
