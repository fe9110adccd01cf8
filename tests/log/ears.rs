//! Standard error as a pipe or a file that a case reads, and a logger that keeps what it is told.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{dup, dup2_stderr, pipe};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

/// What this process and its children write to standard error while `body` runs.
pub(crate) fn heard(body: impl FnOnce()) -> String {
    let file = memfd_create(c"heard", MFdFlags::MFD_CLOEXEC).expect("make a memfd");
    let before = dup(io::stderr()).expect("keep standard error");
    dup2_stderr(&file).expect("replace standard error");
    body();
    dup2_stderr(&before).expect("put standard error back");
    let (mut file, mut text) = (File::from(file), String::new());
    file.seek(SeekFrom::Start(0)).expect("rewind");
    file.read_to_string(&mut text).expect("text");
    text
}

/// Makes standard error a pipe while `start` runs, which starts the writers; returns the end to read from.
pub(crate) fn listen<T>(start: impl FnOnce() -> T) -> (File, T) {
    let (from, to) = pipe().expect("make a pipe");
    let before = dup(io::stderr()).expect("keep standard error");
    dup2_stderr(&to).expect("replace standard error");
    let started = start();
    dup2_stderr(&before).expect("put standard error back");
    drop::<OwnedFd>(to);
    (from.into(), started)
}

/// What [`Keeper`] was told in this process, as `LEVEL target: message`.
pub(crate) static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A logger that keeps.
pub(crate) struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        KEPT.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

/// Takes what was kept.
pub(crate) fn kept() -> Vec<String> {
    std::mem::take(&mut *KEPT.lock().unwrap())
}
