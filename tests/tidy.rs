//! The rules of the house that a program can check; ARCHITECTURE.md says why they are there.
//!
//! Each rule is a function in `tidy/` from a text to what it finds against it. Here it runs over the tree; in
//! `tidy/snippets.rs` over texts that break it, for a rule that cannot fail is none.

mod support;

#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/snippets.rs"]
mod snippets;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, files, top};
use std::fs;
use support::case;

/// Unsafe sites in `src/`. A ratchet: it may only fall. Whoever needs one more finds another to spare, or argues here.
const UNSAFE_SITES_MAX: usize = 325;

/// Folders of `src/` that hold a protocol.
const PROTOCOLS: [&str; 7] = ["shm", "sync", "queue", "process", "par", "pool", "observe"];

/// A README is one screen.
const README_LINES_MAX: usize = 70;

fn main() {
    support::run(&[
        case!(floors_look_down),
        case!(only_sys_names_the_kernels_crates),
        case!(unsafe_stays_in_its_fence),
        case!(unsafe_has_a_proof),
        case!(unsafe_sites_do_not_grow),
        case!(futexes_are_shared),
        case!(nothing_is_unfinished_or_asleep),
        case!(nothing_is_hidden),
        case!(files_are_short),
        case!(files_say_what_they_are),
        case!(no_machine_is_named),
        case!(protocols_are_explained),
        case!(no_file_is_dead),
        case!(tests_and_benches_are_declared),
        case!(changelog_names_the_version),
        case!(readme_names_the_compiler),
        case!(newcomers_path_exists),
        case!(readme_is_one_screen),
        case!(quotes_are_of_the_examples),
        case!(snippets::code_is_told_from_text),
        case!(snippets::every_rule_can_fail),
        case!(snippets::every_paper_rule_can_fail),
    ])
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust(folders: &[&str]) -> Vec<Source> {
    folders.iter().flat_map(|folder| files(folder, &[".rs"])).collect()
}

/// Fails with all findings of a rule over the files.
fn check(sources: &[Source], rule: fn(&Source) -> Vec<String>) {
    assert!(sources.len() > 2, "expected files to check");
    none(sources.iter().flat_map(rule).collect());
}

fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

const CODE: [&str; 4] = ["src", "tests", "examples", "benches"];

fn floors_look_down() {
    check(&rust(&["src"]), rules::floors);
}

fn only_sys_names_the_kernels_crates() {
    check(&rust(&["src"]), rules::doors);
}

fn unsafe_stays_in_its_fence() {
    check(&rust(&CODE), rules::fence);
}

fn unsafe_has_a_proof() {
    check(&rust(&CODE), rules::safety);
}

fn unsafe_sites_do_not_grow() {
    let count: usize = rust(&["src"]).iter().map(rules::unsafe_sites).sum();
    println!("{count} unsafe sites in src, {UNSAFE_SITES_MAX} allowed");
    assert!(count > 0, "expected to find some");
    assert!(count <= UNSAFE_SITES_MAX, "{count} unsafe sites, more than {UNSAFE_SITES_MAX}");
}

fn futexes_are_shared() {
    check(&rust(&CODE), rules::shared_futexes);
}

fn nothing_is_unfinished_or_asleep() {
    check(&rust(&CODE), rules::finished);
}

fn nothing_is_hidden() {
    check(&rust(&["src"]), rules::nothing_hidden);
}

fn files_are_short() {
    check(&rust(&CODE), rules::length);
}

fn files_say_what_they_are() {
    check(&rust(&CODE), rules::top_comment);
}

fn no_machine_is_named() {
    let endings = [".rs", ".md", ".toml", ".sh", ".pml", ".json", ".ci/run", ".gitignore"];
    check(&files("", &endings), rules::machine_paths);
}

fn protocols_are_explained() {
    let findings = PROTOCOLS.iter().flat_map(|folder| {
        let folder = format!("src/{folder}");
        let readme = fs::read_to_string(top().join(&folder).join("README.md")).ok();
        papers::protocol_page(&folder, readme.as_deref(), &read(&format!("{folder}/mod.rs")))
    });
    none(findings.collect());
}

fn no_file_is_dead() {
    let sources = rust(&["src"]);
    let modules: String = sources.iter().map(|source| source.text.as_str()).collect();
    none(sources.iter().flat_map(|source| papers::dead_file(&source.path, &modules)).collect());
}

fn tests_and_benches_are_declared() {
    let manifest = read("Cargo.toml");
    for (kind, folder) in [("test", "tests"), ("bench", "benches")] {
        let entries = fs::read_dir(top().join(folder)).expect("a folder");
        let names =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let names: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())).collect();
        none(papers::declared(&manifest, kind, &names));
    }
}

fn changelog_names_the_version() {
    none(papers::changelog(&read("Cargo.toml"), &read("CHANGELOG.md")));
}

fn readme_names_the_compiler() {
    none(papers::compiler(&read("Cargo.toml"), &read("README.md")));
}

fn newcomers_path_exists() {
    let mut pages = files("", &[".md"]);
    // The front page of the docs, and what a file's head sends its reader to.
    pages.extend(files("src/lib.rs", &["lib.rs"]));
    assert!(pages.iter().any(|page| page.path == "README.md"));
    none(pages.iter().flat_map(|page| papers::named_things(&page.path, &page.text)).collect());
    for path in ["README.md", "ARCHITECTURE.md", "LICENSE-MIT", "LICENSE-APACHE", ".ci/run"] {
        assert!(top().join(path).exists(), "{path} is missing");
    }
}

fn quotes_are_of_the_examples() {
    let page = "docs/FROM_PYTHON.md";
    none(papers::quotes(page, &read(page)));
    assert!(read("README.md").contains(page), "the newcomer's path leads there");
}

fn readme_is_one_screen() {
    let count = read("README.md").lines().count();
    assert!(count <= README_LINES_MAX, "{count} lines, more than {README_LINES_MAX}");
}
