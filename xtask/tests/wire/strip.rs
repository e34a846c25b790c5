//! Without its tenant predicates a program sees every workspace, unless row-level security holds.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use xtask::wire::{Chain, Identity, Rewrite, StripTenantPredicate, Unparsed, drop_guc, foreign_guc};

use crate::fixture::{A, B, Database, issue, project};

/// Statements of all the shapes that the crates use.
pub(crate) const CORPUS: &[&str] = &[
    "SELECT id, title FROM demo.issue WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE",
    "SELECT id FROM demo.issue i WHERE i.workspace_id = $1 AND id = ANY($2::uuid[]) ORDER BY at DESC, id DESC LIMIT $3",
    "SELECT id FROM demo.issue WHERE $1 = workspace_id AND ($2::text IS NULL OR state = $2) AND (at, id) < ($3, $4)",
    "SELECT id FROM demo.issue WHERE (workspace_id, at, id) > ($1, $2, $3) ORDER BY at LIMIT 10",
    "SELECT id FROM demo.issue WHERE (workspace_id, id) IN (($1, $2), ($1, $3)) FOR UPDATE SKIP LOCKED",
    "SELECT id FROM demo.issue WHERE (workspace_id, project_id) IN (SELECT workspace_id, id FROM demo.project WHERE workspace_id = $1)",
    "SELECT i.id, p.name FROM demo.issue i JOIN demo.project p ON p.workspace_id = i.workspace_id AND p.id = i.project_id WHERE i.workspace_id = $1",
    "SELECT i.id, p.name FROM demo.issue i LEFT JOIN demo.project p USING (workspace_id) WHERE i.workspace_id IS NOT DISTINCT FROM $1",
    "SELECT p.name, count(*) FILTER (WHERE i.workspace_id = $1 AND state = 'open') FROM demo.project p LEFT JOIN LATERAL (SELECT * FROM demo.issue i WHERE i.workspace_id = p.workspace_id AND i.project_id = p.id) i ON TRUE GROUP BY p.name",
    "SELECT EXISTS (SELECT 1 FROM demo.issue WHERE workspace_id = $1 AND title ILIKE '%' || $2 || '%') AS \"found!\"",
    "WITH RECURSIVE seen AS (SELECT id, 1 AS depth FROM demo.issue WHERE workspace_id = $1 AND id = $2 UNION ALL SELECT i.id, depth + 1 FROM demo.issue i JOIN seen ON i.project_id = seen.id WHERE i.workspace_id = $1) SELECT max(depth) FROM seen",
    "WITH moved AS (UPDATE demo.issue SET state = $3, seq = seq + 1 WHERE workspace_id = $1 AND id = $2 RETURNING *) SELECT count(*) FROM moved WHERE workspace_id IN ($1)",
    "WITH next AS (SELECT id FROM demo.issue WHERE workspace_id = $1 AND state = 'open' ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE demo.issue AS i SET state = 'taken', at = now() + make_interval(secs => $3) FROM next WHERE i.workspace_id = $1 AND i.id = next.id RETURNING i.id, (xmax = 0) AS fresh",
    "UPDATE demo.issue SET title = coalesce($3, title), seq = (SELECT coalesce(max(seq), 0) + 1 FROM demo.issue x WHERE x.workspace_id = $1) WHERE workspace_id = $1 AND id = $2",
    "DELETE FROM demo.issue USING demo.project p WHERE issue.workspace_id = $1 AND p.workspace_id = issue.workspace_id AND p.id = issue.project_id AND p.name = $2 RETURNING issue.id",
    "DELETE FROM demo.issue WHERE NOT (workspace_id <> $1 OR state = 'open')",
    "INSERT INTO demo.project (workspace_id, id, name) VALUES ($1, $2, $3) ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name WHERE project.workspace_id = $1 RETURNING id",
    "INSERT INTO demo.project (workspace_id, id, name) SELECT $1, gen_random_uuid(), name FROM demo.project WHERE workspace_id = $1 ON CONFLICT DO NOTHING",
    "INSERT INTO demo.project (workspace_id, id, name) SELECT $1, unnest($2::uuid[]), 'x' ON CONFLICT DO NOTHING",
    "INSERT INTO demo.issue (workspace_id, id, project_id, title, slug) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, lower(slug)) WHERE slug IS NOT NULL AND state <> 'done' DO NOTHING",
    "MERGE INTO demo.project p USING (SELECT $1::uuid AS ws, $2::uuid AS id) AS n ON p.workspace_id = n.ws AND p.id = n.id WHEN MATCHED THEN UPDATE SET name = $3 WHEN NOT MATCHED THEN INSERT (workspace_id, id, name) VALUES (n.ws, n.id, $3)",
];

/// Prepares a statement, and says which types its parameters got.
pub(crate) async fn parameter_types(conn: &mut PgConnection, sql: &str) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE probe AS {sql}"))).execute(&mut *conn).await?;
    let types = "SELECT parameter_types::text FROM pg_prepared_statements WHERE name = 'probe'";
    let types = sqlx::query_scalar(types).fetch_one(&mut *conn).await?;
    sqlx::raw_sql("DEALLOCATE probe").execute(&mut *conn).await?;
    Ok(types)
}

#[tokio::test]
async fn every_shape_is_stripped_and_keeps_its_parameters() {
    let database = Database::create("strip_corpus").await;
    let mut conn = database.connect().await;
    for sql in CORPUS {
        let done = StripTenantPredicate.rewrite(sql);
        assert_eq!(done.unparsed, [], "{sql}");
        let before = parameter_types(&mut conn, sql).await.unwrap();
        let Some(stripped) = done.sql else {
            assert!(sql.starts_with("INSERT"), "not stripped: {sql}");
            continue;
        };
        let after = parameter_types(&mut conn, &stripped).await;
        assert_eq!(after.unwrap_or_else(|error| panic!("{stripped}: {error}")), before, "{stripped}");
        // Once stripped there is nothing left to strip but what stands inside a tautology.
        let plan = sqlx::raw_sql(AssertSqlSafe(format!("PREPARE p AS {stripped}"))).execute(&mut conn).await;
        plan.unwrap();
        let plan = explain(&mut conn, &before).await;
        assert!(!plan.contains("workspace_id ="), "{stripped}\n{plan}");
        sqlx::raw_sql("DEALLOCATE p").execute(&mut conn).await.unwrap();
    }
    database.drop().await;
}

/// The generic plan, in which a condition is shown if the planner kept it.
async fn explain(conn: &mut PgConnection, types: &str) -> String {
    let nulls = vec!["NULL"; types.split(',').count()].join(", ");
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut *conn).await.unwrap();
    let rows = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE p({nulls})")));
    let rows = rows.fetch_all(conn).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn without_row_level_security_other_workspaces_come_into_sight() {
    let database = Database::create("strip").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    let by_id = "SELECT title FROM demo.issue WHERE workspace_id = $1 AND id = $2 ORDER BY title";
    let update = "UPDATE demo.issue SET state = 'done' WHERE workspace_id = $1 AND id = $2";
    let copy = "INSERT INTO demo.project (workspace_id, id, name) \
                SELECT $1, gen_random_uuid(), title FROM demo.issue WHERE workspace_id = $1 AND id = $2";
    let delete = "DELETE FROM demo.issue i USING demo.project p WHERE p.workspace_id = i.workspace_id \
                  AND p.id = i.project_id AND i.workspace_id = $1 AND i.id = $2";
    let mut touched = Vec::new();
    for rewrite in [Arc::new(Identity) as Arc<dyn Rewrite>, Arc::new(StripTenantPredicate)] {
        proxied.proxy.set_rewrite(rewrite);
        let mut tx = conn.begin().await.unwrap();
        let seen = sqlx::query(by_id).bind(A).bind(issue(1)).fetch_all(&mut *tx).await.unwrap().len();
        let mut rows = vec![seen as u64];
        for sql in [update, copy, delete] {
            let done = sqlx::query(sql).bind(A).bind(issue(1)).execute(&mut *tx).await.unwrap();
            rows.push(done.rows_affected());
        }
        tx.rollback().await.unwrap();
        touched.push(rows);
    }
    assert_eq!(touched, [[1, 1, 1, 1], [2, 2, 2, 2]]);
    assert_eq!(proxied.proxy.unparsed(), []);
    database.drop().await;
}

/// Opens a transaction as a role that row-level security applies to.
async fn titles(conn: &mut PgConnection) -> Vec<String> {
    let begin = format!("BEGIN; SET LOCAL ROLE pg_read_all_data; SET LOCAL app.workspace_id = '{A}'");
    let mut tx = conn.begin_with(AssertSqlSafe(begin)).await.unwrap();
    let select = "SELECT title FROM demo.issue WHERE workspace_id = $1 ORDER BY title";
    let titles = sqlx::query_scalar(select).bind(A).fetch_all(&mut *tx).await.unwrap();
    tx.rollback().await.unwrap();
    titles
}

#[tokio::test]
async fn row_level_security_alone_holds_and_follows_the_setting() {
    let database = Database::create("strip_rls").await;
    let mut conn = database.connect().await;
    let policy = "
        ALTER TABLE demo.issue ENABLE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON demo.issue
        USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)";
    sqlx::raw_sql(policy).execute(&mut conn).await.unwrap();
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    let of_a = ["issue 1 of a", "issue 2 of a", "issue 3 of a"];
    assert_eq!(titles(&mut conn).await, of_a);
    proxied.proxy.set_rewrite(Arc::new(StripTenantPredicate));
    assert_eq!(titles(&mut conn).await, of_a);
    let strip_and = |step: Arc<dyn Rewrite>| Arc::new(Chain(vec![Arc::new(StripTenantPredicate), step]));
    proxied.proxy.set_rewrite(strip_and(Arc::new(drop_guc())));
    assert_eq!(titles(&mut conn).await, [""; 0]);
    proxied.proxy.set_rewrite(strip_and(Arc::new(foreign_guc(B))));
    assert_eq!(titles(&mut conn).await, ["issue 1 of b", "issue 2 of b", "issue 3 of b"]);
    assert_eq!(proxied.proxy.unparsed(), []);
    database.drop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_and_goes_on() {
    let database = Database::create("unparsed").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let mut conn = proxied.connect().await;
    for sql in [
        "DO $$ BEGIN DELETE FROM demo.issue WHERE workspace_id = '00000000-0000-0000-0000-00000000000b'; END $$",
        "SELECT count(*) FROM demo.issue LIMIT ALL",
        "SELECT i.id FROM demo.issue i NATURAL JOIN demo.project p",
    ] {
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }
    let unparsed = proxied.proxy.unparsed();
    let judged: Vec<bool> =
        unparsed.iter().map(|Unparsed { mentions_tenant, .. }| *mentions_tenant).collect();
    assert_eq!(judged, [true, false, true]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM demo.issue").fetch_one(&mut conn).await.unwrap();
    assert_eq!(left, 3);
    database.drop().await;
}

#[tokio::test]
async fn a_foreign_project_is_reached_only_by_a_stripped_join() {
    let database = Database::create("strip_join").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let join = "SELECT p.name FROM demo.issue i JOIN demo.project p \
                ON p.workspace_id = i.workspace_id AND p.id = i.project_id WHERE i.workspace_id = $1 AND p.id = $2";
    let rows = |mut conn: PgConnection| async move {
        sqlx::query(join).bind(A).bind(project(1)).fetch_all(&mut conn).await.unwrap().len()
    };
    assert_eq!(rows(database.connect().await).await, 3);
    assert_eq!(rows(proxied.connect().await).await, 2 * 3 * 2);
    database.drop().await;
}
