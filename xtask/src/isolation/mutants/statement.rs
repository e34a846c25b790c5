//! Faults of the product's statements, as they go over the wire.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use uuid::Uuid;

use super::Mutant;
use crate::isolation::stage::Stage;
use crate::isolation::trial::{Weakening, without_policies};
use crate::wire::{
    Chain, Rewrite, Rewriting, SeenStatement, StripTenantPredicate, TENANT_SETTING, drop_guc, foreign_guc,
    mutants as mutants_of,
};

/// Sends another text in the place of one statement.
#[derive(Debug, Clone)]
struct Swap {
    from: String,
    to: String,
}

impl Rewrite for Swap {
    fn rewrite(&self, sql: &str) -> Rewriting {
        let sql = (sql == self.from).then(|| self.to.clone());
        Rewriting { sql, unparsed: Vec::new() }
    }
}

/// A rewrite of those transactions only that begin so.
struct Beginning {
    prefix: &'static str,
    then: Arc<dyn Rewrite>,
}

impl Rewrite for Beginning {
    fn rewrite(&self, sql: &str) -> Rewriting {
        if sql.starts_with(self.prefix) { self.then.rewrite(sql) } else { Rewriting::default() }
    }
}

/// Every fault of every statement that was seen, with row-level security off.
pub(super) async fn mutants(stage: &Stage, seen: &[SeenStatement]) -> Result<Vec<Mutant>> {
    let off = without_policies(&stage.beside).await?;
    let mut all = Vec::new();
    // How transactions begin and end is not a query.
    let is_query = |sql: &str| !["BEGIN", "SET CONSTRAINTS"].iter().any(|verb| sql.starts_with(verb));
    for statement in seen.iter().filter(|statement| is_query(&statement.sql)) {
        let changed = mutants_of(&statement.sql);
        let changed = match changed {
            Ok(changed) => changed,
            Err(unread) if unread.mentions_tenant => {
                return Err(anyhow!("no mutants can be made of {}: {}", unread.sql, unread.reason));
            }
            Err(_) => continue,
        };
        for mutant in changed {
            let swap = Swap { from: statement.sql.clone(), to: mutant.sql };
            let weakening = Weakening { rewrite: Arc::new(swap), statements: off.clone() };
            all.push(Mutant {
                class: "statement",
                name: mutant.name,
                subject: statement.sql.clone(),
                weakening: Some(weakening),
                boot: Vec::new(),
            });
        }
    }
    Ok(all)
}

/// Faults of the setting that the policies read, with every filter taken out.
pub(super) fn settings(stage: &Stage) -> Vec<Mutant> {
    let mut changes: Vec<(String, Arc<dyn Rewrite>)> = vec![("drop".to_owned(), Arc::new(drop_guc()))];
    let strangers = stage.foreign_workspaces().into_iter().chain([Uuid::nil()]);
    changes.extend(strangers.map(|id| {
        let name = if id.is_nil() { "system".to_owned() } else { format!("foreign {id}") };
        (name, Arc::new(foreign_guc(id)) as Arc<dyn Rewrite>)
    }));
    let mut all = Vec::new();
    for (name, change) in changes {
        for prefix in ["BEGIN;", "BEGIN READ ONLY;"] {
            let beginning = Arc::new(Beginning { prefix, then: change.clone() });
            all.push(setting(&name, prefix, beginning));
        }
    }
    // Founding a workspace changes the setting on the way.
    let from = format!("SELECT set_config('{TENANT_SETTING}', $1, true)");
    for (name, value) in
        [("found in the system", "''"), ("found elsewhere", "'0192e0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f'")]
    {
        let to =
            format!("SELECT set_config('{TENANT_SETTING}', CASE WHEN true THEN {value} ELSE $1 END, true)");
        all.push(setting(name, &from, Arc::new(Swap { from: from.clone(), to })));
    }
    all
}

fn setting(name: &str, subject: &str, change: Arc<dyn Rewrite>) -> Mutant {
    let rewrite = Arc::new(Chain(vec![change, Arc::new(StripTenantPredicate)]));
    Mutant {
        class: "setting",
        name: name.to_owned(),
        subject: subject.to_owned(),
        weakening: Some(Weakening { rewrite, statements: Vec::new() }),
        boot: Vec::new(),
    }
}
