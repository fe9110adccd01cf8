//! Texts that break the rules, and their neighbours that do not.

use crate::papers;
use crate::rules;
use crate::source::Source;

type Rule = fn(&Source) -> Vec<String>;

/// Each bad text has at least one finding, each good one none.
fn tell_apart(name: &str, rule: Rule, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    for (path, text) in bad {
        assert!(
            !rule(&Source::new(*path, *text)).is_empty(),
            "{name} lets pass, in {path}:\n{text}"
        );
    }
    for (path, text) in good {
        let findings = rule(&Source::new(*path, *text));
        assert!(findings.is_empty(), "{name} finds {findings:?} in {path}:\n{text}");
    }
}

pub(crate) fn code_is_told_from_text() {
    let code = |text: &str| Source::new("a.rs", text).code;
    assert_eq!(code("a // b\nc"), "a     \nc");
    assert_eq!(code("a /* b /* c */ d */ e"), "a                   e");
    assert_eq!(code("x(\"a \\\" b\") + y"), "x(        ) + y");
    assert_eq!(code("x(r#\"a \" // b\"#) y"), "x(             ) y");
    assert_eq!(code("x(b\"a\", c\"b\", '\"', '\\'', 'ä') y").replace(' ', ""), "x(b,c,,,)y");
    assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    assert_eq!(code("for r in 0..2 {}"), "for r in 0..2 {}");
    assert_eq!(code("\"ä\nö\"").trim(), "");
}

pub(crate) fn every_rule_can_fail() {
    tell_apart(
        "floors",
        rules::floors,
        &[
            ("src/sync/a.rs", "use crate::queue::RingQueue;"),
            ("src/sys/a.rs", "use crate::shm::roster;"),
            ("src/shm/a.rs", "fn f() { crate::process::spawn(|| ()); }"),
            ("src/sync/a.rs", "use crate::{error::Error, queue::{A, B}};"),
            ("src/error.rs", "use crate::sys::Errno;"),
            ("src/queue/a.rs", "use crate::proof::Scene;"),
            ("src/queue/a.rs", "use crate::Region;"),
            ("src/attic/a.rs", ""),
            ("src/shm/a.rs", "use super::super::queue::RingQueue;"),
            ("src/queue/mod.rs", "use super::process;"),
        ],
        &[
            ("src/sync/a.rs", "use crate::{error::Error, shm::{Region, queue}, sync::x};"),
            ("src/queue/a.rs", "use crate::sync::kernel::{Pace, Sleep};"),
            ("src/sync/a.rs", "/// [`queue`](crate::queue)\nuse crate::prim::AtomicU32;"),
            ("src/proof/a.rs", "use crate::process::spawn;"),
            ("src/queue/ring_core/a.rs", "use super::super::ends;"),
            ("src/lib.rs", "pub use crate::queue::RingQueue;"),
        ],
    );
    tell_apart(
        "doors",
        rules::doors,
        &[
            ("src/shm/a.rs", "use nix::unistd::fork;"),
            ("src/process/a.rs", "let x = unsafe { libc::fork() };"),
            ("src/shm/a.rs", "use memmap2::{MmapMut};"),
            ("src/sync/a.rs", "use parking_lot::Mutex;"),
            ("src/error.rs", "use nix::unistd::fork;"),
        ],
        &[
            ("src/sys/a.rs", "use nix::unistd::fork; libc::fork();"),
            ("src/sync/a.rs", "use parking_lot::lock_api;"),
            ("src/error.rs", "use nix::errno::Errno as E;"),
            ("src/sync/a.rs", "// as libc::fork does\nlet text = \"libc::fork\";"),
            ("tests/a.rs", "use nix::unistd::fork;"),
        ],
    );
    let fenced =
        "//! A.\n\n#![expect(unsafe_code, reason = \"[b]\")]\n\nuse c;\nunsafe impl D for E {}";
    tell_apart(
        "fence",
        rules::fence,
        &[
            ("src/queue/iter.rs", fenced),
            ("src/shm/region.rs", "//! A.\nunsafe impl D for E {}"),
            ("src/shm/region.rs", "use c;\n#![expect(unsafe_code)]\nunsafe impl D for E {}"),
        ],
        &[
            ("src/shm/region.rs", fenced),
            ("src/sys/fork.rs", fenced),
            ("src/sys/fork.rs", &fenced.replace("unsafe_code, ", "\n    unsafe_code,\n    ")),
            ("src/queue/iter.rs", "// unsafe\nlet text = \"unsafe\";"),
        ],
    );
    tell_apart(
        "safety",
        rules::safety,
        &[
            ("a.rs", "fn f() {\n    unsafe { g() }\n}"),
            ("a.rs", "// SAFETY: one.\nlet a = unsafe { g() };\nlet b = unsafe { g() };"),
            ("a.rs", "// SAFETY: one.\n\nunsafe impl A for B {}"),
            ("a.rs", "// A remark.\nunsafe impl A for B {}"),
            ("a.rs", "/// Forks.\npub(crate) unsafe fn f() {}"),
        ],
        &[
            ("a.rs", "// SAFETY: one,\n// and more.\n#[rustfmt::skip]\nunsafe impl A for B {}"),
            ("a.rs", "// SAFETY: one.\nlet a = g(\n    unsafe { h() },\n);"),
            ("a.rs", "/// # Safety\n/// - none\n#[inline]\npub unsafe fn f() {}"),
            ("a.rs", "// unsafe { g() }\nlet text = \"unsafe { g() }\";"),
        ],
    );
    tell_apart(
        "shared_futexes",
        rules::shared_futexes,
        &[("src/sys/a.rs", "let op = FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;")],
        &[("src/sys/a.rs", "// never FUTEX_PRIVATE_FLAG\nlet op = FUTEX_WAIT;")],
    );
    tell_apart(
        "finished",
        rules::finished,
        &[
            ("src/a.rs", "fn f() { todo!() }"),
            ("src/a.rs", "unimplemented!();"),
            ("tests/a.rs", "#[ignore]\nfn f() {}"),
            ("tests/a.rs", "std::thread::sleep(ms);"),
            ("examples/a.rs", "thread::sleep(ms);"),
        ],
        &[("benches/a.rs", "thread::sleep(ms);"), ("src/a.rs", "// todo! and thread::sleep")],
    );
    tell_apart(
        "nothing_hidden",
        rules::nothing_hidden,
        &[("src/queue/a.rs", "thread::spawn(|| ());"), ("src/sys/a.rs", "libc::shm_open(name);")],
        &[("src/sync/model/a.rs", "loom::thread::spawn(f);"), ("tests/a.rs", "thread::spawn(f);")],
    );
    let line = "let a = 1; // b\n\n// c\n";
    let (long, short) = (line.repeat(401), line.repeat(400));
    tell_apart("length", rules::length, &[("src/a.rs", &long)], &[("src/a.rs", &short)]);
    let path = ["see /wo", "rk/notes"].concat();
    let home = ["cd /ro", "ot/x"].concat();
    tell_apart(
        "machine_paths",
        rules::machine_paths,
        &[("a.md", &path), ("a.rs", &home)],
        &[("a.md", "/proc/self/stat, target/debug")],
    );
    tell_apart(
        "top_comment",
        rules::top_comment,
        &[("a.rs", "use b;"), ("a.rs", "// A.\nuse b;")],
        &[("a.rs", "//! A.\nuse b;"), ("a.rs", "#![doc = include_str!(\"README.md\")]")],
    );
    let sites = "unsafe impl A for B {}\nunsafe { c() }; unsafe { d() }\n// unsafe\n#![expect(unsafe_code)]";
    assert_eq!(rules::unsafe_sites(&Source::new("a.rs", sites)), 3);
}

pub(crate) fn every_paper_rule_can_fail() {
    let manifest = "[package]\nversion = \"1.2.3\"\n\n[[test]]\nname = \"a\"\nharness = false\n\n[[bench]]\nname = \"b\"\n";
    assert!(papers::changelog(manifest, "# Changelog\n## [1.2.2]\n")[0].contains("1.2.3"));
    assert!(papers::changelog(manifest, "## [1.2.3] - unreleased").is_empty());

    let manifest_of = |version: &str| format!("rust-version = \"{version}\"");
    assert_eq!(papers::compiler(&manifest_of("1.88"), "and Rust 1.89.").len(), 1);
    assert!(papers::compiler(&manifest_of("1.88"), "and Rust 1.88.").is_empty());

    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert!(papers::declared(manifest, "test", &names(&["a"])).is_empty());
    assert_eq!(papers::declared(manifest, "test", &names(&["a", "c"])).len(), 1, "never runs");
    assert_eq!(papers::declared(manifest, "test", &[]).len(), 1, "no file");
    assert_eq!(papers::declared(manifest, "bench", &names(&["b"])).len(), 1, "no harness = false");

    for bad in [
        "see [this](nothing.md)",
        "see `src/nothing.rs`",
        "run `cargo run --release --example 99_nothing`",
        "cargo bench --bench nothing -- --quick",
        "cargo test --test nothing",
        "see docs/NOTHING.md",
    ] {
        assert_eq!(papers::named_things("README.md", bad).len(), 1, "{bad}");
    }
    assert_eq!(papers::named_things("docs/A.md", "[a](README.md)").len(), 1);
    assert_eq!(papers::named_things("docs/A.md", "[a](../README.md)"), names(&[]));
    let good = "[a](README.md#b) [b](https://example.org) `src/lib.rs`, `tests/*.rs` and `cargo test --test tidy`, `--example tutorial`.";
    assert_eq!(papers::named_things("README.md", good), names(&[]));

    let text = |file: &str| match file {
        "a.md" => Some("`cargo run --example tutorial`, then b.md".to_owned()),
        "b.md" => Some(String::new()),
        _ => None,
    };
    let run: &[&str] = &["cargo run --example tutorial"];
    let path = |steps: &[(&str, &[&str])]| papers::path(steps, text);
    assert_eq!(path(&[("a.md", run), ("b.md", &[])]), names(&[]));
    assert_eq!(path(&[("b.md", &[]), ("a.md", run)]).len(), 1, "the wrong way round");
    assert_eq!(path(&[("a.md", run), ("c.md", &[])]).len(), 2, "not there, and not named");
    assert_eq!(path(&[("a.md", &["cargo test"])]).len(), 1, "not said");
    assert_eq!(path(&[("a.md", &["--example tutor"])]).len(), 1, "said, and not there");

    let quote = |code: &str| format!("a\n```rust\n// tests/tidy.rs\n{code}```\nb\n");
    let main = "fn main() {\n    support::run(&[\n";
    for bad in [
        "fn mein() {\n",
        "fn main() {\n}\n",
        "main() {\n",
        "",
        "// …\n",
        &format!("{main}// …\n{main}"),
    ] {
        assert_eq!(papers::quotes("a.md", &quote(bad)).len(), 1, "{bad:?}");
    }
    assert_eq!(papers::quotes("a.md", &quote(main).replace("tidy.rs", "untidy.rs")).len(), 1);
    assert_eq!(papers::quotes("a.md", &quote(main).replace("// ", "")).len(), 1);
    for good in [main, &format!("{main}// …\nfn rust(folders: &[&str]) -> Vec<Source> {{\n")] {
        assert_eq!(papers::quotes("a.md", &quote(good)), names(&[]));
    }

    let module = "#![doc = include_str!(\"README.md\")]";
    let long = "line\n".repeat(20);
    assert!(papers::protocol_page("src/a", Some(&long), module).is_empty());
    assert_eq!(papers::protocol_page("src/a", None, module).len(), 1);
    assert_eq!(papers::protocol_page("src/a", Some("# Title"), module).len(), 1);
    assert_eq!(papers::protocol_page("src/a", Some(&long), "mod b;").len(), 1);

    assert!(papers::dead_file("src/a/b.rs", "mod b;").is_empty());
    assert!(papers::dead_file("src/a/mod.rs", "pub mod a;").is_empty());
    assert_eq!(papers::dead_file("src/a/b.rs", "mod a; mod bc;").len(), 1);
}
