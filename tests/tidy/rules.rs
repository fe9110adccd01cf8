//! The rules for one file: each returns what it found against it.

use crate::source::Source;

/// The floors, from the ground up; see ARCHITECTURE.md.
const FLOORS: [&[&str]; 9] = [
    &["error", "deadline", "prim", "news"],
    &["sys"],
    &["shm"],
    &["sync"],
    &["queue"],
    &["process"],
    &["par", "pool"],
    &["observe"],
    &["proof"],
];

/// Files that may hold `unsafe`; a folder stands for its files. Whoever adds one says in review why it is needed.
const FENCED: &[&str] = &[
    "src/sys/",
    "src/shm/catalogue.rs",
    "src/shm/live.rs",
    "src/shm/region.rs",
    "src/shm/roster.rs",
    "src/shm/safe.rs",
    "src/shm/shared.rs",
    "src/pool/annex.rs",
    "src/pool/builder.rs",
    "src/pool/job.rs",
    "src/pool/passage.rs",
    "src/pool/shop.rs",
    "src/pool/slot.rs",
    "src/pool/wire.rs",
    "src/pool/worker.rs",
    "src/sync/barrier.rs",
    "src/sync/condvar.rs",
    "src/sync/counter.rs",
    "src/sync/event.rs",
    "src/sync/model/",
    "src/sync/mutex.rs",
    "src/sync/once.rs",
    "src/sync/raw_mutex.rs",
    "src/sync/reentrant.rs",
    "src/sync/rwlock.rs",
    "src/sync/rwlock_guards.rs",
    "src/sync/semaphore.rs",
    "src/queue/codec.rs",
    "src/queue/message/store.rs",
    "src/queue/message/view.rs",
    "src/queue/model/",
    "src/queue/ring.rs",
    "src/queue/work/store.rs",
    "src/par/chunks.rs",
    "src/par/options.rs",
    "src/par/outbox.rs",
    "src/par/shared_vec.rs",
    "src/par/slots.rs",
    "src/par/veil.rs",
    "src/process/board.rs",
    "src/process/builder.rs",
    "src/process/fork_server/landing.rs",
    "src/process/fork_server/server.rs",
    "src/process/last_words.rs",
    "src/process/outcome.rs",
    "src/process/seat.rs",
    "src/proof/",
];

/// The longest file, in lines of code.
pub(crate) const CODE_LINES_MAX: usize = 400;

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// `src/sync/mutex.rs` is on floor 3. `None` for the door.
fn own_floor(path: &str) -> Option<usize> {
    let inside = path.strip_prefix("src/")?;
    floor_of(inside.split('/').next()?.trim_end_matches(".rs"))
}

/// A floor uses itself and lower floors, by their own names and not through the door.
pub(crate) fn floors(source: &Source) -> Vec<String> {
    if source.path == "src/lib.rs" || !source.path.starts_with("src/") {
        return Vec::new();
    }
    let Some(own) = own_floor(&source.path) else {
        return vec![source.finding(0, "is on no floor; see FLOORS in tests/tidy/rules.rs")];
    };
    let mut findings = Vec::new();
    for (at, _) in source.code.match_indices("crate::") {
        let line = source.code[..at].matches('\n').count();
        for name in names_after(&source.code[at + "crate::".len()..]) {
            match floor_of(name) {
                Some(floor) if floor <= own => {}
                Some(_) => {
                    findings.push(source.finding(line, format!("uses `{name}`, a floor above")))
                }
                None => {
                    findings.push(source.finding(line, format!("uses `{name}` through the door")))
                }
            }
        }
    }
    // `crate` by other names: so many `super` lead from a module to the door.
    let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
    let ladder = "super::".repeat(depth.max(1));
    findings
        .extend(source.findings_of(&[&ladder, "extern crate", "::offspring"], "name the floor"));
    findings
}

/// The first names of the paths behind `crate::`: one, or those of a group in braces.
fn names_after(code: &str) -> Vec<&str> {
    let word =
        |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = code.strip_prefix('{') else {
        return vec![&code[..word(code)]];
    };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && c.is_alphanumeric() => {
                names.push(&group[at..at + word(&group[at..])]);
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// Only `sys/` names the kernel's crates. The one exception is the error's errno, which it carries for everybody.
pub(crate) fn doors(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || source.path.starts_with("src/sys/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, code) in source.code.lines().enumerate() {
        let code = match source.path.as_str() {
            "src/error.rs" => code.replace("nix::errno::Errno", ""),
            _ => code.replace("parking_lot::lock_api", ""),
        };
        for name in ["libc", "nix", "memmap2", "parking_lot"] {
            if has_word(&code, name) {
                findings.push(source.finding(line, format!("names `{name}`; only src/sys may")));
            }
        }
    }
    findings
}

/// Whether a word stands in the code as a path's beginning: `libc::…`, `use libc`, but not `sys::libc_call`.
fn has_word(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let begins = !before.ends_with(is_name) && !before.ends_with("crate::sys::");
        let is_path = after.starts_with("::") || after.trim_start().starts_with([';', '{']);
        begins && is_path && !after.starts_with(is_name)
    })
}

/// A file with `unsafe` says so at its head, and is on the list. (In tests the compiler's lint is enough.)
pub(crate) fn fence(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let is_unsafe = source.code.lines().any(|code| words(code).any(|word| word == "unsafe"));
    let mut findings = Vec::new();
    let listed = FENCED.iter().any(|fenced| match fenced.ends_with('/') {
        true => source.path.starts_with(fenced),
        false => source.path == *fenced,
    });
    if is_unsafe && !listed {
        findings
            .push(source.finding(0, "has `unsafe` and is not in FENCED in tests/tidy/rules.rs"));
    }
    // The head is comments, blank lines and the file's own attributes.
    let code = source.code.trim_start();
    let head: String = code[..head_length(code)].split_whitespace().collect();
    if is_unsafe && !head.contains("expect(unsafe_code") {
        findings
            .push(source.finding(0, "has `unsafe` and no `#![expect(unsafe_code)]` at its head"));
    }
    findings
}

/// How much of the code is `#![…]` attributes from the beginning on.
fn head_length(code: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = code[at..].trim_start();
        let start = code.len() - rest.len();
        if !rest.starts_with("#![") {
            return at;
        }
        let mut depth = 0;
        let close = rest.find(|c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ']' && depth == 0
        });
        match close {
            Some(close) => at = start + close + 1,
            None => return at,
        }
    }
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether a line of code opens an unsafe block or implementation.
fn opens_unsafe(code: &str) -> bool {
    code.match_indices("unsafe").any(|(at, word)| {
        let after = code[at + word.len()..].trim_start();
        after.starts_with('{') || after.starts_with("impl") || after.is_empty()
    })
}

/// Each unsafe block and implementation has its own SAFETY comment above; each unsafe function or trait a `# Safety`.
pub(crate) fn safety(source: &Source) -> Vec<String> {
    let (text, code): (Vec<&str>, Vec<&str>) =
        (source.text.lines().collect(), source.code.lines().collect());
    let mut findings = Vec::new();
    for line in 0..code.len() {
        if opens_unsafe(code[line]) && !has_safety_above(&text, &code, line) {
            findings.push(source.finding(line, "`unsafe` without a SAFETY comment of its own"));
        }
        let declares = ["unsafe fn", "unsafe trait"].iter().any(|word| code[line].contains(word));
        let is_ours = code[line].trim_start().starts_with("pub");
        let docs = text[..line].iter().rev().take_while(|above| is_remark(above));
        if declares && is_ours && !docs.into_iter().any(|above| above.contains("# Safety")) {
            findings.push(source.finding(line, "an unsafe item without a `# Safety` section"));
        }
    }
    findings
}

fn is_remark(line: &str) -> bool {
    line.trim_start().starts_with("//") || line.trim_start().starts_with("#[")
}

/// Walks up from an unsafe line through its own statement and the comment above that.
fn has_safety_above(text: &[&str], code: &[&str], line: usize) -> bool {
    for above in (0..line).rev() {
        if is_remark(text[above]) {
            let comment = text[..=above].iter().rev().take_while(|line| is_remark(line));
            return comment.into_iter().any(|line| line.contains("SAFETY:"));
        }
        let end = code[above].trim_end();
        if end.is_empty() || end.ends_with([';', '}']) || opens_unsafe(end) {
            return false;
        }
    }
    false
}

/// How many unsafe sites a file has: blocks, implementations, functions, traits.
pub(crate) fn unsafe_sites(source: &Source) -> usize {
    let without_attributes = source.code.replace("unsafe_code", "");
    without_attributes.lines().flat_map(words).filter(|word| *word == "unsafe").count()
}

/// Every sleeper may be in another process.
pub(crate) fn shared_futexes(source: &Source) -> Vec<String> {
    let what = "a sleeper in another process would not be found";
    source.findings_of(
        &["FUTEX_PRIVATE_FLAG", "FUTEX_WAIT_PRIVATE", "FUTEX_WAKE_PRIVATE", "FUTEX2_PRIVATE"],
        what,
    )
}

/// Where a nap is not a way to synchronise: the kill harness polls /proc, which nothing announces; the tutorial has work that waits.
const NAPS: [&str; 3] = ["benches/", "src/proof/actor.rs", "examples/tutorial/executors.rs"];

/// Nothing unfinished, nothing skipped, nothing that sleeps for a guessed time.
pub(crate) fn finished(source: &Source) -> Vec<String> {
    let mut findings = source.findings_of(&["todo!", "unimplemented!", "dbg!"], "unfinished");
    findings.extend(source.findings_of(&["#[ignore"], "a test runs or is not there"));
    let sleeps = ["thread::sleep", "nanosleep", "usleep", "sleep_ms"];
    if !NAPS.iter().any(|path| source.path.starts_with(path)) {
        findings.extend(source.findings_of(&sleeps, "wait for what you wait for"));
    }
    findings
}

/// The library starts no threads and leaves no names behind.
pub(crate) fn nothing_hidden(source: &Source) -> Vec<String> {
    // The model checkers' own threads are tests.
    if !source.path.starts_with("src/") || source.path.contains("/model/") {
        return Vec::new();
    }
    let hidden =
        ["thread::spawn", "thread::Builder", "thread::scope", "shm_open", "sem_open", "mkfifo"];
    source.findings_of(&hidden, "nothing hidden, nothing left behind")
}

/// One noun a file.
pub(crate) fn length(source: &Source) -> Vec<String> {
    let count = source.code_line_count();
    let what = format!("{count} lines of code, more than {CODE_LINES_MAX}");
    if count > CODE_LINES_MAX { vec![source.finding(0, what)] } else { Vec::new() }
}

/// No path of the machine on which something was written. (Cut in two, or this file would not pass.)
pub(crate) fn machine_paths(source: &Source) -> Vec<String> {
    let paths = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/tmp/tar", "get"),
    ];
    let mut findings = Vec::new();
    for (line, text) in source.text.lines().enumerate() {
        // At a path's beginning: `src/queue/…` may have a folder of any name.
        let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let begins =
            |path: &str| text.match_indices(path).any(|(at, _)| !text[..at].ends_with(is_part));
        for path in paths.iter().filter(|path| begins(path)) {
            findings.push(source.finding(line, format!("names `{path}…`, a path of one machine")));
        }
    }
    findings
}

/// A file opens by saying what it is.
pub(crate) fn top_comment(source: &Source) -> Vec<String> {
    let says = ["//!", "#![doc", "#![cfg_attr(not(any(loom, shuttle)), doc"];
    let opens = says.iter().any(|start| source.text.starts_with(start));
    if opens {
        Vec::new()
    } else {
        vec![source.finding(0, "does not open with what it is (`//!`)")]
    }
}
