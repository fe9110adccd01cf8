//! docs/PERFORMANCE.md and its plots, from the newest record: `cargo bench --bench report -- --draw`.
//!
//! The page's own words stay; what stands between its two marks is written anew. `tests/tidy.rs` draws as well, and compares.

mod plot;
mod table;
pub(crate) mod unit;

use plot::Bar;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use unit::Unit;

const PAGE: &str = "docs/PERFORMANCE.md";
const BEGIN: &str = "<!-- drawn from benches/record: begin -->\n";
const END: &str = "<!-- drawn from benches/record: end -->\n";

/// A group's heading, and what its plot is about.
const TITLES: [(&str, &str, &str); 9] = [
    ("lock", "Locks", "`Mutex` between processes against locks between threads, and pthread's."),
    (
        "ring",
        "Rings of plain values",
        "`RingQueue` between processes against queues between threads.",
    ),
    ("wait", "Waiting", "How long a message takes to wake its receiver, and what waiting costs."),
    ("message", "Messages", "`Queue`, views of big messages, and pipes."),
    ("sync", "The other locks and signals", "`RwLock`, `Semaphore`, `Event`, `Condvar`."),
    ("spawn", "Children", "What `spawn` and `join` add to a bare `fork` and `waitpid`."),
    ("memory", "Memory", "What an object maps."),
    ("par", "Parallel loops", "`par_map` and its kin fork for each call."),
    ("pool", "Pools", "Tasks on workers that run already."),
];

/// The files, by their paths from the tree's top, and what they must hold.
pub(crate) fn drawn(top: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let (name, record) = newest(&top.join("benches/record"))?;
    let page = read(&top.join(PAGE))?;
    let marks = "lacks the marks between which it is drawn";
    let (before, rest) = page.split_once(BEGIN).ok_or(format!("{PAGE} {marks}"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("{PAGE} {marks}"))?;
    let (middle, mut files) = groups(&name, &record);
    files.push((PathBuf::from(PAGE), format!("{before}{BEGIN}{middle}{END}{after}")));
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The newest full record. Of one day: the latest; those without a time are older, and the one with more rows is the later.
fn newest(folder: &Path) -> Result<(String, Value), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut records = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with("-full.json") {
            continue;
        }
        let record: Value = serde_json::from_str(&read(&entry.path())?)
            .map_err(|error| format!("{name}: {error}"))?;
        let date = record["date"].as_str().unwrap_or_default().to_owned();
        let rows = rows_of(&record).len();
        records.push(((date, record["seconds"].as_u64(), rows, name.clone()), name, record));
    }
    records.sort_by(|one, other| one.0.cmp(&other.0));
    let (_, name, record) = records.pop().ok_or("no full record in benches/record")?;
    Ok((name, record))
}

fn rows_of(record: &Value) -> &[Value] {
    record["rows"].as_array().map_or(&[], Vec::as_slice)
}

/// The page's middle, and the plots.
fn groups(name: &str, record: &Value) -> (String, Vec<(PathBuf, String)>) {
    let text = |field: &str| record[field].as_str().unwrap_or("unknown");
    let mut middle = format!(
        "Measured on {} at commit {}: {}; Linux {}, {}, {}; load average before {}. The figures of every round:\n\
         [benches/record/{name}](../benches/record/{name}).\n",
        text("date"),
        text("commit"),
        text("machine"),
        text("kernel"),
        text("libc"),
        text("rustc"),
        record["load_before"],
    );
    let rows = rows_of(record);
    let verdicts: Vec<bool> = rows.iter().filter_map(|row| row["met"].as_bool()).collect();
    let met = verdicts.iter().filter(|&&is_met| is_met).count();
    middle += &format!("**{met} of {} bars met.**\n", verdicts.len());
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row["group"].as_str()).collect();
    names.dedup();
    let mut plots = Vec::new();
    for group in names {
        let rows: Vec<&Value> = rows.iter().filter(|row| row["group"] == group).collect();
        let known = TITLES.iter().find(|title| title.0 == group);
        let (_, title, caption) = known.copied().unwrap_or((group, group, ""));
        middle += &format!("\n## {title}\n\n{caption}\n\n");
        let bars: Vec<Bar> = rows.iter().filter_map(|row| bar(row)).collect();
        if !bars.is_empty() {
            let file = format!("plots/{group}.svg");
            middle += &format!("![{title}: how many times as good as the peer]({file})\n\n");
            plots.push((Path::new("docs").join(&file), plot::svg(title, &bars)));
        }
        middle += &table::markdown(&rows);
    }
    (middle, plots)
}

/// What a row says about the peer: how many times as good ours is, by the medians and in each round.
fn bar(row: &Value) -> Option<Bar> {
    let unit = Unit::from_name(row["unit"].as_str()?)?;
    let better = |ratio: f64| if unit.is_cost() { 1.0 / ratio } else { ratio };
    let figures = |field: &str| -> Vec<f64> {
        row[field].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (ours, theirs) = (figures("ours_rounds"), figures("theirs_rounds"));
    let promised = match row["judged_by"].as_str() {
        Some("ratio") => row["bar"]["at_most"].as_f64().or(row["bar"]["at_least"].as_f64()),
        _ => None,
    };
    let what = row["what"].as_str()?;
    let times = better(row["ratio"].as_f64()?);
    Some(Bar {
        label: format!("{what}: {}", row["peer"].as_str()?),
        times,
        rounds: ours.iter().zip(&theirs).map(|(ours, theirs)| better(ours / theirs)).collect(),
        promised: promised.map(better),
    })
    .filter(|bar| bar.times.is_finite() && bar.times > 0.0)
}
