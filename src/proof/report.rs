//! What a sweep found, as a table for people and as JSON for scripts.

use super::outcome::{Fault, Outcome};
use super::scenario::Verdict;
use std::fmt::{self, Write};

/// The result of one [`Scenario`](super::Scenario).
#[derive(Clone, Debug)]
#[must_use = "a report may hold failures"]
pub struct Report {
    pub(super) scenario: String,
    counts: [usize; Outcome::ALL.len()],
    pub(super) asleep: usize,
    pub(super) drifted: usize,
    pub(super) effect_at: Option<usize>,
    pub(super) seconds: f64,
    pub(super) is_cut_short: bool,
    pub(super) failures: Vec<Failure>,
}

/// A death that the survivors did not get over; from a [`Scenario`](super::Scenario)'s report.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In a double fault, after how many instructions the first victim died; `None` for its end marker.
    pub first_steps: Option<usize>,
    /// After how many instructions the victim died.
    pub steps: usize,
    /// Whether it was asleep in the system call that is the next instruction.
    pub asleep: bool,
    /// Where it died: the file and the address of the next instruction in it, for `addr2line -Cfie FILE ADDRESS`.
    pub place: String,
    /// What the survivors found.
    pub fault: Option<Fault>,
}

impl Failure {
    pub(super) fn at(first: Option<usize>, steps: usize, asleep: bool, address: u64) -> Failure {
        let place = if address == 0 { String::new() } else { place_of(address) };
        Failure { first_steps: first, steps, asleep, place, fault: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.first_steps {
            write!(f, "first victim at {first}, ")?;
        }
        let asleep = if self.asleep { ", asleep" } else { "" };
        write!(f, "kill point {}{asleep}", self.steps)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        self.fault.as_ref().map_or(Ok(()), |fault| write!(f, ": {fault}"))
    }
}

impl Report {
    pub(super) fn new(scenario: &str) -> Report {
        Report {
            scenario: scenario.to_owned(),
            counts: [0; Outcome::ALL.len()],
            asleep: 0,
            drifted: 0,
            effect_at: None,
            seconds: 0.0,
            is_cut_short: false,
            failures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, verdict: Verdict, mut failure: Failure, drifted: bool) {
        let outcome = verdict.as_ref().map_or_else(Fault::outcome, |_| Outcome::Ok);
        self.counts[outcome as usize] += 1;
        self.asleep += usize::from(failure.asleep);
        self.drifted += usize::from(drifted);
        if let Err(fault) = verdict {
            failure.fault = Some(fault);
            self.failures.push(failure);
        }
    }

    /// The scenario's name.
    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// At how many points a victim was killed (or held).
    pub fn kill_points(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many of them ended this way.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts[outcome as usize]
    }

    /// How many victims were killed while they slept in a system call.
    pub fn asleep(&self) -> usize {
        self.asleep
    }

    /// How many victims had left the recorded way, so that their kill point is not exactly the one it stands for.
    pub fn drifted(&self) -> usize {
        self.drifted
    }

    /// The first kill point at which the check saw an effect of the operation: where it commits.
    pub fn effect_at(&self) -> Option<usize> {
        self.effect_at
    }

    /// How long the sweep took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The deaths that broke something; at most about five, then the sweep is cut short.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Whether every death left the survivors well.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty() && !self.is_cut_short
    }

    /// This report as one JSON object.
    pub fn to_json(&self) -> String {
        let mut json = format!(
            r#"{{"scenario":{},"kill_points":{},"asleep":{},"drifted":{},"effect_at":{}"#,
            quoted(&self.scenario),
            self.kill_points(),
            self.asleep,
            self.drifted,
            number(self.effect_at),
        );
        for outcome in Outcome::ALL {
            let _ = write!(json, r#","{}":{}"#, outcome.name(), self.count(outcome));
        }
        let failures: Vec<String> = self.failures.iter().map(failure_json).collect();
        let _ = write!(
            json,
            r#","seconds":{:.3},"cut_short":{},"failures":[{}]}}"#,
            self.seconds,
            self.is_cut_short,
            failures.join(",")
        );
        json
    }
}

/// Many reports, one line each, and a sum.
///
/// ```
/// use offspring::proof::Table;
/// let table = Table::default();
/// assert!(table.to_string().contains("kill points"));
/// assert_eq!(table.to_json(), "[]");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    reports: Vec<Report>,
}

impl Table {
    /// Adds a line.
    pub fn push(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// The lines.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Whether no line has a failure.
    pub fn is_ok(&self) -> bool {
        self.reports.iter().all(Report::is_ok)
    }

    /// All lines as a JSON array.
    pub fn to_json(&self) -> String {
        let lines: Vec<String> = self.reports.iter().map(Report::to_json).collect();
        format!("[{}]", lines.join(",\n"))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.reports.iter().map(|report| report.scenario.chars().count());
        let width = names.max().unwrap_or(0).max("scenario".len());
        write!(f, "{:width$}  kill points  asleep  drifted  effect at", "scenario")?;
        Outcome::ALL.iter().try_for_each(|outcome| write!(f, " {:>8}", outcome.name()))?;
        writeln!(f, " {:>8}", "seconds")?;
        let mut sums = ([0; 3], [0; Outcome::ALL.len()], 0.0);
        for report in &self.reports {
            let columns = [report.kill_points(), report.asleep, report.drifted];
            let effect = report.effect_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            line(f, width, &report.scenario, columns, &effect, &report.counts, report.seconds)?;
            sums.0.iter_mut().zip(columns).for_each(|(sum, n)| *sum += n);
            sums.1.iter_mut().zip(report.counts).for_each(|(sum, n)| *sum += n);
            sums.2 += report.seconds;
        }
        line(f, width, "sum", sums.0, "", &sums.1, sums.2)?;
        for report in &self.reports {
            for failure in &report.failures {
                writeln!(f, "{}: {failure}", report.scenario)?;
            }
            if report.is_cut_short {
                writeln!(f, "{}: cut short after so many failures", report.scenario)?;
            }
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    width: usize,
    name: &str,
    [points, asleep, drifted]: [usize; 3],
    effect: &str,
    counts: &[usize],
    seconds: f64,
) -> fmt::Result {
    write!(f, "{name:width$}  {points:>11}  {asleep:>6}  {drifted:>7}  {effect:>9}")?;
    counts.iter().try_for_each(|count| write!(f, " {count:>8}"))?;
    writeln!(f, " {seconds:>8.1}")
}

fn failure_json(failure: &Failure) -> String {
    let fault = failure.fault.as_ref();
    format!(
        r#"{{"first_steps":{},"steps":{},"asleep":{},"place":{},"outcome":{},"why":{}}}"#,
        number(failure.first_steps),
        failure.steps,
        failure.asleep,
        quoted(&failure.place),
        quoted(fault.map_or("ok", |fault| fault.outcome().name())),
        quoted(fault.map_or("", Fault::why)),
    )
}

fn number(value: Option<usize>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// The text as a JSON string.
fn quoted(text: &str) -> String {
    let mut json = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => _ = write!(json, "\\u{:04x}", c as u32),
            c => json.push(c),
        }
    }
    json + "\""
}

/// The mapped file that holds this address, and the address relative to where the file begins in memory.
fn place_of(address: u64) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let ranges = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((hex(start)?, hex(end)?, rest.split_whitespace().nth(4).unwrap_or("?")))
    });
    let ranges: Vec<_> = ranges.collect();
    let Some((.., file)) = ranges.iter().find(|range| (range.0..range.1).contains(&address)) else {
        return format!("{address:#x}");
    };
    let base =
        ranges.iter().filter(|range| range.2 == *file).map(|range| range.0).min().unwrap_or(0);
    format!("{} {:#x}", file.rsplit('/').next().unwrap_or(file), address - base)
}
