//! The second tenant beside: a copy of every row of the driving tenant, under another workspace and other people.
//!
//! It has the same ids, keys and hashes, because only the workspace tells it from the original. A statement that
//! leaves the workspace out of its filter meets it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use kernel_core::secret::sha256;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use super::beside::CANARY;
use super::scratch::Scratch;
use super::state::{Rows, TableFacts, tables};

/// How a program names kinds of things: `tracker.issue.created`. What tenants write has other characters somewhere.
const WORD: &str = "^[a-z_]+([.][a-z_]+)*$";

/// What the copying led to.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) rows: usize,
    /// Columns that now hold the canary in the copy.
    pub(super) canaries: usize,
    /// The ids that only the copy has.
    pub(super) ids: BTreeSet<Uuid>,
}

/// Copies the rows of the driving tenant, as they were at several moments, later ones first, into another database.
/// `common` is in both already.
pub(super) async fn copy(into: &Scratch, moments: &[Rows], common: &Rows) -> Result<Copied> {
    let mut admin = into.admin().await?;
    let facts = tables(&mut admin).await?;
    let own = own_rows(&facts, moments, common);
    let changes = substitutions(&facts, &own);
    let further: BTreeMap<_, _> = changes.iter().map(|(own, beside)| (*own, other(*beside))).collect();
    // Rows come in no order that foreign keys would like; their targets are all there in the end.
    admin.execute("SET session_replication_role = replica").await?;
    let mut copied =
        Copied { ids: changes.values().chain(further.values()).copied().collect(), ..Copied::default() };
    for table in &facts {
        for row in own.get(table.name.as_str()).into_iter().flatten() {
            let mut beside = changed(row, table, &changes);
            if beside["deleted_at"].is_string() {
                // What is deleted here is alive there: it must not stand in for it. In a further tenant it is deleted
                // too, for statements that look for what is deleted.
                let deleted = changed(row, table, &further);
                copied.rows += usize::from(insert(&mut admin, table, &deleted).await?);
                beside["deleted_at"] = Value::Null;
                copied.rows += usize::from(revive(&mut admin, table, &beside).await?);
                continue;
            }
            copied.rows += usize::from(insert(&mut admin, table, &beside).await?);
        }
    }
    for table in &facts {
        copied.canaries += stamp(&mut admin, table, &copied.ids).await?;
        // What was stamped leaves holes, which the driving tenant's rows would fill: they would come first then, and a
        // statement that takes the first row of all would meet none but its own.
        admin.execute(AssertSqlSafe(format!("VACUUM FULL {}", table.name))).await?;
    }
    admin.close().await?;
    Ok(copied)
}

/// The rows by table, one per key: the latest.
fn own_rows<'r>(
    facts: &[TableFacts],
    moments: &'r [Rows],
    common: &Rows,
) -> BTreeMap<String, Vec<&'r Value>> {
    let mut own = BTreeMap::new();
    for table in facts {
        let key =
            |row: &Value| -> Vec<String> { table.key.iter().map(|column| row[column].to_string()).collect() };
        let mut seen: BTreeSet<_> = common.0.get(&table.name).into_iter().flatten().map(key).collect();
        let mut kept = Vec::new();
        for row in moments.iter().filter_map(|moment| moment.0.get(&table.name)).flatten() {
            let key = key(row);
            // What belongs to no tenant has no copy that could belong to another one.
            let of_the_system = row["workspace_id"].as_str().is_some_and(|id| id == Uuid::nil().to_string());
            if !of_the_system && seen.insert(key) {
                kept.push(row);
            }
        }
        own.insert(table.name.clone(), kept);
    }
    own
}

/// Other ids for the workspaces and for the rows of global tables: people, sessions.
fn substitutions(facts: &[TableFacts], own: &BTreeMap<String, Vec<&Value>>) -> BTreeMap<Uuid, Uuid> {
    let mut changes = BTreeMap::new();
    for table in facts {
        let names: Vec<&str> = if table.is_tenant {
            vec!["workspace_id"]
        } else {
            table.key.iter().map(String::as_str).collect()
        };
        for (row, name) in
            own.get(&table.name).into_iter().flatten().flat_map(|row| names.iter().map(move |n| (row, n)))
        {
            let id = row[name].as_str().and_then(|text| text.parse::<Uuid>().ok());
            if let Some(id) = id.filter(|id| !id.is_nil()) {
                changes.insert(id, other(id));
            }
        }
    }
    changes
}

/// An id of the same time that nobody has.
pub(super) fn other(id: Uuid) -> Uuid {
    let hash = sha256(id.as_bytes());
    let mut bytes = *id.as_bytes();
    bytes[9..].copy_from_slice(&hash[..7]);
    Uuid::from_bytes(bytes)
}

fn changed(row: &Value, table: &TableFacts, changes: &BTreeMap<Uuid, Uuid>) -> Value {
    let mut text = row.to_string();
    for (from, to) in changes {
        text = text.replace(&from.to_string(), &to.to_string());
        text = text.replace(&from.simple().to_string(), &to.simple().to_string());
    }
    let mut row: Value = serde_json::from_str(&text).unwrap_or_else(|_| row.clone());
    for column in &table.spanning {
        let value = row[column].as_str().map(|text| match text.strip_prefix("\\x") {
            Some(hex) => format!("\\x{}", hex.chars().rev().collect::<String>()),
            None => format!(
                "{}{}",
                if text.starts_with('t') { 'u' } else { 't' },
                text.get(1..).unwrap_or_default()
            ),
        });
        if let Some(value) = value {
            row[column] = json!(value);
        }
    }
    if table.name == "kernel_jobs.job" {
        // A job that another worker runs: the drive's own worker must leave it alone.
        let lease = json!({ "state": "running", "attempt": 1, "leased_until": "2037-01-01T00:00:00Z", "lease_owner": Uuid::max() });
        if let (Some(fields), Value::Object(lease)) = (row.as_object_mut(), lease) {
            fields.extend(lease);
        }
    }
    row
}

/// Adds a row that is alive in the copy only. What has taken its name since then keeps it: this one gets another.
async fn revive(admin: &mut PgConnection, table: &TableFacts, row: &Value) -> Result<bool> {
    if insert(admin, table, row).await? {
        return Ok(true);
    }
    for column in &table.named {
        let Some(text) = row[column].as_str() else { continue };
        let is_capital = text.starts_with(|first: char| first.is_ascii_uppercase());
        for letter in if is_capital { 'A'..='Z' } else { 'a'..='z' } {
            let mut renamed = row.clone();
            renamed[column] = json!(format!("{letter}{}", text.get(1..).unwrap_or_default()));
            if insert(admin, table, &renamed).await? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether the row could be added: of two versions of a thing only the later one can.
async fn insert(admin: &mut PgConnection, table: &TableFacts, row: &Value) -> Result<bool> {
    let name = &table.name;
    let columns = table.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE \
         SELECT {columns} FROM jsonb_populate_record(NULL::{name}, $1) ON CONFLICT DO NOTHING"
    );
    let done = sqlx::query(AssertSqlSafe(sql)).bind(row).execute(admin).await;
    Ok(done.with_context(|| format!("copying into {name}: {row}"))?.rows_affected() > 0)
}

/// Puts the canary into every column of the copy that takes it; returns how many do.
async fn stamp(admin: &mut PgConnection, table: &TableFacts, ids: &BTreeSet<Uuid>) -> Result<usize> {
    let by = if table.is_tenant { "workspace_id" } else { "id" };
    if !table.is_tenant && table.key != ["id"] {
        return Ok(0);
    }
    let ids: Vec<Uuid> = ids.iter().copied().collect();
    let mut stamped = 0;
    let mut texts = Vec::new();
    for column in &table.texts {
        // A filter by a word of the program's is to meet the copy too.
        let sql = format!("SELECT coalesce(bool_and(\"{column}\" ~ '{WORD}'), false) FROM {}", table.name);
        if !sqlx::query_scalar::<_, bool>(AssertSqlSafe(sql)).fetch_one(&mut *admin).await? {
            texts.push(column);
        }
    }
    let texts = texts.into_iter().flat_map(|column| {
        let appended = format!("\"{column}\" || ' {CANARY}'");
        let in_front = format!("substr(md5(\"{column}\"), 1, 5) || '-{CANARY}'");
        [(column, appended), (column, in_front)]
    });
    let documents = table.documents.iter().map(|column| {
        let merged = format!(
            "CASE jsonb_typeof(\"{column}\") WHEN 'object' THEN \"{column}\" || '{{\"note\": \"{CANARY}\"}}' \
             ELSE \"{column}\" END"
        );
        (column, merged)
    });
    let mut done = BTreeSet::new();
    for (column, value) in texts.chain(documents).collect::<Vec<_>>() {
        if done.contains(column) {
            continue;
        }
        let sql = format!(
            "UPDATE {} SET \"{column}\" = {value} WHERE \"{by}\" = ANY ($1) AND \"{column}\" IS NOT NULL",
            table.name
        );
        let mut tx = admin.begin().await?;
        // What is written stays; the triggers that say so are not what is proven here.
        sqlx::query("SET LOCAL session_replication_role = replica").execute(&mut *tx).await?;
        match sqlx::query(AssertSqlSafe(sql)).bind(&ids).execute(&mut *tx).await {
            Ok(changed) => {
                tx.commit().await?;
                done.insert(column);
                stamped += usize::from(changed.rows_affected() > 0);
            }
            // A rule of the column speaks against it.
            Err(_) => tx.rollback().await?,
        }
    }
    Ok(stamped)
}
