//! A pipeline of processes: a task queue in, a result queue out, one slow stage between, and how to see which stage is the slow one.
//!
//! ```text
//! cargo run --release --example 09_pipeline
//! cargo run --release --example 09_pipeline -- --jobs 1000 --workers 4
//! ```
//!
//! ```text
//!   reader ──▶ WorkQueue, 8 jobs ──▶ crunchers, N of them ──▶ Queue ──▶ writer (this process)
//! ```
//!
//! What it prints (the percentages and times differ from run to run):
//!
//! ```text
//! 1 cruncher     200 jobs in 412 ms    reader waits for room  97 %    crunchers work  98 %
//! 2 crunchers    200 jobs in 209 ms    reader waits for room  95 %    crunchers work  97 %
//! 2 crunchers, one is killed with a job: 200 results, each once, in the order of the jobs
//! ```
//!
//! A stage is the slow one if it works all the time while those before it wait for room. Both queues are bounded, so a slow stage slows
//! down the reader, and nothing piles up. A job is taken out of the task queue when it is acknowledged, so one that a
//! killed cruncher had is done by another.
//!
//! The exit status is 1 if a result is wrong or missing, and 2 for arguments that make no sense.

mod terminal;

use offspring::{Child, Event, Exit, Queue, Shared, Signal, WorkQueue, available_workers, spawn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Sends jobs through a pipeline with a slow stage of one process, of several, and of one that is killed.

Usage: 09_pipeline [--jobs N] [--workers N]

  -j, --jobs N      how many jobs, from 1 to 1000000 (default: 200)
  -w, --workers N   processes for the slow stage, from 2 to 100 (default: one for each processor)
";

/// Longer than any job takes.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    number: u64,
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    number: u64,
    digest: u64,
}

/// The slow part.
fn crunch(job: &Job) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325;
    for _ in 0..2000 {
        for byte in job.text.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    digest
}

fn job(number: u64) -> Job {
    Job { number, text: format!("this is the text of job number {number}") }
}

fn main() -> ExitCode {
    let (jobs, workers) = match parse(lexopt::Parser::from_env()) {
        Ok(Some(numbers)) => numbers,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    let mut text = String::new();
    let shown = measure(&mut text, jobs, 1)
        .and_then(|()| measure(&mut text, jobs, workers))
        .and_then(|()| lose_one(&mut text, jobs, workers));
    match shown {
        Ok(()) => terminal::show(&text, ExitCode::SUCCESS),
        Err(error) => terminal::failure(&error),
    }
}

/// The three stages.
struct Pipeline {
    answers: Queue<Answer>,
    /// Returns how long it waited for room, in microseconds.
    reader: Child<u64>,
    /// Each returns how long it worked.
    crunchers: Vec<Child<u64>>,
}

/// Starts as many crunchers. One of them stops at the first job if there is a `trap`, which it sets off.
fn start(jobs: u64, workers: u64, trap: Option<&Event>) -> Result<Pipeline, offspring::Error> {
    let (tasks, answers) = (WorkQueue::<Job>::new(8)?, Queue::<Answer>::new()?);
    let reader = spawn(|| {
        let mut waited = Duration::ZERO;
        for number in 0..jobs {
            let job = job(number);
            let started = Instant::now();
            tasks.send(job).expect("nobody else closes it");
            waited += started.elapsed();
        }
        tasks.close();
        waited.as_micros() as u64
    })?;
    let mut crunchers = Vec::new();
    for nth in 0..workers {
        let trap = trap.filter(|_| nth == 0);
        crunchers.push(spawn(|| {
            let mut worked = Duration::ZERO;
            // Ends when the queue is closed and empty, and no other has a job that it might leave behind.
            while let Ok(job) = tasks.recv() {
                if let Some(trap) = trap {
                    trap.set();
                    std::thread::park();
                }
                let started = Instant::now();
                let answer = Answer { number: job.number, digest: crunch(&job) };
                worked += started.elapsed();
                answers.send(answer).expect("nobody closes it");
                // Only now: whoever is killed before this line leaves the job to another.
                job.ack();
            }
            worked.as_micros() as u64
        })?);
    }
    Ok(Pipeline { answers, reader, crunchers })
}

/// The writer: puts the answers into the order of the jobs. One that comes twice (its cruncher was killed between `send` and `ack`) counts once.
fn collect(answers: &Queue<Answer>, jobs: u64) -> Result<(), Box<dyn Error>> {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    while next < jobs {
        let answer = answers.recv_timeout(TIMEOUT)?;
        early.insert(answer.number, answer.digest);
        while let Some(digest) = early.remove(&next) {
            if next.is_multiple_of(50) && digest != crunch(&job(next)) {
                return Err(format!("the answer to job {next} is wrong").into());
            }
            next += 1;
        }
    }
    Ok(())
}

fn measure(text: &mut String, jobs: u64, workers: u64) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let pipeline = start(jobs, workers, None)?;
    collect(&pipeline.answers, jobs)?;
    let took = started.elapsed();
    let percent = |micros: u64| 100.0 * micros as f64 / took.as_micros() as f64;
    let waited = percent(pipeline.reader.join()?);
    let mut worked = 0;
    for cruncher in pipeline.crunchers {
        worked += cruncher.join()?;
    }
    let worked = percent(worked) / workers as f64;
    let s = if workers == 1 { "" } else { "s" };
    let title = paint(Style::Title, format!("{:<14}", format!("{workers} cruncher{s}")));
    writeln!(
        text,
        "{title} {} jobs in {} ms    reader waits for room {waited:>3.0} %    crunchers work {worked:>3.0} %",
        grouped(jobs),
        grouped(took.as_millis() as u64),
    )?;
    Ok(())
}

fn lose_one(text: &mut String, jobs: u64, workers: u64) -> Result<(), Box<dyn Error>> {
    let has_a_job = Shared::new(Event::new())?;
    let mut pipeline = start(jobs, workers, Some(&has_a_job))?;
    let victim = pipeline.crunchers.remove(0);
    // With few jobs the others may have had them all; then it ends by itself.
    while !has_a_job.wait_timeout(Duration::from_millis(10)) && victim.is_alive() {}
    victim.kill()?;
    let fate = match victim.join() {
        Err(error) if error.exit() == Some(&Exit::Signal(Signal::KILL)) => "is killed with a job",
        Err(error) => return Err(error.into()),
        Ok(_) => "had nothing to do",
    };
    collect(&pipeline.answers, jobs)?;
    pipeline.reader.join()?;
    for cruncher in pipeline.crunchers {
        cruncher.join()?;
    }
    let good = paint(Style::Good, "each once, in the order of the jobs");
    let jobs = grouped(jobs);
    writeln!(text, "{workers} crunchers, one {fate}: {jobs} results, {good}")?;
    Ok(())
}

/// How many jobs and how many workers; `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<(u64, u64)>, String> {
    use lexopt::prelude::*;
    let (mut jobs, mut workers) = (200, available_workers().clamp(2, 100) as u64);
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('j') | Long("jobs") => {
                jobs = terminal::number(&mut parser, "--jobs", 1, 1_000_000)?;
            }
            Short('w') | Long("workers") => {
                workers = terminal::number(&mut parser, "--workers", 2, 100)?;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some((jobs, workers)))
}
