//! `13_logging`: its records, the error of its crashed child, and what the page about Python quotes of it.

use crate::run;
use crate::support::{Case, case};

const PAGE: &str = include_str!("../../docs/FROM_PYTHON.md");

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(logging_has_a_line_a_record), case!(logging_shows_the_runtime_at_debug)]
}

/// Without pids, which differ.
fn blank(text: &str) -> String {
    let mut parts = text.split("(pid ");
    let mut blanked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        blanked.push_str("(pid 4711");
        blanked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    blanked
}

fn logging_has_a_line_a_record() {
    let (out, err, status) = run("13_logging", &[]);
    assert_eq!(status, 0, "{out}{err}");
    let records = [
        "[INFO/main] two children will count",
        "[INFO/ada] counted to 1000",
        "[INFO/bob] counted to 1000",
        "[INFO/eve] opening the box",
        "[WARN/eve] the box is empty",
        "[WARN/main] eve (pid 4711) was ended by SIGSEGV",
        "[INFO/main] both have ended, and now speak",
        "[INFO/ada] counted to 1000",
        "[INFO/bob] counted to 1000",
    ];
    assert_eq!(blank(&err).lines().collect::<Vec<_>>(), records);
    // The head of the example, and the page, show both streams in the order of a terminal.
    let source = include_str!("../../examples/13_logging.rs");
    for line in out.lines().filter(|line| !line.is_empty()) {
        assert!(source.contains(&format!("//! {line}\n")), "{line}");
        assert!(PAGE.contains(&format!("\n{line}\n")), "{line}");
    }
    for record in records {
        assert!(source.contains(&format!("//! {record}\n")), "{record}");
        assert!(PAGE.contains(&format!("\n{record}\n")), "{record}");
    }
    assert_eq!(out.lines().filter(|line| line.starts_with("      ")).count(), 2, "{out}");
}

fn logging_shows_the_runtime_at_debug() {
    let (_, err, status) = run("13_logging", &["--level", "debug"]);
    assert_eq!(status, 0, "{err}");
    let err = blank(&err);
    assert!(
        err.contains("[DEBUG/main] started ada (pid 4711) to run 13_logging::count\n"),
        "{err}"
    );
    assert!(err.contains("[DEBUG/main] ada (pid 4711) ended with code 0\n"), "{err}");
    let (out, err, status) = run("13_logging", &["--level", "off"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
}
