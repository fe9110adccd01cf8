//! Counts the lines, words and bytes of files, as `wc` does, with all CPUs.
//!
//! ```text
//! cargo run --release --example 02_word_count               this repository
//! cargo run --release --example 02_word_count -- PATH...    these files, and all files below these folders
//! ```
//!
//! What it prints:
//!
//! ```text
//!   lines     15210
//!   words    101882
//!   bytes    845603
//!   paths       103
//! ```
//!
//! How it works:
//!
//! ```text
//!   parent ── walks the folders ──▶ RingQueue<Job> ──▶ worker ┐    lines, words, bytes, paths:
//!     │ a path a message, in 4 KiB of its own          worker ├──▶ four shared counters
//!     │                                                worker ┘
//!     └◀── join: what each worker could not read ───────┘
//! ```
//!
//! - A message carries the path's bytes, so the walk goes on while the workers count, and memory stays bounded however many
//!   files there are. Paths are bytes: spaces, newlines and what is not UTF-8 are all the same.
//! - A *line* is a newline byte. A *word* is what GNU `wc` counts in the C locale: bytes between white space of which at least
//!   one is printable ASCII.
//! - Below a folder, only regular files count: symbolic links are not followed (no loops, nothing twice), and FIFOs, sockets and
//!   devices are passed over. A path that is named on the command line may be a link; if it is a FIFO or a device, it cannot be
//!   read, for counting it might never end.
//! - What cannot be read is named on standard error, is counted as unreadable and changes no other number. The exit status is 1
//!   then, and 2 for arguments that make no sense. A worker that is killed takes one file with it; that is reported too.

mod terminal;

use bytemuck::{Pod, Zeroable};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use offspring::queue::SendTimeoutError;
use offspring::{Builder, Child, Counter, Region, RingQueue, Shared};
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
Counts lines, words and bytes of files, and of all files below folders, with a process per CPU.

Usage: 02_word_count [--workers N] [PATH...]

  -w, --workers N   how many processes count, from 1 to 1000 (default: one per CPU)
  PATH...           files and folders (default: this repository, without .git and target)
";

/// How many paths may wait for a worker.
const QUEUE_CAPACITY: usize = 256;

/// How long to wait for something before looking whether the workers are alive, and at the progress bar.
const TICK: Duration = Duration::from_millis(100);

/// The longest path that Linux opens, with the zero byte that C puts behind it.
const PATH_MAX: usize = 4096;

/// One message: a path.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Job {
    length: u16,
    bytes: [u8; PATH_MAX],
}

/// What one worker could not read: the path's bytes and the reason.
type Failures = Vec<(Vec<u8>, String)>;

/// What all processes add to.
struct Totals {
    lines: Shared<Counter>,
    words: Shared<Counter>,
    bytes: Shared<Counter>,
    paths: Shared<Counter>,
    unreadable: Shared<Counter>,
}

struct Options {
    workers: u64,
    /// Empty: this repository.
    paths: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let options = match parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match count_all(&options) {
        Ok((totals, whole)) => {
            let bad = totals.unreadable.get() > 0 || !whole;
            terminal::show(&totals.to_string(), ExitCode::from(u8::from(bad)))
        }
        Err(error) => terminal::failure(&error),
    }
}

/// Forks the workers, feeds them, and joins them. False if a worker did not come to its end.
fn count_all(options: &Options) -> Result<(Totals, bool), Box<dyn Error>> {
    let totals = Totals::new()?;
    let jobs = RingQueue::<Job>::new(QUEUE_CAPACITY)?;
    let mut workers = Vec::new();
    for number in 1..=options.workers {
        let builder = Builder::new().name(format!("worker-{number}"));
        workers.push(builder.spawn(|| work(&jobs, &totals))?);
    }
    let mut feed = Feed { jobs, workers, totals: &totals, bar: progress_bar(), sent: 0 };
    let walked = feed.walk(options);
    feed.jobs.close(); // the workers end when the queue is empty
    let whole = feed.join();
    walked?;
    Ok((totals, whole))
}

/// A worker's life: files from the queue until it is closed and empty.
fn work(jobs: &RingQueue<Job>, totals: &Totals) -> Failures {
    let mut failures = Failures::new();
    let mut buffer = vec![0; 256 * 1024];
    for job in jobs {
        match count_file(job.path(), &mut buffer) {
            Ok(count) => {
                totals.lines.add(count.lines);
                totals.words.add(count.words);
                totals.bytes.add(count.bytes);
                totals.paths.add(1);
            }
            Err(error) => {
                totals.unreadable.add(1);
                failures.push((job.path().as_os_str().as_bytes().to_vec(), error.to_string()));
            }
        }
    }
    failures
}

/// One file's numbers; a file that cannot be read to its end has none.
fn count_file(path: &Path, buffer: &mut [u8]) -> io::Result<Count> {
    // What was a file when the parent saw it may be a FIFO by now: never wait for a writer.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut count = Count::default();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(count),
            Ok(length) => count.add(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[derive(Default)]
struct Count {
    lines: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
}

impl Count {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for &byte in bytes {
            match byte {
                b'\t'..=b'\r' | b' ' => {
                    self.lines += u64::from(byte == b'\n');
                    self.in_word = false;
                }
                b'!'..=b'~' => {
                    self.words += u64::from(!self.in_word);
                    self.in_word = true;
                }
                _ => {} // neither begins a word nor ends one
            }
        }
    }
}

/// The parent's side: the walk, the queue's sending end, the workers, the progress bar.
struct Feed<'a> {
    jobs: RingQueue<Job>,
    workers: Vec<Child<Failures>>,
    totals: &'a Totals,
    bar: ProgressBar,
    sent: u64,
}

impl Feed<'_> {
    /// Sends every file. Fails only if nobody is left to count.
    fn walk(&mut self, options: &Options) -> Result<(), String> {
        if options.paths.is_empty() {
            let top = Path::new(env!("CARGO_MANIFEST_DIR"));
            return self.walk_folders(top.into(), &[top.join(".git"), top.join("target")]);
        }
        for path in &options.paths {
            match path.is_dir() {
                true => self.walk_folders(path.clone(), &[])?,
                false => self.send(path)?,
            }
        }
        Ok(())
    }

    /// Sends the regular files below `top`, except those below a folder of `skip`.
    fn walk_folders(&mut self, top: PathBuf, skip: &[PathBuf]) -> Result<(), String> {
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.report(&folder, &error.to_string());
                    continue;
                }
            };
            for entry in entries {
                // The kind of the entry itself, not of what a link points to.
                match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                    Ok((path, kind)) if kind.is_dir() && !skip.contains(&path) => {
                        folders.push(path)
                    }
                    Ok((path, kind)) if kind.is_file() => self.send(&path)?,
                    Ok(_) => {}
                    Err(error) => self.report(&folder, &error.to_string()),
                }
            }
        }
        Ok(())
    }

    /// Sends one path; waits for room, but not for workers that are dead.
    fn send(&mut self, path: &Path) -> Result<(), String> {
        let Some(mut job) = Job::new(path) else {
            self.report(path, "the path is longer than the system opens");
            return Ok(());
        };
        while let Err(SendTimeoutError::Timeout(back)) = self.jobs.send_timeout(job, TICK) {
            if !self.workers.iter().any(Child::is_alive) {
                return Err("no worker is left".into());
            }
            job = back;
            self.draw();
        }
        self.sent += 1;
        if self.sent.is_multiple_of(64) {
            self.draw();
        }
        Ok(())
    }

    /// Names what the parent itself could not read.
    fn report(&self, path: &Path, why: &str) {
        self.totals.unreadable.add(1);
        self.bar.suspend(|| complain(path.as_os_str(), why));
    }

    /// Waits for the workers and names what they could not read. True if each came to its end.
    fn join(&mut self) -> bool {
        let mut whole = true;
        for worker in std::mem::take(&mut self.workers) {
            let joined = loop {
                match worker.join_timeout(TICK) {
                    Some(joined) => break joined,
                    None => self.draw(),
                }
            };
            self.bar.suspend(|| match joined {
                Ok(failures) => {
                    for (path, why) in &failures {
                        complain(OsStr::from_bytes(path), why);
                    }
                }
                Err(error) => {
                    whole = false;
                    let name = worker.name();
                    terminal::complain(&format!(
                        "{name} failed, and its file is not counted: {error}"
                    ));
                }
            });
        }
        self.bar.finish_and_clear();
        whole
    }

    fn draw(&self) {
        self.bar.set_length(self.sent);
        self.bar.set_position(self.totals.paths.get() + self.totals.unreadable.get());
    }
}

/// One line that names a path; in quotes and escaped, for names may hold newlines.
fn complain(path: &OsStr, why: &str) {
    terminal::complain(&format!("{path:?}: {why}"));
}

/// Drawn on a terminal alone. It has no thread of its own: it is drawn when the parent says so.
fn progress_bar() -> ProgressBar {
    let on_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
    let target =
        if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style =
        ProgressStyle::with_template("  {bar:40.cyan} {human_pos} of {human_len} files, {elapsed}");
    ProgressBar::with_draw_target(Some(0), target).with_style(style.expect("a valid template"))
}

impl Job {
    /// `None` for a path that is too long to be opened.
    fn new(path: &Path) -> Option<Job> {
        let path = path.as_os_str().as_bytes();
        let mut job = Job { length: path.len().try_into().ok()?, bytes: [0; PATH_MAX] };
        job.bytes.get_mut(..path.len())?.copy_from_slice(path);
        Some(job)
    }

    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes[..usize::from(self.length)]))
    }
}

impl Totals {
    fn new() -> offspring::Result<Totals> {
        let region = Region::new(4096)?;
        let counter = |name| region.place(Counter::new(name));
        Ok(Totals {
            lines: counter("lines")?,
            words: counter("words")?,
            bytes: counter("bytes")?,
            paths: counter("paths")?,
            unreadable: counter("unreadable")?,
        })
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counters = [&self.lines, &self.words, &self.bytes, &self.paths, &self.unreadable];
        let shown = if self.unreadable.get() == 0 { &counters[..4] } else { &counters[..] };
        let wide = shown.iter().map(|counter| counter.get().to_string().len()).max().unwrap_or(0);
        for counter in shown {
            writeln!(f, "  {:<10}  {:>wide$}", counter.name(), counter.get())?;
        }
        Ok(())
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let workers = offspring::available_workers().min(1000) as u64;
    let mut options = Options { workers, paths: Vec::new() };
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('w') | Long("workers") => {
                options.workers = terminal::number(&mut parser, "--workers", 1, 1000)?;
            }
            Short('h') | Long("help") => return Ok(None),
            Value(path) => options.paths.push(PathBuf::from(path)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}
