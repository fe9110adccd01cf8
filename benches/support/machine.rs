//! Where and with what a run was made, for the records.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The CPU's model, how many of them this process may use, and the memory.
pub(crate) fn machine() -> String {
    let model = field_of("/proc/cpuinfo", "model name");
    let memory = field_of("/proc/meminfo", "MemTotal");
    format!("{model}, {} CPUs, {memory}", super::kernel::cpus().len())
}

/// The kernel's release.
pub(crate) fn kernel() -> String {
    read("/proc/sys/kernel/osrelease").trim().to_string()
}

/// The C library's name and version.
pub(crate) fn libc_version() -> String {
    first_line_of("getconf", &["GNU_LIBC_VERSION"])
}

/// The compiler's version.
pub(crate) fn rustc() -> String {
    first_line_of("rustc", &["--version"])
}

/// The commit that was measured, with `-dirty` where the tree differs from it.
pub(crate) fn commit() -> String {
    let commit = first_line_of("git", &["rev-parse", "--short=10", "HEAD"]);
    let is_clean = || {
        let status = Command::new("git").args(["diff", "--quiet", "HEAD"]).status();
        status.is_ok_and(|status| status.success())
    };
    if commit == "unknown" || is_clean() { commit } else { commit + "-dirty" }
}

/// How many tasks were running or wanted to, over the last minute.
pub(crate) fn load() -> f64 {
    let text = read("/proc/loadavg");
    text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(f64::NAN)
}

/// Today in UTC, as `2026-01-31`.
pub(crate) fn date() -> String {
    let (year, month, day) = civil_from_days((seconds() / 86_400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Seconds since 1970: which record of a day is the latest.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The Gregorian date of a day count since 1970 (Howard Hinnant's `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field_of(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find(|line| line.starts_with(name)).and_then(|l| l.split_once(':'));
    value.map_or("unknown".to_string(), |(_, value)| value.trim().to_string())
}

/// The first line that a command prints, `unknown` if it fails or prints nothing.
fn first_line_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
    text.lines().next().unwrap_or("unknown").to_string()
}
