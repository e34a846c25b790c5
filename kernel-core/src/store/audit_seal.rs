//! The seals of the audit log, as the sealer and the retention move them: by functions that see every workspace.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::id::WorkspaceId;

/// A row of the log, in the form in which it is sealed: what PostgreSQL prints, where Rust has no type of its own.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: Uuid,
    pub(crate) actor_type: String,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) acting_as: Option<Uuid>,
    pub(crate) action: String,
    pub(crate) target_type: Option<String>,
    pub(crate) target_id: Option<Uuid>,
    pub(crate) metadata: String,
    pub(crate) ip_address: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) request_id: Uuid,
    pub(crate) created_at: DateTime<Utc>,
}

/// Where a chain ends and begins, and the code over it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) floor_seq: i64,
    pub(crate) floor_hash: Vec<u8>,
    pub(crate) floor_id: Uuid,
    pub(crate) sealed_at: DateTime<Utc>,
    pub(crate) code: Vec<u8>,
}

/// The head of a workspace, if it has one.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct FoundHead {
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) seq: Option<i64>,
    pub(crate) hash: Option<Vec<u8>>,
    pub(crate) floor_seq: Option<i64>,
    pub(crate) floor_hash: Option<Vec<u8>>,
    pub(crate) floor_id: Option<Uuid>,
    pub(crate) sealed_at: Option<DateTime<Utc>>,
    pub(crate) code: Option<Vec<u8>>,
    /// It has seals and no head.
    pub(crate) orphaned: bool,
}

impl FoundHead {
    pub(crate) fn head(self) -> Option<Head> {
        Some(Head {
            seq: self.seq?,
            hash: self.hash?,
            floor_seq: self.floor_seq?,
            floor_hash: self.floor_hash?,
            floor_id: self.floor_id?,
            sealed_at: self.sealed_at?,
            code: self.code?,
        })
    }
}

/// How many chains there are, and how long they are together.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Total {
    pub(crate) workspaces: i64,
    pub(crate) sealed: i64,
    pub(crate) sealed_at: DateTime<Utc>,
    pub(crate) code: Vec<u8>,
}

/// Seals, column by column.
#[derive(Debug, Default)]
pub(crate) struct Seals {
    pub(crate) workspaces: Vec<WorkspaceId>,
    pub(crate) seqs: Vec<i64>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) salts: Vec<Vec<u8>>,
    pub(crate) personals: Vec<Vec<u8>>,
    pub(crate) digests: Vec<Vec<u8>>,
    pub(crate) hashes: Vec<Vec<u8>>,
}

/// Takes the sealer's turn until the transaction ends; `None` when another one has it.
pub(crate) async fn begin(conn: &mut PgConnection) -> Result<Option<Total>, sqlx::Error> {
    sqlx::query_as("SELECT workspaces, sealed, sealed_at, code FROM kernel_core.begin_audit_seal()")
        .fetch_optional(conn)
        .await
}

/// Committed rows without a seal, by workspace and id; none of the `skipped` workspaces.
pub(crate) async fn unsealed(
    conn: &mut PgConnection,
    batch: i32,
    skipped: &[WorkspaceId],
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT workspace_id, id, actor_type, actor_id, acting_as, action, target_type, target_id,
               metadata::text AS metadata, ip_address::text AS ip_address, user_agent, request_id, created_at
        FROM kernel_core.unsealed_audit($1, $2)
        ",
    )
    .bind(batch)
    .bind(skipped)
    .fetch_all(conn)
    .await
}

pub(crate) async fn heads(
    conn: &mut PgConnection,
    workspaces: &[WorkspaceId],
) -> Result<Vec<FoundHead>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT workspace_id, seq, hash, floor_seq, floor_hash, floor_id, sealed_at, code, orphaned
        FROM kernel_core.audit_heads($1)
        ",
    )
    .bind(workspaces)
    .fetch_all(conn)
    .await
}

/// Puts the seals on their rows.
pub(crate) async fn seal(conn: &mut PgConnection, seals: &Seals) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.seal_audit($1, $2, $3, $4, $5, $6, $7)")
        .bind(&seals.workspaces)
        .bind(&seals.seqs)
        .bind(&seals.ids)
        .bind(&seals.salts)
        .bind(&seals.personals)
        .bind(&seals.digests)
        .bind(&seals.hashes)
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves heads, or makes them. All have been signed for the same moment.
pub(crate) async fn set_heads(
    conn: &mut PgConnection,
    heads: &[(WorkspaceId, Head)],
    moment: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let each = || heads.iter().map(|(_, head)| head);
    sqlx::query("SELECT kernel_core.set_audit_heads($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(heads.iter().map(|(workspace, _)| *workspace).collect::<Vec<_>>())
        .bind(each().map(|head| head.seq).collect::<Vec<_>>())
        .bind(each().map(|head| head.hash.clone()).collect::<Vec<_>>())
        .bind(each().map(|head| head.floor_seq).collect::<Vec<_>>())
        .bind(each().map(|head| head.floor_hash.clone()).collect::<Vec<_>>())
        .bind(each().map(|head| head.floor_id).collect::<Vec<_>>())
        .bind(moment)
        .bind(each().map(|head| head.code.clone()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn set_total(conn: &mut PgConnection, total: &Total) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.set_audit_total($1, $2, $3, $4)")
        .bind(total.workspaces)
        .bind(total.sealed)
        .bind(total.sealed_at)
        .bind(&total.code)
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes the partitions of this month and of so many to come.
pub(crate) async fn ensure_partitions(
    conn: &mut PgConnection,
    months: i32,
    now: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.ensure_audit_partitions($1, $2)")
        .bind(months)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// How many rows lie beyond the partitions made ahead, counted up to 1000.
pub(crate) async fn rows_beyond(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.audit_rows_beyond()").fetch_one(conn).await
}

/// The month of the oldest partition, as its name says.
pub(crate) async fn oldest_month(conn: &mut PgConnection) -> Result<Option<NaiveDate>, sqlx::Error> {
    sqlx::query_scalar(
        r"
        SELECT to_date(right(c.relname::text, 7), 'YYYY_MM')
        FROM pg_catalog.pg_inherits AS i
        JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'kernel_core.audit_log'::regclass AND c.relname ~ '^audit_log_\d{4}_\d{2}$'
        ORDER BY 1
        LIMIT 1
        ",
    )
    .fetch_optional(conn)
    .await
}

/// The first id of a moment.
pub(crate) async fn first_id(conn: &mut PgConnection, moment: DateTime<Utc>) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.uuid_floor($1)").bind(moment).fetch_one(conn).await
}

/// Whether every row below the id has its seal.
pub(crate) async fn is_sealed(conn: &mut PgConnection, cutoff: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT kernel_core.is_audit_sealed($1)").bind(cutoff).fetch_one(conn).await
}

/// A head, and the floor that it is to get.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Floor {
    pub(crate) workspace_id: WorkspaceId,
    #[sqlx(flatten)]
    pub(crate) head: Head,
    pub(crate) new_seq: i64,
    pub(crate) new_hash: Vec<u8>,
}

/// Heads whose floor lies below the id.
pub(crate) async fn floors(
    conn: &mut PgConnection,
    cutoff: Uuid,
    batch: i32,
) -> Result<Vec<Floor>, sqlx::Error> {
    sqlx::query_as(
        r"
        SELECT workspace_id, seq, hash, floor_seq, floor_hash, floor_id, sealed_at, code, new_seq, new_hash
        FROM kernel_core.audit_floors($1, $2)
        ",
    )
    .bind(cutoff)
    .bind(batch)
    .fetch_all(conn)
    .await
}

/// Drops the seals up to each workspace's floor.
pub(crate) async fn drop_seals(
    conn: &mut PgConnection,
    floors: &[(WorkspaceId, i64)],
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.drop_audit_seals($1, $2)")
        .bind(floors.iter().map(|(workspace, _)| *workspace).collect::<Vec<_>>())
        .bind(floors.iter().map(|(_, seq)| *seq).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Drops the partition of a month.
pub(crate) async fn drop_partition(conn: &mut PgConnection, month: NaiveDate) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT kernel_core.drop_audit_partition($1)").bind(month).execute(conn).await?;
    Ok(())
}
