//! The OpenAPI document: one for all hosts, and valid.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use kernel_core::App;
use kernel_core::secret::sha256;
use kernel_core::testkit::{Client, left_out};

use crate::cargo;

/// The validator, from the Python package index.
const VALIDATOR: &str = "openapi-spec-validator==0.7.2";

/// What is known of the documents.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) same: bool,
    /// Why the validator does not accept it.
    pub(super) invalid: Option<String>,
    pub(super) hash: String,
}

/// Fetches the document of every app and has it checked.
pub(super) async fn compare(apps: [&App; 3]) -> Result<Document> {
    let mut documents = Vec::new();
    for app in apps {
        documents.push(Client::new(app).get("/api/v1/openapi.json").await.body);
    }
    let hash = sha256(&documents[0]).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let same = documents.iter().all(|document| *document == documents[0]);
    let folder = cargo::target_dir()?.join("openapi");
    fs::create_dir_all(&folder)?;
    let file = folder.join("parity.json");
    fs::write(&file, &documents[0])?;
    let invalid = match validator(&folder).await {
        Ok(validator) => validate(&validator, &file).await?,
        Err(why) => {
            left_out("the OpenAPI document against its schema", &format!("{why:#}"));
            None
        }
    };
    Ok(Document { same, invalid, hash })
}

/// The validator in an environment of its own, made when it is first asked for.
async fn validator(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("venv/bin/openapi-spec-validator");
    if !program.exists() {
        eprintln!("installing {VALIDATOR} under {}", folder.display());
        run("python3", &["-m", "venv", "--clear", "venv"], folder).await?;
        run("venv/bin/pip", &["install", "--quiet", "--disable-pip-version-check", VALIDATOR], folder)
            .await?;
    }
    Ok(program)
}

async fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    // A relative program is looked for in the current folder, not in the command's.
    let path = folder.join(program);
    let path = if path.exists() { path } else { program.into() };
    let mut command = cargo::child(&path);
    let output = command.args(arguments).current_dir(folder).output().await;
    let output = output.with_context(|| format!("cannot start {program}"))?;
    anyhow::ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

async fn validate(validator: &Path, file: &Path) -> Result<Option<String>> {
    let mut command = cargo::child(validator);
    let output = command.args(["--schema", "3.1.0"]).arg(file).stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(format!("the OpenAPI document is not valid: {}", String::from_utf8_lossy(&said).trim())))
}
