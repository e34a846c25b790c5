//! schemathesis, in an environment of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::host::{Person, WORKSPACE};
use super::plant::Fault;
use crate::cargo;

/// The files that it works with.
const FILES: [&str; 3] = ["requirements.txt", "schemathesis.toml", "hooks.py"];

/// The tool, ready to be run.
pub(super) struct Tool {
    folder: PathBuf,
}

/// What is asked of a host.
pub(super) struct Wanted<'h> {
    /// Of the log.
    pub(super) name: String,
    pub(super) url: String,
    /// Who asks; nobody in particular without.
    pub(super) owner: Option<&'h Person>,
    pub(super) seed: u64,
    pub(super) short: bool,
    /// Ask the planted routes only: whether the checks see them is what is wanted to know.
    pub(super) planted: Option<Fault>,
}

/// What came of it; `hooks.py` counts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Figures {
    pub(super) operations: usize,
    pub(super) cases: usize,
    /// Failed checks, by their name and what they were about.
    pub(super) failures: BTreeMap<String, usize>,
    /// Why the tool was not content although no check failed.
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl Figures {
    pub(super) fn findings(&self) -> usize {
        self.failures.len() + usize::from(self.broken.is_some())
    }
}

impl Tool {
    /// Finds it, or installs it where it has not been installed.
    pub(super) async fn find() -> Result<Self> {
        let folder = cargo::target_dir()?.join("contract");
        fs::create_dir_all(&folder)?;
        let source = cargo::workspace_dir().join("xtask/contract");
        for file in FILES {
            fs::copy(source.join(file), folder.join(file))?;
        }
        let (wanted, marker) = (fs::read(folder.join(FILES[0]))?, folder.join("installed.txt"));
        if fs::read(&marker).ok().as_ref() != Some(&wanted) {
            eprintln!("installing schemathesis under {}", folder.display());
            run(Path::new("python3"), &["-m", "venv", "--clear", "venv"], &folder).await?;
            let pip = folder.join("venv/bin/pip");
            let arguments =
                ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", FILES[0]];
            run(&pip, &arguments, &folder).await?;
            fs::write(marker, wanted)?;
        }
        Ok(Self { folder })
    }

    /// Runs every check over every operation.
    pub(super) async fn ask(&self, wanted: &Wanted<'_>) -> Result<Figures> {
        let folder = self.folder.join(&wanted.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("schemathesis.toml"), self.config(wanted)?)?;
        fs::copy(self.folder.join("hooks.py"), folder.join("hooks.py"))?;
        let figures = folder.join("figures.json");
        // That of an earlier run would stand for this one.
        drop(fs::remove_file(&figures));
        let (phases, examples) = match (wanted.short, wanted.planted) {
            (_, Some(Fault::Undead)) => ("stateful", "30"),
            (_, Some(_)) => ("coverage,fuzzing", "30"),
            (true, None) => ("coverage,fuzzing", "1"),
            (false, None) => ("examples,coverage,fuzzing,stateful", "150"),
        };
        let log = fs::File::create(folder.join("log.txt"))?;
        let mut command = cargo::child(self.folder.join("venv/bin/schemathesis"));
        command
            .args(["--no-color", "run", &format!("{}/api/v1/openapi.json", wanted.url)])
            .args(["--seed", &wanted.seed.to_string(), "--phases", phases, "--max-examples", examples])
            .args(["--generation-database", "none"]);
        if wanted.planted.is_some() {
            command.args(["--include-path-regex", "/planted"]);
        }
        let status = command
            .current_dir(&folder)
            .env("CONTRACT_FIGURES", &figures)
            .env("PYTHONPATH", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .await
            .context("schemathesis cannot be started")?;
        let mut heard = counted(&figures, &folder)?;
        if !status.success() {
            eprintln!("{}: see {}", wanted.name, folder.join("log.txt").display());
            if heard.failures.is_empty() {
                heard.broken = Some(format!("schemathesis ended with {status} although no check failed"));
            }
        }
        Ok(heard)
    }

    /// The settings of the repository, and whoever asks.
    fn config(&self, wanted: &Wanted<'_>) -> Result<String> {
        let mut config = fs::read_to_string(self.folder.join("schemathesis.toml"))?;
        write!(config, "\n[parameters]\n\"path.workspace\" = \"{WORKSPACE}\"\n")?;
        if let Some(Person { cookie, csrf }) = wanted.owner {
            let value = cookie.split_once('=').map_or(cookie.as_str(), |(_, value)| value);
            write!(config, "\n[headers]\nX-CSRF-Token = \"{csrf}\"\n")?;
            write!(config, "\n[auth.openapi.session]\napi_key = \"{value}\"\n")?;
        }
        Ok(config)
    }
}

fn counted(file: &Path, folder: &Path) -> Result<Figures> {
    let text = fs::read(file);
    let text = text.with_context(|| format!("schemathesis broke off; see {}/log.txt", folder.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

async fn run(program: &Path, arguments: &[&str], folder: &Path) -> Result<()> {
    let mut command = cargo::child(program);
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().await;
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", program.display(), said.trim());
    Ok(())
}
