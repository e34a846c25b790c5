//! All rows of all tables, as the superuser sees them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::mask::Masks;
use super::scratch::Scratch;

/// One table of the pillars.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct TableFacts {
    /// With its schema, quoted where needed.
    pub(super) name: String,
    pub(super) key: Vec<String>,
    pub(super) is_tenant: bool,
    /// Text columns.
    pub(super) texts: Vec<String>,
    /// `jsonb` columns.
    pub(super) documents: Vec<String>,
    /// Columns that can be written.
    pub(super) columns: Vec<String>,
    /// Text columns of unique keys.
    pub(super) named: Vec<String>,
    /// Columns of unique keys that span tenants.
    pub(super) spanning: Vec<String>,
}

// What is unlogged counts requests, and is no tenant's: addresses are shared. What a count lets through shows in the answers.
const FACTS: &str = r"
    SELECT format('%I.%I', n.nspname, c.relname) AS name,
           ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                 WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY a.attnum) AS key,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'workspace_id') AS is_tenant,
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                 AND NOT a.attisdropped AND EXISTS (SELECT FROM pg_type t WHERE t.oid = a.atttypid
                     AND 'text'::regtype IN (t.oid, t.typbasetype)) ORDER BY a.attnum) AS texts,
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                 AND NOT a.attisdropped AND a.atttypid = 'jsonb'::regtype ORDER BY a.attnum) AS documents,
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns,
           ARRAY(SELECT DISTINCT a.attname::text FROM pg_index i
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                 WHERE i.indrelid = c.oid AND i.indisunique AND a.atttypid = 'text'::regtype ORDER BY 1) AS named,
           ARRAY(SELECT DISTINCT a.attname::text FROM pg_index i
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                 WHERE i.indrelid = c.oid AND i.indisunique AND a.atttypid IN ('text'::regtype, 'bytea'::regtype)
                 AND NOT EXISTS (SELECT FROM pg_attribute w WHERE w.attrelid = c.oid
                                 AND w.attname = 'workspace_id' AND w.attnum = ANY (i.indkey::int2[]))) AS spanning
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'migration' AND c.relpersistence <> 'u'
      AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
    ORDER BY 1";

/// The tables of all pillars; the migrations' ledgers are none.
pub(super) async fn tables(conn: &mut PgConnection) -> Result<Vec<TableFacts>> {
    Ok(sqlx::query_as(FACTS).fetch_all(conn).await?)
}

/// Rows by table, each as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows(pub(super) BTreeMap<String, Vec<Value>>);

impl Rows {
    /// Everything that is there.
    pub(super) async fn read(scratch: &Scratch) -> Result<Self> {
        let mut admin = scratch.admin().await?;
        let mut rows = BTreeMap::new();
        for table in tables(&mut admin).await? {
            let sql = format!("SELECT to_jsonb(t) FROM {} AS t", table.name);
            let found: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut admin).await?;
            rows.insert(table.name, found);
        }
        Ok(Self(rows))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// How often each row is there, without the masked columns.
    fn counted(&self, masks: &Masks) -> BTreeMap<(&str, String), i64> {
        let mut counted = BTreeMap::new();
        for (table, rows) in &self.0 {
            for row in rows {
                let mut row = row.clone();
                if let Some(fields) = row.as_object_mut() {
                    fields.retain(|column, _| !masks.hides_column(table, column));
                }
                *counted.entry((table.as_str(), row.to_string())).or_insert(0) += 1;
            }
        }
        counted
    }

    /// The rows that were there before and are not any more, as they were.
    pub(super) fn changed(&self, before: &Self, masks: &Masks) -> Vec<String> {
        let after = self.counted(masks);
        let before = before.counted(masks);
        let gone = before.iter().filter(|(row, times)| after.get(row).is_none_or(|left| left < times));
        gone.map(|((table, row), _)| format!("a row of another tenant changed or went: {table} {row}"))
            .collect()
    }

    /// What a drive did to the rows that were `before`, and what it left beside them other than `alone`: what it
    /// left where nobody else was. `common` was there in both worlds.
    pub(super) fn findings(&self, before: &Self, common: &Self, alone: &Self, masks: &Masks) -> Vec<String> {
        let mut findings = self.changed(before, masks);
        let mut rest = self.counted(masks);
        for (row, times) in before.counted(masks) {
            let left = rest.entry(row).or_insert(0);
            *left = (*left - times).max(0);
        }
        for (row, times) in common.counted(masks) {
            *rest.entry(row).or_insert(0) += times;
        }
        for (row, times) in alone.counted(masks) {
            *rest.entry(row).or_insert(0) -= times;
        }
        for ((table, row), times) in rest {
            match times {
                0 => {}
                1.. => findings.push(format!("a row is there that would not be there alone: {table} {row}")),
                _ => findings.push(format!("a row is missing that would be there alone: {table} {row}")),
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(all: &[Value]) -> Rows {
        Rows([("t".to_owned(), all.to_vec())].into())
    }

    #[test]
    fn a_changed_a_missing_and_an_extra_row_are_found() {
        let masks = Masks::default();
        let (common, foreign, own) = (json!({"id": 0}), json!({"id": 1, "a": "x"}), json!({"id": 2}));
        let before = rows(&[common.clone(), foreign.clone()]);
        let alone = rows(&[common.clone(), own.clone()]);
        let findings = |after: &[Value]| {
            rows(after).findings(&before, &rows(std::slice::from_ref(&common)), &alone, &masks).len()
        };
        assert_eq!(findings(&[common.clone(), foreign.clone(), own.clone()]), 0);
        assert_eq!(findings(&[common.clone(), foreign.clone()]), 1, "the own row is missing");
        assert_eq!(findings(&[common.clone(), json!({"id": 1, "a": "y"}), own.clone()]), 2, "changed");
        assert_eq!(findings(&[common.clone(), foreign.clone(), own.clone(), json!({"id": 3})]), 1, "extra");
    }
}
