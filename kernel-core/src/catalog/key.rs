//! Keys: what is unique, and what points where, never crosses workspaces.

use super::{Findings, name_of};
use crate::store::catalog::KeyRow;
use crate::table::{Scope, Table};

/// Row-level security covers neither uniqueness nor foreign keys: a unique key without the workspace is an oracle
/// for other tenants' values, a foreign key without it points into their rows.
pub(super) fn audit(tables: &[Table], keys: &[KeyRow], findings: &mut Findings) {
    for table in tables {
        let own: Vec<_> =
            keys.iter().filter(|k| k.schema == table.schema() && k.table == table.name()).collect();
        if table.scope() == Scope::Tenant {
            if !own.iter().any(|key| key.kind == "p" && leads(&key.columns)) {
                findings.add(
                    name_of(table),
                    "the primary key does not lead with workspace_id",
                    "PRIMARY KEY (workspace_id, id)",
                );
            }
            let spans =
                |key: &&&KeyRow| key.kind == "u" && !leads(&key.columns) && !table.may_span(&key.name);
            for key in own.iter().filter(spans) {
                let problem = format!("unique key {} does not lead with workspace_id", key.name);
                findings.add(name_of(table), problem, "UNIQUE (workspace_id, …)");
            }
        }
        for key in own.iter().filter(|key| key.kind == "f") {
            foreign(table, key, tables, findings);
        }
    }
}

fn foreign(table: &Table, key: &KeyRow, tables: &[Table], findings: &mut Findings) {
    let (schema, target) = (key.target_schema.as_deref(), key.target.as_deref());
    if schema != Some(table.schema()) {
        let problem = format!("foreign key {} leaves the schema", key.name);
        findings.add(name_of(table), problem, "keep the bare id: pillars meet through values and events");
        return;
    }
    let target = tables.iter().find(|t| schema == Some(t.schema()) && target == Some(t.name()));
    let to_tenant = target.is_none_or(|target| target.scope() == Scope::Tenant);
    let composite = leads(&key.columns) && key.target_columns.as_deref().is_some_and(leads);
    if to_tenant && !composite {
        let problem = format!("foreign key {} does not carry workspace_id", key.name);
        findings.add(
            name_of(table),
            problem,
            "FOREIGN KEY (workspace_id, x_id) REFERENCES x (workspace_id, id)",
        );
    }
}

fn leads(columns: &[String]) -> bool {
    columns.first().is_some_and(|column| column == "workspace_id")
}
