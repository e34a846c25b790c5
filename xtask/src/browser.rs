//! `cargo xtask prove browser`: a person's walk through the example product in a real browser; on axum, and in the full
//! form on actix-web too.
//!
//! The walk itself is `xtask/browser/walk.mjs`: by keyboard alone, with axe on every page, in both colour schemes and at
//! two widths. The screenshots stay in the target folder, for a person to look at.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::{Logins, left_out};
use kernel_core::{Config, Db, DbConfig, RoleNames};
use serde_json::Value;
use tracker::Settings;

use crate::cargo;
use crate::dev::{DATABASE, Product};
use crate::outcome::Outcome;
use crate::prove::Options;

/// What the walk must notice when it is planted.
pub const FAULTS: &[&str] = &["unlabelled-field", "console-error", "shared-session"];

/// Walks on each framework.
///
/// # Errors
///
/// When a program or its database cannot be started.
pub async fn run(options: Options) -> Result<Outcome> {
    let tools = match Tools::find().await {
        Ok(tools) => tools,
        Err(error) => {
            left_out("prove browser", &format!("{error:#}"));
            return Ok(Outcome::new().value("left_out", 1));
        }
    };
    let server = options.postgres().await?;
    let mut outcome = Outcome::new();
    let frameworks: &[_] = if options.short { &["axum"] } else { &["axum", "actix"] };
    for &framework in frameworks {
        let product = Product::of(framework);
        product.build().await?;
        let logins = database(server.options(), framework).await?;
        let running = product.start(&logins, None, "warn").await?;
        let walked = tools.walk(&running.url, framework, &options).await?;
        drop(running);
        outcome = match walked {
            Ok(figures) => judge(outcome, framework, &figures),
            Err(reason) => outcome.require(false, format!("{framework}: {reason}")),
        };
    }
    Ok(outcome)
}

fn judge(outcome: Outcome, framework: &'static str, figures: &Value) -> Outcome {
    let figure = |name: &str| figures[name].as_u64().unwrap_or_default();
    let (pages, refused) = (figure("pages"), figure("refused"));
    let faults = [("violations", "axe violations"), ("console_errors", "console errors")];
    let outcome = outcome
        .value(framework, format!("{pages}pages/{}shots/{}keys", figure("screenshots"), figure("steps")))
        .require(pages >= 24 && refused >= 4, format!("{framework}: the walk was too short"));
    faults.into_iter().fold(outcome, |outcome, (key, what)| {
        let count = figure(key);
        outcome.require(count == 0, format!("{framework}: {count} {what}"))
    })
}

/// A database for one run, with the product's schema and nothing in it.
pub(crate) async fn database(server: &sqlx::postgres::PgConnectOptions, framework: &str) -> Result<Logins> {
    let roles = RoleNames::prefixed(DATABASE);
    let logins = Logins::new(server, &format!("walk_{framework}_{}", std::process::id()), &roles);
    let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
    nowhere.roles = roles;
    let plan = tracker::app(Db::new(&nowhere)?, Config::new(logins.keys()), &Settings::default()).plan();
    logins.prepare(&plan).await.context("the database cannot be prepared")?;
    Ok(logins)
}

/// Node with the walk's packages, and a Chromium.
struct Tools {
    folder: PathBuf,
    chromium: PathBuf,
}

impl Tools {
    /// Finds or installs what the walk needs.
    async fn find() -> Result<Self> {
        let folder = cargo::target_dir()?.join("browser");
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json", "walk.mjs"] {
            std::fs::copy(cargo::workspace_dir().join("xtask/browser").join(file), folder.join(file))?;
        }
        if !folder.join("node_modules/axe-core/axe.min.js").exists() {
            quietly("npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"], &folder).await?;
        }
        Ok(Self { chromium: chromium(&folder).await?, folder })
    }

    /// The walk's figures, or why it did not reach its end.
    async fn walk(&self, url: &str, framework: &str, options: &Options) -> Result<Result<Value, String>> {
        let shots = self.folder.join("shots").join(framework);
        std::fs::create_dir_all(&shots)?;
        let form = if options.short { "short" } else { "full" };
        let mut command = cargo::child("node");
        command.arg("walk.mjs").arg(url).arg(&self.chromium).arg(&shots).arg(form).args(options.fault);
        let output = command.current_dir(&self.folder).output().await.context("node cannot be started")?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        eprint!("{complaints}");
        if !output.status.success() {
            let first = complaints.lines().find(|line| line.contains("Error")).unwrap_or("the walk stopped");
            return Ok(Err(first.trim().to_owned()));
        }
        let text = String::from_utf8(output.stdout)?;
        let last = text.lines().last().context("the walk says nothing")?;
        Ok(Ok(serde_json::from_str(last)?))
    }
}

async fn chromium(folder: &Path) -> Result<PathBuf> {
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = || usual.iter().map(PathBuf::from).find(|path| path.exists());
    if let Some(path) = found() {
        return Ok(path);
    }
    quietly("apt-get", &["update"], folder).await?;
    quietly("apt-get", &["install", "--yes", "--no-install-recommends", "chromium"], folder).await?;
    found().context("no Chromium; install one")
}

pub(crate) async fn quietly(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    eprintln!("{program} {}", arguments.join(" "));
    let mut command = cargo::child(program);
    command.args(arguments).current_dir(folder).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = command.output().await.with_context(|| format!("{program} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.lines().last().unwrap_or_default());
    Ok(())
}
