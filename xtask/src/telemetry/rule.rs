//! The dashboard, the alerts and the runbooks: each query asks for what there is, each alert goes off when it should, and
//! says what to do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kernel_core::testkit;
use tokio::process::Command;

use super::query::Known;
use super::{UNKNOWN_METRIC, alert, dashboard, files};
use crate::cargo;
use crate::outcome::Outcome;
use crate::prove::Options;

pub(super) async fn held(options: &Options, metrics: &str) -> Result<Outcome> {
    let recorded = alert::recordings();
    let known = Known::of(metrics, recorded.iter().map(|(name, _)| name.clone()));
    let mut queries: Vec<_> = recorded.into_iter().map(|(_, query)| query).collect();
    queries.extend(alert::alerts().into_iter().map(|alert| alert.expr));
    let panels = dashboard::ROWS.iter().flat_map(|row| row.panels);
    queries.extend(panels.flat_map(|panel| panel.queries).map(|(query, _)| (*query).to_owned()));
    if options.plants(UNKNOWN_METRIC) {
        queries.push("rate(kernel_requests_of_nobody_total[5m])".to_owned());
    }
    let misses: Vec<_> = queries.iter().flat_map(|query| known.misses(query)).collect();
    let stale =
        files().into_iter().filter(|(path, text)| std::fs::read_to_string(path).ok().as_ref() != Some(text));
    let stale: Vec<_> = stale.map(|(path, _)| path.display().to_string()).collect();
    let books = books()?;
    let wrong = wrong_books(&books, &commands().await?);
    let rules = match promtool().await {
        Ok(program) => {
            tried(&program).await?;
            alert::alerts().len().to_string()
        }
        Err(why) => {
            testkit::left_out("the trial of the alert rules", &format!("no promtool: {why}"));
            "left_out".to_owned()
        }
    };
    Ok(Outcome::new()
        .value("queries", queries.len())
        .value("alerts_tried", rules)
        .value("runbooks", books.len())
        .require(misses.is_empty(), misses.join("; "))
        .require(
            stale.is_empty(),
            format!("run `cargo xtask telemetry`: not as declared: {}", stale.join(", ")),
        )
        .require(wrong.is_empty(), wrong.join("; ")))
}

/// The runbooks, by name, with their text.
fn books() -> Result<Vec<(String, String)>> {
    let folder = cargo::workspace_dir().join("docs/runbooks");
    let mut books = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        books.push((name, std::fs::read_to_string(&path)?));
    }
    Ok(books)
}

/// What is wrong with the runbooks: each alert has one and each belongs to an alert, says what is seen, what to look at and
/// what to do, and names commands that there are.
fn wrong_books(books: &[(String, String)], commands: &[String]) -> Vec<String> {
    let wanted: BTreeSet<_> = alert::alerts().iter().map(|alert| alert.runbook).collect();
    let mut wrong: Vec<_> = wanted
        .iter()
        .filter(|name| !books.iter().any(|(book, _)| book == *name))
        .map(|name| format!("there is no runbook {name}"))
        .collect();
    for (name, text) in books {
        if !wanted.contains(name.as_str()) {
            wrong.push(format!("no alert leads to the runbook {name}"));
        }
        for heading in ["## Symptom", "## Check", "## Mend"] {
            if !text.contains(heading) {
                wrong.push(format!("the runbook {name} has no {heading}"));
            }
        }
        for (_, rest) in text.match_indices("cargo xtask ").map(|(at, word)| (at, &text[at + word.len()..])) {
            let command =
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
            if !commands.iter().any(|known| known == command) {
                wrong.push(format!("the runbook {name} names the command {command}, which there is not"));
            }
        }
    }
    wrong
}

/// The commands of this very program, as its help lists them.
async fn commands() -> Result<Vec<String>> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let out = Command::new(program).arg("help").output().await.context("the help cannot be asked for")?;
    let help = String::from_utf8_lossy(&out.stdout).into_owned();
    let (_, listed) = help.split_once("Commands:").context("the help lists no commands")?;
    let listed = listed.lines().take_while(|line| !line.starts_with("Options:"));
    Ok(listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Has Prometheus's own tool check the rules and run their trials.
async fn tried(promtool: &Path) -> Result<()> {
    let folder = cargo::target_dir()?.join("telemetry");
    std::fs::create_dir_all(&folder)?;
    let (rules, tests) = (folder.join("rules.yml"), folder.join("tests.yml"));
    std::fs::write(&rules, format!("{:#}", alert::rules()))?;
    std::fs::write(&tests, format!("{:#}", alert::tests("rules.yml")))?;
    for (what, file) in [("check", &rules), ("test", &tests)] {
        let out = Command::new(promtool).args([what, "rules"]).arg(file).output().await;
        let out = out.context("promtool cannot be started")?;
        let said = [out.stdout, out.stderr].concat();
        ensure!(out.status.success(), "promtool {what} rules: {}", String::from_utf8_lossy(&said));
    }
    Ok(())
}

/// The system's promtool, or that of the system's package, unpacked into the target folder: nothing is installed.
async fn promtool() -> Result<PathBuf> {
    if Command::new("promtool").arg("--version").output().await.is_ok_and(|out| out.status.success()) {
        return Ok(PathBuf::from("promtool"));
    }
    let folder = cargo::target_dir()?.join("promtool");
    let program = folder.join("root/usr/bin/promtool");
    if program.exists() {
        return Ok(program);
    }
    std::fs::create_dir_all(&folder)?;
    let script =
        "apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb root.new && mv root.new root";
    let out = Command::new("sh").args(["-ec", script]).current_dir(&folder).output().await?;
    let said = String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned();
    ensure!(out.status.success() && program.exists(), "{said}");
    Ok(program)
}
