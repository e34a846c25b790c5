//! What makes a table safe, generated and never hand-written: policies, grants, owners, column comments.
//!
//! Every statement can run again: the script brings a database to the declared state from any earlier one.

pub(crate) mod search;

use std::fmt::Write as _;

use crate::db::RoleNames;
use crate::table::{Caller, Function, FunctionOwner, Reach, Rights, Scope, Table};

/// The workspace that the transaction names; NULL where it names none, which matches no row.
///
/// No sub-select around it: the planner makes one comparison per statement out of this and the statement's own
/// `workspace_id = $1`, and a plan of its own for a sub-select would cost more than that, once per table.
const WORKSPACE: &str = "nullif(current_setting('app.workspace_id', true), '')::uuid";
const SYSTEM: &str = "'00000000-0000-0000-0000-000000000000'::uuid";

/// A policy as the catalog should show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) command: &'static str,
    /// `None` for everybody.
    pub(crate) role: Option<String>,
    pub(crate) using: String,
}

/// Every name that a generated policy has: one that is no longer declared goes.
const POLICIES: [&str; 6] = ["tenant", "system", "operator", "migrate", "resolver", "search"];

/// The policies of a table: the workspace's own, and one per role that may see across.
pub(crate) fn policies(table: &Table, roles: &RoleNames) -> Vec<Policy> {
    let own = match table.scope() {
        Scope::Tenant => Policy {
            name: "tenant",
            command: "ALL",
            role: None,
            using: format!("(workspace_id = {WORKSPACE})"),
        },
        Scope::Global => {
            Policy { name: "system", command: "ALL", role: None, using: format!("({WORKSPACE} = {SYSTEM})") }
        }
    };
    let across = |name, command, role: &String| Policy {
        name,
        command,
        role: Some(role.clone()),
        using: "true".to_owned(),
    };
    // Staff see every workspace from the system's own; inside one that they have entered, that one only. They read
    // whole tables, and what stands beside an OR is computed for each row unless it is a sub-select.
    let operator = Policy {
        using: format!("((SELECT {WORKSPACE}) = {SYSTEM})"),
        ..across("operator", "SELECT", &roles.operator)
    };
    let mut policies = vec![own, operator, across("migrate", "ALL", &roles.migrate)];
    match table.reach() {
        Reach::Own => {}
        Reach::Resolved => policies.push(across("resolver", "SELECT", &roles.resolver)),
        Reach::Filled | Reach::Queued => policies.push(across("resolver", "ALL", &roles.resolver)),
    }
    if table.search().is_some() {
        policies.push(across("search", "SELECT", &roles.search));
    }
    policies
}

/// The statements that secure the schemas, tables and functions of a plan, in the order to run them. Each step locks
/// one table at most, and leaves what it is about as declared.
pub(crate) fn steps(
    tables: &[Table],
    functions: &[Function],
    roles: &RoleNames,
    versions: &[(&str, i64)],
) -> Vec<String> {
    let mut schemas: Vec<_> = tables.iter().map(Table::schema).collect();
    schemas.sort_unstable();
    schemas.dedup();
    let mut steps: Vec<_> = schemas.into_iter().map(|schema| secure_schema(schema, roles)).collect();
    // Before the tables, which may have to be waited for: a new function can be called by everybody.
    steps.push(functions.iter().map(|function| secure_function(function, roles)).collect());
    for table in tables {
        let search = table.search().map(|searchable| search::secure(table, searchable, roles));
        steps.push(search.unwrap_or_default() + &secure_table(table, roles));
    }
    // At last: it says that everything before it is done.
    steps.push(versions.iter().map(|(schema, version)| note_version(schema, *version)).collect());
    steps
}

/// What the comment on a schema says before the number of the last file that was applied there.
pub(crate) const VERSION: &str = "kernel: version ";

fn note_version(schema: &str, version: i64) -> String {
    format!("COMMENT ON SCHEMA \"{schema}\" IS '{VERSION}{version}';\n")
}

/// Each role with what it may do with a table. Nobody else may anything but its owner.
pub(crate) fn grants<'r>(table: &Table, roles: &'r RoleNames) -> [(&'r str, Rights); 5] {
    let RoleNames { app, worker, operator, resolver, search, .. } = roles;
    let of_resolver = match table.reach() {
        Reach::Own => Rights::None,
        Reach::Resolved => Rights::Read,
        Reach::Filled => Rights::Append,
        Reach::Queued => Rights::All,
    };
    let of_search = if table.search().is_some() { Rights::Read } else { Rights::None };
    [
        (app, table.rights()),
        (worker, table.rights()),
        (operator, table.rights_of_operator()),
        (resolver, of_resolver),
        (search, of_search),
    ]
}

/// Each role with what it may do with a schema.
pub(crate) fn schema_grants(roles: &RoleNames) -> [(&str, &'static [&'static str]); 6] {
    let RoleNames { app, worker, operator, owner, resolver, search, .. } = roles;
    let (enter, create): (&[_], &[_]) = (&["USAGE"], &["USAGE", "CREATE"]);
    [(app, enter), (worker, enter), (operator, enter), (owner, create), (resolver, create), (search, create)]
}

fn secure_schema(schema: &str, roles: &RoleNames) -> String {
    let mut sql = format!("REVOKE ALL ON SCHEMA \"{schema}\" FROM PUBLIC;\n");
    for (role, _) in schema_grants(roles) {
        let _ = writeln!(sql, "REVOKE ALL ON SCHEMA \"{schema}\" FROM \"{role}\";");
    }
    for (role, privileges) in schema_grants(roles) {
        let _ = writeln!(sql, "GRANT {} ON SCHEMA \"{schema}\" TO \"{role}\";", privileges.join(", "));
    }
    sql
}

fn secure_table(table: &Table, roles: &RoleNames) -> String {
    let name = format!("\"{}\".\"{}\"", table.schema(), table.name());
    let RoleNames { app, worker, operator, owner, resolver, search, .. } = roles;
    let mut sql = format!(
        "ALTER TABLE {name} OWNER TO \"{owner}\";\n\
         ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;\n\
         ALTER TABLE {name} FORCE ROW LEVEL SECURITY;\n\
         REVOKE ALL ON TABLE {name} FROM PUBLIC, \"{app}\", \"{worker}\", \"{operator}\", \"{resolver}\", \"{search}\";\n"
    );
    if table.is_partitioned() {
        // Its functions drop partitions, which only their owner may.
        let _ = writeln!(
            sql,
            "DO $$ DECLARE part regclass; BEGIN\n  \
               FOR part IN SELECT t.relid FROM pg_partition_tree('{name}') AS t\n             \
                           JOIN pg_class AS c ON c.oid = t.relid\n             \
                           WHERE c.relowner <> '\"{owner}\"'::regrole LOOP\n    \
                 EXECUTE format('ALTER TABLE %s OWNER TO \"{owner}\"', part);\n  \
               END LOOP;\n\
             END $$;"
        );
    }
    for (role, rights) in grants(table, roles) {
        if rights != Rights::None {
            let _ = writeln!(sql, "GRANT {} ON TABLE {name} TO \"{role}\";", rights.privileges().join(", "));
        }
    }
    for known in POLICIES {
        let _ = writeln!(sql, "DROP POLICY IF EXISTS {known} ON {name};");
    }
    for policy in policies(table, roles) {
        let Policy { name: policy_name, command, role, using } = policy;
        let role = role.map_or_else(|| "PUBLIC".to_owned(), |role| format!("\"{role}\""));
        let _ =
            writeln!(sql, "CREATE POLICY {policy_name} ON {name} FOR {command} TO {role} USING ({using});");
    }
    for column in table.columns() {
        let _ = writeln!(
            sql,
            "COMMENT ON COLUMN {name}.\"{}\" IS 'class: {}';",
            column.name,
            column.class.name()
        );
    }
    sql
}

fn secure_function(function: &Function, roles: &RoleNames) -> String {
    let name = format!("\"{}\".{}", function.schema, function.signature);
    let caller = match function.caller {
        Caller::App => format!("\"{}\", \"{}\"", roles.app, roles.worker),
        Caller::Worker => format!("\"{}\"", roles.worker),
    };
    let RoleNames { app, worker, operator, .. } = roles;
    let owner = owner_of(function, roles);
    format!(
        "REVOKE ALL ON FUNCTION {name} FROM PUBLIC, \"{app}\", \"{worker}\", \"{operator}\";\n\
         GRANT EXECUTE ON FUNCTION {name} TO {caller};\n\
         ALTER FUNCTION {name} OWNER TO \"{owner}\";\n"
    )
}

/// The role as which a function runs.
pub(crate) fn owner_of<'r>(function: &Function, roles: &'r RoleNames) -> &'r str {
    match function.owner {
        FunctionOwner::Owner => &roles.owner,
        FunctionOwner::Resolver => &roles.resolver,
    }
}

/// The statements that a database administrator runs once, before the first migration: the roles and who is a
/// member of whom. Passwords are set apart, by whatever the host keeps secrets in.
pub(crate) fn bootstrap(database: &str, roles: &RoleNames) -> String {
    let RoleNames { app, worker, operator, migrate, owner, resolver, search } = roles;
    let mut sql = String::new();
    let mut role = |name: &str, login: &str| {
        let _ = writeln!(
            sql,
            "DO $$ BEGIN\n  \
               IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN\n    \
                 CREATE ROLE \"{name}\" {login} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;\n  \
               END IF;\n\
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;\n\
             END $$;"
        );
    };
    for name in [app, worker, operator, migrate] {
        role(name, "LOGIN");
    }
    for name in [owner, resolver, search] {
        role(name, "NOLOGIN");
    }
    let database = database.replace('"', "\"\"");
    let _ = writeln!(
        sql,
        "REVOKE TEMPORARY ON DATABASE \"{database}\" FROM PUBLIC;\n\
         GRANT \"{owner}\", \"{resolver}\", \"{search}\" TO \"{migrate}\";\n\
         GRANT CONNECT, CREATE ON DATABASE \"{database}\" TO \"{migrate}\";\n\
         GRANT CONNECT ON DATABASE \"{database}\" TO \"{app}\", \"{worker}\", \"{operator}\";"
    );
    sql
}
