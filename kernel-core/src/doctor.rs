//! The doctor: examines a server, its logins, the schema and the configuration, and says what to mend.
//!
//! `build` refuses what is unsafe; the doctor also sees what is unwise, and goes on where `build` stops.
//!
//! ```no_run
//! # async fn examine(builder: kernel_core::AppBuilder) {
//! let report = builder.examine(None).await;
//! for diagnosis in &report.diagnoses {
//!     println!("{diagnosis}");
//! }
//! assert!(report.is_sound(), "something is to be mended");
//! # }
//! ```

mod config;
mod facts;
mod login;
mod migration;
mod schema;
mod server;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::app::AppBuilder;
use crate::ctx::Ctx;
use crate::db::{Db, OperatorTx, Reason};
use crate::error::Error;

use facts::Facts;

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// All is well.
    Sound,
    /// It works, and could be better.
    Advice {
        /// What could.
        problem: String,
        /// How.
        mend: String,
    },
    /// Something is to be mended.
    Fault {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        mend: String,
    },
    /// There was nothing to look at, or no way to; the text says what is missing.
    Skipped(String),
}

impl Verdict {
    /// Something is to be mended.
    #[must_use]
    pub fn fault(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Fault { problem: problem.into(), mend: mend.into() }
    }

    /// It works, and could be better.
    #[must_use]
    pub fn advice(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Advice { problem: problem.into(), mend: mend.into() }
    }

    /// Sound if there is no problem; else the problems together, with one way to mend them.
    #[must_use]
    pub fn of(problems: &[String], mend: &str) -> Self {
        if problems.is_empty() { Self::Sound } else { Self::fault(problems.join("; "), mend) }
    }
}

/// One examination and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The dotted name: `login.superuser`.
    pub check: &'static str,
    /// What was found.
    pub verdict: Verdict,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = self.check;
        match &self.verdict {
            Verdict::Sound => write!(f, "ok      {check}"),
            Verdict::Advice { problem, mend } => write!(f, "advice  {check}: {problem}\n        {mend}"),
            Verdict::Fault { problem, mend } => write!(f, "FAULT   {check}: {problem}\n        {mend}"),
            Verdict::Skipped(reason) => write!(f, "skipped {check}: {reason}"),
        }
    }
}

/// Every verdict of one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order of the examinations.
    pub diagnoses: Vec<Diagnosis>,
}

impl Report {
    /// Whether nothing has to be mended. Advice and what was skipped do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.diagnoses.iter().any(|diagnosis| matches!(diagnosis.verdict, Verdict::Fault { .. }))
    }
}

/// Something that a pillar has examined, as staff and with sight of all workspaces. Registered with
/// [`Pillar::check`](crate::Pillar::check).
#[async_trait]
pub trait Check: Send + Sync {
    /// Looks, and judges. It changes nothing.
    ///
    /// # Errors
    /// When it could not look; the report says so.
    async fn examine(&self, tx: &mut OperatorTx) -> Result<Verdict, Error>;
}

/// A check under its dotted name.
pub(crate) type NamedCheck = (&'static str, Arc<dyn Check>);

/// An examination of facts that are at hand.
struct Examination {
    name: &'static str,
    judge: fn(&Facts<'_>) -> Verdict,
}

/// The names of the core's own examinations; pillars add theirs.
pub fn names() -> impl Iterator<Item = &'static str> {
    examinations().map(|examination| examination.name)
}

fn examinations() -> impl Iterator<Item = &'static Examination> {
    [server::ALL, login::ALL, schema::ALL, migration::ALL, config::ALL].into_iter().flatten()
}

impl AppBuilder {
    /// Examines the database, its logins and this configuration. With `migrate`, the URL of the login that migrates, on a
    /// direct connection, also whether the schema is up to date. That staff looked, and why, goes into the audit log.
    pub async fn examine(self, migrate: Option<&str>) -> Report {
        let plan = self.plan();
        let (db, config, pillars) = self.parts();
        let facts = Facts::gather(db, config, pillars, &plan, migrate).await;
        let mut diagnoses: Vec<_> = examinations()
            .map(|Examination { name, judge }| Diagnosis { check: name, verdict: judge(&facts) })
            .collect();
        let ctx = Ctx::system("doctor", &config.clock, &config.entropy);
        for (name, check) in pillars.iter().flat_map(|pillar| &pillar.checks) {
            diagnoses.push(Diagnosis { check: name, verdict: visit(db, &ctx, check.as_ref()).await });
        }
        Report { diagnoses }
    }
}

async fn visit(db: &Db, ctx: &Ctx, check: &dyn Check) -> Verdict {
    let reason = Reason::new("the doctor examines the installation").expect("a reason of that length");
    match db.operator(ctx, &reason, async |tx: &mut OperatorTx| check.examine(tx).await).await {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Skipped(error.with_causes()),
    }
}
