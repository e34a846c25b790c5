//! What verification reads of the audit log, under a login that sees every workspace.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::audit_seal::{Head, Row, Total};
use crate::id::WorkspaceId;

/// The total, and what it should be.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct CountedTotal {
    #[sqlx(flatten)]
    pub(crate) total: Total,
    pub(crate) heads: i64,
    pub(crate) length: i64,
}

/// One statement, so that a sealer at work makes no difference.
pub(crate) async fn total(conn: &mut PgConnection) -> Result<Option<CountedTotal>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT t.workspaces, t.sealed, t.sealed_at, t.code,
               (SELECT count(*) FROM kernel_core.audit_head) AS heads,
               (SELECT coalesce(sum(h.seq), 0)::bigint FROM kernel_core.audit_head AS h) AS length
        FROM kernel_core.audit_total AS t
        WHERE t.id = 1
        ",
    )
    .fetch_optional(conn)
    .await
}

/// The first workspace after this one that has anything to do with the log; the first of all after `None`.
pub(crate) async fn next_workspace(
    conn: &mut PgConnection,
    after: Option<WorkspaceId>,
) -> Result<Option<WorkspaceId>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT w FROM (
            (SELECT workspace_id AS w FROM kernel_core.audit_head
             WHERE $1::uuid IS NULL OR workspace_id > $1 ORDER BY workspace_id LIMIT 1)
            UNION ALL
            (SELECT workspace_id FROM kernel_core.audit_seal
             WHERE $1::uuid IS NULL OR workspace_id > $1 ORDER BY workspace_id LIMIT 1)
            UNION ALL
            (SELECT workspace_id FROM kernel_core.audit_unsealed
             WHERE $1::uuid IS NULL OR workspace_id > $1 ORDER BY workspace_id LIMIT 1)
            UNION ALL
            (SELECT workspace_id FROM kernel_core.audit_log
             WHERE $1::uuid IS NULL OR workspace_id > $1 ORDER BY workspace_id LIMIT 1)
        ) AS next
        ORDER BY w
        LIMIT 1
        ",
    )
    .bind(after)
    .fetch_optional(conn)
    .await
}

/// The head of a workspace.
pub(crate) async fn head(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT seq, hash, floor_seq, floor_hash, floor_id, sealed_at, code
        FROM kernel_core.audit_head
        WHERE workspace_id = $1
        ",
    )
    .bind(workspace)
    .fetch_optional(conn)
    .await
}

/// Whether a workspace has seals past its head, in one statement with the head.
pub(crate) async fn seals_past_head(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT s.seq
        FROM kernel_core.audit_seal AS s
        WHERE s.workspace_id = $1
          AND s.seq > coalesce((SELECT h.seq FROM kernel_core.audit_head AS h WHERE h.workspace_id = $1), 0)
        ORDER BY s.seq
        LIMIT 1
        ",
    )
    .bind(workspace)
    .fetch_optional(conn)
    .await
}

/// A seal, and its row if that is there.
#[derive(Debug)]
pub(crate) struct SealedRow {
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) salt: Vec<u8>,
    pub(crate) personal: Vec<u8>,
    pub(crate) digest: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) row: Option<Row>,
}

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for SealedRow {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let is_there = row.try_get::<Option<Uuid>, _>("request_id")?.is_some();
        Ok(Self {
            seq: row.try_get("seq")?,
            id: row.try_get("id")?,
            salt: row.try_get("salt")?,
            personal: row.try_get("personal")?,
            digest: row.try_get("digest")?,
            hash: row.try_get("hash")?,
            row: if is_there { Some(Row::from_row(row)?) } else { None },
        })
    }
}

/// Seals after `after`, up to the seal `last`, each with its row. A row is looked up by its seal, whatever the planner
/// thinks of the size of the log.
pub(crate) async fn sealed(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    after: i64,
    last: i64,
    batch: i64,
) -> Result<Vec<SealedRow>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT s.workspace_id, s.seq, s.id, s.salt, s.personal, s.digest, s.hash,
               a.actor_type, a.actor_id, a.acting_as, a.action, a.target_type, a.target_id,
               a.metadata::text AS metadata, a.ip_address::text AS ip_address, a.user_agent, a.request_id, a.created_at
        FROM kernel_core.audit_seal AS s
        LEFT JOIN LATERAL (
            SELECT * FROM kernel_core.audit_log AS l WHERE l.workspace_id = s.workspace_id AND l.id = s.id OFFSET 0
        ) AS a ON true
        WHERE s.workspace_id = $1 AND s.seq > $2 AND s.seq <= $3
        ORDER BY s.seq
        LIMIT $4
        ",
    )
    .bind(workspace)
    .bind(after)
    .bind(last)
    .bind(batch)
    .fetch_all(conn)
    .await
}

/// A page of a workspace's rows: where it ends, and those of them that have no seal.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Strays {
    pub(crate) last: Option<Uuid>,
    pub(crate) ids: Vec<Uuid>,
}

/// One statement, so that a sealer at work makes no difference. Rows below the floor have lost their seals.
pub(crate) async fn strays(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    after: Uuid,
    floor: Uuid,
    batch: i64,
) -> Result<Strays, sqlx::Error> {
    sqlx::query_as(
        r"
        WITH page AS MATERIALIZED (
            SELECT a.id FROM kernel_core.audit_log AS a
            WHERE a.workspace_id = $1 AND a.id > $2
            ORDER BY a.id
            LIMIT $4
        )
        SELECT (SELECT p.id FROM page AS p ORDER BY p.id DESC LIMIT 1) AS last,
               ARRAY(
                   SELECT p.id FROM page AS p
                   WHERE p.id >= $3
                     AND NOT EXISTS (SELECT FROM kernel_core.audit_seal AS s WHERE s.workspace_id = $1 AND s.id = p.id)
                   ORDER BY p.id
               ) AS ids
        ",
    )
    .bind(workspace)
    .bind(after)
    .bind(floor)
    .bind(batch)
    .fetch_one(conn)
    .await
}

/// What waits for the sealer in a workspace, and rows that wait though a seal bears their id.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Waiting {
    pub(crate) rows: i64,
    pub(crate) oldest_at: Option<DateTime<Utc>>,
    pub(crate) repeated: Vec<Uuid>,
}

pub(crate) async fn waiting(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Waiting, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT count(*) FILTER (WHERE NOT sealed) AS rows,
               min(created_at) FILTER (WHERE NOT sealed) AS oldest_at,
               coalesce(array_agg(id ORDER BY id) FILTER (WHERE sealed), '{}') AS repeated
        FROM (
            SELECT u.id, u.created_at,
                   (SELECT count(*) FROM kernel_core.audit_seal AS s
                    WHERE s.workspace_id = u.workspace_id AND s.id = u.id) > 0 AS sealed
            FROM kernel_core.audit_unsealed AS u
            WHERE u.workspace_id = $1
        ) AS waiting
        ",
    )
    .bind(workspace)
    .fetch_one(conn)
    .await
}

/// The hash of a seal.
pub(crate) async fn hash_of(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    seq: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT hash FROM kernel_core.audit_seal WHERE workspace_id = $1 AND seq = $2")
        .bind(workspace)
        .bind(seq)
        .fetch_optional(conn)
        .await
}
