//! Parent and children log: to standard error, through a queue, and what is left of a child that crashed.
//!
//! ```text
//! cargo run --release --example 13_logging
//! cargo run --release --example 13_logging -- --level debug      the runtime's own records too
//! ```
//!
//! What it prints, records to standard error and the rest to standard output:
//!
//! ```text
//! To standard error, each for itself
//! [INFO/main] two children will count
//! [INFO/ada] counted to 1000
//! [INFO/bob] counted to 1000
//!
//! A child that crashes
//! [INFO/eve] opening the box
//! [WARN/eve] the box is empty
//! [WARN/main] eve (pid 4711) was ended by SIGSEGV
//! its error says:
//!   join: the child was ended by SIGSEGV at address 0xb0c5 (nothing is mapped there) in 13_logging::open; its last log lines:
//!       INFO opening the box
//!       WARN the box is empty
//!
//! Through a queue, to the parent
//! [INFO/main] both have ended, and now speak
//! [INFO/ada] counted to 1000
//! [INFO/bob] counted to 1000
//! ```
//!
//! The exit status is 2 for arguments that make no sense.

mod terminal;

use log::{LevelFilter, info, warn};
use offspring::{Builder, LogRecord, Queue, log_through, log_to_stderr};
use std::error::Error;
use std::process::ExitCode;
use terminal::{Style, paint};

const USAGE: &str = "\
Logs from several processes, and crashes one of them.

Usage: 13_logging [--level LEVEL]

  --level LEVEL   off, error, warn, info, debug or trace (default: info)
";

/// What a child does.
fn count() {
    let sum: u64 = (0..1000).map(|n| n % 2 * 2).sum();
    info!("counted to {sum}");
}

/// Starts two children, one after the other so that they speak in this order, and waits for them.
fn two_count() -> Result<(), Box<dyn Error>> {
    for name in ["ada", "bob"] {
        Builder::new().name(name).spawn(count)?.join()?;
    }
    Ok(())
}

/// Reads from an address at which nothing is.
#[expect(unsafe_code, reason = "crashes on purpose")]
fn open() {
    info!("opening the box");
    warn!("the box is empty");
    let nothing = std::ptr::without_provenance::<u8>(0xb0c5);
    // SAFETY: none. This is the mistake that the child dies of.
    let inside = unsafe { nothing.read_volatile() };
    info!("there is {inside} in it");
}

fn logging(level: LevelFilter) -> Result<(), Box<dyn Error>> {
    // Before there are children, who inherit it.
    log_to_stderr(level)?;
    title("To standard error, each for itself");
    info!("two children will count");
    two_count()?;

    title("\nA child that crashes");
    if let Err(error) = Builder::new().name("eve").spawn(open)?.join() {
        println!("its error says:\n  {}", error.to_string().replace('\n', "\n  "));
    }

    title("\nThrough a queue, to the parent");
    let relay = log_through(&Queue::<LogRecord>::new()?)?;
    two_count()?;
    info!("both have ended, and now speak");
    relay.forward();
    Ok(())
}

fn title(text: &str) {
    println!("{}", paint(Style::Title, text));
}

fn main() -> ExitCode {
    let level = match parse(lexopt::Parser::from_env()) {
        Ok(Some(level)) => level,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match logging(level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::failure(&error),
    }
}

/// The level; `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<LevelFilter>, String> {
    use lexopt::prelude::*;
    let mut level = LevelFilter::Info;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("level") => {
                let value = parser.value().map_err(|error| error.to_string())?;
                let parsed = value.to_str().and_then(|value| value.parse().ok());
                level = parsed.ok_or_else(|| format!("expected a level, not {value:?}"))?;
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(level))
}
