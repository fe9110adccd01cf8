//! The report: every promised ratio, measured in one run, as a table and as JSON.
//!
//! ```text
//! cargo bench --bench report                      all rows, minutes
//! cargo bench --bench report -- --quick           about a minute
//! cargo bench --bench report -- --tiny            seconds; figures mean nothing
//! cargo bench --bench report -- --only lock       one group: lock, ring, wait, message, sync, spawn, memory, par, pool
//! cargo bench --bench report -- --json PATH       where the JSON goes
//! cargo bench --bench report -- --record          keeps the JSON in benches/record/ too
//! cargo bench --bench report -- --draw            measures nothing: docs/PERFORMANCE.md and its plots from the newest record
//! ```
//!
//! Exit status 1 if something could not be measured (a hang, a death), 2 for bad arguments; an unmet bar is a figure,
//! not a failure. README.md beside this file states the method.

mod draw;
mod rows;
mod support;

use rows::{Bar, GROUPS, Judged, Row, Rows};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::machine;
use support::size::Size;
use support::stats::median;

struct Options {
    size: Size,
    only: Vec<String>,
    json: Option<PathBuf>,
    is_recorded: bool,
    is_drawn: bool,
}

fn main() {
    let options = parse().unwrap_or_else(|message| {
        eprintln!("report: {message}");
        std::process::exit(2);
    });
    if options.is_drawn {
        return draw();
    }
    let load_before = machine::load();
    if options.size == Size::Full && load_before > 0.5 {
        eprintln!("the machine is busy (load {load_before}): ratios of contended rows mean little");
    }
    let mut measured: Vec<(&str, Rows)> = Vec::new();
    for group in GROUPS {
        if options.only.is_empty() || options.only.iter().any(|name| name == group.name) {
            eprintln!("measuring {} ({})", group.name, options.size.name());
            measured.push((group.name, (group.measure)(options.size)));
        }
    }
    print_table(&measured);
    let report = to_json(&measured, options.size, load_before);
    let path = options.json.unwrap_or_else(default_json_path);
    write(&path, &pretty(&report));
    if options.is_recorded {
        write(&record_path(&report), &pretty(&report));
    }
    let has_failure = measured.iter().any(|(_, rows)| rows.iter().any(Result::is_err));
    std::process::exit(i32::from(has_failure));
}

/// Cargo runs benchmarks in the package's root.
fn draw() {
    let drawn = draw::drawn(Path::new(".")).unwrap_or_else(|message| {
        eprintln!("report: {message}");
        std::process::exit(1);
    });
    drawn.iter().for_each(|(path, text)| write(path, text));
}

fn parse() -> Result<Options, String> {
    let size = Size::from_env();
    let mut options =
        Options { size, only: Vec::new(), json: None, is_recorded: false, is_drawn: false };
    let mut parser = lexopt::Parser::from_env();
    let text = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            // cargo's own, and criterion's for a run that only has to work.
            lexopt::Arg::Long("bench") => {}
            lexopt::Arg::Long("test" | "tiny") => options.size = Size::Tiny,
            lexopt::Arg::Long("quick") => options.size = Size::Quick,
            lexopt::Arg::Long("record") => options.is_recorded = true,
            lexopt::Arg::Long("draw") => options.is_drawn = true,
            lexopt::Arg::Long("json") => {
                options.json = Some(parser.value().map_err(text)?.into());
            }
            lexopt::Arg::Long("only") => {
                let names = parser.value().map_err(text)?;
                let names = names.to_string_lossy();
                options.only.extend(names.split(',').map(String::from));
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    let is_known = |name: &String| GROUPS.iter().any(|group| group.name == name);
    match options.only.iter().find(|name| !is_known(name)) {
        Some(name) => {
            let names = GROUPS.map(|group| group.name).join(", ");
            Err(format!("no group `{name}`; there are {names}"))
        }
        None => Ok(options),
    }
}

fn print_table(measured: &[(&str, Rows)]) {
    let header = ["what", "ours", "peer", "ratio", "bar", "met?", "spread"].map(String::from);
    let mut lines = vec![header];
    for row in measured.iter().flat_map(|(_, rows)| rows) {
        lines.push(match row {
            Ok(row) => cells(row),
            Err(reason) => [reason.as_str(), "-", "-", "-", "-", "FAILED", "-"].map(String::from),
        });
    }
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let print = |line: &[String; 7]| {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
        println!("|{}|", padded.collect::<Vec<_>>().join("|"));
    };
    print(&lines[0]);
    println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
    lines[1..].iter().for_each(print);
    let verdicts: Vec<bool> =
        measured.iter().flat_map(|(_, rows)| rows).flatten().filter_map(Row::is_met).collect();
    let met = verdicts.iter().filter(|&&is_met| is_met).count();
    println!("\n{met} of {} bars met", verdicts.len());
}

fn cells(row: &Row) -> [String; 7] {
    let show = |value: f64| row.unit.show(value);
    let peer = match row.peer {
        "" => "-".to_string(),
        name => format!("{name} {}", show(median(&row.theirs))),
    };
    let ratio = row.ratio_of_medians().map_or("-".to_string(), |ratio| format!("{ratio:.2}"));
    let limit = |value: f64| match row.judged {
        Judged::Ratio => format!("{value:.2}"),
        Judged::Ours => show(value),
    };
    let bar = match row.bar {
        Some(Bar::AtMost(value)) => format!("≤ {}", limit(value)),
        Some(Bar::AtLeast(value)) => format!("≥ {}", limit(value)),
        None => "-".to_string(),
    };
    let met = row.is_met().map_or("-", |is_met| if is_met { "yes" } else { "NO" });
    let spreads = row.spreads().into_iter().flatten();
    let spreads: Vec<String> = spreads.map(|share| format!("±{:.0} %", share * 100.0)).collect();
    let spread = if spreads.is_empty() { "-".to_string() } else { spreads.join(", ") };
    [row.what.clone(), show(median(&row.ours)), peer, ratio, bar, met.to_string(), spread]
}

fn to_json(measured: &[(&str, Rows)], size: Size, load_before: f64) -> Value {
    let one = |group: &str, row: &Result<Row, String>| match row {
        Err(reason) => json!({ "group": group, "error": reason }),
        Ok(row) => json!({
            "group": group,
            "what": row.what,
            "unit": row.unit.name(),
            "ours": median(&row.ours),
            "peer": (!row.peer.is_empty()).then_some(row.peer),
            "theirs": (!row.theirs.is_empty()).then(|| median(&row.theirs)),
            "ratio": row.ratio_of_medians(),
            "spreads": row.spreads(),
            "judged_by": if row.judged == Judged::Ratio { "ratio" } else { "ours" },
            "bar": row.bar.map(|bar| match bar {
                Bar::AtMost(value) => json!({ "at_most": value }),
                Bar::AtLeast(value) => json!({ "at_least": value }),
            }),
            "met": row.is_met(),
            "ours_rounds": row.ours,
            "theirs_rounds": row.theirs,
        }),
    };
    let rows: Vec<Value> =
        measured.iter().flat_map(|(group, rows)| rows.iter().map(|row| one(group, row))).collect();
    json!({
        "date": machine::date(),
        "seconds": machine::seconds(),
        "commit": machine::commit(),
        "machine": machine::machine(),
        "kernel": machine::kernel(),
        "libc": machine::libc_version(),
        "rustc": machine::rustc(),
        "load_before": load_before,
        "size": size.name(),
        "rows": rows,
    })
}

/// Under the target directory that this program was built into.
fn default_json_path() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().nth(3).unwrap_or(Path::new("target"));
    target.join("offspring-report.json")
}

/// `benches/record/<date>-<commit>-<size>.json`; cargo runs benchmarks in the package's root.
fn record_path(report: &Value) -> PathBuf {
    let text = |field: &str| report[field].as_str().unwrap_or_default().to_string();
    let name = format!("{}-{}-{}.json", text("date"), text("commit"), text("size"));
    Path::new("benches/record").join(name)
}

fn pretty(report: &Value) -> String {
    serde_json::to_string_pretty(report).expect("plain JSON") + "\n"
}

fn write(path: &Path, text: &str) {
    match std::fs::write(path, text) {
        Ok(()) => println!("wrote {}", path.display()),
        Err(error) => {
            eprintln!("report: cannot write {}: {error}", path.display());
            std::process::exit(1);
        }
    }
}
