//! A product with one table of entries, and a mark in each workspace that says whose it is.

use std::borrow::Cow;

use kernel_core::{Migrations, Pillar, Table, Tx, WorkspaceId};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use uuid::Uuid;

const SCHEMA: &str = r"
    CREATE TABLE pooled.mark (
        workspace_id uuid        NOT NULL,
        made_at      timestamptz NOT NULL,
        CONSTRAINT mark_pkey PRIMARY KEY (workspace_id)
    );
    CREATE TABLE pooled.entry (
        workspace_id uuid     NOT NULL,
        id           uuid     NOT NULL,
        part         smallint NOT NULL,
        -- Whose it should be; the row itself goes to whom the transaction belongs.
        intended     uuid     NOT NULL,
        CONSTRAINT entry_pkey PRIMARY KEY (workspace_id, id, part)
    );
";

pub(super) fn pillar() -> Pillar {
    let sql = AssertSqlSafe(SCHEMA).into_sql_str();
    let migration = Migration::new(1, Cow::Borrowed("pooled"), MigrationType::Simple, sql, false);
    let migrations = Migrations::new("pooled", Migrator::with_migrations(vec![migration]));
    Pillar::new("pooled").migrations(migrations).tables([
        Table::tenant("pooled", "mark").public(&["made_at"]),
        Table::tenant("pooled", "entry").public(&["id", "part", "intended"]),
    ])
}

/// What a transaction or a look-up saw of the world.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Sight {
    /// The setting that the policies read; empty outside any workspace.
    pub(super) setting: String,
    /// Whose marks are visible.
    pub(super) marks: Vec<Uuid>,
}

impl Sight {
    /// What a transaction of this workspace must see.
    pub(super) fn of(workspace: WorkspaceId) -> Self {
        let uuid = workspace.uuid();
        let marks = if workspace == WorkspaceId::SYSTEM { Vec::new() } else { vec![uuid] };
        Self { setting: uuid.to_string(), marks }
    }

    /// What must be seen outside any workspace.
    pub(super) fn nothing() -> Self {
        Self { setting: String::new(), marks: Vec::new() }
    }
}

/// What the connection sees, without a `WHERE`.
pub(super) async fn look(conn: &mut PgConnection) -> Result<Sight, sqlx::Error> {
    sqlx::query_as(
        "SELECT coalesce(current_setting('app.workspace_id', true), '') AS setting,
                ARRAY(SELECT workspace_id FROM pooled.mark) AS marks",
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn mark(tx: &mut impl Tx) -> Result<(), sqlx::Error> {
    let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
    sqlx::query("INSERT INTO pooled.mark (workspace_id, made_at) VALUES ($1, $2)")
        .bind(workspace)
        .bind(now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Writes one part of an entry for whomever the connection belongs to, and says what it sees.
pub(super) async fn write(
    conn: &mut PgConnection,
    id: Uuid,
    part: i16,
    intended: WorkspaceId,
) -> Result<Sight, sqlx::Error> {
    sqlx::query_as(
        "INSERT INTO pooled.entry (workspace_id, id, part, intended)
         VALUES (current_setting('app.workspace_id')::uuid, $1, $2, $3)
         RETURNING current_setting('app.workspace_id', true) AS setting,
                   ARRAY(SELECT workspace_id FROM pooled.mark) AS marks",
    )
    .bind(id)
    .bind(part)
    .bind(intended)
    .fetch_one(conn)
    .await
}

/// An entry as the administrator finds it in the end.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Found {
    pub(super) id: Uuid,
    pub(super) parts: i64,
    /// Whether all of it is where it was meant to be.
    pub(super) at_home: bool,
}

pub(super) async fn all(admin: &mut PgConnection) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, count(*) AS parts, bool_and(workspace_id = intended) AS at_home FROM pooled.entry GROUP BY id",
    )
    .fetch_all(admin)
    .await
}
