//! The public items of a documented crate, one a line, read from the pages that rustdoc has written.
//!
//! The pages, because they are what a stable compiler offers: macros are expanded, re-exports resolved, auto traits worked out.
//! Only what is linked from the index is read: rustdoc leaves the pages of items that are gone. A line names its item, so that
//! it tells all by itself; types of the crate stand with their paths, spaces are evened out, and what rustdoc adds by itself
//! (other crates' blanket implementations, methods behind a `Deref`) is left out: so compilers agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Auto traits that users rely on; the others are not stable.
const AUTO_TRAITS: [&str; 5] = ["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe"];

/// The lines for the crate whose pages are in `pages` (`target/doc/name`), sorted.
pub(crate) fn of(pages: &Path) -> BTreeSet<String> {
    let name = pages.file_name().expect("a crate's folder").to_string_lossy().into_owned();
    let mut lister = Lister { name, lines: BTreeSet::new() };
    lister.module(pages, "");
    lister.lines
}

struct Lister {
    name: String,
    lines: BTreeSet<String>,
}

impl Lister {
    fn add(&mut self, item: &str, text: &str) {
        self.lines.insert(format!("{item}: {text}"));
    }

    /// A module's index: its re-exports, its items, the modules in it.
    fn module(&mut self, folder: &Path, path: &str) {
        let page = read(&folder.join("index.html"));
        let shown = if path.is_empty() { "crate" } else { path };
        for entry in page.split("<dt").skip(1).filter_map(|rest| rest.split("</dt>").next()) {
            if entry.starts_with(" id=\"reexport.") {
                let code = between(entry, "<code>", "</code>").unwrap_or_default();
                let text = self.text(&code.replace(" title=", " name="));
                self.add(shown, &text);
                continue;
            }
            // Items; links to another crate's pages are that crate's.
            let Some(href) = between(entry, "href=\"", "\"").filter(|href| !href.contains("://"))
            else {
                continue;
            };
            let file = href.rsplit('/').next().unwrap_or(href);
            let (kind, rest) = file.split_once('.').unwrap_or((file, ""));
            if file == "index.html" {
                let inner = href.trim_end_matches("/index.html");
                self.module(&folder.join(inner), &joined(path, inner));
            } else if let Some(item) = rest.strip_suffix(".html") {
                self.item(&read(&folder.join(href)), kind, &joined(path, item));
            }
        }
    }

    /// An item's page: its declaration, what is implemented on it.
    fn item(&mut self, page: &str, kind: &str, item: &str) {
        let declaration = between(page, "item-decl\"><code>", "</code></pre>")
            .unwrap_or_else(|| panic!("{kind} {item}: its page shows no declaration"));
        let declaration = self.text(declaration);
        self.add(item, &declaration);
        for part in page.split("<h2 id=\"").skip(1) {
            let heading = part.split('"').next().unwrap_or(part);
            match heading {
                "implementations" | "trait-implementations" | "foreign-impls" => {
                    self.implementations(item, part)
                }
                "synthetic-implementations" => self.auto_traits(item, part),
                _ => {}
            }
        }
    }

    /// Implementations: their heads, and of those on the type itself the items.
    fn implementations(&mut self, item: &str, part: &str) {
        let mut owner = String::new();
        for (class, header) in headers(part) {
            let text = self.text(header);
            if class.contains("trait-impl") && !class.contains("associated") {
                // The trait says what its methods are.
            } else if text.starts_with("impl") || text.starts_with("unsafe impl") {
                // The compiler's own, behind a derive.
                if !text.contains(" StructuralPartialEq ") {
                    self.add(item, &text);
                }
                owner = text;
            } else {
                self.add(item, &format!("{owner}: {text}"));
            }
        }
    }

    fn auto_traits(&mut self, item: &str, part: &str) {
        for (_, header) in headers(part) {
            let text = self.text(header);
            let mut words = text.split(" where ").next().unwrap_or(&text).split(' ');
            let is_listed = |word: &str| AUTO_TRAITS.contains(&word.trim_start_matches('!'));
            if words.any(is_listed) {
                self.add(item, &text);
            }
        }
    }

    /// HTML as the text that it shows, with the paths of the crate's own types, evened out.
    fn text(&self, html: &str) -> String {
        let own = format!(" {}::", self.name);
        let (mut text, mut rest) = (String::new(), html);
        while let Some(at) = rest.find('<') {
            text.push_str(&rest[..at]);
            let tag_end = at + rest[at..].find('>').expect("a tag ends");
            let tag = &rest[at..tag_end];
            rest = &rest[tag_end + 1..];
            if tag.starts_with("<summary") {
                // What is to click.
                rest = rest.split_once("</summary>").map_or(rest, |(_, rest)| rest);
            } else if let Some(path) =
                between(tag, "title=\"", "\"").and_then(|title| title.split_once(&own))
            {
                text.push_str(path.1);
                rest = &rest[rest.find("</a>").expect("a link ends")..];
            }
        }
        text.push_str(rest);
        even(&text)
    }
}

/// `class` and content of each code header of a part of a page.
fn headers(part: &str) -> impl Iterator<Item = (&str, &str)> {
    part.split("<section id=\"").skip(1).filter_map(|section| {
        let class = between(section, "class=\"", "\"")?;
        let header = section.split_once("class=\"code-header\">")?.1;
        let end = ["</h3>", "</h4>", "</h5>"].iter().filter_map(|end| header.find(end)).min()?;
        Some((class, &header[..end]))
    })
}

/// Entities decoded, one space for any white space, none where rustdoc breaks lines. Left out is what versions of rustdoc show
/// differently: the representation of structures whose fields are private, values of constants; and `#[must_use]`, which breaks nobody.
fn even(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")];
    let mut text = text.to_owned();
    for (entity, character) in entities {
        text = text.replace(entity, character);
    }
    text = text.replace("&amp;", "&");
    for attribute in ["#[must_use", "#[repr("] {
        while let Some(at) = text.find(attribute) {
            let end = at + text[at..].find(']').expect("an attribute ends");
            text.replace_range(at..=end, "");
        }
    }
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line = line.replace(">where ", "> where ").replace("]pub ", "] pub ");
    for (broken, whole) in [("( ", "("), (",)", ")"), (", )", ")"), (" )", ")"), (", }", " }")] {
        line = line.replace(broken, whole);
    }
    if line.starts_with("pub const ") && !line.contains("fn ") {
        line.truncate(line.find(" = ").unwrap_or(line.len()));
    }
    line.trim_end_matches([',', ';']).to_owned()
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split(end).next()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
