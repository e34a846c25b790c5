//! Sealed columns: what they hold is bytes, and every row has an id that its values are bound to.

use super::{Findings, name_of};
use crate::store::catalog::{ColumnRow, KeyRow};
use crate::table::{Scope, Table};

pub(super) fn audit(tables: &[Table], columns: &[ColumnRow], keys: &[KeyRow], findings: &mut Findings) {
    for table in tables.iter().filter(|table| table.sealed_columns().next().is_some()) {
        let own = |row: &&ColumnRow| row.schema == table.schema() && row.table == table.name();
        for sealed in table.sealed_columns() {
            let found = columns.iter().filter(own).find(|row| row.name == sealed.column);
            if let Some(row) = found.filter(|row| row.type_name != "bytea" || row.generated) {
                let problem = format!("the sealed column {} is not bytea but {}", row.name, row.type_name);
                findings.add(name_of(table), problem, "change the column's type to bytea");
            }
        }
        let wanted: &[&str] = match table.scope() {
            Scope::Tenant => &["workspace_id", "id"],
            Scope::Global => &["id"],
        };
        let by_id = columns.iter().filter(own).any(|row| row.name == "id" && row.type_name == "uuid");
        let mut primary =
            keys.iter().filter(|k| k.kind == "p" && k.schema == table.schema() && k.table == table.name());
        if !by_id || !primary.any(|key| key.columns == wanted) {
            let problem = "has sealed columns, and its rows are not known by an id";
            findings.add(
                name_of(table),
                problem,
                "PRIMARY KEY (workspace_id, id), of a global table (id); id uuid",
            );
        }
    }
}
