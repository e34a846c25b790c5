//! `cargo xtask data-classes`: the register of the example product's columns, for whoever reports on personal data.

use std::process::ExitCode;

use anyhow::{Result, bail};
use kernel_core::table::Scope;
use kernel_core::{Class, Db, DbConfig, testkit};
use tracker::Settings;

use crate::outcome::Outcome;

const CLASSES: [Class; 4] = [Class::Public, Class::Private, Class::Sensitive, Class::Restricted];

/// The command line of `cargo xtask data-classes`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only the columns of this class: public, private, sensitive, restricted
    #[arg(long)]
    class: Option<String>,
}

/// Prints a line per column: table and column, class, whose rows. What is declared is what the database says in its
/// comments on columns; the build refuses a difference.
///
/// # Errors
///
/// When there is no such class.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let wanted = arguments.class.as_deref();
    if wanted.is_some_and(|name| CLASSES.iter().all(|class| class.name() != name)) {
        bail!("there is no such class: public, private, sensitive, restricted");
    }
    // Declarations need no connection, and no key is ever used.
    let db = Db::new(&DbConfig::new("postgres://localhost/nowhere"))?;
    let plan = tracker::app(db, testkit::config(), &Settings::default()).plan();
    let mut lines: Vec<_> = plan
        .columns()
        .filter(|(_, column)| wanted.is_none_or(|name| column.class.name() == name))
        .map(|(table, column)| {
            let whose = if table.scope() == Scope::Tenant { "tenant" } else { "system" };
            format!("{}.{}.{}\t{}\t{whose}", table.schema(), table.name(), column.name, column.class.name())
        })
        .collect();
    lines.sort_unstable();
    for line in &lines {
        println!("{line}");
    }
    let count = |class: Class| plan.columns().filter(|(_, column)| column.class == class).count();
    let counted = Outcome::new().value("listed", lines.len());
    let counted =
        CLASSES.into_iter().fold(counted, |counted, class| counted.value(class.name(), count(class)));
    Ok(counted.report("data-classes"))
}
