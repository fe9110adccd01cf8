//! The table in docs/CRASH_SAFETY.md: written from what the cases have found, and held against what they are.
//!
//! `cargo test --test kill_matrix && cargo test --test kill_matrix -- --table` writes it. Each run compares the names of cases and
//! operations, exactly; how many instructions an operation has is the compiler's affair.

use std::fs;
use std::path::{Path, PathBuf};

use offspring::proof::{Outcome, Table};
use serde_json::Value;

const PAGE: &str = "docs/CRASH_SAFETY.md";
const BEGIN: &str = "<!-- written by the kill matrix: begin -->\n";
const END: &str = "<!-- written by the kill matrix: end -->\n";
const ADVICE: &str =
    "cargo test --test kill_matrix && cargo test --test kill_matrix -- --table writes it";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where a case leaves its table for scripts and for the page.
pub(crate) fn json_path(case: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-matrix-{case}.json"))
}

/// The page before, between and behind the marks.
fn page() -> [String; 3] {
    let text = fs::read_to_string(top().join(PAGE)).expect("read the page");
    let (before, rest) = text.split_once(BEGIN).expect("the page has marks");
    let (table, after) = rest.split_once(END).expect("the page has marks");
    [before, table, after].map(str::to_owned)
}

/// Case and operation of each row on the page.
fn rows() -> Vec<(String, String)> {
    let cells = |line: &str| -> Option<(String, String)> {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let case = cells.next()?.trim_end_matches('`').to_owned();
        Some((case, cells.next()?.to_owned()))
    };
    page()[1].lines().filter_map(cells).collect()
}

/// As it stands in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace('<', "&lt;")
}

/// What keeps the page from being a case's: an operation that only one of them has.
fn differences(case: &str, found: &[String], rows: &[(String, String)]) -> Vec<String> {
    let shown: Vec<&String> = rows.iter().filter(|row| row.0 == case).map(|row| &row.1).collect();
    let lacks = found.iter().filter(|name| !shown.contains(name));
    let lacks = lacks.map(|name| format!("{PAGE} lacks `{case}`: {name}"));
    let extra = shown.iter().filter(|name| !found.contains(name));
    let extra = extra.map(|name| format!("{PAGE} has `{case}`: {name}, which is not run"));
    lacks.chain(extra).collect()
}

/// Fails unless the page has exactly the operations of this case's table.
pub(crate) fn check(case: &str, table: &Table) {
    let found: Vec<String> = table.reports().iter().map(|report| cell(report.scenario())).collect();
    let differences = differences(case, &found, &rows());
    assert!(differences.is_empty(), "{}\n{ADVICE}", differences.join("\n"));
}

/// The cases, in the order of their sources: what `conclude` is called with.
fn cases() -> Vec<String> {
    let folder = top().join("tests/matrix");
    let files =
        fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|path| !path.ends_with("page.rs")).collect();
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).expect("read a source"));
    let names = texts.flat_map(|text| {
        let calls = text.split("conclude(").skip(1);
        let first =
            |call: &str| Some(call.trim_start().strip_prefix('"')?.split('"').next()?.to_owned());
        calls.filter_map(first).collect::<Vec<_>>()
    });
    names.collect()
}

/// Each case of the page exists, each case that exists is on the page; and a page that is wrong is found out.
pub(crate) fn names_all_cases() {
    let (rows, cases) = (rows(), cases());
    assert!(cases.len() > 20, "{cases:?}");
    for case in &cases {
        assert!(rows.iter().any(|row| row.0 == *case), "{PAGE} lacks case {case}; {ADVICE}");
    }
    for (case, _) in &rows {
        assert!(cases.contains(case), "{PAGE} has case {case}, which is not there; {ADVICE}");
    }
    let row = |operation: &str| ("lock".to_owned(), operation.to_owned());
    let found = ["a".to_owned(), "b".to_owned()];
    assert_eq!(differences("lock", &found, &[row("a"), row("b")]), Vec::<String>::new());
    assert_eq!(differences("lock", &found, &[row("a")]).len(), 1, "a new operation");
    assert_eq!(differences("lock", &found, &[row("a"), row("b"), row("c")]).len(), 1, "one gone");
    assert_eq!(differences("lock", &found, &[row("a"), row("B")]).len(), 2, "one renamed");
}

/// Writes the table from what the cases have left.
pub(crate) fn write() {
    let mut table = "| case | operation | kill points | asleep | seen from | survivors |\n\
                     |---|---|---:|---:|---:|---|\n"
        .to_owned();
    let (mut points, mut operations) = (0, 0);
    for case in cases() {
        let path = json_path(&case);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; {ADVICE}", path.display()));
        let reports: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        for report in &reports {
            let count = |field: &str| report[field].as_u64().unwrap_or_default();
            let effect = report["effect_at"].as_u64().map_or("-".to_owned(), |at| at.to_string());
            let ended = Outcome::ALL.iter().filter(|outcome| count(outcome.name()) > 0);
            let ended = ended.map(|outcome| match outcome {
                Outcome::Ok => "all well".to_owned(),
                other => format!("{} {}", count(other.name()), other.name()),
            });
            table += &format!(
                "| `{case}` | {} | {} | {} | {effect} | {} |\n",
                cell(report["scenario"].as_str().unwrap_or_default()),
                count("kill_points"),
                count("asleep"),
                ended.collect::<Vec<_>>().join(", "),
            );
            points += count("kill_points");
            operations += 1;
        }
    }
    let sum = format!("{operations} operations, {points} deaths.\n\n");
    let [before, _, after] = page();
    let text = format!("{before}{BEGIN}{sum}{table}{END}{after}");
    fs::write(top().join(PAGE), text).expect("write the page");
    println!("wrote {PAGE}: {}", sum.trim());
}
