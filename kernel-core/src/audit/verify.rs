//! Verification: whether the log still is what was sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::canon::{self, Hash, Salt, Scheme};
use crate::app::App;
use crate::clock::Clock;
use crate::ctx::Ctx;
use crate::data_key::{self, DataKeyError};
use crate::db::{Db, DbError, OperatorTx, Reason, Tx};
use crate::entropy::Entropy;
use crate::id::WorkspaceId;
use crate::secret::KeyProvider;
use crate::store::audit_seal::Head;
use crate::store::audit_verify::{self as store, SealedRow};

/// How many rows are held at a time.
const BATCH: i64 = 1000;
/// How many findings are listed; all are counted.
const LISTED: usize = 100;

/// The end of a workspace's chain at some time. One that is kept outside the database shows later that the database was
/// not put back to an earlier state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose chain; the nil UUID for the system's own.
    pub workspace_id: Uuid,
    /// The number of its last row.
    pub seq: i64,
    /// The hash of its last row.
    pub hash: Hash,
}

/// What is wrong somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The row is not what was sealed.
    Edited,
    /// The chain is shorter than its head says.
    CutOff,
    /// There are seals and no head, or the head is not signed with a key of this installation.
    Head,
    /// The chain does not go through a checkpoint that was kept.
    Checkpoint,
    /// The seal is not the next one of its chain: it was changed, exchanged, or one before it is gone.
    Link,
    /// The row is gone.
    Missing,
    /// There are more seals than the head knows.
    PastHead,
    /// There are other chains, or longer or shorter ones, than the total says; or the total is not signed with a key of
    /// this installation.
    Total,
    /// A row waits to be sealed whose id a seal bears already: it was inserted by another way.
    Repeated,
    /// The row has no seal: it was inserted by another way, or its seal removed.
    Stray,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "the row is not what was sealed",
            Self::CutOff => "the chain ends before its head says",
            Self::Head => "the chain has no head that is signed with our key",
            Self::Checkpoint => "the chain does not go through a checkpoint that was kept",
            Self::Link => "the seal is not the next one of its chain",
            Self::Missing => "the row is gone",
            Self::PastHead => "a seal lies past the head of its chain",
            Self::Total => "the chains are not those that the signed total counts",
            Self::Repeated => "a row waits for a seal under the id of a sealed one",
            Self::Stray => "the row was inserted by another way, or its seal is gone",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Where; `None` for what concerns all workspaces.
    pub workspace: Option<WorkspaceId>,
    /// The number of the seal.
    pub seq: Option<i64>,
    /// The row.
    pub id: Option<Uuid>,
    /// What.
    pub broken: Broken,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(workspace) = self.workspace {
            write!(f, "{workspace}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, " seq {seq}")?;
        }
        if let Some(id) = self.id {
            write!(f, " aud_{}", id.as_simple())?;
        }
        write!(f, ": {}", self.broken)
    }
}

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many chains there are.
    pub workspaces: u64,
    /// How many sealed rows were read and are what they were.
    pub sealed: u64,
    /// How many seals are left of rows that retention has dropped.
    pub expired: u64,
    /// How many rows wait for the sealer.
    pub unsealed: u64,
    /// When the oldest of them was written.
    pub oldest_unsealed_at: Option<DateTime<Utc>>,
    /// How many things are wrong.
    pub broken: u64,
    /// The first hundred of them.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken == 0
    }

    fn add(&mut self, workspace: Option<WorkspaceId>, seq: Option<i64>, id: Option<Uuid>, broken: Broken) {
        self.broken += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding { workspace, seq, id, broken });
        }
    }
}

/// Verifies the whole log, page by page, under the operator login; that it was done and why is in the log itself.
/// `known` are checkpoints that were kept, `seen` gets the present ones. The sealer may be at work meanwhile.
///
/// # Errors
/// As [`Db::operator`](crate::Db::operator); [`DbError::Sql`] when the database refuses.
pub async fn verify(
    app: &App,
    ctx: &Ctx,
    reason: &Reason,
    known: &[Checkpoint],
    seen: &mut (dyn FnMut(Checkpoint) + Send),
) -> Result<Report, DbError> {
    let scheme = Scheme::new(&app.shared.keyring, app.shared.config.audit.fault);
    app.db()
        .operator(ctx, reason, async |tx: &mut OperatorTx| {
            Ok(verify_on(tx.conn(), &scheme, known, seen).await?)
        })
        .await
}

/// The same for a command that has the database, through its operator login, and the provider's keys, but no app.
///
/// # Errors
/// As [`verify`]; [`DataKeyError::Provider`] when a data key cannot be unwrapped.
pub async fn verify_database(
    db: &Db,
    keys: impl KeyProvider + 'static,
    reason: &Reason,
    known: &[Checkpoint],
    seen: &mut (dyn FnMut(Checkpoint) + Send),
) -> Result<Report, DataKeyError> {
    let ctx = Ctx::system("audit", &Clock::system(), &Entropy::system());
    let keyring = data_key::load(db, Arc::new(keys), &ctx).await?;
    let scheme = Scheme::new(&keyring, None);
    let report = db.operator(&ctx, reason, async |tx: &mut OperatorTx| {
        Ok::<_, DbError>(verify_on(tx.conn(), &scheme, known, seen).await?)
    });
    Ok(report.await?)
}

pub(crate) async fn verify_on(
    conn: &mut PgConnection,
    scheme: &Scheme,
    known: &[Checkpoint],
    seen: &mut (dyn FnMut(Checkpoint) + Send),
) -> Result<Report, sqlx::Error> {
    let mut report = Report::default();
    total(conn, scheme, &mut report).await?;
    let mut kept: BTreeMap<WorkspaceId, Vec<&Checkpoint>> = BTreeMap::new();
    for checkpoint in known {
        kept.entry(WorkspaceId::from_uuid(checkpoint.workspace_id)).or_default().push(checkpoint);
    }
    let mut last = None;
    while let Some(workspace) = store::next_workspace(conn, last).await? {
        let head = chain(conn, scheme, workspace, &mut report).await?;
        for checkpoint in kept.remove(&workspace).unwrap_or_default() {
            if !goes_through(conn, workspace, head.as_ref(), checkpoint).await? {
                report.add(Some(workspace), Some(checkpoint.seq), None, Broken::Checkpoint);
            }
        }
        if let Some(head) = head {
            let hash = Hash::try_from(head.hash.as_slice()).unwrap_or_default();
            seen(Checkpoint { workspace_id: workspace.uuid(), seq: head.seq, hash });
        }
        last = Some(workspace);
    }
    for checkpoint in kept.into_values().flatten() {
        let workspace = WorkspaceId::from_uuid(checkpoint.workspace_id);
        report.add(Some(workspace), Some(checkpoint.seq), None, Broken::Checkpoint);
    }
    Ok(report)
}

async fn total(conn: &mut PgConnection, scheme: &Scheme, report: &mut Report) -> Result<(), sqlx::Error> {
    let is_ours = store::total(conn).await?.is_some_and(|counted| {
        scheme.knows_total(&counted.total)
            && (counted.heads, counted.length) == (counted.total.workspaces, counted.total.sealed)
    });
    if !is_ours {
        report.add(None, None, None, Broken::Total);
    }
    Ok(())
}

/// Whether the chain went through this checkpoint. Of one below the floor only the length can be told.
async fn goes_through(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    head: Option<&Head>,
    checkpoint: &Checkpoint,
) -> Result<bool, sqlx::Error> {
    let Some(head) = head.filter(|head| head.seq >= checkpoint.seq) else { return Ok(false) };
    if checkpoint.seq < head.floor_seq {
        return Ok(true);
    }
    if checkpoint.seq == head.floor_seq {
        return Ok(head.floor_hash == checkpoint.hash);
    }
    Ok(store::hash_of(conn, workspace, checkpoint.seq).await?.as_deref() == Some(&checkpoint.hash))
}

/// Verifies one workspace, and returns its head.
async fn chain(
    conn: &mut PgConnection,
    scheme: &Scheme,
    workspace: WorkspaceId,
    report: &mut Report,
) -> Result<Option<Head>, sqlx::Error> {
    let (mut findings, mut head);
    loop {
        head = store::head(conn, workspace).await?;
        findings = Report { workspaces: 1, ..Report::default() };
        links(conn, scheme, workspace, head.as_ref(), &mut findings).await?;
        strays(conn, workspace, head.as_ref(), &mut findings).await?;
        let floor = |head: Option<Head>| head.map(|head| head.floor_seq);
        // Retention may have moved the floor meanwhile: what was missing above the old one is not missing then.
        if findings.is_clean() || floor(store::head(conn, workspace).await?) == floor(head.clone()) {
            break;
        }
    }
    report.workspaces += findings.workspaces;
    report.sealed += findings.sealed;
    report.expired += findings.expired;
    report.unsealed += findings.unsealed;
    report.oldest_unsealed_at =
        [report.oldest_unsealed_at, findings.oldest_unsealed_at].into_iter().flatten().min();
    for finding in &findings.findings {
        report.add(finding.workspace, finding.seq, finding.id, finding.broken);
    }
    report.broken += findings.broken - findings.findings.len() as u64;
    Ok(head)
}

/// Follows the seals from the floor to the head.
async fn links(
    conn: &mut PgConnection,
    scheme: &Scheme,
    workspace: WorkspaceId,
    head: Option<&Head>,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let place = Some(workspace);
    if let Some(past) = store::seals_past_head(conn, workspace).await? {
        let broken = if head.is_some() { Broken::PastHead } else { Broken::Head };
        report.add(place, Some(past), None, broken);
    }
    let Some(head) = head else { return Ok(()) };
    if !scheme.knows_head(workspace, head) {
        report.add(place, Some(head.seq), None, Broken::Head);
    }
    let mut previous = Hash::try_from(head.floor_hash.as_slice()).unwrap_or_default();
    let mut last = head.floor_seq;
    loop {
        let page = store::sealed(conn, workspace, last, head.seq, BATCH).await?;
        let is_last = page.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        for seal in &page {
            if let Some(broken) = link(scheme, workspace, head, (last, &previous), seal, report) {
                report.add(place, Some(seal.seq), Some(seal.id), broken);
            }
            // Goes on from what is there, so that each fault is told once, at its own place.
            previous = Hash::try_from(seal.hash.as_slice()).unwrap_or_default();
            last = seal.seq;
        }
        if is_last {
            break;
        }
    }
    if last != head.seq || head.hash != previous {
        report.add(place, Some(head.seq), None, Broken::CutOff);
    }
    Ok(())
}

/// What is wrong with a seal that comes after another one, or with its row.
fn link(
    scheme: &Scheme,
    workspace: WorkspaceId,
    head: &Head,
    (last, previous): (i64, &Hash),
    seal: &SealedRow,
    report: &mut Report,
) -> Option<Broken> {
    let digest = Hash::try_from(seal.digest.as_slice()).unwrap_or_default();
    let hash = scheme.link(previous, workspace, last + 1, seal.id, &digest);
    if seal.seq != last + 1 || seal.hash != hash {
        return Some(Broken::Link);
    }
    let Some(row) = &seal.row else {
        if seal.id < head.floor_id {
            report.expired += 1;
            return None;
        }
        return Some(Broken::Missing);
    };
    let salt = Salt::try_from(seal.salt.as_slice()).unwrap_or_default();
    let personal = canon::personal(row, &salt);
    if seal.personal != personal || seal.digest != canon::digest(row, &personal) {
        return Some(Broken::Edited);
    }
    report.sealed += 1;
    None
}

/// Looks for rows in the log without a seal, and for rows that wait for a second one.
async fn strays(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    head: Option<&Head>,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let floor = head.map_or(Uuid::nil(), |head| head.floor_id);
    let mut after = Uuid::nil();
    loop {
        let page = store::strays(conn, workspace, after, floor, BATCH * 5).await?;
        for id in page.ids {
            report.add(Some(workspace), None, Some(id), Broken::Stray);
        }
        let Some(last) = page.last else { break };
        after = last;
    }
    let waiting = store::waiting(conn, workspace).await?;
    report.unsealed = u64::try_from(waiting.rows).unwrap_or_default();
    report.oldest_unsealed_at = waiting.oldest_at;
    for id in waiting.repeated {
        report.add(Some(workspace), None, Some(id), Broken::Repeated);
    }
    Ok(())
}
