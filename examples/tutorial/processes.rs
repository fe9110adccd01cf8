//! Chapter 1: children, and what they inherit.

use crate::Done;
use offspring::{scope, spawn};

/// The smallest program: a closure that runs in a child.
pub(crate) fn hello() -> Done {
    let child = spawn(|| println!("hello world"))?;
    child.join()?;
    Ok(())
}

/// A closure has its arguments with it, borrowed or moved.
pub(crate) fn argument() -> Done {
    let name = String::from("Ada");
    let child = spawn(|| println!("hello, {name}"))?;
    child.join()?;
    Ok(())
}

const NUMBERS: [u32; 6] = [43, 50, 5, 98, 34, 35];

fn print_squares(numbers: &[u32]) {
    for n in numbers {
        println!("{n} squared is {}", n * n);
    }
}

fn print_evens(numbers: &[u32]) {
    for n in numbers.iter().filter(|n| n.is_multiple_of(2)) {
        println!("{n} is even");
    }
}

/// Work that takes a list.
pub(crate) fn squares() -> Done {
    let child = spawn(|| print_squares(&NUMBERS))?;
    child.join()?;
    Ok(())
}

/// Two kinds of work at once; the scope joins both children before it returns.
pub(crate) fn two_at_once() -> Done {
    scope(|s| {
        s.spawn(|| print_squares(&NUMBERS))?;
        s.spawn(|| print_evens(&NUMBERS))?;
        Ok(())
    })
}

/// The trap: fork copies the generator's state, so all children draw the same number.
pub(crate) fn random_trap() -> Done {
    let _: u64 = rand::random(); // any use in the parent: from now on the generator has a state
    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(spawn(|| println!("{}", rand::random::<u64>()))?);
    }
    for child in children {
        child.join()?;
    }
    Ok(())
}

/// The way out: a child seeds its generator anew, from the kernel.
pub(crate) fn random() -> Done {
    let _: u64 = rand::random();
    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(spawn(|| {
            rand::rng().reseed().expect("random bytes from the kernel");
            println!("{}", rand::random::<u64>());
        })?);
    }
    for child in children {
        child.join()?;
    }
    Ok(())
}
