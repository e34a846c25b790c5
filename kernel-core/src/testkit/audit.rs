//! Attacks on the audit log, and verification in the very transaction that attacks it.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{App, Config};
use crate::audit::{AuditFault, Checkpoint, Report, canon, verify_on};
use crate::id::WorkspaceId;
use crate::store::audit_seal::Row;
use crate::store::audit_verify::{self as store, SealedRow};

/// Makes the seals of an app weaker, so that a proof can show that it notices.
pub fn weaken(config: &mut Config, fault: AuditFault) {
    config.audit.fault = Some(fault);
}

/// Verifies the log on any connection that sees all rows, such as the superuser's in the middle of an attack.
///
/// # Errors
/// When the database refuses.
pub async fn verify(
    conn: &mut PgConnection,
    app: &App,
    known: &[Checkpoint],
) -> Result<(Report, Vec<Checkpoint>), sqlx::Error> {
    let scheme = canon::Scheme::new(&app.shared.keyring, app.shared.config.audit.fault);
    let mut seen = Vec::new();
    let report = verify_on(conn, &scheme, known, &mut |checkpoint| seen.push(checkpoint)).await?;
    Ok((report, seen))
}

/// What someone does who holds the database and knows the format, but has no key: computes the seals of a workspace anew
/// for its rows as they are now, from this one on, up to `last`. With `last` at the end the head follows.
///
/// # Errors
/// When the database refuses.
pub async fn forge(
    conn: &mut PgConnection,
    app: &App,
    workspace: WorkspaceId,
    (first, last): (i64, i64),
) -> Result<(), sqlx::Error> {
    let scheme = canon::Scheme::new(&app.shared.keyring, app.shared.config.audit.fault);
    let mut previous = match store::hash_of(conn, workspace, first - 1).await? {
        Some(hash) => hash_of(&hash),
        None => canon::GENESIS,
    };
    let mut seq = first - 1;
    for seal in store::sealed(conn, workspace, first - 1, last, i64::MAX).await? {
        seq = seal.seq;
        let (personal, digest) = remade(&seal);
        previous = scheme.link(&previous, workspace, seal.seq, seal.id, &digest);
        sqlx::query(
            "UPDATE kernel_core.audit_seal SET personal = $3, digest = $4, hash = $5 WHERE workspace_id = $1 AND seq = $2",
        )
        .bind(workspace)
        .bind(seal.seq)
        .bind(personal.as_slice())
        .bind(digest.as_slice())
        .bind(previous.as_slice())
        .execute(&mut *conn)
        .await?;
    }
    if seq >= first && last == i64::MAX {
        sqlx::query("UPDATE kernel_core.audit_head SET seq = $2, hash = $3 WHERE workspace_id = $1")
            .bind(workspace)
            .bind(seq)
            .bind(previous.as_slice())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

fn remade(seal: &SealedRow) -> (canon::Hash, canon::Hash) {
    let Some(row) = &seal.row else { return (hash_of(&seal.personal), hash_of(&seal.digest)) };
    let row: &Row = row;
    let salt = canon::Salt::try_from(seal.salt.as_slice()).unwrap_or_default();
    let personal = canon::personal(row, &salt);
    (personal, canon::digest(row, &personal))
}

fn hash_of(bytes: &[u8]) -> canon::Hash {
    canon::Hash::try_from(bytes).unwrap_or_default()
}

/// The ids of a workspace's sealed rows, by their numbers from the first.
///
/// # Errors
/// When the database refuses.
pub async fn sealed_ids(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Uuid>, sqlx::Error> {
    let seals = store::sealed(conn, workspace, 0, i64::MAX, i64::MAX).await?;
    Ok(seals.into_iter().map(|seal| seal.id).collect())
}
