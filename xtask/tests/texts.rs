//! Texts: every key that the code names is in the catalogues, and nothing else is.

use std::fs;
use std::path::PathBuf;

use kernel_core::Messages;
use kernel_core::testkit::TextKeys;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

/// The crates that have texts, and the folders of their sources.
const CRATES: [(&str, &[&str]); 9] = [
    ("kernel-core", &["src"]),
    ("kernel-jobs", &["src"]),
    ("kernel-auth", &["src"]),
    ("kernel-tenancy", &["src"]),
    ("kernel-billing", &["src"]),
    ("kernel-notify", &["src"]),
    ("kernel-files", &["src"]),
    ("kernel-axum", &["src"]),
    ("examples/tracker", &["src", "templates"]),
];

#[test]
fn the_keys_of_code_and_catalogues_are_the_same() {
    let (mut messages, mut folders) = (Messages::default(), Vec::new());
    for (name, sources) in CRATES {
        let folder = root().join(name);
        if let Ok(json) = fs::read_to_string(folder.join("locales/en.json")) {
            messages.add(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        folders.extend(sources.iter().map(|source| folder.join(source)));
    }
    let keys = TextKeys::of(&folders).expect("the sources can be read");
    assert!(messages.keys().len() > 300, "the catalogues were not found");
    assert_eq!(keys.missing(&messages), [""; 0], "named in code or templates, and in no en.json");
    assert_eq!(keys.unused(&messages), [""; 0], "in an en.json, and named nowhere");
}
