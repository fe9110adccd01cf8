//! The programs that an introduction to Python's `multiprocessing` teaches, one function each. docs/FROM_PYTHON.md tells them in order.
//!
//! ```text
//! cargo run --release --example tutorial               all of them
//! cargo run --release --example tutorial -- hello      one of them
//! cargo run --release --example tutorial -- queues     a chapter
//! ```
//!
//! What it prints: each program's name, and what that program and its children print. `--help` lists them all.
//!
//! The exit status is 1 if a program fails, and 2 for a name that is none.

mod executors;
mod locks;
mod pools;
mod processes;
mod queues;
#[path = "../terminal/mod.rs"]
mod terminal;
mod workers;

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use terminal::{Style, paint};

/// How a program ends.
pub(crate) type Done = Result<(), Box<dyn Error>>;

/// A program: its name, what it shows, and itself.
type Program = (&'static str, &'static str, fn() -> Done);

const CHAPTERS: [(&str, &[Program]); 6] = [
    (
        "processes",
        &[
            ("hello", "a child says hello", processes::hello),
            ("argument", "a child greets whom the parent names", processes::argument),
            ("squares", "a child squares a list of numbers", processes::squares),
            ("two_at_once", "two children work on one list at once", processes::two_at_once),
            ("random_trap", "four children draw one random number", processes::random_trap),
            ("random", "four children draw four random numbers", processes::random),
        ],
    ),
    (
        "queues",
        &[
            ("random_queue", "the numbers come through a queue", queues::random_queue),
            ("evens", "a queue is read after its sender has ended", queues::evens),
            ("one_way", "a child sends hello world to its parent", queues::one_way),
            ("request", "a request and its response", queues::request),
        ],
    ),
    ("locks", &[("greetings", "six children, one lock, no line torn", locks::greetings)]),
    (
        "executors",
        &[
            ("executor", "ten items, the first is slow and is overtaken", executors::executor),
            ("in_order", "one child handles them in order", executors::in_order),
        ],
    ),
    (
        "pools",
        &[
            ("map", "squares from a pool of workers", pools::map),
            ("timing", "1, 2, 4, 8 and 16 workers do the same work", pools::timing),
            ("who", "which worker did which task", pools::who),
            ("cores", "a worker for each core", pools::cores),
        ],
    ),
    (
        "workers",
        &[
            ("lists", "a child counts each list, a queue collects", workers::lists),
            ("master", "tasks in one queue, results in another", workers::master),
        ],
    ),
];

fn main() -> ExitCode {
    let programs = match parse(lexopt::Parser::from_env()) {
        Ok(Some(programs)) => programs,
        Ok(None) => return terminal::show(&usage(), ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    for &(name, purpose, run) in &programs {
        if programs.len() > 1 {
            println!("{}", paint(Style::Title, format!("{name}: {purpose}")));
        }
        if let Err(error) = run() {
            return terminal::failure(&format!("{name}: {error}"));
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> String {
    let mut text = String::from(
        "\
The programs of docs/FROM_PYTHON.md: what Python's multiprocessing does, done in this crate.

Usage: tutorial [NAME]

  NAME   a program, or a chapter with all of its programs (default: all chapters)
",
    );
    for (chapter, programs) in CHAPTERS {
        let _ = writeln!(text, "\n{chapter}");
        for (name, purpose, _) in programs {
            let _ = writeln!(text, "  {name:<14} {purpose}");
        }
    }
    text
}

/// The programs to run; `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Vec<Program>>, String> {
    use lexopt::prelude::*;
    let all = || CHAPTERS.into_iter().flat_map(|(_, programs)| programs).copied();
    let mut chosen: Option<Vec<Program>> = None;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Value(name) if chosen.is_none() => {
                let chapter = CHAPTERS.into_iter().find(|(chapter, _)| name == *chapter);
                let programs = match chapter {
                    Some((_, programs)) => programs.to_vec(),
                    None => all().filter(|program| name == program.0).collect(),
                };
                if programs.is_empty() {
                    return Err(format!("expected the name of a program or chapter, not {name:?}"));
                }
                chosen = Some(programs);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(chosen.unwrap_or_else(|| all().collect())))
}
