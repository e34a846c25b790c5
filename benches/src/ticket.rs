//! One table twice, with the same rows: secured by the kernel, and plain for the hand-written floor.

use std::borrow::Cow;

use anyhow::Result;
use chrono::{DateTime, Utc};
use kernel_core::{Migrations, Pillar, Table, WorkspaceId};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr};
use uuid::Uuid;

const SCHEMA: &str = r"
    CREATE TABLE bench.ticket (
        workspace_id uuid        NOT NULL,
        id           uuid        NOT NULL,
        title        text        NOT NULL,
        status       text        NOT NULL CHECK (status IN ('open', 'done')),
        created_at   timestamptz NOT NULL,
        CONSTRAINT ticket_pkey PRIMARY KEY (workspace_id, id)
    );
    CREATE INDEX ticket_list ON bench.ticket (workspace_id, status, created_at DESC, id);
";

/// The list that a handler would run, against one table or the other.
pub const LIST: &str = r"
    SELECT id, title, status, created_at
    FROM bench.ticket
    WHERE workspace_id = $1 AND status = $2
    ORDER BY created_at DESC, id
    LIMIT 50
";
pub const LIST_PLAIN: &str = r"
    SELECT id, title, status, created_at
    FROM plain.ticket
    WHERE workspace_id = $1 AND status = $2
    ORDER BY created_at DESC, id
    LIMIT 50
";

#[derive(Debug, Clone, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Ticket {
    pub id: Uuid,
    pub title: String,
    pub status: String,
    pub created_at: DateTime<Utc>,
}

pub fn pillar() -> Pillar {
    let migration =
        Migration::new(1, Cow::Borrowed("ticket"), MigrationType::Simple, SCHEMA.into_sql_str(), false);
    Pillar::new("bench")
        .migrations(Migrations::new("bench", Migrator::with_migrations(vec![migration])))
        .tables([Table::tenant("bench", "ticket")
            .public(&["id", "status", "created_at"])
            .private(&["title"])])
}

/// How much there is to read.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub tenants: i32,
    pub rows: i32,
}

/// Fills both tables: one tenant holds 40 % of the rows, the others share the rest. Returns the big tenant and an
/// ordinary one.
pub async fn fill(admin: &mut PgConnection, size: Size) -> Result<(WorkspaceId, WorkspaceId)> {
    admin
        .execute(
            "CREATE SCHEMA plain; CREATE TABLE plain.ticket (LIKE bench.ticket INCLUDING CONSTRAINTS); \
             GRANT USAGE ON SCHEMA plain TO kernel_test_app; GRANT ALL ON plain.ticket TO kernel_test_app; \
             ALTER TABLE bench.ticket DROP CONSTRAINT ticket_pkey; DROP INDEX bench.ticket_list",
        )
        .await?;
    sqlx::query(
        r"
        WITH row AS (
            SELECT n, CASE WHEN n % 10 < 4 THEN 0 ELSE 1 + (hashint4(n) & 2147483647) % $1 END AS tenant
            FROM generate_series(1, $2) AS n
        )
        INSERT INTO plain.ticket (workspace_id, id, title, status, created_at)
        SELECT md5('tenant ' || tenant)::uuid, md5('row ' || n)::uuid, 'Ticket number ' || n,
               CASE WHEN n % 3 = 0 THEN 'done' ELSE 'open' END, timestamptz '2026-01-01' + n * interval '1 second'
        FROM row
        ",
    )
    .bind(size.tenants)
    .bind(size.rows)
    .execute(&mut *admin)
    .await?;
    admin.execute("INSERT INTO bench.ticket SELECT * FROM plain.ticket").await?;
    admin
        .execute("INSERT INTO kernel_core.tenant SELECT DISTINCT workspace_id, now() FROM plain.ticket")
        .await?;
    // Random keys that are indexed row by row take many times as long as an index of all of them.
    admin.execute("SET maintenance_work_mem = '1GB'").await?;
    for table in ["plain.ticket", "bench.ticket"] {
        let indexes = format!(
            "ALTER TABLE {table} ADD CONSTRAINT ticket_pkey PRIMARY KEY (workspace_id, id); \
             CREATE INDEX ticket_list ON {table} (workspace_id, status, created_at DESC, id)"
        );
        admin.execute(sqlx::raw_sql(AssertSqlSafe(indexes))).await?;
        admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("VACUUM ANALYZE {table}")))).await?;
    }
    let tenant = async |conn: &mut PgConnection, name: &str| -> Result<WorkspaceId> {
        let id: Uuid = sqlx::query_scalar("SELECT md5($1)::uuid").bind(name).fetch_one(conn).await?;
        Ok(WorkspaceId::from_uuid(id))
    };
    Ok((tenant(admin, "tenant 0").await?, tenant(admin, "tenant 7").await?))
}
