use std::time::{Duration, Instant};

use kernel_core::table::Function;
use kernel_core::testkit::{Logins, TestKernel, roles, server};
use kernel_core::{App, Db, Pillar, Table, migration::MigrationPlan};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::shop;

fn plan(logins: &Logins) -> MigrationPlan {
    let db = Db::new(&logins.config()).unwrap();
    App::builder(db, kernel_core::testkit::config()).with(shop::pillar()).plan()
}

#[tokio::test]
async fn running_twice_changes_nothing_and_the_hosts_ledger_stays_its_own() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let mut admin = kernel.admin().await;
    admin.execute("CREATE TABLE public._sqlx_migrations (version bigint PRIMARY KEY)").await.unwrap();
    admin.execute("INSERT INTO public._sqlx_migrations VALUES (20200101000000)").await.unwrap();
    let ledger = "SELECT array_agg(version ORDER BY version) FROM shop.migration";
    let before: Vec<i64> = sqlx::query_scalar(ledger).fetch_one(&mut admin).await.unwrap();

    let logins = kernel.database.logins();
    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    kernel.app.plan().run(&mut migrate).await.unwrap();

    let after: Vec<i64> = sqlx::query_scalar(ledger).fetch_one(&mut admin).await.unwrap();
    assert_eq!(before, after);
    let host: Vec<i64> = sqlx::query_scalar("SELECT version FROM public._sqlx_migrations")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert_eq!(host, [20_200_101_000_000]);
    assert!(kernel.app.plan().verify(&mut admin).await.unwrap().is_empty());
}

/// Migrates over a table that somebody reads for as long as `held`.
async fn migrate_beside_a_reader(kernel: &TestKernel, held: Duration) -> Duration {
    let mut reader = kernel.admin().await;
    reader.execute("BEGIN; SELECT FROM shop.item").await.unwrap();
    let mut migrate = PgConnection::connect(&kernel.database.logins().of(&roles().migrate)).await.unwrap();
    let plan = kernel.app.plan();
    let began = Instant::now();
    let release = async {
        tokio::time::sleep(held).await;
        reader.execute("COMMIT").await.unwrap();
    };
    let migrated = async {
        plan.run(&mut migrate).await.unwrap();
        began.elapsed()
    };
    tokio::join!(migrated, release).0
}

#[tokio::test]
async fn a_database_that_is_as_declared_is_not_locked_and_one_that_is_not_waits_in_turns() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let held = Duration::from_secs(4);
    assert!(migrate_beside_a_reader(&kernel, held).await < held);

    let mut admin = kernel.admin().await;
    admin.execute("REVOKE SELECT ON shop.item FROM kernel_test_app").await.unwrap();
    // As if the table had been declared so before.
    admin.execute("CREATE POLICY resolver ON shop.item TO kernel_test_resolver USING (true)").await.unwrap();
    // Those that come meanwhile get their turn between two tries.
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let began = Instant::now();
            admin.execute("SELECT FROM shop.item").await.unwrap();
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (took, slowest) = tokio::join!(migrate_beside_a_reader(&kernel, held), others);
    assert!(took > held, "{took:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    assert_eq!(kernel.app.plan().verify(&mut admin).await.unwrap(), []);
}

#[tokio::test]
async fn a_file_that_was_changed_after_it_was_applied_is_named_with_what_to_do() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    kernel.admin().await.execute("UPDATE shop.migration SET checksum = '\\x00'").await.unwrap();
    let logins = kernel.database.logins();
    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    let error = kernel.app.plan().run(&mut migrate).await.unwrap_err().to_string();
    assert!(error.starts_with("shop: the file 0001 is not the one that was applied; put it back"), "{error}");
}

#[tokio::test]
async fn the_exported_files_make_the_same_database() {
    let server = server().await.unwrap();
    let name = format!("kernel_test_export_{}", std::process::id());
    let logins = Logins::new(server.options(), &name, &roles());
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let plan = plan(&logins);
    // The roles and their passwords come with any test database.
    drop(TestKernel::start(|app| app.with(shop::pillar())).await);

    let mut owner = PgConnection::connect(&logins.admin()).await.unwrap();
    owner.execute(AssertSqlSafe(plan.bootstrap(&name))).await.unwrap();
    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    for file in plan.export() {
        migrate
            .execute(AssertSqlSafe(file.sql))
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", file.name));
    }
    assert_eq!(plan.verify(&mut migrate).await.unwrap(), []);
    migrate.close().await.unwrap();
    owner.close().await.unwrap();
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}

/// What the next version of the shop adds.
const ADDED: &str = r"
    ALTER TABLE shop.item ADD COLUMN colour text;
    CREATE TABLE shop.basket (workspace_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (workspace_id, id));
    CREATE FUNCTION shop.count_baskets() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
    AS 'SELECT count(*) FROM shop.basket';
";

fn next_version() -> Pillar {
    let [shelf, item] = shop::tables();
    let basket = Table::tenant("shop", "basket").public(&["id"]).resolved();
    Pillar::new("shop")
        .migrations(shop::files(&[shop::SCHEMA, ADDED]))
        .tables([shelf, item.public(&["colour"]), basket])
        .functions([Function::lookup("shop", "count_baskets()")])
}

#[tokio::test]
async fn a_process_of_the_old_version_still_starts_after_the_new_one_has_migrated() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let logins = kernel.database.logins();
    let builder = |pillar: Pillar| {
        App::builder(Db::new(&logins.config()).unwrap(), kernel_core::testkit::config()).with(pillar)
    };
    let mut admin = kernel.admin().await;
    // The same things, when no version knows of them, are what they always were.
    admin.execute(ADDED).await.unwrap();
    let problems = builder(shop::pillar()).build().await.unwrap_err().to_string();
    for unknown in ["shop.item: column colour has no class", "shop.basket: no pillar", "shop.count_baskets"] {
        assert!(problems.contains(unknown), "{unknown}: {problems}");
    }
    let drop = "DROP FUNCTION shop.count_baskets(); DROP TABLE shop.basket; ALTER TABLE shop.item DROP COLUMN colour";
    admin.execute(drop).await.unwrap();

    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    builder(next_version()).plan().run(&mut migrate).await.unwrap();
    builder(next_version()).build().await.unwrap();
    builder(shop::pillar()).build().await.unwrap();
    // It goes no further than the additions, and no further back.
    admin.execute("ALTER TABLE shop.basket NO FORCE ROW LEVEL SECURITY").await.unwrap();
    let problems = builder(shop::pillar()).build().await.unwrap_err().to_string();
    assert!(problems.contains("shop.basket: no pillar"), "{problems}");
    assert!(builder(shop::pillar()).plan().run(&mut migrate).await.is_err());
}
