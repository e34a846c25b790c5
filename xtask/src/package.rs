//! `cargo xtask package`: packs every crate that is published, and builds a product from what the packages hold.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo;
use crate::outcome::{Outcome, Stopwatch};

/// The command line of `cargo xtask package`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Look into the packages only, and build nothing
    #[arg(long)]
    no_build: bool,
}

/// What every package holds beside its sources.
const NEEDED: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs"];

/// Runs the command. Exit code 1 means that a package lacks something, or that no product can be built of them.
///
/// # Errors
///
/// When cargo or tar cannot be started, or a crate cannot be packed.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut clock = Stopwatch::start();
    let crates = published().await?;
    let folder = cargo::target_dir()?.join("package-check");
    let unpacked = folder.join("crates");
    if unpacked.exists() {
        std::fs::remove_dir_all(&unpacked)?;
    }
    std::fs::create_dir_all(&unpacked)?;
    pack(&crates).await?;
    clock.done(&format!("{} crates packed", crates.len()));
    let (mut outcome, mut files) = (Outcome::new().value("crates", crates.len()), 0);
    for one in &crates {
        unpack(one, &unpacked).await?;
        let held = held(&unpacked.join(one.folder()))?;
        files += held.len();
        for missing in wanted(one)?.difference(&held) {
            outcome = outcome.require(false, format!("{} lacks {missing}", one.name));
        }
    }
    outcome = outcome.value("files", files);
    if !arguments.no_build {
        let built = build(&crates, &unpacked, &folder.join("product")).await?;
        clock.done("a product built of the packages");
        outcome = outcome
            .value("built", u8::from(built))
            .require(built, "no product can be built of the packages; cargo says why above");
    }
    Ok(outcome.report("package"))
}

/// A crate that is published.
struct Published {
    name: String,
    version: String,
    source: PathBuf,
}

impl Published {
    fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

async fn published() -> Result<Vec<Published>> {
    let mut command = cargo::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(cargo::workspace_dir());
    let output = command.output().await.context("cargo cannot be started")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata cannot be read")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    // `publish = false` is an empty list of registries.
    let packages = packages.filter(|package| package["publish"].is_null());
    let text = |package: &Value, field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let mut crates = Vec::new();
    for package in packages {
        let manifest = PathBuf::from(text(package, "manifest_path"));
        let source = manifest.parent().context("a manifest lies in a folder")?.to_owned();
        crates.push(Published { name: text(package, "name"), version: text(package, "version"), source });
    }
    ensure!(!crates.is_empty(), "the workspace publishes nothing");
    Ok(crates)
}

/// Packs all at once: none of them is in a registry, so each finds the others among those that are packed with it.
async fn pack(crates: &[Published]) -> Result<()> {
    let mut command = cargo::cargo();
    command.args(["package", "--no-verify", "--allow-dirty", "--offline", "--quiet"]);
    for one in crates {
        command.args(["--package", &one.name]);
    }
    let status =
        command.current_dir(cargo::workspace_dir()).status().await.context("cargo cannot be started")?;
    ensure!(status.success(), "the crates cannot be packed");
    Ok(())
}

async fn unpack(one: &Published, into: &Path) -> Result<()> {
    let package = cargo::target_dir()?.join("package").join(format!("{}.crate", one.folder()));
    let mut command = cargo::child("tar");
    command.arg("-xzf").arg(&package).arg("-C").arg(into);
    let status = command.status().await.context("tar cannot be started")?;
    ensure!(status.success(), "{} cannot be unpacked", package.display());
    Ok(())
}

/// Every file below a folder, by its path from there.
fn held(folder: &Path) -> Result<BTreeSet<String>> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::metadata(&path)?.len() > 0 {
                let path = path.strip_prefix(folder).context("the file is below the folder")?;
                files.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}

/// What the package must hold: the usual files, and of its own sources, texts and migrations every one.
fn wanted(one: &Published) -> Result<BTreeSet<String>> {
    let mut wanted: BTreeSet<_> = NEEDED.iter().map(|name| (*name).to_owned()).collect();
    for part in ["src", "migrations", "locales"] {
        let folder = one.source.join(part);
        if folder.exists() {
            wanted.extend(held(&folder)?.into_iter().map(|file| format!("{part}/{file}")));
        }
    }
    Ok(wanted)
}

/// Builds the smallest product against the unpacked crates, far from the workspace: by version, patched to these folders.
async fn build(crates: &[Published], unpacked: &Path, product: &Path) -> Result<bool> {
    let own = cargo::workspace_dir();
    let minimal = own.join("examples/minimal-axum");
    std::fs::create_dir_all(product.join("src"))?;
    std::fs::copy(minimal.join("src/main.rs"), product.join("src/main.rs"))?;
    // The versions that everything else here is tested with.
    std::fs::copy(own.join("Cargo.lock"), product.join("Cargo.lock"))?;
    let mut manifest = "[workspace]\n\n[package]\nname = \"minimal-axum\"\nedition = \"2024\"\n\n".to_owned();
    manifest += "[dependencies]\naxum = { version = \"0.8\", default-features = false }\nhttp = \"1\"\n";
    manifest += "tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n";
    for one in crates {
        let features = if one.name == "kernel-core" { ", features = [\"testkit\"]" } else { "" };
        writeln!(manifest, "{} = {{ version = \"{}\"{features} }}", one.name, one.version)?;
    }
    manifest += "\n[patch.crates-io]\n";
    for one in crates {
        let path = unpacked.join(one.folder()).display().to_string();
        writeln!(manifest, "{} = {{ path = {path:?} }}", one.name)?;
    }
    std::fs::write(product.join("Cargo.toml"), manifest)?;
    let mut command = cargo::cargo();
    command.args(["check", "--offline", "--quiet", "--manifest-path"]).arg(product.join("Cargo.toml"));
    // Debug information is of no use to a check, and its absence halves the room that this takes.
    command.args(["--config", "profile.dev.debug=0", "--target-dir"]).arg(product.join("target"));
    let status = command.current_dir(product).stdin(Stdio::null()).status().await;
    Ok(status.context("cargo cannot be started")?.success())
}
