//! The runner of the test binaries that fork: `fn main() { support::run(&[case!(a), case!(b).deadline_s(120)]) }`.
//!
//! libtest runs tests on threads; a fork beside other threads is what this crate forbids. So such a binary says
//! `harness = false` in Cargo.toml, and this runner, which has one thread, forks a child for every case:
//!
//! ```text
//!   runner ──fork──▶ case child (a session and process group of its own) ──fork──▶ whatever the case forks
//!     │ reaps all that dies below it (PR_SET_CHILD_SUBREAPER)
//!     └ deadline passed, or case ended: SIGKILL to the group and to every orphan, until nobody is left
//! ```
//!
//! - A case fails if it panics, is killed by a signal, ends the process itself (also with status 0), or is not done by its
//!   deadline (60 s unless it says otherwise).
//! - What a case and its children print goes to a memfd and is shown if the case fails (or is `shown`). A file, not a pipe: nobody has
//!   to read while the case runs, so nobody can block.
//! - Arguments are libtest's: a substring as filter (several: any of them), `--exact`, `--skip X`, `--list`, `--nocapture`;
//!   others are ignored. The last line is `N passed, N failed`, the exit status 101 if one failed.
//! - `run_on(2, …)` runs two cases at a time: two lanes, each a runner in a child, take them in turn (`lanes`).
//! - SIGINT and SIGTERM end the running case's tree and then the runner. If the runner is SIGKILLed, the kernel kills the
//!   case child (PR_SET_PDEATHSIG).
//!
//! Beside the runner: [`seed`] and [`Rng`] for random cases, [`until`] and [`asleep`] for waiting without sleeping,
//! [`Kid`] for a bare forked child.
#![expect(unsafe_code, reason = "the runner forks")]
#![allow(dead_code, unused_imports, missing_docs, reason = "each test binary uses its part")]

mod args;
mod kid;
mod lanes;
mod random;
mod wait;

pub(crate) use kid::{Ended, Kid};
pub(crate) use random::{Rng, seed};
pub(crate) use wait::{asleep, asleep_all, has_ended, processes, until};

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use args::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdout, fork, setsid};

/// The exit status of a case that came to its end. Not 0, so that a stray `exit(0)` in a case is no success.
const DONE: i32 = 86;

/// The exit status of a case that panicked.
const PANICKED: i32 = 101;

/// How long a case may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(60);

/// One test: a name, what it does, and until when it must be done. Made by [`case!`].
pub(crate) struct Case {
    name: &'static str,
    body: fn(),
    deadline: Duration,
    is_shown: bool,
}

impl Case {
    /// A case with the usual deadline; `case!(f)` names it after its function.
    pub(crate) const fn new(name: &'static str, body: fn()) -> Case {
        Case { name, body, deadline: DEADLINE, is_shown: false }
    }

    /// Gives the case this many seconds instead of 60.
    pub(crate) const fn deadline_s(mut self, seconds: u64) -> Case {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    /// Shows what the case prints also when it passes: a table, say.
    pub(crate) const fn shown(mut self) -> Case {
        self.is_shown = true;
        self
    }
}

/// A [`Case`] named after the function that it runs.
macro_rules! case {
    ($body:path) => {
        $crate::support::Case::new(stringify!($body), $body)
    };
}
pub(crate) use case;

/// Runs the cases that the command line selects, one after the other, and ends the process.
pub(crate) fn run(cases: &[Case]) -> ! {
    run_on(1, cases)
}

/// Runs the cases that the command line selects in so many lanes at a time, and ends the process.
pub(crate) fn run_on(lane_count: usize, cases: &[Case]) -> ! {
    let args = Args::parse(std::env::args().skip(1));
    let chosen: Vec<&Case> = cases.iter().filter(|case| args.selects(case.name)).collect();
    if args.list {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        std::process::exit(0);
    }
    println!("\nrunning {} of {} cases", chosen.len(), cases.len());
    let failed = match lane_count {
        1 => {
            let runner = Runner::new(&args);
            chosen
                .iter()
                .filter(|case| !runner.run_case(case, None))
                .map(|case| case.name)
                .collect()
        }
        _ => lanes::run(lane_count, &args, &chosen),
    };
    if !failed.is_empty() {
        println!("\nfailed:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    println!("\n{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    std::process::exit(if failed.is_empty() { 0 } else { PANICKED });
}

/// What runs cases, one at a time.
struct Runner<'a> {
    args: &'a Args,
    /// The signal mask of the cases.
    usual: SigSet,
    signals: SignalFd,
}

impl<'a> Runner<'a> {
    fn new(args: &'a Args) -> Runner<'a> {
        prctl::set_child_subreaper(true).expect("become the reaper of orphans");
        let mut blocked = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
            blocked.add(signal);
        }
        let mut usual = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut usual))
            .expect("block signals");
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&blocked, flags).expect("make a signalfd");
        Runner { args, usual, signals }
    }

    /// Runs a case and prints what became of it, with `printing` locked; whether it passed.
    fn run_case(&self, case: &Case, printing: Option<&OwnedFd>) -> bool {
        if printing.is_none() {
            print!("test {} ... ", case.name);
        }
        let started = Instant::now();
        let (outcome, mut output) = run_one(case, self.args, &self.usual, &self.signals);
        let ms = started.elapsed().as_millis();
        if let Some(printing) = printing {
            lanes::lock(printing);
            print!("test {} ... ", case.name);
        }
        match &outcome {
            Ok(()) => println!("ok ({ms} ms)"),
            Err(why) => println!("FAILED: {why} ({ms} ms)"),
        }
        if case.is_shown || outcome.is_err() {
            show(case.name, &mut output);
        }
        if let Some(printing) = printing {
            io::stdout().flush().expect("flush stdout");
            lanes::unlock(printing);
        }
        outcome.is_ok()
    }
}

/// Runs `case` in a child and waits for its end or its deadline; afterwards nothing that it started is left.
fn run_one(
    case: &Case,
    args: &Args,
    usual: &SigSet,
    signals: &SignalFd,
) -> (Result<(), String>, File) {
    let output = memfd_create(c"case output", MFdFlags::MFD_CLOEXEC).expect("make a memfd");
    io::stdout().flush().expect("flush stdout");
    let runner = nix::unistd::getpid();
    // SAFETY: this process has one thread, so the child finds every lock free.
    let forked = unsafe { fork() }.expect("fork a case");
    let ForkResult::Parent { child } = forked else {
        run_child(case, args, usual, runner, &output);
    };
    let outcome = await_end(child, Instant::now() + case.deadline, case, signals);
    clear(child);
    (outcome, File::from(output))
}

/// The child's side of [`run_one`].
fn run_child(case: &Case, args: &Args, usual: &SigSet, runner: Pid, output: impl AsFd) -> ! {
    setsid().expect("setsid");
    prctl::set_pdeathsig(Signal::SIGKILL).expect("set the parent-death signal");
    if nix::unistd::getppid() != runner {
        exit_now(1);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(usual), None).expect("restore the signal mask");
    if !args.nocapture {
        dup2_stdout(&output).expect("redirect stdout");
        dup2_stderr(&output).expect("redirect stderr");
    }
    let status = match catch_unwind(AssertUnwindSafe(case.body)) {
        Ok(()) => DONE,
        Err(_) => PANICKED,
    };
    let _ = io::stdout().flush();
    exit_now(status)
}

/// Leaves at once: no exit handlers of the runner's process run in a child.
fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Reaps until `child` has ended, its deadline has passed or the user interrupts.
fn await_end(child: Pid, deadline: Instant, case: &Case, signals: &SignalFd) -> Result<(), String> {
    loop {
        let mut ended = None;
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            match status {
                WaitStatus::StillAlive => break,
                status if status.pid() == Some(child) => ended = Some(status),
                _ => {} // an orphan from below
            }
        }
        match ended {
            Some(WaitStatus::Exited(_, DONE)) => return Ok(()),
            Some(WaitStatus::Exited(_, PANICKED)) => return Err("panicked".into()),
            Some(WaitStatus::Exited(_, n)) => {
                return Err(format!("exited with status {n} before its end"));
            }
            Some(WaitStatus::Signaled(_, signal, _)) => return Err(format!("killed by {signal}")),
            _ => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("deadline of {} s", case.deadline.as_secs()));
        }
        let left =
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], left) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => panic!("poll: {errno}"),
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                clear(child);
                println!("interrupted");
                std::process::exit(128 + signal.ssi_signo as i32);
            }
        }
    }
}

/// Kills what is left of a case, until this process has no child: who was orphaned by a kill becomes ours and is next.
fn clear(child: Pid) {
    let _ = killpg(child, Signal::SIGKILL);
    loop {
        for pid in children() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return,
            Err(errno) => panic!("waitpid: {errno}"),
        }
    }
}

/// This process's children. (`/proc/self/task/*/children` is a kernel option, so by way of every process's parent.)
fn children() -> Vec<Pid> {
    let me = std::process::id();
    wait::processes().into_iter().filter(|p| p.parent == me).map(|p| p.pid()).collect()
}

/// Prints a case's output, framed by its name.
fn show(name: &str, output: &mut File) {
    let mut bytes = Vec::new();
    output.seek(SeekFrom::Start(0)).expect("rewind the output");
    output.read_to_end(&mut bytes).expect("read the output");
    if !bytes.is_empty() {
        println!("---- {name}\n{}\n----", String::from_utf8_lossy(&bytes).trim_end());
    }
}
