//! Who may depend on whom: core ← jobs ← the other pillars ← examples, and core ← adapters ← examples.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PILLARS: [&str; 5] =
    ["kernel-auth", "kernel-billing", "kernel-files", "kernel-notify", "kernel-tenancy"];
const ADAPTERS: [&str; 2] = ["kernel-actix", "kernel-axum"];

/// The kernel crates that `crate_name` may depend on, in any way; nothing for those that may use anything.
fn allowed(crate_name: &str) -> Option<&'static [&'static str]> {
    match crate_name {
        "kernel-core" => Some(&[]),
        "kernel-jobs" => Some(&["kernel-core"]),
        name if PILLARS.contains(&name) => Some(&["kernel-core", "kernel-jobs"]),
        name if ADAPTERS.contains(&name) => Some(&["kernel-core"]),
        // A new kernel crate must find its place in the rule first.
        name if name.starts_with("kernel-") => Some(&[]),
        _ => None,
    }
}

/// What breaks the rule in the output of `cargo metadata --no-deps`, one sentence each.
fn violations(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    let own: Vec<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed(name) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            if own.contains(&to) && to != name && !allowed.contains(&to) {
                let kind = dependency["kind"].as_str().unwrap_or("normal");
                found.push(format!("{name} must not depend on {to} ({kind})"));
            }
        }
    }
    found
}

fn workspace() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output();
    let out = cargo.expect("cargo can be started");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("metadata is JSON")
}

#[test]
fn the_crates_of_this_workspace_keep_the_rule() {
    let workspace = workspace();
    let packages = workspace["packages"].as_array().expect("metadata lists packages");
    assert!(packages.iter().any(|package| package["name"] == "kernel-core"), "the workspace was not read");
    assert_eq!(violations(&workspace), Vec::<String>::new());
}

#[test]
fn every_edge_that_the_rule_forbids_is_noticed() {
    let forbidden = [
        ("kernel-core", "kernel-jobs"),
        ("kernel-jobs", "kernel-auth"),
        ("kernel-auth", "kernel-tenancy"),
        ("kernel-billing", "kernel-axum"),
        ("kernel-axum", "kernel-jobs"),
        ("kernel-axum", "kernel-actix"),
        ("kernel-tenancy", "tracker"),
        ("kernel-tenancy", "xtask"),
        ("kernel-surprise", "kernel-core"),
    ];
    for (from, to) in forbidden {
        for kind in [Value::Null, "dev".into(), "build".into()] {
            let mut planted = workspace();
            let packages = planted["packages"].as_array_mut().expect("metadata lists packages");
            packages
                .push(serde_json::json!({ "name": from, "dependencies": [{ "name": to, "kind": kind }] }));
            assert_eq!(violations(&planted).len(), 1, "{from} -> {to} ({kind})");
        }
    }
}

#[test]
fn the_manifest_of_cargo_deny_names_the_same_rule() {
    let deny = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml"))
        .expect("deny.toml");
    for pillar in PILLARS.into_iter().chain(ADAPTERS).chain(["kernel-jobs"]) {
        let start = format!("{{ crate = \"{pillar}\", wrappers = [");
        let line = deny.lines().find_map(|line| line.trim().strip_prefix(&start)).expect(pillar);
        for package in workspace()["packages"].as_array().expect("metadata lists packages") {
            let name = package["name"].as_str().unwrap_or_default();
            let may = allowed(name).is_some_and(|allowed| allowed.contains(&pillar));
            if name.starts_with("kernel-") {
                assert_eq!(line.contains(&format!("\"{name}\"")), may, "{name} -> {pillar}");
            }
        }
    }
}
