//! Whether the sources of a product and its catalogue agree on the keys of texts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::message::Messages;

/// The keys that sources name. What they name is found in the text of Rust files, without their tests, and of templates:
///
/// - `t("nav.home")`, `text(language, "nav.home")`, and every `"field.taken"` and `"shop.field.sold_out"`;
/// - `t("role." ~ role)` and `format!("role.{role}")`, which stand for all keys that begin so;
/// - the codes of errors, in `Error::new(…, "…")` and in the `fn code` of a `Fault`, each with the key `error.<code>`;
/// - kinds of activity, in `ActivityKind::new("…", …)`, each with the key `activity.<kind>`.
///
/// A key that reaches `t` by another way, such as a table of keys, counts as used and is not looked for in the catalogue.
///
/// ```no_run
/// # use kernel_core::Messages;
/// # use kernel_core::testkit::TextKeys;
/// # fn check(messages: &Messages) -> std::io::Result<()> {
/// let keys = TextKeys::of(&["src", "templates"])?;
/// assert_eq!(keys.missing(messages), [""; 0]);
/// assert_eq!(keys.unused(messages), [""; 0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct TextKeys {
    /// Keys that must be there.
    named: BTreeSet<String>,
    /// Beginnings of keys.
    begun: BTreeSet<String>,
    /// All that stands in quotes.
    quoted: BTreeSet<String>,
}

/// What follows a name of the function that looks texts up: a text in quotes among its first two arguments.
const LOOK_UPS: [&str; 2] = ["t(", "text("];

/// The families whose members are found by their own names: of errors and of kinds of activity.
const FAMILIES: [&str; 2] = ["error.", "activity."];

impl TextKeys {
    /// The keys that the files of these folders name.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn of(folders: &[impl AsRef<Path>]) -> io::Result<Self> {
        let mut keys = Self::default();
        for folder in folders {
            keys.read(folder.as_ref())?;
        }
        Ok(keys)
    }

    /// The keys that sources name and the catalogue lacks, in order.
    #[must_use]
    pub fn missing(&self, messages: &Messages) -> Vec<String> {
        let known = messages.keys();
        let begins = |start: &str| known.iter().any(|key| key.starts_with(start));
        let named = self.named.iter().filter(|key| !messages.has(key)).cloned();
        let begun = self.begun.iter().filter(|start| !begins(start)).map(|start| format!("{start}…"));
        named.chain(begun).collect()
    }

    /// The keys of the catalogue that no source names, in order.
    #[must_use]
    pub fn unused(&self, messages: &Messages) -> Vec<String> {
        let unused = messages.keys().into_iter().filter(|key| !self.names(key));
        unused.map(str::to_owned).collect()
    }

    fn names(&self, key: &str) -> bool {
        let own = FAMILIES.iter().find_map(|family| key.strip_prefix(family)).unwrap_or(key);
        let begins = |start: &String| !FAMILIES.contains(&start.as_str()) && key.starts_with(start.as_str());
        self.quoted.contains(key) || self.quoted.contains(own) || self.begun.iter().any(begins)
    }

    fn read(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_tests = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() {
                self.read(&path)?;
            } else if !is_tests && path.extension().is_some_and(|kind| kind == "rs" || kind == "html") {
                let text = fs::read_to_string(&path)?;
                self.add(text.split("\n#[cfg(test)]").next().unwrap_or_default());
            }
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        let quotes = quotes(text);
        for Quote { before, text, after } in &quotes {
            self.quoted.insert((*text).to_owned());
            let begins =
                text.split_once('{').map(|(start, _)| start).or(after.starts_with('~').then_some(*text));
            let begins = begins.filter(|start| start.ends_with('.') && is_key(start.trim_end_matches('.')));
            if let Some(start) = begins {
                self.begun.insert(start.to_owned());
            } else if (looks_up(before) || is_flaw(text)) && text.contains('.') && is_key(text) {
                self.named.insert((*text).to_owned());
            } else if is_code(before) && is_key(text) {
                self.named.insert(format!("error.{text}"));
            } else if before.trim_end().ends_with("ActivityKind::new(") {
                self.named.insert(format!("activity.{text}"));
            }
        }
    }
}

/// A text in quotes, with what stands before and after it.
struct Quote<'a> {
    before: &'a str,
    text: &'a str,
    after: &'a str,
}

/// What stands between two quotes of a line that may be code. What lies between two texts is among it, since a template has quotes
/// within quotes; it does not look like a key.
fn quotes(text: &str) -> Vec<Quote<'_>> {
    let (mut found, mut offset) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        if line.trim_start().starts_with("//") {
            continue;
        }
        let marks: Vec<_> = line.match_indices('"').map(|(at, _)| at).collect();
        for pair in marks.windows(2) {
            let (open, close) = (pair[0], pair[1]);
            let after = line[close + 1..].trim_start();
            found.push(Quote { before: &text[..start + open], text: &line[open + 1..close], after });
        }
    }
    found
}

/// Whether it looks like a key or a code: words with dots.
fn is_key(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c))
    };
    text.split('.').all(is_word)
}

fn is_flaw(text: &str) -> bool {
    let mut words = text.split('.');
    words.next() == Some("field") && words.next().is_some()
        || words.next().is_some() && text.contains(".field.")
}

/// Whether the text that follows is what a look-up is about: its first argument, or the one after the language.
fn looks_up(before: &str) -> bool {
    LOOK_UPS.iter().any(|look_up| {
        let Some(at) = before.rfind(look_up) else { return false };
        let is_whole = before[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        let first = before[at + look_up.len()..].trim();
        let language =
            first.strip_suffix(',').is_some_and(|language| !language.contains(['"', ',', ';', '{']));
        is_whole && (first.is_empty() || language)
    })
}

/// Whether the text that follows is the code of an error.
fn is_code(before: &str) -> bool {
    let made = before.rfind("Error::new(").map(|at| &before[at + "Error::new(".len()..]);
    let made = made
        .and_then(|kind| kind.trim().strip_suffix(','))
        .is_some_and(|kind| !kind.contains(['"', ',', ';']));
    let told = before.rfind("fn code(&self)").is_some_and(|at| {
        let of_fault =
            before[..at].rfind("\nimpl").is_some_and(|block| before[block..at].contains("Fault for"));
        of_fault && !before[at..].contains("\n    }\n")
    });
    made || told
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"

impl Fault for Error {
    fn code(&self) -> &'static str {
        // A comment may say t("comment.key").
        match self { Self::Gone => "shop.gone", Self::Lost => "shop.lost" }
    }
}
impl Outcome {
    fn code(&self) -> &'static str {
        "no.error"
    }
}
const SOLD: ActivityKind = ActivityKind::new("shop.sold", READ);
fn all(pages: &Pages) {
    pages.text(frame.language(), "nav.home");
    pages.text(language, key);
    format!("{} words", "one.two");
    Error::new(ErrorKind::Conflict, "closed").field("name", "field.taken");
    messages.t(language, &format!("role.{}", role), &args);
    insert("shop.field.missing");
}
<p>{{ t("welcome.title", app=app.name) }} {{ t("theme." ~ theme) }} {{ set_text("not.this") }}</p>
<form data-saved="{{ t("form.saved") }}">
"#;

    fn catalogue(keys: &[&str]) -> Messages {
        let texts: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), "x".into())).collect();
        let mut messages = Messages::default();
        messages.add(&serde_json::Value::Object(texts).to_string()).unwrap();
        messages
    }

    #[test]
    fn keys_are_found_in_code_and_templates() {
        let mut keys = TextKeys::default();
        keys.add(SOURCE);
        let named = [
            "activity.shop.sold",
            "error.closed",
            "error.shop.gone",
            "error.shop.lost",
            "field.taken",
            "form.saved",
            "nav.home",
            "shop.field.missing",
            "welcome.title",
        ];
        assert_eq!(keys.missing(&catalogue(&[])), [&named[..], &["role.…", "theme.…"]].concat());
        let all = [&named[..], &["one.two", "role.owner", "theme.dark"]].concat();
        assert!(keys.missing(&catalogue(&all)).is_empty());
        assert!(keys.unused(&catalogue(&all)).is_empty());
        let more = [&all[..], &["error.shop.full", "nav.away", "comment.key", "role"]].concat();
        assert_eq!(keys.unused(&catalogue(&more)), ["comment.key", "error.shop.full", "nav.away", "role"]);
    }
}
