//! Whoever uses this crate, and whoever works on it, may use all that it is built from.

use crate::source::top;
use serde_json::Value;
use std::process::Command;

/// What anybody may use, change and sell, as long as the notice stays.
const ALLOWED: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Every package on our platform that the crate, its tests or its models are built from.
pub(crate) fn dependencies_are_free_to_use() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(top()).args(["metadata", "--format-version=1", "--locked"]);
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = cargo.args(["--filter-platform", &host]).output().expect("run cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 20, "only {} packages", packages.len());
    let text = |package: &Value, field: &str| package[field].as_str().map(str::to_owned);
    let mut findings = Vec::new();
    // What has a source is a registry's; what has none is ours.
    for package in packages.iter().filter(|package| package["source"].is_string()) {
        let licence = text(package, "license").unwrap_or_else(|| "none stated".to_owned());
        if !is_allowed(&licence) {
            let name = text(package, "name").unwrap_or_default();
            let version = text(package, "version").unwrap_or_default();
            findings.push(format!("{name} {version}: licence {licence}"));
        }
    }
    println!("{} packages", packages.len());
    assert!(findings.is_empty(), "not in ALLOWED:\n{}", findings.join("\n"));
}

/// Whether an SPDX expression can be satisfied with what is allowed. `/` is an old form of OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, is_broken: false };
    let allowed = parser.any();
    allowed && parser.at == words.len() && !parser.is_broken
}

struct Parser<'w> {
    words: &'w [&'w str],
    at: usize,
    is_broken: bool,
}

impl Parser<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at) == Some(&word);
        self.at += usize::from(is_next);
        is_next
    }

    /// `A OR B`: one is enough. OR binds weaker than AND.
    fn any(&mut self) -> bool {
        let mut allowed = self.all();
        while self.takes("OR") {
            allowed |= self.all();
        }
        allowed
    }

    fn all(&mut self) -> bool {
        let mut allowed = self.one();
        while self.takes("AND") {
            allowed &= self.one();
        }
        allowed
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let allowed = self.any();
            return self.takes(")") && allowed;
        }
        let Some(name) = self.words.get(self.at) else {
            self.is_broken = true;
            return false;
        };
        self.at += 1;
        if self.takes("WITH") {
            let exception = self.words.get(self.at).copied().unwrap_or_default();
            self.at += 1;
            // An exception only permits more.
            return ALLOWED.contains(name)
                || ALLOWED.contains(&format!("{name} WITH {exception}").as_str());
        }
        ALLOWED.contains(name)
    }
}

pub(crate) fn expressions_are_understood() {
    let allowed = [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "MIT AND (GPL-2.0-only OR ISC)",
    ];
    let refused = [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "none stated",
        "",
        "MIT OR",
        "(MIT",
        "MPL-2.0 AND (MIT OR ISC)",
        "GPL-3.0-only WITH Classpath-exception-2.0",
        "MIT Apache-2.0",
    ];
    for expression in allowed {
        assert!(is_allowed(expression), "refused: {expression}");
    }
    for expression in refused {
        assert!(!is_allowed(expression), "allowed: {expression:?}");
    }
}
