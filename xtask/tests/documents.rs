//! What the documents say exists: files, commands, keys, features.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel_core::product::KEYS;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a folder, and of those below it.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let skipped = ["target", "node_modules", ".git"];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !skipped.contains(&name.as_str()) {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

fn all() -> Vec<(String, String)> {
    let root = root();
    let name = |path: &Path| path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
    let all: Vec<_> = documents(&root).iter().map(|path| (name(path), read(path))).collect();
    assert!(all.iter().any(|(name, _)| name == "docs/README.md"), "the documents were not found");
    all
}

/// What stands in code, line by line: fenced blocks of the shell, and everything between backticks in prose.
fn code(text: &str) -> Vec<String> {
    let (mut lines, mut fence) = (Vec::new(), None::<bool>);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language == "sh"),
            (Some(_), Some(_)) => fence = None,
            (None, Some(true)) => lines.push(line.to_owned()),
            (None, Some(false)) => {}
            (None, None) => lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    lines
}

const NONE: [String; 0] = [];

#[test]
fn every_example_in_a_how_to_is_run() {
    let run: BTreeSet<_> =
        xtask::docs::DOCUMENTS.iter().map(|path| path.trim_start_matches("../../")).collect();
    let with_examples = all().into_iter().filter(|(name, text)| {
        name.starts_with("docs/") && (text.contains("```rust") || text.contains("```no_run"))
    });
    let forgotten: Vec<_> =
        with_examples.map(|(name, _)| name).filter(|name| !run.contains(name.as_str())).collect();
    assert_eq!(forgotten, NONE, "name them in xtask/src/docs.rs");
}

#[test]
fn every_how_to_is_in_the_index() {
    let index = read(&root().join("docs/README.md"));
    let pages = all().into_iter().filter_map(|(name, _)| name.strip_prefix("docs/").map(str::to_owned));
    let pages = pages.filter(|page| page != "README.md" && !page.contains('/'));
    let missing: Vec<_> = pages.filter(|page| !index.contains(&format!("({page})"))).collect();
    assert_eq!(missing, NONE);
}

#[test]
fn links_lead_to_files() {
    let mut dead = Vec::new();
    for (name, text) in all() {
        let folder = root().join(&name).parent().expect("a document lies in a folder").to_owned();
        for target in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.contains("::") || path.is_empty();
            if !elsewhere && !folder.join(path).exists() {
                dead.push(format!("{name}: {target}"));
            }
        }
    }
    assert_eq!(dead, NONE);
}

#[test]
fn commands_exist() {
    let makefile = read(&root().join("Makefile"));
    let targets: BTreeSet<_> =
        makefile.lines().filter_map(|line| line.split_once(": ## ")).map(|(target, _)| target).collect();
    assert!(targets.contains("test"), "{targets:?}");
    let packages = read(&root().join("Cargo.lock"));
    let mut unknown = BTreeSet::new();
    for (name, text) in all() {
        for line in code(&text) {
            let words: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let known = match words[..] {
                ["make", target, ..] => targets.contains(target),
                ["cargo", "xtask", ref rest @ ..] => answers(rest),
                ["cargo", "run", "-p", package, ..] => {
                    packages.contains(&format!("\nname = \"{package}\"\n"))
                }
                _ => true,
            };
            if !known {
                unknown.insert(format!("{name}: {}", words.join(" ")));
            }
        }
    }
    assert_eq!(unknown.into_iter().collect::<Vec<_>>(), NONE);
}

/// Whether the command line is understood: it is asked for help only. Names of proofs and the like are looked up.
fn answers(words: &[&str]) -> bool {
    // Words in capitals stand for something, and dots for more.
    let is_literal = |word: &&&str| !word.chars().all(|letter| letter.is_ascii_uppercase()) && **word != "…";
    let words: Vec<_> = words.iter().filter(is_literal).copied().collect();
    if let ["prove", name, ..] = words[..]
        && !name.starts_with("--")
        && !xtask::prove::PROOFS.iter().any(|proof| proof.name == name)
    {
        return false;
    }
    // A fault or file to be named is left open in some places.
    let words: Vec<_> =
        words.into_iter().filter(|word| !matches!(*word, "--plant" | "--save" | "--known")).collect();
    let asked = Command::new(env!("CARGO_BIN_EXE_xtask")).args(words).arg("--help").output();
    asked.is_ok_and(|asked| asked.status.success())
}

#[test]
fn the_reference_of_the_configuration_lists_every_key() {
    let page = read(&root().join("docs/configuration.md"));
    let wanted: Vec<_> = KEYS
        .iter()
        .map(|key| {
            let needed = if key.needed { "yes" } else { "no" };
            format!("| `{}` | {} | {needed} | {} |", key.path, key.kind, key.about)
        })
        .collect();
    let (_, table) = page.split_once("| key | value | needed | what for |\n").expect("the table is there");
    let found: Vec<_> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(found, wanted);
}

#[test]
fn the_features_of_each_crate_are_in_its_readme() {
    let mut crates = 0;
    for entry in fs::read_dir(root()).expect("the workspace can be read") {
        let folder = entry.expect("the workspace can be read").path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("kernel-") {
            continue;
        }
        crates += 1;
        let manifest: toml::Table =
            toml::from_str(&read(&folder.join("Cargo.toml"))).expect("a manifest is TOML");
        let docs = &manifest["package"]["metadata"]["docs"]["rs"];
        assert_eq!(docs["all-features"].as_bool(), Some(true), "{name}: docs.rs must build all of it");
        let declared = manifest.get("features").and_then(toml::Value::as_table);
        let declared: BTreeSet<_> = declared.into_iter().flat_map(toml::Table::keys).cloned().collect();
        let readme = read(&folder.join("README.md"));
        let (_, section) =
            readme.split_once("## Features\n").unwrap_or_else(|| panic!("{name} lists no features"));
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let listed: BTreeSet<_> = rows.map(|(feature, _)| feature.to_owned()).collect();
        assert_eq!(listed, declared, "{name}");
        let default = manifest.get("features").and_then(|features| features.get("default"));
        assert!(default.is_none(), "{name}: nothing is on by default; else the table must say so");
    }
    assert_eq!(crates, 9);
}

#[test]
fn the_table_of_costs_names_every_crate() {
    let page = read(&root().join("docs/cost.md"));
    for name in xtask::cost::CRATES {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(page.contains("Measured on"), "the page says when and on what");
}
