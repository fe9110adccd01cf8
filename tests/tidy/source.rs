//! A file of the tree, with its code told from its comments and strings.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the tree.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file, as rules see it.
pub(crate) struct Source {
    /// Relative to the top, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text of a Rust file with comments, strings and characters blanked out; lines stay where they are.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Source {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { code_of(&text) } else { String::new() };
        Source { path, text, code }
    }

    /// A finding at a line (counted from 0).
    pub(crate) fn finding(&self, line: usize, what: impl AsRef<str>) -> String {
        format!("{}:{}: {}", self.path, line + 1, what.as_ref())
    }

    /// A finding for each line of the code in which one of `words` occurs.
    pub(crate) fn findings_of(&self, words: &[&str], what: &str) -> Vec<String> {
        let mut findings = Vec::new();
        for (line, code) in self.code.lines().enumerate() {
            for word in words.iter().filter(|word| code.contains(**word)) {
                findings.push(self.finding(line, format!("`{word}`: {what}")));
            }
        }
        findings
    }

    /// How many lines have code on them.
    pub(crate) fn code_line_count(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }
}

/// All text files below `folder` of the tree whose name ends with one of `endings`, in order.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&top().join(folder), &mut paths);
    paths.sort();
    let wanted = |path: &&PathBuf| endings.iter().any(|end| path.to_string_lossy().ends_with(end));
    let read = |path: &PathBuf| {
        let relative = path.strip_prefix(top()).expect("below the top");
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Source::new(relative.to_string_lossy(), text)
    };
    paths.iter().filter(wanted).map(read).collect()
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) {
    if path.is_file() {
        paths.push(path.to_owned());
        return;
    }
    let skipped = [top().join(".git"), top().join("target"), top().join("models/out")];
    if skipped.iter().any(|skipped| skipped == path) {
        return;
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| !kind.is_symlink())) {
        collect(&entry.path(), paths);
    }
}

/// Blanks comments, strings and characters; newlines stay.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => find(bytes, at, b"\n"),
            [b'/', b'*', ..] => comment_end(bytes, at),
            [b'r', ..] | [b'b', b'r', ..] | [b'c', b'r', ..] if !in_word(bytes, at) => {
                raw_string_end(bytes, at).unwrap_or(at)
            }
            [b'"', ..] => string_end(bytes, at),
            [b'\'', ..] => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in code[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole characters were blanked")
}

fn in_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

/// Where `what` begins, from `at` on; the end of the text if nowhere.
fn find(bytes: &[u8], at: usize, what: &[u8]) -> usize {
    let found = bytes[at..].windows(what.len()).position(|window| window == what);
    found.map_or(bytes.len(), |found| at + found)
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < bytes.len() && depth > 0 {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    bytes.len().min(at + 1)
}

/// The end of `r"…"`, `br#"…"#` and their kin; `None` if it is none.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let marks = find(bytes, start, b"r") + 1;
    let hashes = bytes[marks..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(marks + hashes) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    Some(bytes.len().min(find(bytes, marks + hashes + 1, &close) + close.len()))
}

/// The end of `'x'` or `'\n'`; `None` for a lifetime.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        return Some(bytes.len().min(find(bytes, start + 3, b"'") + 1));
    }
    // A character is up to four bytes, and then the quote; a lifetime has none so near, or a quote of another character.
    let text = std::str::from_utf8(&bytes[start + 1..bytes.len().min(start + 5)]);
    let text = text.unwrap_or_else(|error| {
        std::str::from_utf8(&bytes[start + 1..start + 1 + error.valid_up_to()]).unwrap_or("")
    });
    let length = text.chars().next()?.len_utf8();
    (bytes.get(start + 1 + length) == Some(&b'\'')).then_some(start + length + 2)
}
