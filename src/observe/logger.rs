//! The logger: where a record goes from here, which depends on the process.
//!
//! It is made once, in the process that asks for it; children have it by fork, and nothing is done there. It holds no lock that a fork
//! could copy in a locked state: the turn to write is a lock in shared memory, whose owner lives on in the parent and unlocks it.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::news;
use crate::observe::record::LogRecord;
use crate::observe::relay::Route;
use crate::process::note_line;
use crate::shm::{Shared, roster};
use crate::sync::RawMutex;
use crate::sync::lock_core::Acquired;
use crate::sys::stdio;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fmt::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

/// How long a record waits for its turn: whoever has it may have been stopped in the midst of a write.
const TURN: Duration = Duration::from_secs(1);

static SINK: OnceLock<Sink> = OnceLock::new();

/// Where the records of this process, and of those below it, go.
pub(super) struct Sink {
    own: Own,
    /// Where the children's go instead.
    pub(super) route: OnceLock<Route>,
}

/// The logger proper.
enum Own {
    /// Standard error; the lock is the turn to write.
    Stderr(Shared<RawMutex>),
    Program(Box<dyn Log>),
}

/// What `log` is given.
struct Door;

/// Logs to standard error, from this process and from all that are forked below it afterwards.
///
/// A record is `[LEVEL/process-name] message` and a line end, given to the kernel by a single `write`. The process's name is what its
/// [`Builder`](crate::Builder) was told (32 bytes of it), `main` in the first one. Children inherit logger and level; nothing is to be done
/// there. `log::set_max_level` changes the level of the process that calls it, and of its later children.
///
/// - **Lines never mix.** Writers of all these processes take turns under a lock in shared memory, so lines of any length stay whole: a
///   `write` alone is whole only up to 4096 bytes in a pipe. There are two limits. A process that is *stopped* in the midst of a
///   write keeps the others waiting for a second each; then they write without a turn. And who writes to standard error by other means
///   (`eprintln!`, C) takes no turns: short lines of theirs stay whole too, but may come between the parts of one of more than 4096 bytes.
/// - **Death**: a writer that is killed leaves its turn to the next, which begins a new line first. A record is there whole or not
///   at all, but for one of more than 4096 bytes to a pipe, of which a beginning may be there.
/// - **Fork**: safe in children of processes with threads as well; no lock of the logger is copied. A child of a
///   [`ForkServer`](crate::ForkServer), a worker of a [`Pool`](crate::Pool) has what was set when server or pool was *started*: call this first.
/// - **Blocking**: as a write to standard error blocks; beyond that, at most the second above.
/// - **Post-mortem**: the last lines of a child are kept for its parent; see [`PostMortem`](crate::process::PostMortem).
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if a logger is set already, whoever's; otherwise as [`Shared::new`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// offspring::log_to_stderr(log::LevelFilter::Info)?;
/// log::info!("hello"); // [INFO/main] hello
/// offspring::spawn(|| log::warn!("hello"))?.join()?; // [WARN/child-1] hello
/// assert!(offspring::log_to_stderr(log::LevelFilter::Info).is_err());
/// # Ok(()) }
/// ```
pub fn log_to_stderr(level: LevelFilter) -> Result<()> {
    install(level, stderr)?;
    news::logger_survives_forks();
    Ok(())
}

/// Logs to `logger`, a logger of the program's own, from this process and from all that are forked below it afterwards.
///
/// The difference to `log::set_boxed_logger` is that [`log_through`](crate::log_through) can lead the children's records to this process,
/// and that the last lines of a child are kept for its [post-mortem](crate::process::PostMortem).
///
/// - **Fork**: a child has a copy of `logger`, with whatever it had buffered. In a child of a process with threads a lock of it may be
///   locked for ever, as with any library; the runtime itself says nothing to it there.
///
/// # Errors
/// As [`log_to_stderr`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// struct Plain;
/// impl log::Log for Plain {
///     fn enabled(&self, _: &log::Metadata) -> bool { true }
///     fn log(&self, record: &log::Record) { println!("{}: {}", record.level(), record.args()) }
///     fn flush(&self) {}
/// }
/// offspring::log_to(Plain, log::LevelFilter::Info)?;
/// log::info!("hello"); // INFO: hello
/// # Ok(()) }
/// ```
pub fn log_to(logger: impl Log + 'static, level: LevelFilter) -> Result<()> {
    install(level, || Ok(Own::Program(Box::new(logger))))
}

fn stderr() -> Result<Own> {
    Ok(Own::Stderr(Shared::new(RawMutex::new())?))
}

fn install(level: LevelFilter, own: impl FnOnce() -> Result<Own>) -> Result<()> {
    let own = own()?;
    let taken = || {
        let detail = "another logger is set already";
        Error::new(ErrorKind::InvalidInput, "set", "the logger", detail)
    };
    log::set_logger(&Door).map_err(|_| taken())?;
    // A sink is there if tracing came first.
    SINK.set(Sink { own, route: OnceLock::new() }).map_err(|_| taken())?;
    log::set_max_level(level);
    Ok(())
}

/// The sink; standard error if there is none yet.
#[cfg(feature = "tracing")]
pub(super) fn sink_or_stderr() -> Result<&'static Sink> {
    if SINK.get().is_none() {
        // Whoever is first.
        let _ = SINK.set(Sink { own: stderr()?, route: OnceLock::new() });
    }
    Ok(SINK.get().expect("set above"))
}

pub(super) fn sink() -> Option<&'static Sink> {
    SINK.get()
}

/// The name of this process, without taking a lock.
pub(super) fn process_name() -> String {
    match roster::process_name() {
        name if name.is_empty() => "main".to_owned(),
        name => name,
    }
}

impl Log for Door {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match SINK.get() {
            None => false,
            Some(sink) => match (&sink.own, sink.route_from_here()) {
                (Own::Program(logger), None) => logger.enabled(metadata),
                _ => metadata.level() <= log::max_level(),
            },
        }
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= log::max_level()
            && let Some(sink) = SINK.get()
        {
            sink.take(record);
        }
    }

    fn flush(&self) {
        if let Some(Sink { own: Own::Program(logger), .. }) = SINK.get() {
            logger.flush();
        }
    }
}

impl Sink {
    /// Takes a record of this process.
    pub(super) fn take(&self, record: &Record<'_>) {
        note_line(format_args!("{} {}", record.level(), record.args()));
        match self.route_from_here() {
            Some(route) => route.send(record),
            None => match &self.own {
                Own::Stderr(turn) => {
                    write(turn, record.level(), &process_name(), record.args());
                }
                Own::Program(logger) => logger.log(record),
            },
        }
    }

    /// Takes a record of another process, in the one that has the program's logger.
    pub(super) fn take_from(&self, record: &LogRecord) {
        match &self.own {
            Own::Stderr(turn) => {
                write(turn, record.level(), record.process().name(), &record.message())
            }
            Own::Program(logger) => {
                logger.log(&record.builder().args(format_args!("{record}")).build())
            }
        }
    }

    /// `None` in the process that has the logger.
    fn route_from_here(&self) -> Option<&Route> {
        self.route.get().filter(|route| !route.leads_here())
    }
}

/// Writes a line, when it is this thread's turn.
fn write(turn: &RawMutex, level: Level, name: &str, message: &dyn fmt::Display) {
    // The first byte is for a line end, should one be needed. The message is made before the turn is taken: it may log itself.
    let mut line = String::with_capacity(128);
    // A string takes whatever it is given; a message that cannot be formatted ends early.
    let _ = write!(line, "\n[{level}/{name}] {message}");
    line.push('\n');
    let me = roster::me();
    let acquired = turn.acquire_until(me, Deadline::after(TURN));
    // The dead may not have come to the end of its line.
    let is_new_line = matches!(acquired, Ok(Acquired::FromDead(_)));
    stdio::write_stderr(if is_new_line { line.as_bytes() } else { &line.as_bytes()[1..] });
    if acquired.is_ok() {
        turn.release(me);
    }
}
