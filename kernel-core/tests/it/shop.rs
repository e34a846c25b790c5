//! A small product: one tenant table with a parent and a child.

use std::borrow::Cow;

use kernel_core::{Migrations, Pillar, Table, TenantTx, Tx};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

pub(crate) const SCHEMA: &str = r"
    CREATE TABLE shop.shelf (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        PRIMARY KEY (workspace_id, id)
    );
    CREATE TABLE shop.item (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        shelf_id uuid,
        name text NOT NULL,
        PRIMARY KEY (workspace_id, id),
        FOREIGN KEY (workspace_id, shelf_id) REFERENCES shop.shelf (workspace_id, id),
        CONSTRAINT item_name UNIQUE (workspace_id, name)
    );
";

pub(crate) fn migrations(sql: &str) -> Migrations {
    files(&[sql])
}

pub(crate) fn files(all: &[&str]) -> Migrations {
    let file = |(index, sql): (usize, &&str)| {
        let (number, sql) =
            (i64::try_from(index + 1).unwrap(), AssertSqlSafe((*sql).to_owned()).into_sql_str());
        Migration::new(number, Cow::Borrowed("shop"), MigrationType::Simple, sql, false)
    };
    Migrations::new("shop", Migrator::with_migrations(all.iter().enumerate().map(file).collect()))
}

pub(crate) fn tables() -> [Table; 2] {
    [
        Table::tenant("shop", "shelf").public(&["id"]),
        Table::tenant("shop", "item").public(&["id", "shelf_id"]).private(&["name"]),
    ]
}

pub(crate) fn pillar() -> Pillar {
    Pillar::new("shop").migrations(migrations(SCHEMA)).tables(tables())
}

pub(crate) async fn insert(tx: &mut TenantTx, name: &str) -> Result<(), sqlx::Error> {
    let (workspace, id) = (tx.workspace_id(), tx.ctx().new_id::<kernel_core::job::JobNoun>());
    sqlx::query("INSERT INTO shop.item (workspace_id, id, name) VALUES ($1, $2, $3)")
        .bind(workspace)
        .bind(id)
        .bind(name)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// What an author who forgets every `WHERE` gets to see.
pub(crate) async fn names(tx: &mut impl Tx) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT name FROM shop.item ORDER BY name").fetch_all(tx.conn()).await
}
