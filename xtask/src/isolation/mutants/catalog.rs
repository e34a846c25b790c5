//! Faults of policies, foreign keys and grants.

use std::sync::Arc;

use anyhow::Result;

use super::Mutant;
use crate::isolation::product::roles;
use crate::isolation::reference::keys;
use crate::isolation::stage::Stage;
use crate::isolation::state::{TableFacts, tables};
use crate::isolation::trial::Weakening;
use crate::wire::{Identity, StripTenantPredicate};

const SETTING: &str = "nullif(current_setting('app.workspace_id', true), '')::uuid";

/// Every fault of every table.
pub(super) async fn mutants(stage: &Stage) -> Result<Vec<Mutant>> {
    let mut admin = stage.beside.admin().await?;
    let tables = tables(&mut admin).await?;
    let mut all = Vec::new();
    for table in &tables {
        policies(table, &mut all);
        grants(table, &mut all);
    }
    for key in keys(&stage.beside).await? {
        let statement = format!("ALTER TABLE {} DROP CONSTRAINT \"{}\"", key.table, key.name);
        all.push(Mutant {
            class: "key",
            name: "drop".to_owned(),
            subject: format!("{} {}", key.table, key.name),
            weakening: Some(Weakening { rewrite: Arc::new(Identity), statements: vec![statement] }),
            boot: Vec::new(),
        });
    }
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1 LIMIT 2",
    )
    .fetch_all(&mut admin)
    .await?;
    let app = roles().app;
    all.extend(partitions.into_iter().map(|partition| {
        boot("a partition may be read", &partition, format!("GRANT SELECT ON {partition} TO \"{app}\""))
    }));
    all.extend(functions(&mut admin).await?);
    Ok(all)
}

/// Faults of the policy of one table, with every filter taken out.
fn policies(table: &TableFacts, all: &mut Vec<Mutant>) {
    let name = &table.name;
    let (policy, column) = if table.is_tenant { ("tenant", "workspace_id") } else { ("system", "") };
    let mut add = |what: &str, statement: String| {
        all.push(Mutant {
            class: "policy",
            name: what.to_owned(),
            subject: name.clone(),
            weakening: Some(Weakening {
                rewrite: Arc::new(StripTenantPredicate),
                statements: vec![statement.clone()],
            }),
            boot: vec![statement],
        });
    };
    let using = |condition: &str| format!("ALTER POLICY {policy} ON {name} USING ({condition})");
    add("using true", using("true"));
    add("drop", format!("DROP POLICY {policy} ON {name}"));
    add("disable", format!("ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"));
    add("one more", format!("CREATE POLICY more ON {name} FOR SELECT USING (true)"));
    add(
        "for writing only",
        format!("ALTER POLICY {policy} ON {name} USING (true) WITH CHECK ({SETTING} IS NOT NULL)"),
    );
    if table.is_tenant {
        add("is not null", using(&format!("{column} IS NOT NULL AND {SETTING} IS NOT NULL")));
        add("not equal", using(&format!("{column} <> {SETTING}")));
        add("or set", using(&format!("{column} = {SETTING} OR {SETTING} IS NOT NULL")));
        if table.key.iter().any(|key| key == "id") {
            add("wrong column", using(&format!("id = {SETTING}")));
        }
    }
}

/// Faults of the grants of one table.
fn grants(table: &TableFacts, all: &mut Vec<Mutant>) {
    let (name, app) = (&table.name, roles().app);
    all.push(boot("truncate", name, format!("GRANT TRUNCATE ON {name} TO \"{app}\"")));
    all.push(boot("for everybody", name, format!("GRANT SELECT ON {name} TO PUBLIC")));
    all.push(boot("no force", name, format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")));
    all.push(boot("owned by the app", name, format!("ALTER TABLE {name} OWNER TO \"{app}\"")));
    let view =
        format!("CREATE VIEW {name}_seen AS SELECT * FROM {name}; GRANT SELECT ON {name}_seen TO \"{app}\"");
    if !name.contains('"') {
        all.push(boot("seen through a view", name, view));
    }
}

/// Faults of the functions that see every tenant.
async fn functions(admin: &mut sqlx::PgConnection) -> Result<Vec<Mutant>> {
    let (app, worker) = (roles().app, roles().worker);
    let queue: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text NOT LIKE 'pg_%' \
         AND has_function_privilege($1, oid, 'EXECUTE') AND NOT has_function_privilege($2, oid, 'EXECUTE') ORDER BY 1",
    )
    .bind(&worker)
    .bind(&app)
    .fetch_all(admin)
    .await?;
    let granted = queue.iter().map(|function| {
        boot("the queue for the app", function, format!("GRANT EXECUTE ON FUNCTION {function} TO \"{app}\""))
    });
    let owned = queue.iter().map(|function| {
        boot("owned by a superuser", function, format!("ALTER FUNCTION {function} OWNER TO CURRENT_USER"))
    });
    let unpinned = queue.iter().map(|function| {
        boot("unpinned search path", function, format!("ALTER FUNCTION {function} RESET search_path"))
    });
    Ok(granted.chain(owned).chain(unpinned).collect())
}

/// What only the check at boot can see.
fn boot(name: &str, subject: &str, statement: String) -> Mutant {
    Mutant {
        class: "grant",
        name: name.to_owned(),
        subject: subject.to_owned(),
        weakening: None,
        boot: vec![statement],
    }
}
