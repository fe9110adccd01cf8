//! Request and response: a child that answers questions through a pipe, and what is seen when one is killed.
//!
//! ```text
//! cargo run --release --example 05_pipe
//! cargo run --release --example 05_pipe -- --requests 100000
//! ```
//!
//! What it prints (the times differ from run to run):
//!
//! ```text
//! 1. A child that answers
//!
//!   questions       10,000 asked, 10,000 answered right; a round trip takes 9.4 µs in the middle
//!   16 MiB          there and back as one message each: 14 ms
//!   a file          opened here, its descriptor sent: the child counts 279 lines in it
//!   the end         this end dropped: the child's recv says end of stream, and it returns 10,002
//!
//! 2. Three children, one of which is killed
//!
//!   waiting         for 3 pipes and 3 children at once, until all have ended
//!   answers         1 from child-2, 1 from child-4
//!   child-3         was ended by SIGKILL: its pipe says end of stream at once, and nobody waits for ever
//! ```
//!
//! Each end belongs to the process that it was moved to, so the ends of streams arrive although fork copies all descriptors.
//!
//! The exit status is 1 if an answer is wrong or missing, and 2 for arguments that make no sense.

mod terminal;

use offspring::queue::pipe::RecvError;
use offspring::{Child, Connection, pipe, spawn, wait_any_timeout};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Asks a child questions through a pipe; then waits for several children, one of which is killed.

Usage: 05_pipe [--requests N]

  -r, --requests N   how many questions to ask, from 1 to 10000000 (default: 10000)
";

/// What can be asked. One pipe carries requests one way and responses the other, so it carries both types.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// What is the square of this number?
    Square(u64),
    /// Turn the bytes round that come next, as they are and not as a value.
    Reverse,
    /// Count the lines of the file whose descriptor comes next.
    Lines,
    /// An answer.
    Number(u64),
}

/// Long enough for a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let requests = match parse(lexopt::Parser::from_env()) {
        Ok(Some(requests)) => requests,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match ask(requests).and_then(|one| Ok(one + "\n" + &lose_one()?)) {
        Ok(text) => terminal::show(&text, ExitCode::SUCCESS),
        Err(error) => terminal::failure(&error),
    }
}

/// The child's side: answers until the stream ends, and returns how often.
fn serve(connection: &Connection<Message>) -> u64 {
    for count in 0.. {
        let answer = match connection.recv() {
            Ok(Message::Square(n)) => Message::Number(n * n),
            Ok(Message::Reverse) => {
                let mut bytes = connection.recv_bytes().expect("bytes follow");
                bytes.reverse();
                connection.send_bytes(&bytes).expect("the parent waits for them");
                continue;
            }
            Ok(Message::Lines) => {
                let file = connection.recv_fd().expect("a descriptor follows");
                Message::Number(BufReader::new(File::from(file)).lines().count() as u64)
            }
            Err(RecvError::EndOfStream) => return count,
            other => panic!("expected a request, got {other:?}"),
        };
        connection.send(answer).expect("the parent waits for it");
    }
    unreachable!("so many requests do not fit into a lifetime")
}

/// Part 1.
fn ask(requests: u64) -> Result<String, Box<dyn Error>> {
    let (here, there) = pipe::<Message>()?;
    // `move`: `there` is the child's from now on.
    let child = spawn(move || serve(&there))?;

    let mut times = Vec::new();
    for n in 0..requests {
        let asked = Instant::now();
        here.send(Message::Square(n))?;
        match here.recv_timeout(TIMEOUT)? {
            Message::Number(square) if square == n * n => times.push(asked.elapsed()),
            other => return Err(format!("the square of {n} is not {other:?}").into()),
        }
    }
    times.sort_unstable();

    let big = b"0123456789abcdef".repeat(1 << 20);
    let asked = Instant::now();
    here.send(Message::Reverse)?;
    here.send_bytes(&big)?;
    let mut back = here.recv_bytes_timeout(TIMEOUT)?;
    let there_and_back = asked.elapsed();
    back.reverse();
    if back != big {
        return Err("16 MiB came back otherwise".into());
    }

    let me = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/05_pipe.rs");
    let file = File::open(me).map_err(|error| format!("{me}: {error}"))?;
    here.send(Message::Lines)?;
    here.send_fd(file.as_fd())?;
    let Message::Number(lines) = here.recv_timeout(TIMEOUT)? else {
        return Err("expected a number".into());
    };

    drop(here);
    let served = child.join()?;
    if served != requests + 2 {
        return Err(format!("{} requests, {served} served", requests + 2).into());
    }

    let mut text = title("1. A child that answers");
    let count = grouped(requests);
    let middle = time(times[times.len() / 2]);
    let what =
        format!("{count} asked, {count} answered right; a round trip takes {middle} in the middle");
    line(&mut text, "questions", &what);
    let what = format!("there and back as one message each: {}", time(there_and_back));
    line(&mut text, "16 MiB", &what);
    let what = format!("opened here, its descriptor sent: the child counts {lines} lines in it");
    line(&mut text, "a file", &what);
    let served = grouped(served);
    let what =
        format!("this end dropped: the child's recv says end of stream, and it returns {served}");
    line(&mut text, "the end", &what);
    Ok(text)
}

/// A child that is asked one question, and what has become of it.
struct Worker {
    connection: Option<Connection<Message>>,
    child: Option<Child<u64>>,
    name: String,
    answers: u64,
    how_it_ended: String,
}

/// Part 2.
fn lose_one() -> Result<String, Box<dyn Error>> {
    let mut workers = Vec::new();
    for _ in 0..3 {
        let (here, there) = pipe::<Message>()?;
        let child = spawn(move || serve(&there))?;
        let name = child.name().to_owned();
        let (connection, child) = (Some(here), Some(child));
        workers.push(Worker { connection, child, name, answers: 0, how_it_ended: String::new() });
    }
    // One is killed before it is asked; the others cannot tell.
    let victim = workers[1].name.clone();
    workers[1].child.as_ref().ok_or("it has not ended")?.kill()?;
    for worker in [&workers[0], &workers[2]] {
        worker.connection.as_ref().ok_or("it is open")?.send(Message::Square(12))?;
    }

    while workers.iter().any(|worker| worker.child.is_some()) {
        // What is still open: first the pipes, then the children.
        let pipes = workers
            .iter()
            .enumerate()
            .filter_map(|(index, worker)| Some((index, worker.connection.as_ref()? as &dyn AsFd)));
        let children = workers
            .iter()
            .enumerate()
            .filter_map(|(index, worker)| Some((index, worker.child.as_ref()? as &dyn AsFd)));
        let pipe_count = pipes.clone().count();
        let (indices, things): (Vec<usize>, Vec<&dyn AsFd>) = pipes.chain(children).unzip();
        let ready = wait_any_timeout(&things, TIMEOUT)?;
        if ready.is_empty() {
            return Err("nothing happens".into());
        }
        for at in ready {
            let worker = &mut workers[indices[at]];
            if at < pipe_count { hear(worker)? } else { reap(worker)? }
        }
    }

    let mut text = title("2. Three children, one of which is killed");
    line(&mut text, "waiting", "for 3 pipes and 3 children at once, until all have ended");
    let answers: Vec<String> = workers
        .iter()
        .filter(|worker| worker.answers > 0)
        .map(|worker| format!("{} from {}", worker.answers, worker.name))
        .collect();
    line(&mut text, "answers", &answers.join(", "));
    let how = &workers[1].how_it_ended;
    let fate = paint(Style::Good, "its pipe says end of stream at once, and nobody waits for ever");
    line(&mut text, &victim, &format!("{how}: {fate}"));
    match answers.len() {
        2 => Ok(text),
        count => Err(format!("{count} answers instead of 2").into()),
    }
}

/// A worker's pipe is ready: an answer, after which it is let go, or the end.
fn hear(worker: &mut Worker) -> Result<(), Box<dyn Error>> {
    let Some(connection) = &worker.connection else { return Ok(()) };
    match connection.try_recv() {
        Ok(Message::Number(144)) => worker.answers += 1,
        Ok(other) => return Err(format!("the square of 12 is not {other:?}").into()),
        Err(RecvError::EndOfStream) => {}
        Err(error) => return Err(error.into()),
    }
    worker.connection = None;
    Ok(())
}

/// A worker has ended.
fn reap(worker: &mut Worker) -> Result<(), Box<dyn Error>> {
    if let Some(child) = worker.child.take() {
        worker.how_it_ended = match child.join() {
            Ok(served) => format!("returned {served}"),
            Err(error) => error.exit().ok_or("it ended in no known way")?.to_string(),
        };
    }
    Ok(())
}

fn title(text: &str) -> String {
    format!("{}\n\n", paint(Style::Title, text))
}

fn line(text: &mut String, label: &str, what: &str) {
    let _ = writeln!(text, "  {}  {what}", paint(Style::Quiet, format!("{label:<14}")));
}

fn time(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        us if us < 10_000.0 => format!("{us:.1} µs"),
        us => format!("{:.0} ms", us / 1e3),
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<u64>, String> {
    use lexopt::prelude::*;
    let mut requests = 10_000;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('r') | Long("requests") => {
                requests = terminal::number(&mut parser, "--requests", 1, 10_000_000)?;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(requests))
}
