//! The sealer: numbers committed rows per workspace without gaps, and chains them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::canon::{self, GENESIS, Salt, Scheme};
use crate::app::Config;
use crate::chore::{Chore, Pace};
use crate::db::{GlobalTx, Tx};
use crate::error::{Error, ErrorKind};
use crate::id::WorkspaceId;
use crate::secret::Keyring;
use crate::store::audit_seal::{self as store, FoundHead, Head, Row, Seals, Total};

/// How often the sealer looks: half a second, a tenth of the window that is promised.
const EVERY: Duration = Duration::from_millis(500);
/// How many rows one transaction seals at most.
const BATCH: i32 = 5000;
/// How long a workspace is left alone whose head is not ours.
const SKIPPED: TimeDelta = TimeDelta::minutes(1);

/// What the sealer works with.
#[derive(Debug, Clone)]
struct Sealer {
    scheme: Scheme,
    /// Workspaces whose head is not ours, and since when they are left alone.
    skipped: Arc<Mutex<BTreeMap<WorkspaceId, DateTime<Utc>>>>,
    /// How many rows the next round takes: half as many after one that was cut off or has failed.
    batch: Arc<AtomicI32>,
}

pub(super) fn chore(config: &Config, keyring: &Keyring) -> Chore {
    let scheme = Scheme::new(keyring, config.audit.fault);
    let sealer = Sealer { scheme, skipped: Arc::default(), batch: Arc::new(AtomicI32::new(BATCH)) };
    Chore::new("core.audit.seal", EVERY, sealer, seal).limit(Duration::from_secs(30))
}

async fn seal(sealer: Sealer, tx: &mut GlobalTx) -> Result<Pace, Error> {
    let Some(total) = store::begin(tx.conn()).await? else { return Ok(Pace::Idle) };
    let batch = sealer.batch.load(Ordering::Relaxed);
    sealer.batch.store((batch / 2).max(1), Ordering::Relaxed);
    let pace = seal_some(&sealer, tx, total, batch).await?;
    sealer.batch.store(batch.saturating_mul(2).min(BATCH), Ordering::Relaxed);
    Ok(pace)
}

/// Rows of a workspace lie together, because they come in that order.
async fn seal_some(sealer: &Sealer, tx: &mut GlobalTx, total: Total, batch: i32) -> Result<Pace, Error> {
    let now = tx.ctx().now();
    let rows = store::unsealed(tx.conn(), batch, &sealer.left_alone(now)).await?;
    if rows.is_empty() {
        return Ok(Pace::Idle);
    }
    if !sealer.scheme.knows_total(&total) {
        let why = "the total of the audit log is not signed with a key of this installation: verify the log";
        return Err(Error::new(ErrorKind::Internal, "audit_not_ours").because(why));
    }
    let is_full = rows.len() == usize::try_from(batch).unwrap_or(usize::MAX);
    let mut workspaces: Vec<_> = rows.iter().map(|row| row.workspace_id).collect();
    workspaces.dedup();
    let found = store::heads(tx.conn(), &workspaces).await?;
    let mut heads = sealer.sound(found, now);
    let mut made = Batch { scheme: &sealer.scheme, seals: Seals::default(), begun: 0 };
    for row in &rows {
        if let Some(head) = heads.get_mut(&row.workspace_id) {
            made.add(row, head, tx.ctx().entropy().bytes());
        }
    }
    let Batch { seals, begun, .. } = made;
    let added = i64::try_from(seals.ids.len()).unwrap_or(i64::MAX);
    if added > 0 {
        let signed: Vec<_> = heads
            .into_iter()
            .filter_map(|(workspace, head)| Some((workspace, sealer.signed(workspace, head?, now))))
            .collect();
        store::seal(tx.conn(), &seals).await?;
        store::set_heads(tx.conn(), &signed, now).await?;
        let mut total = Total {
            workspaces: total.workspaces + begun,
            sealed: total.sealed + added,
            sealed_at: now,
            code: Vec::new(),
        };
        total.code = sealer.scheme.sign_total(&total).to_vec();
        store::set_total(tx.conn(), &total).await?;
    }
    Ok(if is_full { Pace::Again } else { Pace::Rest })
}

impl Sealer {
    /// The workspaces to leave alone for now. Those that were for long enough are tried, and complained about, again.
    fn left_alone(&self, now: DateTime<Utc>) -> Vec<WorkspaceId> {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.retain(|_, since| now - *since < SKIPPED);
        skipped.keys().copied().collect()
    }

    /// The heads to go on from, `None` where a chain begins. To go on from a head that is not ours would sign what somebody
    /// else has written; such a workspace stays unsealed until someone has looked.
    fn sound(&self, found: Vec<FoundHead>, now: DateTime<Utc>) -> BTreeMap<WorkspaceId, Option<Head>> {
        let mut heads = BTreeMap::new();
        for found in found {
            let (workspace, orphaned) = (found.workspace_id, found.orphaned);
            let head = found.head();
            let sound = match &head {
                Some(head) => self.scheme.knows_head(workspace, head),
                None => !orphaned,
            };
            if sound {
                heads.insert(workspace, head);
            } else {
                tracing::error!(
                    workspace_id = %workspace,
                    "the head of an audit log is not ours; nothing is sealed there until the log is verified"
                );
                self.skipped.lock().unwrap_or_else(PoisonError::into_inner).insert(workspace, now);
            }
        }
        heads
    }

    fn signed(&self, workspace: WorkspaceId, head: Head, now: DateTime<Utc>) -> Head {
        let mut head = Head { sealed_at: now, ..head };
        head.code = self.scheme.sign_head(workspace, &head).to_vec();
        head
    }
}

/// Seals in the making.
struct Batch<'a> {
    scheme: &'a Scheme,
    seals: Seals,
    /// How many chains begin in it.
    begun: i64,
}

impl Batch<'_> {
    fn add(&mut self, row: &Row, head: &mut Option<Head>, salt: Salt) {
        let head = head.get_or_insert_with(|| {
            self.begun += 1;
            beginning(row)
        });
        let seq = head.seq + 1;
        let previous = canon::Hash::try_from(head.hash.as_slice()).unwrap_or(GENESIS);
        let personal = canon::personal(row, &salt);
        let digest = canon::digest(row, &personal);
        let hash = self.scheme.link(&previous, row.workspace_id, seq, row.id, &digest);
        let seals = &mut self.seals;
        seals.workspaces.push(row.workspace_id);
        seals.seqs.push(seq);
        seals.ids.push(row.id);
        seals.salts.push(salt.to_vec());
        seals.personals.push(personal.to_vec());
        seals.digests.push(digest.to_vec());
        seals.hashes.push(hash.to_vec());
        (head.seq, head.hash) = (seq, hash.to_vec());
    }
}

/// The head of a chain that has no seal yet.
fn beginning(row: &Row) -> Head {
    Head {
        seq: 0,
        hash: GENESIS.to_vec(),
        floor_seq: 0,
        floor_hash: GENESIS.to_vec(),
        floor_id: uuid::Uuid::nil(),
        sealed_at: row.created_at,
        code: Vec::new(),
    }
}
