//! Several cases at a time. A lane is a runner of its own, in a child with one thread; each takes the next case that nobody has.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, pipe};

use super::args::Args;
use super::{Case, DONE, Runner, exit_now};

/// Runs the cases in so many lanes; who failed, in order. Whose lane was ended before it could say, has failed.
pub(super) fn run(count: usize, args: &Args, cases: &[&Case]) -> Vec<&'static str> {
    let (todo, mut numbers) = files();
    let (mut passed, passing) = files();
    // Two bytes each, read and written at once; a pipe has room for all.
    for number in 0..cases.len() as u16 {
        numbers.write_all(&number.to_ne_bytes()).expect("number the cases");
    }
    drop(numbers);
    let printing = memfd_create(c"the turn to print", MFdFlags::MFD_CLOEXEC).expect("make a memfd");
    io::stdout().flush().expect("flush stdout");
    let mut lanes = Vec::new();
    for _ in 0..count {
        // SAFETY: this process has one thread, so the child finds every lock free.
        match unsafe { fork() }.expect("fork a lane") {
            ForkResult::Parent { child } => lanes.push(child),
            ForkResult::Child => {
                // Then it ends its case, and what that has started, as any runner does.
                prctl::set_pdeathsig(Signal::SIGTERM).expect("set the parent-death signal");
                let runner = Runner::new(args);
                while let Some(number) = next_number(&todo) {
                    if runner.run_case(cases[number], Some(&printing)) {
                        let number = (number as u16).to_ne_bytes();
                        (&passing).write_all(&number).expect("report that a case passed");
                    }
                }
                exit_now(DONE)
            }
        }
    }
    drop(passing);
    let mut bytes = Vec::new();
    passed.read_to_end(&mut bytes).expect("read who passed");
    for lane in lanes {
        waitpid(lane, None).expect("reap a lane");
    }
    let passed: Vec<u16> =
        bytes.chunks_exact(2).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]])).collect();
    let failed = cases.iter().enumerate().filter(|&(n, _)| !passed.contains(&(n as u16)));
    failed.map(|(_, case)| case.name).collect()
}

/// The number of a case that no lane has taken.
fn next_number(mut todo: &File) -> Option<usize> {
    let mut bytes = [0; 2];
    todo.read_exact(&mut bytes).ok()?;
    Some(u16::from_ne_bytes(bytes).into())
}

/// A pipe's two ends.
fn files() -> (File, File) {
    let (from, to) = pipe().expect("make a pipe");
    (from.into(), to.into())
}

/// Waits until no other lane prints.
pub(super) fn lock(printing: &OwnedFd) {
    set(printing, libc::F_WRLCK);
}

/// Lets another lane print.
pub(super) fn unlock(printing: &OwnedFd) {
    set(printing, libc::F_UNLCK);
}

fn set(printing: &OwnedFd, kind: libc::c_int) {
    let range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(printing, FcntlArg::F_SETLKW(&range)).expect("lock the turn to print");
}
