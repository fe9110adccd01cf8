//! What the examples print with: colours on a terminal alone, numbers in groups, bars, one clear line for bad arguments.
#![allow(dead_code, reason = "each example uses its part")]

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Ends an example: prints `text` in one write. A reader that has left (`… | head`) is no error.
pub(crate) fn show(text: &str, status: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failure(&error),
        _ => status,
    }
}

/// One line on standard error, and the exit status for arguments that cannot be used.
pub(crate) fn misuse(error: &dyn Display) -> ExitCode {
    complain(&format!("{error} (see --help)"));
    ExitCode::from(2)
}

/// One line on standard error, and the exit status for everything else that went wrong.
pub(crate) fn failure(error: &dyn Display) -> ExitCode {
    complain(error);
    ExitCode::from(1)
}

/// One line on standard error, after the example's name.
pub(crate) fn complain(error: &dyn Display) {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&name).file_name().unwrap_or_default().display().to_string();
    // One write, so that lines of several processes do not mix; and nothing can be done about a closed stream.
    let _ = io::stderr().write_all(format!("{name}: {error}\n").as_bytes());
}

/// The value of a numeric option.
pub(crate) fn number(
    parser: &mut lexopt::Parser,
    name: &str,
    min: u64,
    max: u64,
) -> Result<u64, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("{name} takes a number from {min} to {max}, not {value:?}"))
}

/// How a piece of text stands out on a terminal.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Title = 1,
    Quiet = 2,
    Bad = 31,
    Good = 32,
}

/// `text` in `style`, if standard output is a terminal and the user does not mind (<https://no-color.org>).
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !io::stdout().is_terminal() {
        return text.to_string();
    }
    format!("\x1b[{}m{text}\x1b[0m", style as u8)
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A bar of `width` cells, filled to `share` (0 to 1) in steps of an eighth of a cell.
pub(crate) fn bar(share: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let part = PARTS[eighths % 8];
    let used = eighths / 8 + usize::from(!part.is_empty());
    format!("{}{part}{}", "█".repeat(eighths / 8), "·".repeat(width - used))
}
