//! Waiting for a state of the world, without sleeping for a guessed time.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

/// Polls `condition`, yielding the CPU in between, until it holds or `timeout` has passed; says whether it held.
#[must_use = "it may have timed out"]
pub(crate) fn until(mut condition: impl FnMut() -> bool, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return condition();
        }
        std::thread::yield_now(); // sched_yield
    }
}

/// Whether `pid` sleeps in a futex call: it is in state S and in `futex` or `futex_waitv`.
///
/// A process may pass through such a state on its way; who needs it to *stay* there looks at what it sleeps for as well.
pub(crate) fn asleep(pid: impl Into<i64>) -> bool {
    let pid = pid.into();
    let sleeping = || {
        fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|s| state(&s)) == Some('S')
    };
    if !sleeping() {
        return false;
    }
    // Needs ptrace rights over `pid`, which a parent has; the first word is the number of the call it is in.
    let in_futex = match fs::read_to_string(format!("/proc/{pid}/syscall")) {
        Ok(call) => {
            let number = call.split(' ').next().and_then(|n| n.trim().parse::<i64>().ok());
            number.is_some_and(|n| [libc::SYS_futex, libc::SYS_futex_waitv].contains(&n))
        }
        Err(_) => {
            fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|w| w.contains("futex"))
        }
    };
    in_futex && sleeping()
}

/// [`asleep`] for several.
pub(crate) fn asleep_all(pids: &[i32]) -> bool {
    pids.iter().all(|&pid| asleep(pid))
}

/// Whether `pid`, a child not yet reaped, has ended.
pub(crate) fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.ok().and_then(|stat| state(&stat)).is_none_or(|state| state == 'Z' || state == 'X')
}

/// What `/proc/<pid>/stat` says about a process.
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    pub(crate) state: char,
}

impl Process {
    /// Its id as nix's type.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.id as i32)
    }
}

/// All processes that /proc shows now.
pub(crate) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("read /proc");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let parent = after_name(&stat)?.split(' ').nth(1)?.parse().ok()?;
        Some(Process { id, parent, state: state(&stat)? })
    })
    .collect()
}

/// The state letter in a line of `/proc/<pid>/stat`.
fn state(stat: &str) -> Option<char> {
    after_name(stat)?.chars().next()
}

/// The part of the line after `pid (name) `; the name may hold spaces and brackets.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(") ").map(|(_, rest)| rest)
}
