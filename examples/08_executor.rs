//! Work that is found bit by bit: each file is submitted the moment that it is found, and its result is used the moment that it is there.
//!
//! ```text
//! cargo run --release --example 08_executor
//! cargo run --release --example 08_executor -- FOLDER
//! ```
//!
//! Finds the files below a folder that have the same content; without an argument, below the examples of this repository. What it prints:
//!
//! ```text
//! same content, 14 bytes:
//!   "/tmp/letters/a"
//!   "/tmp/letters/old/a"
//! "/tmp/letters/locked": Permission denied (os error 13)
//!
//! 9 files, 120,034 bytes; the first result came after 3 of them were found, and 2 results overtook an earlier file's
//! ```
//!
//! The last line's second half differs from run to run. The exit status is 1 if a file cannot be read, and 2 for arguments that make no
//! sense.

mod terminal;

use offspring::pool::{When, wait};
use offspring::{Pool, Task, available_workers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Finds the files below a folder that have the same content.

Usage: 08_executor [FOLDER]

  FOLDER   where to look (default: the examples of this repository)
";

/// So many tasks are under way at most; then the walk takes results first.
const UNDER_WAY: usize = 64;

/// What a file is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Content {
    bytes: u64,
    hash: u64,
}

/// The task: reads one file. A path is sent as the bytes that it is, for it need not be UTF-8.
fn read(path: OsString) -> Result<Content, String> {
    let read = || -> std::io::Result<Content> {
        let (mut file, mut hasher) = (File::open(&path)?, DefaultHasher::new());
        let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                return Ok(Content { bytes, hash: hasher.finish() });
            }
            hasher.write(&buffer[..length]);
            bytes += length as u64;
        }
    };
    read().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let folder = match parse(lexopt::Parser::from_env()) {
        Ok(Some(folder)) => folder,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match Search::new().and_then(|search| search.run(folder)) {
        Ok((text, 0)) => terminal::show(&text, ExitCode::SUCCESS),
        Ok((text, _)) => terminal::show(&text, ExitCode::FAILURE),
        Err(error) => terminal::failure(&error),
    }
}

struct Search {
    pool: Pool,
    /// What is under way: the tasks, and at the same places which file each is, by number.
    tasks: Vec<Task<Result<Content, String>>>,
    numbers: Vec<usize>,
    found: Vec<PathBuf>,
    same: BTreeMap<Content, Vec<PathBuf>>,
    unreadable: Vec<(PathBuf, String)>,
    /// The order of the results, by the files' numbers, and how many files were found before the first.
    order: Vec<usize>,
    found_before: usize,
}

impl Search {
    fn new() -> Result<Search, Box<dyn Error>> {
        Ok(Search {
            pool: Pool::new(available_workers())?,
            tasks: Vec::new(),
            numbers: Vec::new(),
            found: Vec::new(),
            same: BTreeMap::new(),
            unreadable: Vec::new(),
            order: Vec::new(),
            found_before: 0,
        })
    }

    /// The report, and how many files could not be read.
    fn run(mut self, top: PathBuf) -> Result<(String, usize), Box<dyn Error>> {
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let entries =
                match fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                    Ok(entries) => entries,
                    Err(error) => {
                        self.unreadable.push((folder, error.to_string()));
                        continue;
                    }
                };
            for entry in entries {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => self.submit(entry.path())?,
                    _ => {}
                }
                // Whatever is done by now, without waiting.
                self.take(Some(Instant::now()));
            }
        }
        while !self.tasks.is_empty() {
            self.take(None);
        }
        self.report()
    }

    fn submit(&mut self, path: PathBuf) -> Result<(), Box<dyn Error>> {
        while self.tasks.len() >= UNDER_WAY {
            self.take(None);
        }
        self.tasks.push(self.pool.submit(read, path.clone().into_os_string())?);
        self.numbers.push(self.found.len());
        self.found.push(path);
        Ok(())
    }

    /// Waits until a task is done, but not beyond the deadline; takes the results that are there.
    fn take(&mut self, deadline: Option<Instant>) {
        // From the back, because what is removed is replaced by the last one.
        for place in wait(&self.tasks, When::FirstCompleted, deadline).done.into_iter().rev() {
            let (task, number) = (self.tasks.swap_remove(place), self.numbers.swap_remove(place));
            if self.order.is_empty() {
                self.found_before = self.found.len();
            }
            self.order.push(number);
            let path = self.found[number].clone();
            // Two ways to fail: the file's, and the task's (its worker was killed).
            match task.wait().unwrap_or_else(|error| Err(error.to_string())) {
                Ok(content) => self.same.entry(content).or_default().push(path),
                Err(error) => self.unreadable.push((path, error)),
            }
        }
    }

    fn report(mut self) -> Result<(String, usize), Box<dyn Error>> {
        let (mut text, mut files, mut bytes) = (String::new(), 0, 0);
        for (content, paths) in &mut self.same {
            files += paths.len() as u64;
            bytes += content.bytes * paths.len() as u64;
            if paths.len() > 1 {
                // As they came is as chance had it.
                paths.sort();
                let title = format!("same content, {} bytes:", grouped(content.bytes));
                writeln!(text, "{}", paint(Style::Title, title))?;
                for path in paths {
                    writeln!(text, "  {path:?}")?;
                }
            }
        }
        self.unreadable.sort();
        for (path, error) in &self.unreadable {
            writeln!(text, "{}", paint(Style::Bad, format!("{path:?}: {error}")))?;
        }
        let overtook = self.order.windows(2).filter(|pair| pair[1] < pair[0]).count();
        writeln!(
            text,
            "\n{} files, {} bytes; the first result came after {} of them were found, and {overtook} results overtook an earlier file's",
            grouped(files),
            grouped(bytes),
            grouped(self.found_before as u64),
        )?;
        self.pool.shutdown()?;
        Ok((text, self.unreadable.len()))
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<PathBuf>, String> {
    use lexopt::prelude::*;
    let mut folder = None;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Value(path) if folder.is_none() => folder = Some(path.into()),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(folder.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/examples").into())))
}
