//! Whether a documented crate shows how each of its public items is used, read from the pages that rustdoc has written.
//!
//! A type, trait or function is shown by an example on its own page, by its name in an example elsewhere, or by a link in its docs to an
//! item that has one: so an iterator's docs may say where it comes from. A method is shown by its name in an example, wherever that
//! is. Not asked for: what only asks (`&self`, no argument, a result), the waiting forms of what is shown (`try_x`, `x_timeout`,
//! `x_deadline`, `x_with`), and methods of the harness in `proof`, whose use is `tests/matrix`. An example that must not compile shows
//! nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const KINDS: [&str; 5] = ["struct", "enum", "trait", "fn", "type"];

/// What is nowhere shown.
pub(crate) fn missing(pages: &Path) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(pages.join(path)).unwrap_or_default();
    let all = read("all.html");
    let linked = all.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let items: BTreeMap<&str, String> = linked
        .filter(|path| kind_and_name(path).is_some())
        .map(|path| (path, read(path)))
        .collect();
    let modules = items.keys().map(|path| path.rsplit_once('/').map_or("", |(module, _)| module));
    let mut texts: Vec<String> =
        modules.map(|module| read(&format!("{module}/index.html"))).collect();
    texts.push(read("index.html"));
    texts.dedup();
    let examples: String = texts.iter().chain(items.values()).map(|page| examples(page)).collect();
    let mut findings = Vec::new();
    for (path, page) in &items {
        let (_, name) = kind_and_name(path).expect("an item");
        if !names(&examples, name, &[]) && self::examples(page).is_empty() {
            let folder =
                path.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect());
            let mut links =
                links(page).filter_map(|link| items.get(resolved(&folder, link).as_str()));
            if !links.any(|page| !self::examples(page).is_empty()) {
                findings.push(format!("{path}: no example, and no link to an item with one"));
            }
        }
        if !path.starts_with("proof/") {
            let unshown =
                methods(page).filter(|(name, text)| !is_method_shown(&examples, name, text));
            findings.extend(unshown.map(|(name, _)| format!("{path}: `{name}` is in no example")));
        }
    }
    findings
}

/// `queue/struct.View.html` is a struct named View.
fn kind_and_name(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit('/').next()?.strip_suffix(".html")?;
    file.split_once('.').filter(|(kind, _)| KINDS.contains(kind) && !path.starts_with('.'))
}

/// The code of a page's examples, without those that must fail.
fn examples(page: &str) -> String {
    let mut code = String::new();
    for block in page.split("<div class=\"example-wrap").skip(1) {
        let Some((classes, rest)) = block.split_once('>') else { continue };
        let block = rest.split("</pre>").next().unwrap_or(rest);
        if block.contains("rust-example-rendered") && !classes.contains("compile_fail") {
            let text =
                block.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
            code.extend(text);
            code.push('\n');
        }
    }
    code
}

/// Whether the name stands in the code as a word, behind one of these (or anything).
fn names(code: &str, name: &str, behind: &[&str]) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        !before.ends_with(is_word)
            && !after.starts_with(is_word)
            && (behind.is_empty() || behind.iter().any(|sign| before.trim_end().ends_with(sign)))
    })
}

/// Where an item's own docs lead.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let docs = page.split_once("top-doc").map_or("", |(_, rest)| rest);
    let docs = docs.split("<h2 id=\"").next().unwrap_or(docs);
    docs.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next())
}

/// A link on a page in this folder, from the top.
fn resolved<'t>(folder: &[&'t str], link: &'t str) -> String {
    let mut path = folder.to_vec();
    for part in link.split('/') {
        match part {
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Name and declaration of each method of the type itself.
fn methods(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let own = page.split_once("<h2 id=\"implementations\"").map_or("", |(_, rest)| rest);
    let own = own.split("<h2 id=\"").next().unwrap_or(own);
    own.split("<section id=\"method.").skip(1).filter_map(|rest| {
        let id = rest.split('"').next()?;
        // The second of two types' methods of one name has a number.
        let name = id.split('-').next().unwrap_or(id);
        let text = rest.split_once("code-header\">")?.1.split("</h4>").next()?;
        Some((name, text))
    })
}

fn is_method_shown(examples: &str, name: &str, declaration: &str) -> bool {
    let only_asks =
        declaration.contains("(&amp;self) -&gt;") || declaration.contains("(self) -&gt; &amp;");
    let plain = name.trim_start_matches("try_").replace("_timeout", "").replace("_deadline", "");
    let forms = [name, &plain, plain.trim_end_matches("_with")];
    only_asks || forms.iter().any(|form| names(examples, form, &[".", "::"]))
}
