//! Secrets that are looked for afterwards, in every form in which they could have got somewhere.

use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use kernel_core::Entropy;

/// The shortest that is looked for: parts of ids and hashes are no finds.
const SHORTEST: usize = 12;

/// Secrets by name, in all their forms.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    all: Vec<Canary>,
    /// Finds any form of any of them; made anew when there is another one.
    finder: Option<AhoCorasick>,
    found: Vec<String>,
    /// How many texts were searched, and how many bytes they had.
    pub(super) texts: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Canary {
    name: String,
    forms: Vec<(&'static str, String)>,
}

/// A secret that nobody has seen before, of letters and digits.
pub(super) fn draw(prefix: &str) -> String {
    format!("{prefix}{}", hex(&Entropy::system().bytes::<12>()))
}

impl Canaries {
    pub(super) fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= SHORTEST, "{name} is too short to look for");
        self.all.push(Canary { name: name.to_owned(), forms: forms(secret) });
        self.finder = None;
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Looks for all of them in a text.
    pub(super) fn search(&mut self, place: &str, text: &str) {
        self.texts += 1;
        self.bytes += text.len();
        let all = &self.all;
        let named =
            || all.iter().flat_map(|canary| canary.forms.iter().map(|form| (canary.name.as_str(), form)));
        let finder = self.finder.get_or_insert_with(|| {
            AhoCorasick::new(named().map(|(_, (_, form))| form)).expect("the forms fit into an automaton")
        });
        let by_pattern: Vec<_> = named().collect();
        self.found.extend(finder.find_overlapping_iter(text).map(|hit| {
            let (name, (form, _)) = by_pattern[hit.pattern().as_usize()];
            format!("{name} as {form} in {place}")
        }));
    }

    /// The same, for an answer that hands one of them out.
    pub(super) fn search_but(&mut self, place: &str, text: &str, handed_out: &str) {
        let rest = text.replace(handed_out, "");
        self.search(place, &rest);
    }

    /// What was found where, each once.
    pub(super) fn take(&mut self) -> Vec<String> {
        let mut found = std::mem::take(&mut self.found);
        found.sort();
        found.dedup();
        found
    }
}

pub(super) fn forms(secret: &[u8]) -> Vec<(&'static str, String)> {
    let lower = hex(secret);
    let mut forms = vec![
        ("hex", lower.clone()),
        ("hex", lower.to_uppercase()),
        ("percents", secret.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"))),
        ("percents", secret.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))),
        ("numbers", secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
        ("numbers", secret.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.push(("it is", text.to_owned()));
    }
    for engine in [STANDARD, URL_SAFE] {
        // Within something longer it may begin at any of three places of a group.
        for shift in 0..3 {
            let shifted = [&[0; 2][..shift], secret].concat();
            let encoded = engine.encode(&shifted);
            let (first, end) = ([0, 2, 3][shift], shifted.len() * 8 / 6);
            forms.push(("base64", encoded[first..end].to_owned()));
        }
    }
    forms
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
