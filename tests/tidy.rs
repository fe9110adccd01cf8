//! The rules of the house that a program can check; ARCHITECTURE.md says why they are there.
//!
//! Each rule is a function in `tidy/` from a text to what it finds against it. Here it runs over the tree; in
//! `tidy/snippets.rs` over texts that break it, for a rule that cannot fail is none.

mod support;

#[path = "../benches/draw/mod.rs"]
mod draw;
#[path = "tidy/licences.rs"]
mod licences;
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

/// What a newcomer reads and runs, in this order: README, examples, tutorial, docs, source, tests. Each file is named in one before it, and
/// each command in its own file or one before.
const NEWCOMERS_PATH: [(&str, &[&str]); 16] = [
    ("README.md", &["cargo run --release --example 01_counter_race", "cargo test"]),
    ("examples/01_counter_race.rs", &[]),
    ("examples/07_pool.rs", &[]),
    ("examples/12_survive.rs", &[]),
    ("docs/FROM_PYTHON.md", &["cargo run --example tutorial"]),
    ("examples/tutorial/main.rs", &[]),
    ("src/lib.rs", &["cargo doc --open"]),
    ("docs/COMPARED.md", &[]),
    ("docs/CRASH_SAFETY.md", &["cargo test --test kill_matrix", "cargo test --test random_death"]),
    ("docs/PERFORMANCE.md", &["cargo bench --bench report"]),
    ("benches/README.md", &["cargo bench --bench report -- --quick"]),
    ("ARCHITECTURE.md", &[]),
    ("src/sync/README.md", &[]),
    ("src/sync/lock_core.rs", &[]),
    ("tests/kill_matrix.rs", &[]),
    ("models/README.md", &["models/run.sh", "models/loom.sh", "models/mutants.sh"]),
];

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
        case!(licences::dependencies_are_free_to_use),
        case!(licences::expressions_are_understood),
        case!(changelog_names_the_version),
        case!(readme_names_the_compiler),
        case!(what_pages_name_exists),
        case!(newcomers_path_exists),
        case!(readme_is_one_screen),
        case!(quotes_are_of_the_examples),
        case!(performance_is_drawn_from_the_newest_record),
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

fn what_pages_name_exists() {
    let mut pages = files("", &[".md"]);
    // The front page of the docs, and what a file's head sends its reader to.
    pages.extend(files("src/lib.rs", &["lib.rs"]));
    assert!(pages.iter().any(|page| page.path == "README.md"));
    none(pages.iter().flat_map(|page| papers::named_things(&page.path, &page.text)).collect());
    for path in ["README.md", "ARCHITECTURE.md", "LICENSE-MIT", "LICENSE-APACHE", ".ci/run"] {
        assert!(top().join(path).exists(), "{path} is missing");
    }
    // The README leads to every page in docs/.
    let readme = read("README.md");
    for page in files("docs", &[".md"]) {
        assert!(readme.contains(&format!("]({})", page.path)), "no way to {}", page.path);
    }
}

fn newcomers_path_exists() {
    none(papers::path(&NEWCOMERS_PATH, |file| fs::read_to_string(top().join(file)).ok()));
}

fn quotes_are_of_the_examples() {
    let page = "docs/FROM_PYTHON.md";
    none(papers::quotes(page, &read(page)));
    assert!(read("README.md").contains(page), "the newcomer's path leads there");
}

fn performance_is_drawn_from_the_newest_record() {
    let drawn = draw::drawn(top()).expect("a record and the page");
    assert!(drawn.len() > 5, "a page and its plots");
    let advice = "is not what the newest record gives: cargo bench --bench report -- --draw";
    for (path, text) in &drawn {
        // As `--draw`, where nothing of the benchmarks has been built.
        if std::env::var_os("OFFSPRING_BLESS").is_some() {
            fs::write(top().join(path), text).expect("write a plot");
        }
        let found = fs::read_to_string(top().join(path)).unwrap_or_default();
        assert!(found == *text, "{} {advice}", path.display());
    }
    for entry in fs::read_dir(top().join("docs/plots")).expect("plots") {
        let path = std::path::Path::new("docs/plots").join(entry.expect("an entry").file_name());
        assert!(drawn.iter().any(|file| file.0 == path), "{} is of no group", path.display());
    }
}

fn readme_is_one_screen() {
    let count = read("README.md").lines().count();
    assert!(count <= README_LINES_MAX, "{count} lines, more than {README_LINES_MAX}");
}
