//! The last lines of a child that is dead.
#![expect(unsafe_code, reason = "a bare fork")]

use crate::ears::{Keeper, heard};
use crate::support::{Rng, seed};
use log::LevelFilter;
use offspring::{Counter, Shared, log_to, spawn};
use std::time::Duration;

pub(crate) fn last_lines_and_task_are_in_the_error() {
    let text = heard(|| {
        offspring::log_to_stderr(LevelFilter::Info).unwrap();
        let child = spawn(|| -> () {
            log::info!("reading {}", "orders.csv");
            log::debug!("not wanted");
            log::warn!("line 7\nlooks odd");
            std::process::abort()
        });
        let error = child.unwrap().join().unwrap_err();
        let post_mortem = error.post_mortem().unwrap();
        assert_eq!(post_mortem.log_lines(), ["INFO reading orders.csv", "WARN line 7\nlooks odd"]);
        assert!(post_mortem.task().starts_with("log::dead::last_lines_"), "{post_mortem:?}");
        assert_eq!(post_mortem.fault(), None);
        let expected = format!(
            "join: the child was ended by SIGABRT in {}; its last log lines:\n    INFO reading orders.csv\n    WARN line 7\nlooks odd",
            post_mortem.task()
        );
        assert_eq!(error.to_string(), expected);
    });
    assert!(text.contains("[WARN/child-1] line 7\nlooks odd\n"));
}

/// A line that tells its number and its length.
fn line(number: u64) -> String {
    let length = (number * 37 % 230) as usize;
    format!("{number} {length} {}", "x".repeat(length))
}

fn check(text: &str) -> u64 {
    let message = text.strip_prefix("INFO ").unwrap_or_else(|| panic!("torn: {text}"));
    let mut words = message.splitn(3, ' ');
    let number = words.next().unwrap().parse().unwrap_or_else(|_| panic!("torn: {text}"));
    let mut expected = format!("INFO {}", line(number));
    expected.truncate(240);
    assert!(text == expected, "torn: {text}");
    number
}

pub(crate) fn killed_at_any_moment_leaves_whole_lines() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    let (mut rng, logged) = (Rng::new(seed()), Shared::new(Counter::new("logged")).unwrap());
    for round in 0..60 {
        let before = logged.get();
        let child = spawn(|| -> () {
            let mut number = 0;
            loop {
                log::info!("{}", line(number));
                crate::ears::kept();
                number += 1;
                logged.add(1);
            }
        });
        let child = child.unwrap();
        let most = rng.below(200);
        while logged.get() - before < most {}
        child.kill().unwrap();
        let error = child.join_timeout(Duration::from_secs(40)).unwrap().unwrap_err();
        let count = logged.get() - before;
        let lines = error.post_mortem().unwrap().log_lines();
        let numbers: Vec<u64> = lines.iter().map(|line| check(line)).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{round}: {numbers:?}");
        let last = numbers.last().map_or(0, |last| last + 1);
        assert!(last == count || last == count + 1, "{round}: {count} logged, {last} kept");
        assert!(count < 5 || numbers.len() >= 3, "{round}: {numbers:?}");
    }
}

/// The child dies while four threads log, so that they are in each other's way to the end.
pub(crate) fn threads_share_the_ring() {
    struct Deaf;
    impl log::Log for Deaf {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    log_to(Deaf, LevelFilter::Info).unwrap();
    for _ in 0..20 {
        let child = spawn(|| -> () {
            std::thread::scope(|scope| {
                for nth in 0..4 {
                    scope.spawn(move || {
                        (0..if nth == 0 { 2000 } else { u64::MAX })
                            .for_each(|number| log::info!("{}", line(number % 1000)));
                        std::process::abort()
                    });
                }
            });
        });
        let error = child.unwrap().join().unwrap_err();
        let lines = error.post_mortem().unwrap().log_lines();
        assert!(lines.len() >= 3);
        lines.iter().for_each(|line| _ = check(line));
    }
}

pub(crate) fn next_child_begins_anew() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    for _ in 0..2 {
        // They have the same cell, one after the other.
        let child = spawn(|| -> () {
            log::info!("once");
            std::process::exit(3)
        });
        let error = child.unwrap().join().unwrap_err();
        assert_eq!(error.post_mortem().unwrap().log_lines(), ["INFO once"]);
    }
    let error = spawn(|| -> () { panic!() }).unwrap().join().unwrap_err();
    assert!(error.post_mortem().unwrap().log_lines().is_empty());
}

pub(crate) fn bare_fork_leaves_the_words_alone() {
    use nix::unistd::{ForkResult, fork};
    log_to(Keeper, LevelFilter::Info).unwrap();
    let child = spawn(|| -> () {
        log::info!("mine");
        // SAFETY: one thread; the copy logs and leaves.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                log::info!("a copy's");
                // SAFETY: no preconditions.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => _ = nix::sys::wait::waitpid(child, None).unwrap(),
        }
        std::process::abort()
    });
    let error = child.unwrap().join().unwrap_err();
    assert_eq!(error.post_mortem().unwrap().log_lines(), ["INFO mine"]);
}
