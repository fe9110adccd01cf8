//! A race for one counter: P processes add to it N times each, in three ways, and one of the ways loses.
//!
//! ```text
//! cargo run --release --example 01_counter_race
//! cargo run --release --example 01_counter_race -- --processes 4 --increments 100000 --json
//! ```
//!
//! What it prints (the figures differ from run to run, the two zeroes do not):
//!
//! ```text
//! 2 processes, each adds one to the same counter 5,000,000 times
//!
//!   way               expected     counted       lost   ns/add
//!   unsynchronised  10,000,000   5,489,961  4,510,039      2.9  █████████████▏·········· 54.8 %
//!   Mutex           10,000,000  10,000,000          0     14.6  ████████████████████████ 100 %
//!   atomic add      10,000,000  10,000,000          0     10.1  ████████████████████████ 100 %
//! ```
//!
//! - *unsynchronised*: an atomic load, and a separate store of the number plus one. Two processes that load the same number
//!   store the same sum, and one increment is lost. Each half is atomic, so this is a wrong program without being an
//!   undefined one.
//! - *Mutex*: the number lives inside an [`offspring::Mutex`] in shared memory.
//! - *atomic add*: a [`Counter`], one instruction.
//!
//! `ns/add` is the time of the slowest process, divided by the increments of all. The exit status is 1 if the locked or the
//! atomic way lost anything, and 2 for arguments that make no sense.

mod terminal;

use offspring::{Builder, Counter, Mutex, Shared};
use serde::Serialize;
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use terminal::{Style, bar, grouped, paint};

const USAGE: &str = "\
Processes add to one shared counter: unsynchronised, under a Mutex, with an atomic add.

Usage: 01_counter_race [--processes P] [--increments N] [--json]

  -p, --processes P    how many processes, from 1 to 1000 (default: one per CPU, but at least 2)
  -n, --increments N   how often each of them adds one (default: 5000000)
      --json           the table as JSON
";

/// How long a child waits for the others at the starting line.
const START_TIMEOUT: Duration = Duration::from_secs(60);

struct Options {
    processes: u64,
    increments: u64,
    json: bool,
}

/// What is printed, in both formats.
#[derive(Serialize)]
struct Race {
    processes: u64,
    increments: u64,
    ways: [Row; 3],
}

/// How one way of adding did.
#[derive(Serialize)]
struct Row {
    way: &'static str,
    expected: u64,
    counted: u64,
    lost: u64,
    ns_per_increment: f64,
}

fn main() -> ExitCode {
    let options = match parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match race(&options) {
        Ok(race) => {
            let text = if options.json { json(&race) } else { table(&race) };
            let [_, locked, atomic] = &race.ways;
            terminal::show(&text, ExitCode::from(u8::from(locked.lost + atomic.lost > 0)))
        }
        Err(error) => terminal::failure(&error),
    }
}

/// The three ways, one after the other, each with processes and a counter of its own.
fn race(options: &Options) -> Result<Race, Box<dyn Error>> {
    let bare = Shared::new(AtomicU64::new(0))?;
    let took = start(options, || {
        let seen = black_box(bare.load(Ordering::Relaxed)); // else x86 gets one `inc` of both halves
        bare.store(seen + 1, Ordering::Relaxed); // somebody may have stored since
    })?;
    let unsynchronised = Row::new("unsynchronised", options, bare.load(Ordering::Relaxed), took);

    let guarded = Shared::new(Mutex::new(0u64))?;
    let took = start(options, || *guarded.lock().unwrap() += 1)?;
    let counted = *guarded.lock().map_err(|error| error.to_string())?;
    let locked = Row::new("Mutex", options, counted, took);

    let counter = Shared::new(Counter::new("increments"))?;
    let took = start(options, || {
        counter.add(1);
    })?;
    let atomic = Row::new("atomic add", options, counter.get(), took);

    let Options { processes, increments, .. } = *options;
    Ok(Race { processes, increments, ways: [unsynchronised, locked, atomic] })
}

/// Forks the processes, lets them loose at the same moment, and returns how long the slowest took.
fn start(options: &Options, add_one: impl Fn()) -> Result<Duration, Box<dyn Error>> {
    let ready = Shared::new(Counter::new("at the starting line"))?;
    let mut children = Vec::new();
    for number in 1..=options.processes {
        children.push(Builder::new().name(format!("racer-{number}")).spawn(|| {
            ready.add(1);
            let came = Instant::now();
            while ready.get() < options.processes {
                assert!(came.elapsed() < START_TIMEOUT, "the others did not come to the start");
                std::thread::yield_now(); // awake: a race that takes a millisecond begins at once
            }
            let started = Instant::now();
            (0..options.increments).for_each(|_| add_one());
            started.elapsed()
        })?);
    }
    let mut slowest = Duration::ZERO;
    for child in children {
        slowest = slowest.max(child.join()?);
    }
    Ok(slowest)
}

impl Row {
    fn new(way: &'static str, options: &Options, counted: u64, took: Duration) -> Row {
        let expected = options.processes * options.increments;
        let ns_per_increment = took.as_nanos() as f64 / expected as f64;
        Row { way, expected, counted, lost: expected.abs_diff(counted), ns_per_increment }
    }
}

fn table(race: &Race) -> String {
    let (processes, increments) = (race.processes, grouped(race.increments));
    let plural = if processes == 1 { "process adds" } else { "processes, each adds" };
    let title = format!("{processes} {plural} one to the same counter {increments} times");
    let mut text = format!("{}\n\n", paint(Style::Title, title));
    let wide = grouped(race.ways[0].expected).len().max("expected".len());
    let head = format!(
        "  {:<14}  {:>wide$}  {:>wide$}  {:>wide$}  {:>7}",
        "way", "expected", "counted", "lost", "ns/add"
    );
    let _ = writeln!(text, "{}", paint(Style::Quiet, head));
    for row in &race.ways {
        let (expected, counted) = (grouped(row.expected), grouped(row.counted));
        let style = if row.lost == 0 { Style::Good } else { Style::Bad };
        let share = row.counted as f64 / row.expected as f64;
        let lost = paint(style, format!("{:>wide$}", grouped(row.lost)));
        let bar = paint(style, bar(share, 24));
        // Never "100.0 %" for a count that is one short.
        let percent = if row.lost == 0 { 100.0 } else { (share * 1000.0).floor() / 10.0 };
        let _ = writeln!(
            text,
            "  {:<14}  {expected:>wide$}  {counted:>wide$}  {lost}  {:>7.1}  {bar} {percent} %",
            row.way, row.ns_per_increment
        );
    }
    if race.ways[0].lost == 0 && processes > 1 {
        let luck = "Nothing was lost even without a lock: that was luck. Try more processes or increments.";
        let _ = writeln!(text, "\n{luck}");
    }
    text
}

fn json(race: &Race) -> String {
    let text = serde_json::to_string_pretty(race).expect("numbers and fixed names can be written");
    text + "\n"
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let processes = offspring::available_workers().clamp(2, 1000) as u64;
    let mut options = Options { processes, increments: 5_000_000, json: false };
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('p') | Long("processes") => {
                options.processes = terminal::number(&mut parser, "--processes", 1, 1000)?;
            }
            Short('n') | Long("increments") => {
                options.increments =
                    terminal::number(&mut parser, "--increments", 1, 1_000_000_000_000)?;
            }
            Long("json") => options.json = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}
