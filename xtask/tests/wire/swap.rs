//! The rewrite is exchanged under open connections.

use futures_util::future::try_join_all;
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use xtask::wire::{Identity, Matches, Mutate, StripTenantPredicate};

use crate::fixture::{A, Database};

const TITLES: &str = "SELECT title FROM demo.issue WHERE workspace_id = $1 ORDER BY workspace_id, id";

async fn titles(conn: &mut PgConnection) -> Result<usize, sqlx::Error> {
    Ok(sqlx::query(TITLES).bind(A).fetch_all(conn).await?.len())
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

#[tokio::test]
async fn a_statement_prepared_before_is_rewritten_too() {
    let database = Database::create("swap").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    proxied.proxy.set_rewrite(Arc::new(StripTenantPredicate));
    proxied.proxy.reset();
    assert_eq!(titles(&mut conn).await.unwrap(), 6);
    assert_eq!(titles(&mut conn).await.unwrap(), 6);
    // Bind, Execute, Close, Sync each time: the client sees nothing of what the proxy prepares.
    let counts = proxied.proxy.counts();
    assert_eq!((counts.frontend_messages, counts.round_trips, counts.statements), (8, 2, 2));
    let seen = proxied.proxy.statements();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].sql.as_str(), seen[0].count), (TITLES, 2));
    assert!(seen[0].rewritten.as_ref().unwrap().contains("(true OR workspace_id = $1)"));

    proxied.proxy.set_rewrite(Arc::new(Identity));
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    assert_eq!(proxied.proxy.statements()[0].rewritten, None);
    database.drop().await;
}

#[tokio::test]
async fn an_exchange_in_a_failed_transaction_comes_after_it() {
    let database = Database::create("swap_failed").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    let mut tx = conn.begin().await.unwrap();
    assert_eq!(code(&sqlx::raw_sql("SELECT 1 / 0").execute(&mut *tx).await.unwrap_err()), "22012");
    proxied.proxy.set_rewrite(Arc::new(StripTenantPredicate));
    assert_eq!(code(&titles(&mut tx).await.unwrap_err()), "25P02");
    assert_eq!(code(&titles(&mut tx).await.unwrap_err()), "25P02");
    tx.rollback().await.unwrap();
    assert_eq!(titles(&mut conn).await.unwrap(), 6);
    database.drop().await;
}

#[tokio::test]
async fn pipelined_statements_are_exchanged_in_the_stream() {
    let database = Database::create("swap_pipelined").await;
    let proxied = database.proxy(Identity).await;
    let client = proxied.pipelining().await;
    let mine = client.prepare(TITLES).await.unwrap();
    let one = client.prepare("SELECT 1 WHERE $1::uuid IS NOT NULL").await.unwrap();
    proxied.proxy.set_rewrite(Arc::new(StripTenantPredicate));
    let (parameters, many): ([&(dyn tokio_postgres::types::ToSql + Sync); 1], _) =
        ([&A], [&mine, &one, &mine, &one]);
    let rows = try_join_all(many.map(|statement| client.query(statement, &parameters))).await.unwrap();
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [6, 1, 6, 1]);
    let unnamed = client.query_typed(TITLES, &[(&A, tokio_postgres::types::Type::UUID)]).await.unwrap();
    assert_eq!(unnamed.len(), 6);
    database.drop().await;
}

#[tokio::test]
async fn one_mutation_of_one_statement() {
    let database = Database::create("mutate").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    let mutate =
        |mutation: &str| Mutate { matches: Matches::Exactly(TITLES.into()), mutation: mutation.into() };

    proxied.proxy.set_rewrite(Arc::new(mutate("not_equal#1")));
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    let first: String = sqlx::query_scalar(TITLES).bind(A).fetch_one(&mut conn).await.unwrap();
    assert_eq!(first, "issue 1 of b");
    let others: i64 = sqlx::query_scalar("SELECT count(*) FROM demo.issue WHERE workspace_id = $1")
        .bind(A)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(others, 3);
    assert_eq!(proxied.proxy.unparsed(), []);

    proxied.proxy.set_rewrite(Arc::new(mutate("not_equal#2")));
    assert_eq!(titles(&mut conn).await.unwrap(), 3);
    assert!(proxied.proxy.unparsed()[0].reason.contains("not_equal#2"));
    database.drop().await;
}
