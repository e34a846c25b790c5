//! Every foreign key between tenants' tables, tried with a row of another tenant as its target.

use anyhow::Result;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::drive::Drive;
use super::scratch::Scratch;
use super::step::{Action, Kind, Label, Position, Reference};

/// A foreign key that leads with the workspace and names a row in it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    pub(super) table: String,
    pub(super) target: String,
    pub(super) columns: Vec<String>,
    pub(super) target_columns: Vec<String>,
    pub(super) key: Vec<String>,
}

const KEYS: &str = r#"
    SELECT f.conname::text AS name,
           f.conrelid::regclass::text AS "table",
           f.confrelid::regclass::text AS target,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k (no, position)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.no ORDER BY position) AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k (no, position)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.no ORDER BY position)
               AS target_columns,
           ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = f.conrelid AND a.attnum = ANY (i.indkey::int2[])
                 WHERE i.indrelid = f.conrelid AND i.indisprimary) AS key
    FROM pg_constraint f
    WHERE f.contype = 'f' AND f.conparentid = 0 AND array_length(f.conkey, 1) > 1
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attname = 'workspace_id')
    ORDER BY 2, 1"#;

/// The foreign keys of a database.
pub(super) async fn keys(place: &Scratch) -> Result<Vec<ForeignKey>> {
    Ok(sqlx::query_as(KEYS).fetch_all(&mut place.admin().await?).await?)
}

/// Tries to point an own row at a foreign one, for each key. Returns the keys for which there is no row to try it with.
pub(super) async fn probe(drive: &mut Drive<'_>, place: &Scratch, others: &Scratch) -> Result<Vec<String>> {
    let mut gaps = Vec::new();
    for key in keys(place).await? {
        let own = first_row(place, &key.table, "true").await?;
        let foreign = first_row(others, &key.target, "true").await?;
        let (Some(own), Some(foreign)) = (own, foreign) else {
            gaps.push(format!("{}: no row to try the foreign key {} with", key.table, key.name));
            continue;
        };
        let label = Label {
            operation: format!("reference {}", key.table),
            position: Position::Body(key.name.clone()),
            kind: Kind::Foreign,
            asker: "app",
        };
        drive.step(label, Action::Refer(reference(&key, &own, &foreign))).await?;
    }
    Ok(gaps)
}

async fn first_row(place: &Scratch, table: &str, filter: &str) -> Result<Option<Value>> {
    let sql = format!("SELECT to_jsonb(t) FROM {table} AS t WHERE {filter} ORDER BY t::text LIMIT 1");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(&mut place.admin().await?).await?)
}

fn reference(key: &ForeignKey, own: &Value, foreign: &Value) -> Reference {
    let literal = |value: &Value| match value.as_str() {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => value.to_string(),
    };
    let pairs = key.columns.iter().zip(&key.target_columns).filter(|(column, _)| *column != "workspace_id");
    let changes: Vec<_> =
        pairs.map(|(column, of)| format!("\"{column}\" = {}", literal(&foreign[of]))).collect();
    let filter: Vec<_> =
        key.key.iter().map(|column| format!("\"{column}\" = {}", literal(&own[column]))).collect();
    Reference {
        begin: format!("BEGIN; SET LOCAL app.workspace_id = {}", literal(&own["workspace_id"])),
        update: format!("UPDATE {} SET {} WHERE {}", key.table, changes.join(", "), filter.join(" AND ")),
    }
}
