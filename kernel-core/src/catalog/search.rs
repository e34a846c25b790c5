//! Search: the column, the indexes and the function of a table that was declared searchable.

use super::{Findings, MIGRATE, Plan, name_of};
use crate::secure;
use crate::store::catalog::{ColumnRow, FunctionRow, GinRow};
use crate::table::{Searchable, Table};

const MAKE: &str = "SELECT kernel_core.make_searchable('…', '…', ARRAY['…']) in a migration";

/// What the catalog says of searching.
pub(super) struct Facts<'a> {
    pub(super) columns: &'a [ColumnRow],
    pub(super) indexes: &'a [GinRow],
    pub(super) functions: &'a [FunctionRow],
    /// Where `pg_trgm` is, if anywhere.
    pub(super) trigrams: Option<String>,
}

impl Plan<'_> {
    /// The searchable tables with what was declared of them.
    fn searchables(&self) -> impl Iterator<Item = (&Table, &Searchable)> {
        self.tables.iter().filter_map(|table| Some((table, table.search()?)))
    }

    /// Whether a function is one of those that securing a table makes.
    pub(super) fn is_search(&self, row: &FunctionRow) -> bool {
        self.searchables().any(|(table, searchable)| {
            row.schema == table.schema() && row.signature == secure::search::signature(table, searchable)
        })
    }

    pub(super) fn search(&self, facts: &Facts<'_>, findings: &mut Findings) {
        for (table, searchable) in self.searchables() {
            let of_table = |schema: &str, name: &str| schema == table.schema() && name == table.name();
            let column =
                facts.columns.iter().find(|row| of_table(&row.schema, &row.table) && row.name == "search");
            if !column.is_some_and(|row| row.type_name == "tsvector" && row.generated) {
                findings.add(name_of(table), "has no generated column search", MAKE);
                continue;
            }
            let first = searchable.columns.first().copied().unwrap_or_default();
            for wanted in ["search", first] {
                let indexed = facts
                    .indexes
                    .iter()
                    .any(|row| of_table(&row.schema, &row.table) && row.columns == ["workspace_id", wanted]);
                if !indexed {
                    let problem = format!("has no GIN index on workspace_id and {wanted}");
                    findings.add(name_of(table), problem, MAKE);
                }
            }
            self.search_function(table, searchable, facts, findings);
        }
    }

    fn search_function(
        &self,
        table: &Table,
        searchable: &Searchable,
        facts: &Facts<'_>,
        findings: &mut Findings,
    ) {
        let signature = secure::search::signature(table, searchable);
        let object = format!("{}.{signature}", table.schema());
        let found =
            facts.functions.iter().find(|row| row.schema == table.schema() && row.signature == signature);
        let Some(found) = found else {
            findings.add(object, "does not exist", MIGRATE);
            return;
        };
        let mut callers = [&self.roles.app, &self.roles.worker, &self.roles.operator];
        callers.sort_unstable();
        let body = secure::search::body(table, searchable, facts.trigrams.as_deref().unwrap_or_default());
        let as_generated = found.definer
            && found.attributes == secure::search::attributes(searchable)
            && found.settings == secure::search::SETTINGS
            && found.owner == self.roles.search
            && found.callers.iter().eq(callers)
            && found.source == body;
        if !as_generated {
            findings.add(object, "is not as generated", MIGRATE);
        }
    }
}
