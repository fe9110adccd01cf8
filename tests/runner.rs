//! The runner's own test: it runs a copy of itself, with cases that fail, hang and leak, and reads what that prints.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Kid, case};

/// Set in the copy: it then has the cases of [`inner`] instead of these.
const INNER: &str = "OFFSPRING_RUNNER_INNER";

fn main() {
    if let Some(lanes) = std::env::var_os(INNER) {
        let lanes = lanes.to_str().and_then(|lanes| lanes.parse().ok()).expect("a number of lanes");
        support::run_on(
            lanes,
            &[
                case!(inner::passes),
                case!(inner::fails),
                case!(inner::hangs).deadline_s(1),
                case!(inner::leaves_early),
                case!(inner::aborts),
                case!(inner::leaks),
                case!(inner::prints_a_lot),
                case!(inner::kills_its_lane),
            ],
        );
    }
    support::run(&[
        case!(passing_case_is_silent),
        case!(panic_is_reported_with_its_message),
        case!(hang_is_ended_at_its_deadline),
        case!(exit_with_status_0_is_no_success),
        case!(abort_is_named),
        case!(leaked_children_are_killed),
        case!(much_output_does_not_block),
        case!(lanes_share_the_cases),
        case!(filters_choose),
        case!(list_runs_nothing),
        case!(sleeper_is_seen_asleep),
    ])
}

/// The cases of the copy.
mod inner {
    use super::*;

    pub(crate) fn passes() {
        println!("words of a passing case");
    }
    pub(crate) fn fails() {
        println!("words before the end");
        panic!("the reason of the failure");
    }
    pub(crate) fn hangs() {
        loop {
            nix::unistd::pause();
        }
    }
    pub(crate) fn leaves_early() {
        std::process::exit(0);
    }
    pub(crate) fn aborts() {
        std::process::abort();
    }
    /// Leaves a child that left the session, and a grandchild of it.
    pub(crate) fn leaks() {
        std::mem::forget(Kid::fork(|| {
            nix::unistd::setsid().unwrap();
            std::mem::forget(Kid::fork(hangs));
            hangs();
        }));
    }
    /// If it runs in a lane; else that would be the runner.
    pub(crate) fn kills_its_lane() {
        if std::env::var(INNER).is_ok_and(|lanes| lanes == "3") {
            nix::sys::signal::kill(nix::unistd::getppid(), nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
    }
    pub(crate) fn prints_a_lot() {
        for _ in 0..20_000 {
            println!("a line of which there are many, more than a pipe holds");
        }
    }
}

/// Runs the copy: what it printed, and its exit status.
fn copy(args: &[&str]) -> (String, i32) {
    copy_on("1", args)
}

/// The same with so many lanes.
fn copy_on(lanes: &str, args: &[&str]) -> (String, i32) {
    let me = std::env::current_exe().expect("the path of this binary");
    let output = Command::new(me).args(args).env(INNER, lanes).output().expect("run the copy");
    (String::from_utf8_lossy(&output.stdout).into(), output.status.code().expect("it exits"))
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("")
}

fn passing_case_is_silent() {
    let (text, status) = copy(&["inner::passes"]);
    assert!(text.contains("test inner::passes ... ok ("), "{text}");
    assert!(!text.contains("words of a passing case"), "{text}");
    assert_eq!((last_line(&text), status), ("1 passed, 0 failed", 0));
    let (text, _) = copy(&["inner::passes", "--nocapture"]);
    assert!(text.contains("words of a passing case"), "{text}");
}

fn panic_is_reported_with_its_message() {
    let (text, status) = copy(&["fails"]);
    assert!(text.contains("test inner::fails ... FAILED: panicked"), "{text}");
    assert!(text.contains("words before the end"), "{text}");
    assert!(text.contains("the reason of the failure"), "{text}");
    assert_eq!((last_line(&text), status), ("0 passed, 1 failed", 101));
}

fn hang_is_ended_at_its_deadline() {
    let started = Instant::now();
    let (text, status) = copy(&["hangs"]);
    assert!(text.contains("FAILED: deadline of 1 s"), "{text}");
    assert_eq!(status, 101);
    assert!(started.elapsed() >= Duration::from_secs(1), "ended before its deadline");
}

fn exit_with_status_0_is_no_success() {
    let (text, status) = copy(&["leaves_early"]);
    assert!(text.contains("FAILED: exited with status 0 before its end"), "{text}");
    assert_eq!(status, 101);
}

fn abort_is_named() {
    let (text, _) = copy(&["aborts"]);
    assert!(text.contains("FAILED: killed by SIGABRT"), "{text}");
}

fn leaked_children_are_killed() {
    // The copy is not our subreaper's problem: what it left would now be in /proc with its command line.
    let (text, status) = copy(&["leaks"]);
    assert_eq!((last_line(&text), status), ("1 passed, 0 failed", 0));
    let left = support::until(
        || nix::sys::wait::waitpid(None, None) == Err(nix::errno::Errno::ECHILD),
        Duration::from_secs(5),
    );
    assert!(left, "a child of the copy is left");
    let me = std::env::current_exe().unwrap();
    let alive = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let exe = std::fs::read_link(entry.path().join("exe"));
        exe.is_ok_and(|exe| exe == me) && String::from_utf8_lossy(&environ).contains(INNER)
    });
    assert_eq!(alive.count(), 0, "a process of the copy is left");
}

fn much_output_does_not_block() {
    let (text, status) = copy(&["prints_a_lot"]);
    assert_eq!((last_line(&text), status), ("1 passed, 0 failed", 0));
}

/// Each case once, its words in one piece, and the sum of all lanes. A lane that is killed fails the case that it had.
fn lanes_share_the_cases() {
    let (text, status) = copy_on("2", &[]);
    assert_eq!((last_line(&text), status), ("4 passed, 4 failed", 101), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("test inner::")).count(), 8, "{text}");
    let at = text.find("test inner::fails ... FAILED: panicked").expect("the failure is told");
    assert!(text[at..].contains("\n---- inner::fails\nwords before the end\n"), "{text}");
    let (one, two) = (copy_on("2", &["passes"]), copy_on("3", &["kills_its_lane"]));
    assert_eq!((last_line(&one.0), one.1), ("1 passed, 0 failed", 0));
    assert_eq!((last_line(&two.0), two.1), ("0 passed, 1 failed", 101));
}

fn filters_choose() {
    let names = |args: &[&str]| {
        let (text, _) = copy(args);
        text.lines().filter(|line| line.starts_with("test ")).count()
    };
    assert_eq!(names(&["passes", "leaves", "--test-threads", "1", "-q"]), 2);
    assert_eq!(names(&["inner::pass", "--exact"]), 0);
    assert_eq!(names(&["inner::passes", "--exact"]), 1);
    assert_eq!(names(&["a", "--skip", "hangs", "--skip=leak", "--skip", "fails"]), 5);
}

fn list_runs_nothing() {
    let (text, status) = copy(&["--list"]);
    assert_eq!(text.lines().count(), 8, "{text}");
    assert!(text.lines().all(|line| line.starts_with("inner::") && line.ends_with(": test")));
    assert_eq!(status, 0);
    assert_eq!(copy(&["--list", "--ignored", "--format", "terse"]).0, "");
}

fn sleeper_is_seen_asleep() {
    use std::sync::atomic::AtomicU32;
    let kid = Kid::fork(|| {
        let word = AtomicU32::new(0);
        let waiting = std::ptr::from_ref(&word);
        loop {
            wait_on(waiting);
        }
    });
    assert!(support::until(|| support::asleep(kid.pid()), Duration::from_secs(10)));
    let spinner = Kid::fork(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    assert!(!support::asleep(spinner.pid()));
}

#[expect(unsafe_code, reason = "a bare futex call")]
fn wait_on(word: *const std::sync::atomic::AtomicU32) {
    let null = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call; without a timeout there is nothing else to read.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, 0, null) };
}
