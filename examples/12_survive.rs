//! A pool of two workers, and tasks that panic, abort, exit, overflow the stack, eat memory and loop for ever.
//!
//! ```text
//! cargo run --release --example 12_survive
//! ```
//!
//! What it prints:
//!
//! ```text
//! Nine tasks, one outcome each, in the order in which they were submitted
//!
//!   returns           6 times 7 is 42
//!   panics            the task panicked: the pot is empty
//!   aborts            its worker was ended by SIGABRT
//!   exits             its worker ended with code 3
//!   overflows         its worker was ended by SIGABRT
//!   eats memory       its worker was ended by SIGABRT
//!   loops for ever    its deadline has passed, its worker was killed
//!   fails at first    begun for the third time, and done
//!   fails always      its worker was ended by SIGABRT, 3 times
//!
//! The pool lives on: 1,000 more tasks, 1,000 right answers
//! ```
//!
//! The runtime's own words on an abort (`memory allocation of … bytes failed`) go to standard error, as in any program.
//!
//! The exit status is 1 if a task has another outcome than that, and 2 for arguments that make no sense.

mod terminal;

use offspring::pool::{TaskError, TaskOptions};
use offspring::{Counter, Pool, Shared};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;
use terminal::{Style, paint};

const USAGE: &str = "\
Submits tasks that end badly to a pool, and prints what becomes of them.

Usage: 12_survive
";

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Fate {
    Returns,
    Panics,
    Aborts,
    Exits,
    Overflows,
    EatsMemory,
    LoopsForEver,
    FailsAtFirst,
    FailsAlways,
}

const TASKS: [(Fate, &str, &str); 9] = [
    (Fate::Returns, "returns", "6 times 7 is 42"),
    (Fate::Panics, "panics", "the task panicked: the pot is empty"),
    (Fate::Aborts, "aborts", "its worker was ended by SIGABRT"),
    (Fate::Exits, "exits", "its worker ended with code 3"),
    (Fate::Overflows, "overflows", "its worker was ended by SIGABRT"),
    (Fate::EatsMemory, "eats memory", "its worker was ended by SIGABRT"),
    (Fate::LoopsForEver, "loops for ever", "its deadline has passed, its worker was killed"),
    (Fate::FailsAtFirst, "fails at first", "begun for the third time, and done"),
    (Fate::FailsAlways, "fails always", "its worker was ended by SIGABRT, 3 times"),
];

/// How often `FailsAtFirst` was begun. A worker that dies forgets what it knew, so that must stand in shared memory.
static BEGUN: OnceLock<Shared<Counter>> = OnceLock::new();

/// The function of all tasks. It captures nothing: what it is to do is its argument.
fn suffer(fate: Fate) -> String {
    match fate {
        Fate::Returns => format!("6 times 7 is {}", 6 * 7),
        Fate::Panics => panic!("the pot is empty"),
        Fate::Aborts | Fate::FailsAlways => std::process::abort(),
        Fate::Exits => std::process::exit(3),
        Fate::Overflows => format!("{} deep", dig(1)),
        Fate::EatsMemory => {
            let mut eaten = Vec::new();
            loop {
                eaten.push(vec![1u8; 1 << 20]);
            }
        }
        Fate::LoopsForEver => loop {
            std::hint::spin_loop();
        },
        // `add` returns what was there before.
        Fate::FailsAtFirst => match BEGUN.get().map(|begun| begun.add(1)) {
            Some(2) => "begun for the third time, and done".to_owned(),
            _ => std::process::abort(),
        },
    }
}

/// Has no bottom.
#[expect(unconditional_recursion, reason = "overflows the stack on purpose")]
fn dig(depth: u64) -> u64 {
    let ground = std::hint::black_box([depth; 64]);
    1 + dig(ground[63] + 1).max(ground[0])
}

fn main() -> ExitCode {
    match parse(lexopt::Parser::from_env()) {
        Ok(true) => {}
        Ok(false) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    }
    match survive() {
        Ok((text, true)) => terminal::show(&text, ExitCode::SUCCESS),
        Ok((text, false)) => terminal::show(&text, ExitCode::FAILURE),
        Err(error) => terminal::failure(&error),
    }
}

/// The report, and whether all is as it should be.
fn survive() -> Result<(String, bool), Box<dyn Error>> {
    // Before the pool, so that its workers have it.
    BEGUN.get_or_init(|| Shared::new(Counter::new("begun")).expect("a page of shared memory"));
    let pool = Pool::builder().workers(2).memory_limit_per_worker(256 << 20).build()?;

    let mut tasks = Vec::new();
    for (fate, ..) in TASKS {
        let options = match fate {
            Fate::LoopsForEver => TaskOptions::new().timeout(Duration::from_millis(300)),
            Fate::FailsAtFirst | Fate::FailsAlways => TaskOptions::new().retries(2),
            _ => TaskOptions::new(),
        };
        tasks.push(pool.submit_with(options, suffer, fate)?);
    }

    let title = "Nine tasks, one outcome each, in the order in which they were submitted";
    let mut text = format!("{}\n\n", paint(Style::Title, title));
    let mut is_right = true;
    for ((_, name, expected), task) in TASKS.into_iter().zip(tasks) {
        let outcome = tell(task.wait());
        is_right &= outcome == expected;
        let style = if outcome == expected { Style::Good } else { Style::Bad };
        let name = paint(Style::Quiet, format!("{name:<16}"));
        writeln!(text, "  {name}  {}", paint(style, outcome))?;
    }

    let squares = pool.map(|n: u64| n * n, 0..1000)?;
    let right = squares.iter().zip(0..).filter(|(square, n)| **square == n * n).count();
    is_right &= right == 1000;
    let right = terminal::grouped(right as u64);
    writeln!(text, "\nThe pool lives on: 1,000 more tasks, {right} right answers")?;
    pool.shutdown()?;
    Ok((text, is_right))
}

/// An outcome in words that do not change from run to run, so without the worker's pid.
fn tell(outcome: Result<String, TaskError>) -> String {
    match outcome {
        Ok(text) => text,
        Err(TaskError::Panicked(report)) => format!("the task panicked: {}", report.message()),
        Err(TaskError::TimedOut) => "its deadline has passed, its worker was killed".to_owned(),
        Err(TaskError::WorkerDied(death)) => {
            let how = death.exit().map_or("vanished".to_owned(), |exit| exit.to_string());
            match death.attempts() {
                1 => format!("its worker {how}"),
                attempts => format!("its worker {how}, {attempts} times"),
            }
        }
        Err(other) => other.to_string(),
    }
}

/// False if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<bool, String> {
    use lexopt::prelude::*;
    match parser.next().map_err(|error| error.to_string())? {
        None => Ok(true),
        Some(Short('h') | Long("help")) => Ok(false),
        Some(other) => Err(other.unexpected().to_string()),
    }
}
