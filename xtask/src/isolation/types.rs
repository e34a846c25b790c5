//! *Types*: misuse does not compile. Each case is a file that compiles and names one token whose replacement must not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use crate::cargo;
use crate::outcome::Outcome;
use crate::prove::Options;

mod case;

use case::Case;

/// Takes the sound twin for the misuse: a misuse that compiles must be noticed.
pub const TWIN_FOR_MISUSE: &str = "types-twin-for-misuse";
/// Breaks each misuse in another way too: a failure for another reason must be noticed.
pub const OTHER_REASON: &str = "types-other-reason";

/// What this part can plant.
pub const FAULTS: &[&str] = &[TWIN_FOR_MISUSE, OTHER_REASON];

/// The crates that the cases use by name.
const CRATES: [&str; 9] =
    ["garde", "http", "kernel_core", "kernel_jobs", "schemars", "serde", "serde_json", "sqlx", "uuid"];

/// How many cases there must be, so that none gets lost.
const LEAST: usize = 50;

/// Compiles every case twice.
///
/// # Errors
///
/// When the crates do not build, and when a case is not written as a case is.
pub async fn run(options: &Options) -> Result<Outcome> {
    let cases = Case::read_all(&cargo::workspace_dir().join("kernel-core/tests/ui"))?;
    let compiler = Compiler::prepare().await?;
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let verdicts: Vec<_> = stream::iter(&cases)
        .map(|case| judge(case, &compiler, options))
        .buffered(at_once)
        .try_collect()
        .await?;
    let faulty = verdicts.iter().filter(|verdict| verdict.is_some()).count();
    let outcome = Outcome::new()
        .value("type_cases", cases.len())
        .value("type_faults", faulty)
        .require(cases.len() >= LEAST, format!("{} cases, at least {LEAST} were expected", cases.len()));
    Ok(verdicts.into_iter().flatten().fold(outcome, |outcome, verdict| outcome.require(false, verdict)))
}

/// What is wrong with the case, if anything is.
async fn judge(case: &Case, compiler: &Compiler, options: &Options) -> Result<Option<String>> {
    let twin = compiler.errors(&format!("{}_twin", case.name), &case.twin).await?;
    if let Some(error) = twin.first() {
        return Ok(Some(format!("types: the twin of {} does not compile: {}", case.name, error.headline())));
    }
    let mut misuse = if options.plants(TWIN_FOR_MISUSE) { case.twin.clone() } else { case.misuse.clone() };
    if options.plants(OTHER_REASON) {
        misuse.push_str("\nconst _: () = -();\n");
    }
    let errors = compiler.errors(&case.name, &misuse).await?;
    if errors.is_empty() {
        return Ok(Some(format!("types: {} compiles: {}", case.name, case.claim)));
    }
    let other = errors.iter().find(|error| error.code != case.code);
    let unsaid = errors.iter().all(|error| !error.text.contains(&case.text));
    let found = other.or_else(|| errors.first().filter(|_| unsaid));
    Ok(found.map(|error| {
        let (code, text) = (case.code.as_deref().unwrap_or("no code"), &case.text);
        format!("types: {} fails for another reason than {code} «{text}»: {}", case.name, error.headline())
    }))
}

/// An error of the compiler.
struct CompileError {
    code: Option<String>,
    text: String,
}

impl CompileError {
    /// What and where.
    fn headline(&self) -> String {
        self.text.lines().take(2).collect::<Vec<_>>().join(" ")
    }
}

/// The compiler, with the crates as a host gets them: without the test kit.
struct Compiler {
    libraries: BTreeMap<String, PathBuf>,
    folder: PathBuf,
}

impl Compiler {
    /// Checks the crates, so that there is something to compile against.
    async fn prepare() -> Result<Self> {
        let mut check = cargo::cargo();
        check.current_dir(cargo::workspace_dir());
        check.args(["check", "--quiet", "-p", "kernel-core", "-p", "kernel-jobs", "--message-format=json"]);
        let checked = check.stderr(Stdio::inherit()).output().await.context("cannot start cargo")?;
        ensure!(checked.status.success(), "the crates do not build");
        let mut libraries = BTreeMap::new();
        for line in String::from_utf8_lossy(&checked.stdout).lines() {
            let message: Value =
                serde_json::from_str(line).context("cargo says something that is no JSON")?;
            let Some((name, file)) = library(&message)? else { continue };
            if let Some(other) = libraries.insert(name.clone(), file) {
                bail!("there are two crates {name}, one of them {}", other.display());
            }
        }
        let missing: Vec<_> = CRATES.iter().filter(|name| !libraries.contains_key(**name)).collect();
        ensure!(missing.is_empty(), "cargo built no {missing:?}");
        let folder = cargo::target_dir()?.join("tmp/ui");
        std::fs::create_dir_all(&folder).context("cannot make the folder of the cases")?;
        Ok(Self { libraries, folder })
    }

    /// What the compiler finds wrong with `source`; nothing when it compiles.
    async fn errors(&self, name: &str, source: &str) -> Result<Vec<CompileError>> {
        let file = self.folder.join(format!("{name}.rs"));
        std::fs::write(&file, source).with_context(|| format!("cannot write {}", file.display()))?;
        let mut rustc = cargo::child("rustc");
        rustc.arg(&file).args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"]);
        rustc.args(["--error-format", "json", "--cap-lints", "allow", "--out-dir"]).arg(&self.folder);
        for (name, library) in &self.libraries {
            rustc.arg("--extern").arg(format!("{name}={}", library.display()));
        }
        let deps = self.libraries.values().find_map(|library| library.parent());
        rustc.arg("-L").arg(format!("dependency={}", deps.unwrap_or(Path::new(".")).display()));
        let compiled = rustc.stdin(Stdio::null()).output().await.context("cannot start rustc")?;
        let said = String::from_utf8_lossy(&compiled.stderr);
        let errors: Vec<_> = said.lines().filter_map(error).collect();
        ensure!(compiled.status.success() == errors.is_empty(), "rustc failed on {name}: {said}");
        Ok(errors)
    }
}

/// The metadata of a library that the cases use, if the message tells of one. Those that cargo builds for build
/// scripts and macros have code too, and are none.
fn library(message: &Value) -> Result<Option<(String, PathBuf)>> {
    let name = message["target"]["name"].as_str().unwrap_or_default();
    let files = message["filenames"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [Value::String(file)] = files else { return Ok(None) };
    let is_library = message["reason"] == "compiler-artifact"
        && Path::new(file).extension().is_some_and(|extension| extension == "rmeta");
    if !is_library || !CRATES.contains(&name) {
        return Ok(None);
    }
    let features = message["features"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(!features.iter().any(|feature| feature == "testkit"), "{name} was built with the test kit");
    Ok(Some((name.to_owned(), PathBuf::from(file))))
}

fn error(line: &str) -> Option<CompileError> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = message["rendered"].as_str()?.to_owned();
    let is_summary = message["spans"].as_array().is_none_or(Vec::is_empty);
    if message["level"] != "error" || (is_summary && text.starts_with("error: aborting")) {
        return None;
    }
    Some(CompileError { code: message["code"]["code"].as_str().map(str::to_owned), text })
}
