//! A library of many documents and tenants, of which one holds 40 %, and what is looked for in it.

use std::borrow::Cow;

use anyhow::Result;
use kernel_core::{Migrations, Pillar, Table, WorkspaceId};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr};
use uuid::Uuid;

const SCHEMA: &str = "
    CREATE TABLE library.document (
        workspace_id uuid NOT NULL,
        id           uuid NOT NULL,
        title        text NOT NULL,
        body         text NOT NULL,
        CONSTRAINT document_pkey PRIMARY KEY (workspace_id, id)
    );
    -- Words of eight letters that have nothing in common.
    CREATE FUNCTION library.word(number integer) RETURNS text LANGUAGE sql IMMUTABLE STRICT
    RETURN translate(substr(md5(number::text), 1, 8), '0123456789', 'ghijklmnop');
    SELECT kernel_core.make_searchable('library.document', 'english', ARRAY['title', 'body']);
";

/// How much there is to search.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// All of them.
    pub documents: i32,
    /// The workspaces that they belong to.
    pub tenants: i32,
}

/// A workspace with 40 % of the documents, two ordinary ones, and one with none.
pub(super) const TENANTS: [&str; 4] = ["tenant 0", "tenant 1", "tenant 7", "nobody"];

/// Frequent and rare words, several, phrases, parts, slips, exclusions, and what is nowhere. `{n}` stands for a word: the first is
/// in most documents, the 1500th in one of some hundreds.
const QUERIES: [&str; 12] = [
    "{1}",
    "{30}",
    "{1500}",
    "{1} {2}",
    "{30} {77}",
    "\"{2} {1}\"",
    "{30} -{1}",
    "{40} or {50}",
    "number 77",
    "nubmer 12345",
    "docum",
    "zebra",
];

/// What is looked for, in words.
///
/// # Errors
///
/// When the server refuses.
pub async fn queries(admin: &mut PgConnection) -> Result<Vec<String>> {
    let mut queries: Vec<_> = QUERIES.map(str::to_owned).into();
    for number in [1, 2, 30, 40, 50, 77, 1500] {
        let word: String =
            sqlx::query_scalar("SELECT library.word($1)").bind(number).fetch_one(&mut *admin).await?;
        for query in &mut queries {
            *query = query.replace(&format!("{{{number}}}"), &word);
        }
    }
    Ok(queries)
}

/// The pillar.
#[must_use]
pub fn pillar() -> Pillar {
    let migration =
        Migration::new(1, Cow::Borrowed("library"), MigrationType::Simple, SCHEMA.into_sql_str(), false);
    Pillar::new("library")
        .migrations(Migrations::new("library", Migrator::with_migrations(vec![migration])))
        .tables([Table::tenant("library", "document")
            .public(&["id"])
            .private(&["title", "body"])
            .searchable("english", &["title", "body"])])
}

/// Writes the documents. How often a word occurs falls with its number, as in a language.
///
/// # Errors
///
/// When the server refuses.
pub async fn fill(admin: &mut PgConnection, size: Size) -> Result<()> {
    // The indexes are made anew afterwards, which is a good deal faster than keeping them up to date.
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'library' AND indexname LIKE '%search%'",
    )
    .fetch_all(&mut *admin)
    .await?;
    for (name, _) in &indexes {
        admin.execute(AssertSqlSafe(format!("DROP INDEX library.{name}"))).await?;
    }
    sqlx::query(
        r"
        INSERT INTO library.document (workspace_id, id, title, body)
        SELECT md5('tenant ' || CASE WHEN n % 10 < 4 THEN 0 ELSE 1 + (hashint4(n) & 2147483647) % $2 END)::uuid,
               md5('document ' || n)::uuid,
               'Document number ' || n || ' of ' || library.word((hashint4(n) & 2147483647) % 997),
               (SELECT string_agg(library.word(floor(exp(ln(3000) * (hashint4(n * 16 + k) & 65535) / 65536.0))::integer), ' ')
                FROM generate_series(1, 14) AS k)
        FROM generate_series(1, $1) AS n
        ",
    )
    .bind(size.documents)
    .bind(size.tenants)
    .execute(&mut *admin)
    .await?;
    for (_, definition) in indexes {
        admin.execute(AssertSqlSafe(definition)).await?;
    }
    admin.execute("VACUUM ANALYZE library.document").await?;
    Ok(())
}

/// Whether words that are like those of the query are meant too.
#[must_use]
pub fn is_plain(query: &str) -> bool {
    !(query.starts_with('-') || query.contains(" -") || query.contains('"'))
}

/// The statement that a superuser would write, with the filter by hand; its values are literals or parameters.
#[must_use]
pub fn statement(workspace: &str, query: &str, plain: &str, most: &str) -> String {
    format!(
        "WITH found AS (
             (SELECT t.id, ts_rank(t.search, websearch_to_tsquery('english', {query})) AS rank
              FROM library.document AS t
              WHERE t.workspace_id = {workspace} AND t.search @@ websearch_to_tsquery('english', {query}) LIMIT 10000)
             UNION ALL
             (SELECT t.id, kernel_core.word_similarity({query}, t.title) FROM library.document AS t
              WHERE {plain} AND t.workspace_id = {workspace} AND {query} OPERATOR(kernel_core.<%) t.title LIMIT 10000)
         )
         SELECT f.id, sum(f.rank)::real FROM found AS f GROUP BY f.id ORDER BY 2 DESC, 1 DESC LIMIT {most}"
    )
}

/// The same for these very values.
#[must_use]
pub fn reference(workspace: WorkspaceId, query: &str, most: i32) -> String {
    let literal = format!("'{}'", query.replace('\'', "''"));
    let workspace = format!("'{}'", workspace.uuid());
    statement(&workspace, &literal, if is_plain(query) { "true" } else { "false" }, &most.to_string())
}

/// All that the superuser finds, the best first.
pub(super) async fn matches(
    admin: &mut PgConnection,
    workspace: WorkspaceId,
    query: &str,
) -> Result<Vec<(Uuid, f32)>> {
    let all = reference(workspace, query, i32::MAX).replace("LIMIT 10000", "");
    Ok(sqlx::query_as(AssertSqlSafe(all)).fetch_all(admin).await?)
}
