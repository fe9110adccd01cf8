//! A pool of workers: a function of many arguments, of one, in the order in which they are done, and with a progress bar.
//!
//! ```text
//! cargo run --release --example 07_pool
//! cargo run --release --example 07_pool -- --workers 4
//! ```
//!
//! What it prints (the times, and the order in `as_completed`, differ from run to run):
//!
//! ```text
//! map            200 ranges in 9 ms: 17,984 primes below 200,000
//! submit         a task each: the 1,000th prime is 7,919, the 2,000th is 17,389
//! an error       the task panicked: there is no 0th prime
//! as_completed   the 300th is 1,987, then the 500th is 3,571, then the 4,000th is 37,813
//! imap           200 of 200 ranges, each drawn when it was done: 17,984 primes
//! ```
//!
//! The bar is drawn on a terminal alone. The function is a fn item, or a closure that captures nothing; what it needs is its argument.
//!
//! The exit status is 1 if a number is wrong, and 2 for arguments that make no sense.

mod terminal;

use indicatif::{ProgressBar, ProgressStyle};
use offspring::pool::as_completed;
use offspring::{Pool, available_workers};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Counts primes in a pool of workers, in four ways.

Usage: 07_pool [--workers N]

  -w, --workers N   how many workers, from 1 to 256 (default: one for each processor)
";

/// Primes are looked for below this, and there are so many.
const LIMIT: u64 = 200_000;
const PRIMES: u64 = 17_984;
/// How many numbers a range has.
const STEP: u64 = 1_000;

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// How many primes there are from `first` on, in `STEP` numbers.
fn primes_from(first: u64) -> u64 {
    (first..first + STEP).filter(|&n| is_prime(n)).count() as u64
}

/// The first prime is 2.
fn nth_prime(nth: usize) -> u64 {
    let before = nth.checked_sub(1).expect("there is no 0th prime");
    (2..).filter(|&n| is_prime(n)).nth(before).expect("there is always another")
}

fn main() -> ExitCode {
    let workers = match parse(lexopt::Parser::from_env()) {
        Ok(Some(workers)) => workers,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match count(workers) {
        Ok(text) => terminal::show(&text, ExitCode::SUCCESS),
        Err(error) => terminal::failure(&error),
    }
}

fn count(workers: usize) -> Result<String, Box<dyn Error>> {
    let pool = Pool::new(workers)?;
    let ranges = || (0..LIMIT).step_by(STEP as usize);
    let mut text = String::new();

    // All at once: results in the order of the arguments.
    let started = Instant::now();
    let counts = pool.map(primes_from, ranges())?;
    let took = started.elapsed().as_millis();
    check(counts.iter().sum(), PRIMES)?;
    let (limit, primes) = (grouped(LIMIT), grouped(PRIMES));
    let what = format!("{} ranges in {took} ms: {primes} primes below {limit}", counts.len());
    text += &line("map", &what);

    // One by one: each is a task, and runs meanwhile.
    let (one, other) = (pool.submit(nth_prime, 1_000)?, pool.submit(nth_prime, 2_000)?);
    let (one, other) = (one.wait()?, other.wait()?);
    check(one, 7_919)?;
    check(other, 17_389)?;
    let (one, other) = (grouped(one), grouped(other));
    let what = format!("a task each: the 1,000th prime is {one}, the 2,000th is {other}");
    text += &line("submit", &what);

    // A panic is its task's alone.
    let Err(error) = pool.submit(nth_prime, 0)?.wait() else {
        return Err("there is a 0th prime".into());
    };
    let message = error.panic().map_or_else(|| error.to_string(), |panic| panic.message().into());
    text += &line("an error", &format!("the task panicked: {message}"));

    // Whichever is done first, with its place in the input.
    let which = [4_000, 500, 300];
    let tasks = which.map(|nth| pool.submit(nth_prime, nth)).into_iter();
    let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
    let mut told = Vec::new();
    for (place, prime) in as_completed(tasks) {
        told.push(format!("the {}th is {}", grouped(which[place] as u64), grouped(prime?)));
    }
    text += &line("as_completed", &told.join(", then "));

    // As an iterator: a few are under way, the next is asked for when there is room. It knows its length, as the bar must.
    let ranges: Vec<u64> = ranges().collect();
    let total = ranges.len();
    let results = pool.imap_unordered(primes_from, ranges);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} ranges, {eta} to go")?;
    let bar = ProgressBar::new(results.len() as u64).with_style(style);
    let mut primes = 0;
    for result in bar.wrap_iter(results) {
        primes += result?;
    }
    bar.finish_and_clear();
    check(primes, PRIMES)?;
    let (done, primes) = (bar.position(), grouped(primes));
    let what = format!("{done} of {total} ranges, each drawn when it was done: {primes} primes");
    text += &line("imap", &what);

    pool.shutdown()?;
    Ok(text)
}

fn check(number: u64, expected: u64) -> Result<(), String> {
    match number == expected {
        true => Ok(()),
        false => Err(format!("expected {expected}, got {number}")),
    }
}

fn line(label: &str, what: &str) -> String {
    format!("{}  {what}\n", paint(Style::Quiet, format!("{label:<13}")))
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<usize>, String> {
    use lexopt::prelude::*;
    let mut workers = available_workers();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('w') | Long("workers") => {
                workers = terminal::number(&mut parser, "--workers", 1, 256)? as usize;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(workers))
}
