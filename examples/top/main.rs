//! What a process tree does: who waits for whom and since when, how full the queues are, what the pools do. From outside; nothing is stopped.
//!
//! ```text
//! cargo run --example top -- PID             refreshing, in the terminal: q quits, s sorts, arrows scroll
//! cargo run --example top -- PID --once      once, as JSON (rates are those of 100 ms; --over MS changes that)
//! ```

mod screen;
mod text;

use lexopt::prelude::*;
use offspring::observe::Observer;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: top PID [--once] [--over MS]";

struct Options {
    pid: u32,
    once: bool,
    over: Duration,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = if options.once { once(&options) } else { screen::run(options.pid) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let (mut pid, mut once, mut over) = (None, false, Duration::from_millis(100));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("once") => once = true,
            Long("over") => over = Duration::from_millis(args.value()?.parse()?),
            Short('h') | Long("help") => return Ok(None),
            Value(value) if pid.is_none() => pid = Some(value.parse()?),
            _ => return Err(arg.unexpected()),
        }
    }
    let pid = pid.ok_or("expected the pid of a process")?;
    Ok(Some(Options { pid, once, over }))
}

/// Two looks, and the second as JSON.
fn once(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut observer = Observer::new(options.pid)?;
    observer.look()?;
    let until = Instant::now() + options.over;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
        std::thread::park_timeout(left);
    }
    let snapshot = observer.look()?;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", serde_json::to_string_pretty(&snapshot)?) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
