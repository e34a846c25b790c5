//! Counts are exact for sequences whose messages are known.

use futures_util::future::try_join_all;
use sqlx::{AssertSqlSafe, Connection};
use xtask::wire::{Counts, Identity};

use crate::fixture::{A, Database, Proxied};

/// Messages, round trips and statements since the last call.
fn taken(proxied: &Proxied) -> (u64, u64, u64) {
    let Counts { frontend_messages, round_trips, statements, .. } = proxied.proxy.counts();
    proxied.proxy.reset();
    (frontend_messages, round_trips, statements)
}

#[tokio::test]
async fn a_transaction_message_by_message() {
    let database = Database::create("count").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    taken(&proxied);

    let mut tx = conn.begin().await.unwrap();
    assert_eq!(taken(&proxied), (1, 1, 1), "Query");
    let select = sqlx::query("SELECT title FROM demo.issue WHERE workspace_id = $1");
    select.bind(A).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(taken(&proxied), (7, 2, 1), "Parse, Describe, Sync; Bind, Execute, Close, Sync");
    let select = sqlx::query("SELECT title FROM demo.issue WHERE workspace_id = $1");
    select.bind(A).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(taken(&proxied), (4, 1, 1), "Bind, Execute, Close, Sync");
    tx.commit().await.unwrap();
    assert_eq!(taken(&proxied), (1, 1, 1), "Query");
    database.drop().await;
}

#[tokio::test]
async fn a_begin_string_costs_no_message_more_than_begin() {
    let database = Database::create("count_begin").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    taken(&proxied);

    let begin = format!("BEGIN; SET LOCAL app.workspace_id = '{A}'; SET LOCAL statement_timeout = 5000");
    conn.begin_with(AssertSqlSafe(begin)).await.unwrap().commit().await.unwrap();
    let tenant = proxied.proxy.counts();
    proxied.proxy.reset();
    conn.begin().await.unwrap().commit().await.unwrap();
    let plain = proxied.proxy.counts();
    let shape =
        |counts: Counts| (counts.frontend_messages, counts.flushes, counts.round_trips, counts.statements);
    assert_eq!(shape(tenant), shape(plain));
    assert_eq!(shape(plain), (2, 2, 2, 2));
    assert!(tenant.frontend_bytes > plain.frontend_bytes);
    // CommandComplete and ReadyForQuery for each; the two SET have one more CommandComplete each.
    assert_eq!((plain.backend_messages, tenant.backend_messages), (4, 6));
    database.drop().await;
}

#[tokio::test]
async fn pipelined_queries_ask_more_often_than_they_wait() {
    let database = Database::create("count_pipelined").await;
    let proxied = database.proxy(Identity).await;
    let client = proxied.pipelining().await;
    let sleep = client.prepare("SELECT pg_sleep(0.3)").await.unwrap();
    taken(&proxied);
    try_join_all((0..3).map(|_| client.query(&sleep, &[]))).await.unwrap();
    let counts = proxied.proxy.counts();
    assert_eq!((counts.flushes, counts.round_trips, counts.statements), (3, 1, 3));
    database.drop().await;
}

#[tokio::test]
async fn a_copy_waits_twice() {
    let database = Database::create("count_copy").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    taken(&proxied);
    let mut copy = conn.copy_in_raw("COPY demo.project (workspace_id, id, name) FROM STDIN").await.unwrap();
    copy.send(format!("{A}\t{A}\tcopied\n").as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 1);
    assert_eq!(taken(&proxied), (3, 2, 1), "Query; CopyData, CopyDone");
    sqlx::raw_sql("SELECT 1").execute(&mut conn).await.unwrap();
    assert_eq!(taken(&proxied), (1, 1, 1), "Query");
    database.drop().await;
}

#[tokio::test]
async fn connections_and_bytes_are_counted() {
    let database = Database::create("count_bytes").await;
    let proxied = database.proxy(Identity).await;
    for _ in 0..3 {
        proxied.connect().await.close().await.unwrap();
    }
    assert_eq!(proxied.proxy.counts().connections, 3);
    let mut conn = proxied.connect().await;
    proxied.proxy.reset();
    sqlx::raw_sql("SELECT 1").execute(&mut conn).await.unwrap();
    let counts = proxied.proxy.counts();
    // 'Q', four of length, the text, a zero.
    assert_eq!(counts.frontend_bytes, 1 + 4 + 8 + 1);
    // RowDescription, DataRow, CommandComplete, ReadyForQuery.
    assert_eq!(counts.backend_messages, 4);
    assert_eq!(counts.backend_bytes, (1 + 4 + 2 + 9 + 18) + (1 + 4 + 2 + 4 + 1) + (1 + 4 + 9) + (1 + 4 + 1));
    database.drop().await;
}
