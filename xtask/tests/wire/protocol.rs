//! What is not rewritten comes through as if the proxy were not there.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use xtask::wire::{Identity, PgTarget, Proxy, StripTenantPredicate};

use crate::fixture::{A, Database, issue, spawn};

#[tokio::test]
async fn prepared_statements_with_parameters() {
    let database = Database::create("prepared").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    for n in 1..=3_u128 {
        let row = sqlx::query(
            "SELECT title, $3::jsonb, $4::bytea FROM demo.issue WHERE workspace_id = $1 AND id = $2",
        )
        .bind(A)
        .bind(issue(n))
        .bind(sqlx::types::Json([1, 2]))
        .bind(&b"\0\xff"[..])
        .fetch_one(&mut conn)
        .await
        .unwrap();
        assert_eq!(row.get::<String, _>(0), format!("issue {n} of a"));
        assert_eq!(row.get::<Vec<u8>, _>(2), b"\0\xff");
    }
    let seen = proxied.proxy.statements();
    let select = seen.iter().find(|seen| seen.sql.starts_with("SELECT title")).unwrap();
    assert_eq!((select.count, select.prepared, &select.rewritten), (3, 1, &None));
    database.drop().await;
}

#[tokio::test]
async fn rows_and_parameters_of_a_megabyte_and_more() {
    let database = Database::create("large").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let mut conn = proxied.connect().await;
    let sizes: Vec<i32> =
        sqlx::query_scalar("SELECT length(repeat('ü', 1000000 + n)) FROM generate_series(1, 3) n")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    assert_eq!(sizes, [1_000_001, 1_000_002, 1_000_003]);
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let back: Vec<u8> =
        sqlx::query_scalar("SELECT $1::bytea").bind(&sent).fetch_one(&mut conn).await.unwrap();
    assert!(back == sent);
    let text: String = sqlx::query_scalar(AssertSqlSafe(format!("SELECT '{}'", "y".repeat(3_000_000))))
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(text.len(), 3_000_000);
    database.drop().await;
}

#[tokio::test]
async fn a_statement_that_is_too_long_is_refused_in_words() {
    let database = Database::create("too_long").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    let long = format!("SELECT '{}'", "y".repeat(17 << 20));
    let error = sqlx::raw_sql(AssertSqlSafe(long)).execute(&mut conn).await.unwrap_err();
    // The proxy hangs up while the client still sends, so that the words may be lost to a reset.
    assert!(matches!(error, sqlx::Error::Io(_) | sqlx::Error::Database(_)), "{error}");
    if let sqlx::Error::Database(error) = error {
        assert!(error.message().contains("longer than"), "{error}");
    }
    let mut conn = proxied.connect().await;
    conn.ping().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn copy_in_both_directions() {
    let database = Database::create("copy").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let mut conn = proxied.connect().await;
    let lines = (0..50_000).map(|n| format!("{n}\tline {n} of many\n")).collect::<Vec<_>>().concat();
    sqlx::raw_sql("CREATE TABLE demo.line (n bigint, text text)").execute(&mut conn).await.unwrap();
    let mut copy = conn.copy_in_raw("COPY demo.line (n, text) FROM STDIN").await.unwrap();
    copy.send(lines.as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 50_000);
    let mut out = conn.copy_out_raw("COPY (SELECT * FROM demo.line ORDER BY n) TO STDOUT").await.unwrap();
    let mut back = Vec::new();
    while let Some(chunk) = out.next().await {
        back.extend_from_slice(&chunk.unwrap());
    }
    drop(out);
    assert!(back == lines.as_bytes());

    let copy = conn.copy_in_raw("COPY demo.line (n, text) FROM STDIN").await.unwrap();
    copy.abort("changed my mind").await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM demo.line").fetch_one(&mut conn).await.unwrap();
    assert_eq!(count, 50_000);
    database.drop().await;
}

#[tokio::test]
async fn errors_arrive_whole_and_the_connection_goes_on() {
    let database = Database::create("errors").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let mut conn = proxied.connect().await;
    for (sql, code) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM demo.nothing WHERE workspace_id = gen_random_uuid()", "42P01"),
        ("SELECT 1 / (SELECT count(*) FROM demo.issue WHERE title = 'none')", "22012"),
    ] {
        let error = sqlx::query(sql).execute(&mut conn).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), code);
    }
    let mut tx = conn.begin().await.unwrap();
    let insert = "INSERT INTO demo.project (workspace_id, id, name) VALUES ($1, $2, 'x')";
    sqlx::query(insert).bind(A).bind(A).execute(&mut *tx).await.unwrap();
    let error = sqlx::query(insert).bind(A).bind(A).execute(&mut *tx).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint(), Some("project_pkey"));
    tx.rollback().await.unwrap();
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut conn).await.unwrap();
    assert_eq!(one, 1);
    database.drop().await;
}

#[tokio::test]
async fn pipelined_queries_are_answered_in_order() {
    let database = Database::create("pipelined").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let client = proxied.pipelining().await;
    let statement = client.prepare("SELECT $1::int8 * 2").await.unwrap();
    let numbers: Vec<i64> = (0..200).collect();
    let rows =
        try_join_all(numbers.iter().map(async |n| client.query_one(&statement, &[n]).await)).await.unwrap();
    let doubled: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(doubled, numbers.iter().map(|n| n * 2).collect::<Vec<_>>());
    database.drop().await;
}

#[tokio::test]
async fn a_listener_hears() {
    let database = Database::create("listen").await;
    let proxied = database.proxy(Identity).await;
    let mut listener = PgListener::connect(&proxied.url).await.unwrap();
    listener.listen("wire").await.unwrap();
    let mut conn = proxied.connect().await;
    for n in 0..3 {
        sqlx::query("SELECT pg_notify('wire', $1)").bind(n.to_string()).execute(&mut conn).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(listener.recv().await.unwrap().payload(), n.to_string());
    }
    database.drop().await;
}

#[tokio::test]
async fn a_query_can_be_cancelled() {
    let database = Database::create("cancel").await;
    let proxied = database.proxy(Identity).await;
    let client = proxied.pipelining().await;
    let token = client.cancel_token();
    let sleep = client.batch_execute("SELECT pg_sleep(60)");
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(tokio_postgres::NoTls).await
    };
    let (slept, cancelled) = tokio::join!(sleep, cancel);
    cancelled.unwrap();
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
    database.drop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_query() {
    let database = Database::create("hang_up").await;
    let proxied = database.proxy(Identity).await;
    let config = proxied.other_client();
    let asleep = spawn(async move {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let sleep = async {
            client.batch_execute("SET client_connection_check_interval = '20ms'").await?;
            client.batch_execute("SELECT pg_sleep(60)").await
        };
        tokio::join!(connection, sleep)
    });
    let mut watch = database.connect().await;
    wait_for_sleepers(&mut watch, 1).await;
    // The socket goes with the task.
    asleep.abort();
    assert!(asleep.await.unwrap_err().is_cancelled());
    wait_for_sleepers(&mut watch, 0).await;
    database.drop().await;
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_connections() {
    let database = Database::create("dropped").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    conn.ping().await.unwrap();
    drop(proxied.proxy);
    assert!(conn.ping().await.is_err());
    assert!(PgConnection::connect(&proxied.url).await.is_err());
    database.drop().await;
}

#[tokio::test]
async fn a_server_that_hangs_up_is_heard() {
    let database = Database::create("killed").await;
    let proxied = database.proxy(Identity).await;
    let mut conn = proxied.connect().await;
    let error =
        sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(&mut conn).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "57P01");
    assert!(conn.ping().await.is_err());
    proxied.connect().await.ping().await.unwrap();
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_connections_at_once() {
    let database = Database::create("twenty").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let pool =
        PgPoolOptions::new().max_connections(20).min_connections(20).connect(&proxied.url).await.unwrap();
    proxied.proxy.reset();
    let tasks = (0..20_i64).map(|task| {
        let pool = pool.clone();
        spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            for n in 0..30_i64 {
                let sum: i64 = sqlx::query_scalar("SELECT $1 + $2")
                    .bind(task)
                    .bind(n)
                    .fetch_one(&mut *conn)
                    .await
                    .unwrap();
                assert_eq!(sum, task + n);
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    let seen = proxied.proxy.statements();
    let sums = seen.iter().find(|seen| seen.sql == "SELECT $1 + $2").unwrap();
    assert_eq!(sums.count, 600);
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn messages_that_come_byte_by_byte() {
    let database = Database::create("bytes").await;
    let proxied = database.proxy(StripTenantPredicate).await;
    let config = proxied.other_client();
    let stream = TcpStream::connect(("127.0.0.1", config.get_ports()[0])).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (client, connection) = config.connect_raw(ByByte(stream), tokio_postgres::NoTls).await.unwrap();
    spawn(async move { drop(connection.await) });
    let rows =
        client.query("SELECT title FROM demo.issue WHERE workspace_id = $1 AND seq = $2", &[&A, &0_i64]);
    assert_eq!(rows.await.unwrap().len(), 6);
    database.drop().await;
}

#[tokio::test]
async fn encryption_is_declined() {
    let database = Database::create("clear").await;
    let proxied = database.proxy(Identity).await;
    let options: PgConnectOptions = proxied.url.parse().unwrap();
    options.clone().ssl_mode(PgSslMode::Prefer).connect().await.unwrap().ping().await.unwrap();
    let error = options.ssl_mode(PgSslMode::Require).connect().await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    database.drop().await;
}

#[tokio::test]
async fn an_unreachable_server_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://app@127.0.0.1:{free}/db");
    let proxy =
        Proxy::start(&PgTarget::from_url(&url).unwrap(), std::sync::Arc::new(Identity)).await.unwrap();
    let error = PgConnection::connect(&proxy.url(&url).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

async fn wait_for_sleepers(watch: &mut PgConnection, wanted: i64) {
    for _ in 0..500 {
        let sleepers: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
        )
        .fetch_one(&mut *watch)
        .await
        .unwrap();
        if sleepers == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {wanted} sleeping");
}

/// A socket that takes and gives one byte at a time.
struct ByByte(TcpStream);

impl AsyncRead for ByByte {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut one))?;
        buf.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByByte {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..1.min(buf.len())])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
