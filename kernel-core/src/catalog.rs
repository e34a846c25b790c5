//! The audit of the database's catalog: is every table of a pillar as safe as it was declared?
//!
//! It looks at the schemas that registered pillars own, and leaves the host's alone.

mod key;
mod sealed;
mod search;

use std::collections::BTreeSet;
use std::fmt;

use sqlx::PgConnection;

use crate::db::RoleNames;
use crate::secure;
use crate::store::catalog as facts;
use crate::table::{Caller, Function, Rights, Scope, Table};

/// A difference between the database and what was declared, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The table, function or role.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub mend: &'static str,
    pub(crate) section: Section,
}

/// Which part of the audit a finding comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Columns,
    Functions,
    Grants,
    Keys,
    Policies,
    Search,
    Tables,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.object, self.problem, self.mend)
    }
}

/// What the database should look like.
pub(crate) struct Plan<'a> {
    pub(crate) tables: &'a [Table],
    pub(crate) functions: &'a [Function],
    pub(crate) roles: &'a RoleNames,
    /// Each schema with the number of its last migration.
    pub(crate) versions: &'a [(&'static str, i64)],
}

/// The schemas that a newer version of the program has migrated.
type Ahead = BTreeSet<&'static str>;

const MIGRATE: &str = "run the migrations, whose last step secures every table";
const REVOKE: &str = "REVOKE it";
/// How a definer function pins its search path.
const PINNED: &str = "search_path=pg_catalog";
const CALLERS: &str = "run the migrations, and REVOKE it from roles that are not the kernel's";
const DECLARE: &str = "declare it in the pillar's tables, or drop it";

pub(crate) struct Findings {
    found: Vec<Finding>,
    section: Section,
}

impl Findings {
    pub(crate) fn add(&mut self, object: impl Into<String>, problem: impl Into<String>, mend: &'static str) {
        let section = self.section;
        self.found.push(Finding { object: object.into(), problem: problem.into(), mend, section });
    }

    /// What is found from now on belongs to this section.
    fn of(&mut self, section: Section) -> &mut Self {
        self.section = section;
        self
    }
}

fn name_of(table: &Table) -> String {
    format!("{}.{}", table.schema(), table.name())
}

impl Plan<'_> {
    /// Reads the catalog and reports every difference.
    pub(crate) async fn audit(&self, conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
        let schemas: BTreeSet<_> = self.tables.iter().map(Table::schema).collect();
        let schemas: Vec<_> = schemas.into_iter().collect();
        let mut findings = Findings { found: Vec::new(), section: Section::Tables };
        let named: Vec<_> = self.versions.iter().map(|(schema, _)| *schema).collect();
        let ahead = self.ahead(&facts::schema_comments(conn, &named).await?, &mut findings);
        self.relations(&facts::relations(conn, &schemas).await?, &ahead, &mut findings);
        self.policies(&facts::policies(conn, &schemas).await?, findings.of(Section::Policies));
        let columns = facts::columns(conn, &schemas).await?;
        self.columns(&columns, &ahead, findings.of(Section::Columns));
        let keys = facts::keys(conn, &schemas).await?;
        key::audit(self.tables, &keys, findings.of(Section::Keys));
        sealed::audit(self.tables, &columns, &keys, findings.of(Section::Columns));
        self.grants(&facts::grants(conn, &schemas).await?, findings.of(Section::Grants));
        let of_schemas = facts::schema_grants(conn, &schemas).await?;
        self.schema_grants(&schemas, &of_schemas, findings.of(Section::Grants));
        let RoleNames { migrate, owner, resolver, search, .. } = self.roles;
        let powerful = [migrate, owner, resolver, search].map(String::as_str);
        let functions = facts::functions(conn, &schemas, &powerful).await?;
        self.functions(&functions, &ahead, findings.of(Section::Functions));
        let (indexes, trigrams) =
            (facts::gin_indexes(conn, &schemas).await?, facts::extension_schema(conn, "pg_trgm").await?);
        let facts = search::Facts { columns: &columns, indexes: &indexes, functions: &functions, trigrams };
        self.search(&facts, findings.of(Section::Search));
        Ok(findings.found)
    }

    /// Which schemas are newer than this program. While processes of two versions run side by side, those of the old one
    /// must be able to start; what the new one has added was looked at by the migration that added it.
    fn ahead(&self, comments: &[(String, String)], findings: &mut Findings) -> Ahead {
        let mut ahead = Ahead::new();
        for (schema, own) in self.versions {
            let comment = comments.iter().find(|(name, _)| name == schema).map(|(_, comment)| comment);
            let noted = comment.and_then(|text| text.strip_prefix(secure::VERSION)?.parse::<i64>().ok());
            match noted {
                Some(noted) if noted == *own => {}
                Some(noted) if noted > *own => {
                    tracing::warn!(
                        schema,
                        own,
                        noted,
                        "a newer version of the program has migrated this schema"
                    );
                    ahead.insert(*schema);
                }
                _ => findings.add(*schema, format!("is not noted to be at version {own}"), MIGRATE),
            }
        }
        ahead
    }

    fn relations(&self, relations: &[facts::Relation], ahead: &Ahead, findings: &mut Findings) {
        for table in self.tables {
            let found = relations.iter().find(|r| r.schema == table.schema() && r.name == table.name());
            let Some(found) = found else {
                findings.add(name_of(table), "does not exist", MIGRATE);
                continue;
            };
            if !found.row_security || !found.forced {
                findings.add(name_of(table), "row-level security is not enabled and forced", MIGRATE);
            }
            if found.owner != self.roles.owner {
                findings.add(name_of(table), format!("is owned by {}", found.owner), MIGRATE);
            }
            if (found.kind == "p") != table.is_partitioned() {
                findings.add(name_of(table), "is partitioned in one place and not in the other", DECLARE);
            }
        }
        for found in relations.iter().filter(|found| found.partition && found.owner != self.roles.owner) {
            let object = format!("{}.{}", found.schema, found.name);
            findings.add(object, format!("a partition is owned by {}", found.owner), MIGRATE);
        }
        for found in relations.iter().filter(|found| !found.partition && found.name != "migration") {
            let object = format!("{}.{}", found.schema, found.name);
            match found.kind.as_str() {
                "m" => findings.add(object, "a materialised view holds what its refresher saw", "drop it"),
                "v" if found.security_invoker => {}
                "v" => findings.add(
                    object,
                    "a view runs as its owner",
                    "create it WITH (security_invoker = true)",
                ),
                _ if self.tables.iter().any(|t| t.schema() == found.schema && t.name() == found.name) => {}
                _ if ahead.contains(&*found.schema) && found.row_security && found.forced => {}
                _ => findings.add(object, "no pillar declares it", DECLARE),
            }
        }
    }

    fn policies(&self, rows: &[facts::PolicyRow], findings: &mut Findings) {
        for table in self.tables {
            let mut expected = secure::policies(table, self.roles);
            for row in rows.iter().filter(|row| row.schema == table.schema() && row.table == table.name()) {
                let roles = row.roles.join(",");
                let found = expected.iter().position(|policy| {
                    row.name == policy.name
                        && row.permissive
                        && row.command == policy.command
                        && roles == policy.role.as_deref().unwrap_or("public")
                        && row.with_check.is_none()
                        && row.using.as_deref().is_some_and(|using| normal(using) == normal(&policy.using))
                });
                match found {
                    Some(index) => drop(expected.swap_remove(index)),
                    None => findings.add(
                        name_of(table),
                        format!("policy {} is not as generated", row.name),
                        MIGRATE,
                    ),
                }
            }
            for policy in expected {
                findings.add(name_of(table), format!("policy {} is missing", policy.name), MIGRATE);
            }
        }
    }

    fn columns(&self, rows: &[facts::ColumnRow], ahead: &Ahead, findings: &mut Findings) {
        for table in self.tables {
            let object = name_of(table);
            let rows: Vec<_> =
                rows.iter().filter(|row| row.schema == table.schema() && row.table == table.name()).collect();
            for row in &rows {
                let Some(column) = table.columns().iter().find(|column| column.name == row.name) else {
                    let is_classed = row.comment.as_ref().is_some_and(|text| text.starts_with("class: "));
                    if is_classed && ahead.contains(table.schema()) {
                        continue;
                    }
                    findings.add(
                        &object,
                        format!("column {} has no class", row.name),
                        "declare the column's class",
                    );
                    continue;
                };
                if row.comment.as_deref() != Some(&format!("class: {}", column.class.name())) {
                    findings.add(&object, format!("column {} does not carry its class", row.name), MIGRATE);
                }
                if row.name == "workspace_id" && !(row.not_null && row.type_name == "uuid") {
                    findings.add(&object, "workspace_id is not uuid NOT NULL", "alter the column");
                }
            }
            for column in
                table.columns().iter().filter(|column| rows.iter().all(|row| row.name != column.name))
            {
                if !rows.is_empty() {
                    findings.add(
                        &object,
                        format!("column {} does not exist", column.name),
                        "declare what exists",
                    );
                }
            }
            if table.scope() == Scope::Global && rows.iter().any(|row| row.name == "workspace_id") {
                findings.add(&object, "a global table has a workspace_id", "declare it as Table::tenant");
            }
        }
    }

    fn grants(&self, rows: &[facts::GrantRow], findings: &mut Findings) {
        let RoleNames { app, worker, operator, resolver, migrate, .. } = self.roles;
        for row in rows {
            let object = format!("{}.{}", row.schema, row.relation);
            if row.partition {
                findings.add(object, "a granted partition ignores its parent's policy", REVOKE);
                continue;
            }
            if row.relation == "migration" && row.grantee == *migrate {
                continue;
            }
            let table =
                self.tables.iter().find(|table| table.schema() == row.schema && table.name() == row.relation);
            let rights = match table {
                Some(table) => {
                    let granted = secure::grants(table, self.roles);
                    granted
                        .iter()
                        .find(|(role, _)| *role == row.grantee)
                        .map_or(Rights::None, |grant| grant.1)
                }
                // A view, or what no pillar declares.
                None if [app, worker, operator, resolver].contains(&&row.grantee) => Rights::All,
                None => Rights::None,
            };
            let usual = rights.privileges().contains(&row.privilege.as_str());
            if !usual || row.relation == "migration" {
                findings.add(object, format!("{} may {}", row.grantee, row.privilege), REVOKE);
            }
        }
        for table in self.tables {
            for (role, rights) in secure::grants(table, self.roles) {
                let given = |privilege: &str| {
                    rows.iter().any(|row| {
                        (&*row.schema, &*row.relation) == (table.schema(), table.name())
                            && (&*row.grantee, &*row.privilege) == (role, privilege)
                    })
                };
                for privilege in rights.privileges().iter().filter(|privilege| !given(privilege)) {
                    findings.add(name_of(table), format!("{role} may not {privilege}"), MIGRATE);
                }
            }
        }
    }

    fn schema_grants(&self, schemas: &[&str], rows: &[facts::SchemaGrantRow], findings: &mut Findings) {
        for schema in schemas {
            let rows = || rows.iter().filter(|row| row.schema == *schema);
            for (role, privileges) in secure::schema_grants(self.roles) {
                let held: Vec<_> =
                    rows().filter(|row| row.grantee == role).map(|row| &*row.privilege).collect();
                for missing in privileges.iter().filter(|privilege| !held.contains(privilege)) {
                    findings.add(*schema, format!("{role} has no {missing}"), MIGRATE);
                }
                for surplus in held.iter().filter(|privilege| !privileges.contains(privilege)) {
                    findings.add(*schema, format!("{role} has {surplus}"), REVOKE);
                }
            }
            for row in rows().filter(|row| row.grantee == "PUBLIC") {
                findings.add(*schema, format!("everybody has {}", row.privilege), MIGRATE);
            }
        }
    }

    fn functions(&self, rows: &[facts::FunctionRow], ahead: &Ahead, findings: &mut Findings) {
        let RoleNames { app, worker, .. } = self.roles;
        for row in rows.iter().filter(|row| row.definer && !self.is_search(row)) {
            let object = format!("{}.{}", row.schema, row.signature);
            let declared = self.functions.iter().find(|function| {
                function.schema == row.schema && normal(function.signature) == normal(&row.signature)
            });
            let Some(function) = declared else {
                if ahead.contains(&*row.schema) && row.settings.iter().any(|setting| setting == PINNED) {
                    continue;
                }
                findings.add(object, "a SECURITY DEFINER function that no pillar declares", DECLARE);
                continue;
            };
            let mut callers = match function.caller {
                Caller::App => vec![app.clone(), worker.clone()],
                Caller::Worker => vec![worker.clone()],
            };
            callers.sort_unstable();
            if row.owner != secure::owner_of(function, self.roles) || row.callers != callers {
                findings.add(&object, "has another owner or other callers than declared", CALLERS);
            }
            if !row.settings.iter().any(|setting| setting == PINNED) {
                findings.add(
                    &object,
                    "does not pin its search_path",
                    "SET search_path = pg_catalog, and nothing else",
                );
            }
        }
        for function in self.functions {
            let found = rows.iter().any(|row| {
                row.definer
                    && row.schema == function.schema
                    && normal(&row.signature) == normal(function.signature)
            });
            if !found {
                findings.add(
                    format!("{}.{}", function.schema, function.signature),
                    "does not exist",
                    MIGRATE,
                );
            }
        }
    }
}

/// An expression or signature without what PostgreSQL changes when it prints one: spaces, parentheses, text casts,
/// short type names, the name it gives to a sub-select's column.
fn normal(expression: &str) -> String {
    let mut text = expression.to_lowercase().replace("timestamptz", "timestamp with time zone");
    for noise in ["::text", "as \"nullif\"", "as nullif", "(", ")", "\"", " ", "\n"] {
        text = text.replace(noise, "");
    }
    text
}
