//! The public API is the listed one: nothing disappears, changes or appears unnoticed.
//!
//! `api/public.txt` is what users may rely on, one item a line. After a change that is meant,
//! `OFFSPRING_BLESS=1 cargo test --test api` writes it anew, and its diff is what the changelog has to tell.
//! (`cargo semver-checks` and its kin read rustdoc's JSON, which no stable compiler writes.)

mod support;

#[path = "api/listing.rs"]
mod listing;
#[path = "api/shown.rs"]
mod shown;
#[path = "api/tiny.rs"]
mod tiny;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use support::case;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/public.txt");

/// Where the crate's pages are. Written once, before the cases begin.
static PAGES: LazyLock<PathBuf> = LazyLock::new(documented);

fn main() {
    LazyLock::force(&PAGES);
    support::run_on(
        2,
        &[
            case!(public_items_are_the_listed_ones),
            case!(public_items_are_shown),
            case!(every_change_is_seen).deadline_s(600),
            case!(what_is_not_shown_is_seen).deadline_s(600),
        ],
    )
}

fn public_items_are_the_listed_ones() {
    let listed: BTreeSet<String> =
        fs::read_to_string(BASELINE).unwrap_or_default().lines().map(str::to_owned).collect();
    let found = listing::of(&PAGES);
    assert!(found.len() > 100, "only {} public items: were the pages read?", found.len());
    if std::env::var_os("OFFSPRING_BLESS").is_some() {
        let text: String = found.iter().map(|line| format!("{line}\n")).collect();
        fs::write(BASELINE, text).expect("write the listing");
        return;
    }
    let gone: Vec<&String> = listed.difference(&found).collect();
    let new: Vec<&String> = found.difference(&listed).collect();
    for line in &gone {
        println!("gone or changed, which breaks users: {line}");
    }
    for line in &new {
        println!("not listed: {line}");
    }
    let advice =
        "if that is meant: OFFSPRING_BLESS=1 cargo test --test api, and tell it in CHANGELOG.md";
    assert!(gone.is_empty() && new.is_empty(), "{} gone, {} new; {advice}", gone.len(), new.len());
}

fn public_items_are_shown() {
    let missing = shown::missing(&PAGES);
    assert!(missing.is_empty(), "{} findings:\n{}", missing.len(), missing.join("\n"));
}

/// The crate's pages, with all that users can switch on, fresh.
fn documented() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("below the target folder");
    let pages = target.join("doc/offspring");
    // Else cargo takes the pages of other features for these.
    let _ = fs::remove_file(pages.join("index.html"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg("--offline");
    cargo.args(["doc", "--quiet", "--no-deps", "--lib", "--features", &features().join(",")]);
    cargo.arg("--target-dir").arg(target);
    assert!(cargo.status().expect("run cargo").success(), "the docs do not build");
    pages
}

/// The features that are for users: all but the one for the proofs' own test.
fn features() -> Vec<String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("read the manifest");
    let section = manifest.split_once("\n[features]\n").expect("features").1;
    let section = section.split("\n[").next().unwrap_or(section);
    let names = section.lines().filter_map(|line| line.split_once(" = ["));
    let names: Vec<String> =
        names.map(|(name, _)| name.to_owned()).filter(|name| name != "mutants").collect();
    assert!(names.contains(&"kill-matrix".to_owned()), "{names:?}");
    names
}

/// Every mutant of a tiny crate lacks a line that the crate has.
fn every_change_is_seen() {
    let mutants = tiny::MUTANTS.iter().map(|(what, old, new)| {
        assert!(tiny::CRATE.contains(old), "{what}: the crate has no {old:?}");
        tiny::CRATE.replacen(old, new, 1)
    });
    // All in one crate, a module each; a comment is no change.
    let same = [tiny::CRATE.to_owned(), format!("// Again.\n{}", tiny::CRATE)];
    let modules = same.into_iter().chain(mutants).enumerate();
    let text: String =
        modules.map(|(at, text)| format!("pub mod m{at} {{\n{text}\n}}\n")).collect();
    let lines = tiny_listing(&text);
    let of = |at: usize| -> BTreeSet<String> {
        let prefix = format!("m{at}::");
        let own = lines.iter().filter(|line| line.starts_with(&prefix));
        own.map(|line| line.replace(&prefix, "")).collect()
    };
    let whole = of(0);
    assert!(whole.len() > 40, "{whole:#?}");
    assert_eq!(whole, of(1));
    for (at, (what, ..)) in tiny::MUTANTS.iter().enumerate() {
        assert!(!whole.is_subset(&of(at + 2)), "{what}: unnoticed");
    }
}

fn tiny_listing(text: &str) -> BTreeSet<String> {
    listing::of(&tiny_pages("api-tiny", text))
}

fn tiny_pages(folder: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("make a folder");
    fs::write(folder.join("tiny.rs"), text).expect("write the crate");
    let rustdoc = Path::new(env!("CARGO")).with_file_name("rustdoc");
    let rustdoc = if rustdoc.exists() { rustdoc } else { PathBuf::from("rustdoc") };
    let mut rustdoc = Command::new(rustdoc);
    rustdoc.current_dir(&folder).args([
        "--edition=2024",
        "--cap-lints=allow",
        "-o",
        ".",
        "tiny.rs",
    ]);
    assert!(rustdoc.status().expect("run rustdoc").success(), "rustdoc refuses:\n{text}");
    folder.join("tiny")
}

/// Of a tiny crate's items exactly those without an example.
fn what_is_not_shown_is_seen() {
    let missing = shown::missing(&tiny_pages("api-shown", tiny::SHOWN));
    let expected = [
        "fn.alone.html: no example, and no link to an item with one",
        "part/struct.Lonely.html: no example, and no link to an item with one",
        "part/struct.Lonely.html: `new` is in no example",
        "struct.Engine.html: `stop` is in no example",
    ];
    assert_eq!(missing, expected);
}
