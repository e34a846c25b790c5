//! Every crate that anything here is built of is under a licence that `deny.toml` allows, and comes from crates.io.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The licences that `deny.toml` allows.
fn allowed() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml can be read");
    let deny: toml::Table = text.parse().expect("deny.toml is TOML");
    let allow = deny["licenses"]["allow"].as_array().expect("a list of licences");
    allow.iter().filter_map(|licence| Some(licence.as_str()?.to_owned())).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    let out = out.expect("cargo can be started");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("cargo writes text")
}

/// The packages of the workspace and all that they need here, with every feature. Those for other platforms only have not
/// been fetched.
fn packages() -> Vec<Value> {
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let described =
        ["metadata", "--all-features", "--format-version", "1", "--offline", "--filter-platform", host];
    let mut metadata: Value = serde_json::from_str(&cargo(&described)).expect("metadata is JSON");
    serde_json::from_value(metadata["packages"].take()).expect("metadata lists packages")
}

/// Why a package may not be used; nothing for one that may.
fn fault(package: &Value, allowed: &[String]) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    match package["source"].as_str() {
        // One of our own.
        None => return None,
        Some(CRATES_IO) => {}
        Some(source) => return Some(format!("{name} comes from {source}")),
    }
    let Some(licence) = package["license"].as_str() else { return Some(format!("{name} names no licence")) };
    // Old manifests write a slash for OR.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!("{name}: {licence:?} cannot be read"));
    };
    let may = expression.evaluate(|one| allowed.contains(&one.to_string()));
    (!may).then(|| format!("{name} is under {licence}"))
}

#[test]
fn every_crate_may_be_used() {
    let (packages, allowed) = (packages(), allowed());
    assert!(packages.len() > 200, "{} packages were listed", packages.len());
    let faults: Vec<_> = packages.iter().filter_map(|package| fault(package, &allowed)).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn what_may_not_be_used_is_noticed() {
    let allowed = allowed();
    let package = |source: &str, licence: Value| {
        fault(&serde_json::json!({ "name": "x", "source": source, "license": licence }), &allowed)
    };
    for licence in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "Apache-2.0 WITH LLVM-exception"] {
        assert_eq!(package(CRATES_IO, licence.into()), None, "{licence}");
    }
    for licence in
        ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "of my own", "GPL-2.0-only WITH Classpath-exception-2.0"]
    {
        assert!(package(CRATES_IO, licence.into()).is_some(), "{licence}");
    }
    assert!(package(CRATES_IO, Value::Null).is_some());
    assert!(package("git+https://example.com/x", "MIT".into()).is_some());
}
