//! PgBouncer in front of a real server.
#![cfg(all(unix, feature = "testkit"))]
#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::Path;

use kernel_core::testkit::left_out;
use kernel_core::testkit::pgbouncer::PgBouncer;
use kernel_core::testkit::postgres::{Postgres, Search};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

async fn backend(conn: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").persistent(false).fetch_one(conn).await.unwrap()
}

/// A login whose password has in it what must be quoted somewhere on the way.
async fn login(postgres: &Postgres) -> PgConnectOptions {
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
    let create = r#"CREATE ROLE pooled LOGIN PASSWORD 'p"a%:@/ ''ß'"#;
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    postgres.options().clone().username("pooled").password("p\"a%:@/ 'ß")
}

#[tokio::test]
async fn clients_share_a_server_connection_from_one_transaction_to_the_next() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgbouncer");
    let _ = std::fs::remove_dir_all(&target);
    let mut search = Search::from_env(&target);
    search.url = None;
    let postgres = Postgres::find(&search, &mut |line| eprintln!("{line}")).await.unwrap();
    let login = login(&postgres).await;
    login.clone().connect().await.expect("the login works without PgBouncer");
    let bouncer = match PgBouncer::start(&search, &[login], 1, &mut |line| eprintln!("{line}")).await {
        Ok(bouncer) => bouncer,
        Err(error) => return left_out("PgBouncer", &error.to_string()),
    };

    let options = bouncer.options("pooled").unwrap();
    let mut a = options.connect().await.unwrap();
    let mut b = PgConnection::connect(&bouncer.url("pooled").unwrap()).await.unwrap();
    let first = backend(&mut a).await;
    assert_eq!(backend(&mut b).await, first, "with a pool of one, both must be given the same backend");
    assert_eq!(backend(&mut a).await, first);

    let stranger = postgres.options().clone().port(bouncer.port()).connect().await;
    assert!(stranger.is_err(), "only the logins it was given may pass");

    drop(bouncer);
    assert!(options.connect().await.is_err(), "it must be gone");
    drop(postgres);
    let _ = std::fs::remove_dir_all(&target);
}
