//! A pre-forked HTTP/1.1 server: several processes accept on one socket, and one that is killed is replaced.
//!
//! ```text
//! cargo run --release --example 11_web_server
//! cargo run --release --example 11_web_server -- --port 8011 --workers 4
//! ```
//!
//! Then, in another terminal:
//!
//! ```text
//! curl http://127.0.0.1:8011/                   a greeting from a worker
//! curl http://127.0.0.1:8011/status             the scoreboard
//! curl -d 'some text' http://127.0.0.1:8011/echo
//! kill -KILL PID                                one of the workers: see /status again
//! kill PID                                      the server (or Ctrl-C): what is under way is answered, then it ends
//! ```
//!
//! What it prints:
//!
//! ```text
//! listening on http://127.0.0.1:8011 with 2 workers, as process 4242
//! worker-1 (4243) was ended by SIGKILL, and is replaced
//! draining: no new connections, requests under way are answered
//! done: 7 requests
//! ```
//!
//! ```text
//!   parent: waits for a signal or a child's end          scoreboard, in shared memory
//!     ├─ worker-1: waits for a connection or the stop ──▶ pid, state, requests, since
//!     └─ worker-2: …                                    ──▶ …
//! ```
//!
//! A worker serves one connection at a time, so a slow client costs one worker, until the patience with it ends. The server is
//! bound to the loopback address: it shows how processes work together, and is not hardened for the net.
//!
//! The exit status is 1 if the server cannot go on, and 2 for arguments that make no sense.

#[path = "web/http.rs"]
mod http;
#[path = "web/scoreboard.rs"]
mod scoreboard;
mod terminal;

use http::{Answer, Request, Visitor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use offspring::{Builder, Child, available_workers, wait_any, wait_any_deadline};
use scoreboard::{Scoreboard, State};
use std::error::Error;
use std::io::{ErrorKind, PipeReader, PipeWriter, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
Serves HTTP on the loopback address with several processes.

Usage: 11_web_server [--port N] [--workers N] [--for-seconds N] [--patience-ms N]

  -p, --port N          the port, or 0 for any that is free (default: 8011)
  -w, --workers N       how many workers, from 1 to 64 (default: one for each processor, and at least two)
  -s, --for-seconds N   ends by itself after so long (default: at SIGTERM or Ctrl-C)
      --patience-ms N   how long a client may take to send a request (default: 20000)
";

/// What is under way when the server is to end has so long.
const DRAIN: Duration = Duration::from_secs(30);
/// So many workers may end within so long; beyond that something is wrong that a replacement does not cure.
const DEATHS_MAX: usize = 20;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

struct Options {
    port: u16,
    workers: usize,
    ends: Option<Instant>,
    patience: Duration,
}

fn main() -> ExitCode {
    let options = match parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match Server::start(&options).and_then(|server| server.run(options.ends)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::failure(&error),
    }
}

/// The parent's side. It accepts nothing itself.
struct Server {
    listener: TcpListener,
    /// One byte in it, which nobody takes out, tells all workers to end.
    stop: (PipeReader, PipeWriter),
    scoreboard: Scoreboard,
    workers: Vec<Child<()>>,
    patience: Duration,
    /// SIGTERM and SIGINT, as something to wait for.
    signals: SignalFd,
}

impl Server {
    fn start(options: &Options) -> Result<Server, Box<dyn Error>> {
        let wanted = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        // Workers inherit that, so Ctrl-C in the terminal is the parent's to handle.
        wanted.thread_block()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        // Several workers see one connection; those that come late must not wait in `accept`.
        listener.set_nonblocking(true)?;
        let mut server = Server {
            listener,
            stop: std::io::pipe()?,
            scoreboard: Scoreboard::new(options.workers)?,
            workers: Vec::new(),
            patience: options.patience,
            signals: SignalFd::new(&wanted)?,
        };
        for seat in 0..options.workers {
            let worker = server.fork(seat)?;
            server.workers.push(worker);
        }
        let (address, pid) = (server.listener.local_addr()?, std::process::id());
        let count = options.workers;
        say(&format!("listening on http://{address} with {count} workers, as process {pid}"));
        Ok(server)
    }

    fn fork(&self, seat: usize) -> offspring::Result<Child<()>> {
        let (listener, stop, scoreboard) = (&self.listener, &self.stop.0, &self.scoreboard);
        let worker = Worker { listener, stop, scoreboard, patience: self.patience, seat };
        Builder::new().name(format!("worker-{}", seat + 1)).spawn(|| worker.run())
    }

    /// Replaces workers until it is told to end, or the time is over.
    fn run(mut self, ends: Option<Instant>) -> Result<(), Box<dyn Error>> {
        let mut deaths: Vec<Instant> = Vec::new();
        loop {
            let workers = self.workers.iter().map(|worker| worker as &dyn AsFd);
            let things: Vec<&dyn AsFd> =
                std::iter::once(&self.signals as &dyn AsFd).chain(workers).collect();
            let ready = match ends {
                Some(ends) => wait_any_deadline(&things, ends)?,
                None => wait_any(&things)?,
            };
            if ready.is_empty() || ready[0] == 0 {
                return self.drain();
            }
            for seat in ready.into_iter().map(|place| place - 1) {
                deaths.retain(|death| death.elapsed() < DEATHS_WITHIN);
                deaths.push(Instant::now());
                if deaths.len() > DEATHS_MAX {
                    return Err("the workers die as fast as they are replaced".into());
                }
                let fresh = self.fork(seat)?;
                let dead = std::mem::replace(&mut self.workers[seat], fresh);
                let (name, pid) = (dead.name().to_owned(), dead.pid());
                let how = match dead.join() {
                    Ok(()) => "has returned".to_owned(),
                    Err(error) => error.exit().map_or(error.to_string(), ToString::to_string),
                };
                say(&format!("{name} ({pid}) {how}, and is replaced"));
            }
        }
    }

    fn drain(mut self) -> Result<(), Box<dyn Error>> {
        self.stop.1.write_all(b"!")?;
        // Those that wait for `accept` are refused when the last worker has let go of it.
        drop(self.listener);
        say("draining: no new connections, requests under way are answered");
        let deadline = Instant::now() + DRAIN;
        for worker in &self.workers {
            if worker.join_deadline(deadline).is_none() {
                say(&format!("{} has not ended, and is killed", worker.name()));
                worker.kill()?;
            }
        }
        say(&format!("done: {} requests", terminal::grouped(self.scoreboard.requests())));
        Ok(())
    }
}

/// A line at once, for somebody may wait for it. A reader that has left is no reason to end.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A child's side: one connection after the other.
struct Worker<'a> {
    listener: &'a TcpListener,
    stop: &'a PipeReader,
    scoreboard: &'a Scoreboard,
    patience: Duration,
    seat: usize,
}

impl Worker<'_> {
    fn run(&self) {
        self.scoreboard.begin(self.seat);
        loop {
            self.scoreboard.set(self.seat, State::Waits);
            match wait_any(&[self.stop, self.listener]) {
                Ok(ready) if ready.first() != Some(&0) => {}
                Ok(_) => return,
                Err(error) => panic!("{error}"),
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // Whatever goes wrong with a client is no reason to end: it is gone, and the next one comes.
                    let visitor = Visitor::new(stream, self.stop, self.patience);
                    let _ = visitor.and_then(|visitor| self.serve(visitor));
                }
                // Another worker was faster, or the client has left already.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    /// Request after request, until the client leaves, is silent for too long, or the server is to end.
    fn serve(&self, mut visitor: Visitor<'_>) -> std::io::Result<()> {
        self.scoreboard.set(self.seat, State::Idles);
        while visitor.has_more()? {
            self.scoreboard.set(self.seat, State::Reads);
            let (answer, wants_more) = match visitor.read()? {
                Ok(request) => (self.answer(&request), request.keeps_alive),
                Err(refusal) => (refusal, false),
            };
            self.scoreboard.set(self.seat, State::Answers);
            let goes_on = wants_more && !visitor.must_end();
            visitor.write(&answer, goes_on)?;
            self.scoreboard.count(self.seat);
            if !goes_on {
                break;
            }
            self.scoreboard.set(self.seat, State::Idles);
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        match (request.method.as_str(), request.path()) {
            ("GET" | "HEAD", "/") => {
                let me = offspring::current();
                Answer::new(200, format!("hello from {} ({})\n", me.name(), me.pid()))
            }
            ("GET" | "HEAD", "/status") => Answer::new(200, self.scoreboard.to_string()),
            ("POST", "/echo") => Answer::new(200, request.body.clone()),
            (_, "/" | "/status" | "/echo") => Answer::new(405, "not with this method\n"),
            _ => Answer::new(404, "there is no such page\n"),
        }
        .for_method(&request.method)
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let workers = available_workers().clamp(2, 64);
    let mut options =
        Options { port: 8011, workers, ends: None, patience: Duration::from_secs(20) };
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('p') | Long("port") => {
                options.port = terminal::number(&mut parser, "--port", 0, 65_535)? as u16;
            }
            Short('w') | Long("workers") => {
                options.workers = terminal::number(&mut parser, "--workers", 1, 64)? as usize;
            }
            Short('s') | Long("for-seconds") => {
                let seconds = terminal::number(&mut parser, "--for-seconds", 0, 1_000_000)?;
                options.ends = Some(Instant::now() + Duration::from_secs(seconds));
            }
            Long("patience-ms") => {
                let millis = terminal::number(&mut parser, "--patience-ms", 1, 3_600_000)?;
                options.patience = Duration::from_millis(millis);
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}
