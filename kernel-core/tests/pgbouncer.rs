//! PgBouncer in front of a real server.
#![cfg(all(unix, feature = "testkit"))]
#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::Path;

use kernel_core::doctor::Verdict;
use kernel_core::testkit::pgbouncer::PgBouncer;
use kernel_core::testkit::postgres::{Postgres, Search};
use kernel_core::testkit::{Logins, left_out, roles};
use kernel_core::{App, Clock, Db, DbConfig};
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

/// What the doctor says of these examinations.
async fn faults(db: &DbConfig, migrate: &str) -> Vec<&'static str> {
    let mut config = kernel_core::testkit::config();
    config.clock = Clock::system();
    let report = App::builder(Db::new(db).unwrap(), config).examine(Some(migrate)).await;
    let faults = report.diagnoses.iter().filter(|d| matches!(d.verdict, Verdict::Fault { .. }));
    faults.map(|diagnosis| diagnosis.check).collect()
}

#[tokio::test]
async fn the_doctor_notices_who_stands_between_and_who_lets_everybody_in() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgbouncer-doctor");
    let _ = std::fs::remove_dir_all(&target);
    let mut search = Search::from_env(&target);
    search.url = None;
    let postgres = Postgres::find(&search, &mut |line| eprintln!("{line}")).await.unwrap();
    let logins = Logins::new(postgres.options(), "kernel_doctor", &roles());
    let nowhere = Db::new(&logins.config()).unwrap();
    logins.prepare(&App::builder(nowhere, kernel_core::testkit::config()).plan()).await.unwrap();
    let (app, migrate) = (logins.of(&roles().app), logins.of(&roles().migrate));
    let passes: Vec<PgConnectOptions> = [&app, &migrate].map(|url| url.parse().unwrap()).into();
    let bouncer = match PgBouncer::start(&search, &passes, 2, &mut |line| eprintln!("{line}")).await {
        Ok(bouncer) => bouncer,
        Err(error) => return left_out("PgBouncer", &error.to_string()),
    };
    assert_eq!(faults(&logins.config(), &migrate).await, [""; 0]);

    let mut through = logins.config();
    through.app = bouncer.url(&roles().app).unwrap();
    assert_eq!(faults(&through, &migrate).await, ["login.limits", "login.pooler"]);
    through.statement_cache = 0;
    assert_eq!(faults(&through, &migrate).await, [""; 0]);
    let pooled = bouncer.url(&roles().migrate).unwrap();
    assert_eq!(faults(&through, &pooled).await, ["migration.direct"]);

    let mut admin = postgres.options().connect().await.unwrap();
    let hba: String = sqlx::query_scalar("SHOW hba_file").fetch_one(&mut admin).await.unwrap();
    std::fs::write(&hba, "local all all trust\nhost all all all trust\n").unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut admin).await.unwrap();
    let trusting = async || faults(&logins.config(), &migrate).await == ["login.trust"];
    let mut seen = trusting().await;
    // The server reads the file when it comes to it.
    for _ in 0..50 {
        if seen {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        seen = trusting().await;
    }
    assert!(seen, "{:?}", faults(&logins.config(), &migrate).await);
    drop(bouncer);
    drop(postgres);
    let _ = std::fs::remove_dir_all(&target);
}
