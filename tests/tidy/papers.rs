//! The rules for what goes with the code: manifest, changelog, the pages that lead a newcomer.

use crate::source::top;
use std::fs;

/// The value of `key = "…"` in the first section that has it.
fn value_of(manifest: &str, key: &str) -> Option<String> {
    let line =
        manifest.lines().find(|line| line.split('=').next().is_some_and(|k| k.trim() == key))?;
    Some(line.split('"').nth(1)?.to_owned())
}

/// The changelog has a heading for the version in the manifest.
pub(crate) fn changelog(manifest: &str, changelog: &str) -> Vec<String> {
    let version = value_of(manifest, "version").expect("a version in Cargo.toml");
    let heading = format!("## [{version}]");
    match changelog.lines().any(|line| line.starts_with(&heading)) {
        true => Vec::new(),
        false => vec![format!("CHANGELOG.md: expected a heading `{heading}`")],
    }
}

/// The README names the oldest compiler that the manifest allows.
pub(crate) fn compiler(manifest: &str, readme: &str) -> Vec<String> {
    let version = value_of(manifest, "rust-version").expect("a rust-version in Cargo.toml");
    match readme.contains(&format!("Rust {version}")) {
        true => Vec::new(),
        false => vec![format!("README.md: expected `Rust {version}`, as in Cargo.toml")],
    }
}

/// What stands in `tests/` and `benches/` is declared in the manifest, and the other way round; test binaries have our runner.
pub(crate) fn declared(manifest: &str, kind: &str, files: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut names = Vec::new();
    for section in manifest.split(&format!("[[{kind}]]")).skip(1) {
        let section = section.split("\n[").next().unwrap_or(section);
        let name = value_of(section, "name").unwrap_or_default();
        if !section.lines().any(|line| line.replace(' ', "") == "harness=false") {
            findings.push(format!("Cargo.toml: [[{kind}]] {name} lacks `harness = false`"));
        }
        names.push(name);
    }
    for file in files.iter().filter(|file| !names.contains(file)) {
        findings.push(format!("Cargo.toml: expected a [[{kind}]] for {file}.rs, which never runs"));
    }
    for name in names.iter().filter(|name| !files.contains(name)) {
        findings.push(format!("Cargo.toml: [[{kind}]] {name} has no file"));
    }
    findings
}

/// Every file and command that a page names is there.
pub(crate) fn named_things(page: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut expect = |path: &str| {
        if !top().join(path).exists() {
            findings.push(format!("{page}: names `{path}`, which is not there"));
        }
    };
    // Links.
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        // Those of the pages in src/ are rustdoc's.
        let folder = if page.starts_with("docs/") { "docs/" } else { "" };
        let is_ours = page.strip_prefix(folder).is_some_and(|name| !name.contains('/'));
        if !link.contains("://") && !link.starts_with('#') && is_ours {
            expect(&format!("{folder}{}", link.split('#').next().unwrap_or(link)));
        }
    }
    for line in text.lines() {
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || "`()[]|,;\"".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        for word in &words {
            // Paths from the top.
            let folders = ["src/", "tests/", "benches/", "examples/", "models/", "docs/", ".ci/"];
            let word = word.trim_end_matches(['.', ':']);
            let is_pattern = word.contains(['*', '<', '{', '…']);
            if folders.iter().any(|folder| word.starts_with(folder)) && !is_pattern {
                expect(word);
            }
        }
        // Commands.
        for pair in words.windows(2) {
            match pair {
                ["--example", name] if top().join(format!("examples/{name}/main.rs")).exists() => {}
                ["--example", name] => expect(&format!("examples/{name}.rs")),
                ["--bench", name] => expect(&format!("benches/{name}.rs")),
                ["--test", name] => expect(&format!("tests/{name}.rs")),
                _ => {}
            }
        }
    }
    findings
}

/// Each file of the path is there, and named in one before it, by its path or by a link to it; its commands stand in it, or in one before, and what they
/// run is there.
pub(crate) fn path(
    steps: &[(&str, &[&str])],
    read: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let mut so_far = String::new();
    for (index, (file, commands)) in steps.iter().enumerate() {
        if index > 0 && !so_far.contains(file) {
            findings.push(format!("{file}: nothing before it on the newcomer's path names it"));
        }
        match read(file) {
            Some(text) => so_far += &text,
            None => findings.push(format!("{file}: on the newcomer's path, and not there")),
        }
        for command in *commands {
            if !so_far.contains(command) {
                findings.push(format!("{file}: does not say `{command}`, nor does what is before"));
            }
            findings.extend(named_things(file, command));
        }
    }
    findings
}

/// The Rust code on a page that shows examples is theirs: a block's first line names a file, and the rest stands in that file, line by line; where it
/// says `// …`, lines of the file are left out.
pub(crate) fn quotes(page: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for block in text.split("\n```rust").skip(1).filter_map(|rest| rest.split("\n```").next()) {
        let (name, code) = block.trim_start_matches('\n').split_once('\n').unwrap_or((block, ""));
        let path = name.strip_prefix("// ").unwrap_or("a comment with a path");
        let Ok(file) = fs::read_to_string(top().join(path)) else {
            findings.push(format!("{page}: a block begins with {name:?}, which names no file"));
            continue;
        };
        let (code, mut file) = (format!("\n{code}\n"), format!("\n{file}"));
        for part in code.split("\n// …") {
            match file.find(&format!("{}\n", part.trim_end())) {
                Some(at) if !part.trim().is_empty() => file.drain(..at + part.trim_end().len()),
                _ => {
                    findings.push(format!("{page}: this is not in {path}:\n{part}"));
                    break;
                }
            };
        }
    }
    findings
}

/// A folder that holds a protocol explains it, in its docs.
pub(crate) fn protocol_page(folder: &str, readme: Option<&str>, module: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = readme.map_or(0, |readme| readme.lines().count());
    if lines < 20 {
        findings.push(format!("{folder}/README.md: {lines} lines do not explain a protocol"));
    }
    if !module.contains("include_str!(\"README.md\")") {
        findings.push(format!("{folder}/mod.rs: expected `#![doc = include_str!(\"README.md\")]`"));
    }
    findings
}

/// A file below `src/` that no other declares is not compiled.
pub(crate) fn dead_file(path: &str, modules: &str) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    let name = match name {
        "mod" => path.rsplit('/').nth(1).unwrap_or(path),
        name => name,
    };
    let declared = [format!("mod {name};"), format!("mod {name} {{"), format!("/{name}.rs\"")];
    match path == "src/lib.rs" || declared.iter().any(|text| modules.contains(text.as_str())) {
        true => Vec::new(),
        false => vec![format!("{path}: no `mod {name};`, so it is not compiled")],
    }
}
