use kernel_core::testkit::{Logins, TestKernel, roles, server};
use kernel_core::{App, Db, DbError, GlobalTx, Pillar, Table, TenantTx, Tx, Workspace};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::shop;

const SCHEMA: &str = "
    CREATE TABLE shop.book (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        title text NOT NULL,
        body text,
        PRIMARY KEY (workspace_id, id)
    );
    SELECT kernel_core.make_searchable('shop.book', 'english', ARRAY['title', 'body']);
";

fn pillar() -> Pillar {
    Pillar::new("shop").migrations(shop::migrations(SCHEMA)).tables([Table::tenant("shop", "book")
        .public(&["id"])
        .private(&["title", "body"])
        .searchable("english", &["title", "body"])])
}

const BOOKS: &[(&str, Option<&str>)] = &[
    ("The squeaking boot", Some("A shoemaker listens.")),
    ("Shoes of the world", None),
    ("A quiet walk", Some("Nothing squeaks here, not even the boots of the walker.")),
];

async fn write(kernel: &TestKernel, workspace: &Workspace, books: &[(&str, Option<&str>)]) {
    let ctx = kernel.app.system("test");
    let written = kernel.app.db().tenant(&ctx, workspace, async |tx: &mut TenantTx| {
        for (title, body) in books {
            let (workspace, id) = (tx.workspace_id(), tx.ctx().new_id::<kernel_core::job::JobNoun>());
            sqlx::query("INSERT INTO shop.book (workspace_id, id, title, body) VALUES ($1, $2, $3, $4)")
                .bind(workspace)
                .bind(id)
                .bind(title)
                .bind(body)
                .execute(tx.conn())
                .await?;
        }
        Ok::<_, DbError>(())
    });
    written.await.unwrap();
}

/// As a product asks: the function, and the table beside it.
async fn found(kernel: &TestKernel, workspace: &Workspace, query: &str, most: i32) -> Vec<String> {
    let ctx = kernel.app.system("test").reading();
    let found = kernel.app.db().tenant(&ctx, workspace, async |tx: &mut TenantTx| {
        let workspace = tx.workspace_id();
        let titles = sqlx::query_scalar(
            "SELECT b.title FROM shop.search_book($2, $3) AS f
             JOIN shop.book AS b ON b.workspace_id = $1 AND b.id = f.id
             ORDER BY f.rank DESC, b.id DESC",
        );
        let titles = titles.bind(workspace).bind(query).bind(most);
        Ok::<_, DbError>(titles.fetch_all(tx.conn()).await?)
    });
    found.await.unwrap()
}

#[tokio::test]
async fn rows_are_found_by_words_and_parts_of_words_and_the_title_counts_most() {
    let kernel = TestKernel::start(|app| app.with(pillar())).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, BOOKS).await;

    let titles = async |query| found(&kernel, &workspace, query, 10).await;
    assert_eq!(titles("squeak").await, ["The squeaking boot", "A quiet walk"]);
    assert_eq!(titles("walkers boots").await, ["A quiet walk"]);
    assert_eq!(titles("\"quiet walk\"").await, ["A quiet walk"]);
    assert_eq!(titles("boots -quiet").await, ["The squeaking boot"]);
    assert_eq!(titles("squeaki").await.first().map(String::as_str), Some("The squeaking boot"));
    assert_eq!(titles("shoez").await, ["Shoes of the world"], "a slip of the finger");
    assert_eq!(titles("-squeak").await, ["Shoes of the world"]);
    for nothing in ["zebra", "", "   ", "'\"\\ <-> & | !(:*", "\"squea\"", "s"] {
        assert_eq!(titles(nothing).await, [""; 0], "{nothing:?}");
    }
    assert_eq!(found(&kernel, &workspace, "squeak", 1).await, ["The squeaking boot"]);
    for none in [0, -1, i32::MIN] {
        assert_eq!(found(&kernel, &workspace, "squeak", none).await, [""; 0]);
    }
    let long = "squeak ".repeat(100_000);
    assert_eq!(found(&kernel, &workspace, &long, i32::MAX).await.len(), 2);
}

#[tokio::test]
async fn nobody_finds_what_another_workspace_holds() {
    let kernel = TestKernel::start(|app| app.with(pillar())).await;
    let (ours, theirs) = (kernel.found_workspace().await, kernel.found_workspace().await);
    write(&kernel, &theirs, BOOKS).await;

    assert_eq!(found(&kernel, &ours, "squeak", 10).await, [""; 0]);
    let ids = "SELECT id FROM shop.search_book('squeak', 10)";
    let ctx = kernel.app.system("test");
    let of_tenant = kernel.app.db().tenant(&ctx, &ours, async |tx: &mut TenantTx| {
        Ok::<_, DbError>(sqlx::query_scalar::<_, Uuid>(ids).fetch_all(tx.conn()).await?)
    });
    assert!(of_tenant.await.unwrap().is_empty());
    let of_system = kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| {
        Ok::<_, DbError>(sqlx::query_scalar::<_, Uuid>(ids).fetch_all(tx.conn()).await?)
    });
    assert!(of_system.await.unwrap().is_empty());
    let of_nobody = kernel.app.db().lookup(async |conn: &mut PgConnection| {
        Ok::<_, DbError>(sqlx::query_scalar::<_, Uuid>(ids).fetch_all(conn).await?)
    });
    assert!(of_nobody.await.unwrap().is_empty());
}

#[tokio::test]
async fn whatever_makes_searching_unsafe_or_slow_is_found() {
    let kernel = TestKernel::start(|app| app.with(pillar())).await;
    let mut admin = kernel.admin().await;
    let function = "shop.search_book(text, integer)";
    let faults = [
        ("DROP INDEX shop.book_search".to_owned(), "no GIN index on workspace_id and search"),
        ("DROP INDEX shop.book_search_parts".to_owned(), "no GIN index on workspace_id and title"),
        (
            "ALTER TABLE shop.book ALTER COLUMN search DROP EXPRESSION".to_owned(),
            "no generated column search",
        ),
        ("ALTER TABLE shop.book DROP COLUMN search CASCADE".to_owned(), "no generated column search"),
        (format!("DROP FUNCTION {function}"), "shop.search_book(text,integer): does not exist"),
        (format!("ALTER FUNCTION {function} SECURITY INVOKER"), "is not as generated"),
        (format!("ALTER FUNCTION {function} RESET search_path"), "is not as generated"),
        (format!("ALTER FUNCTION {function} OWNER TO postgres"), "is not as generated"),
        (format!("ALTER FUNCTION {function} LEAKPROOF"), "is not as generated"),
        (format!("ALTER FUNCTION {function} ROWS 7"), "is not as generated"),
        (format!("GRANT EXECUTE ON FUNCTION {function} TO PUBLIC"), "is not as generated"),
        (
            "CREATE OR REPLACE FUNCTION shop.search_book(query text, most integer)
             RETURNS TABLE (id uuid, rank real) LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
             AS $$ SELECT id, 1.0::real FROM shop.book $$"
                .to_owned(),
            "is not as generated",
        ),
        ("DROP POLICY search ON shop.book".to_owned(), "policy search is missing"),
        ("ALTER POLICY search ON shop.book TO PUBLIC".to_owned(), "policy search is not as generated"),
        ("GRANT UPDATE ON shop.book TO kernel_test_search".to_owned(), "kernel_test_search may UPDATE"),
    ];
    for (fault, finding) in faults {
        let mut tx = admin.begin().await.unwrap();
        tx.execute(AssertSqlSafe(fault.clone())).await.unwrap();
        let findings = kernel.app.plan().verify(&mut tx).await.unwrap();
        assert!(findings.iter().any(|found| found.to_string().contains(finding)), "{fault}: {findings:?}");
        tx.rollback().await.unwrap();
    }
    assert_eq!(kernel.app.plan().verify(&mut admin).await.unwrap(), []);
}

/// An empty database, and what becomes of it when the pillar's plan runs there.
async fn migrated(name: &str, prepare: &str, pillar: Pillar) -> Result<Vec<String>, String> {
    let server = server().await.unwrap();
    let name = format!("kernel_test_{name}_{}", std::process::id());
    let logins = Logins::new(server.options(), &name, &roles());
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    // The roles and their passwords come with any test database.
    drop(TestKernel::start(|app| app.with(shop::pillar())).await);

    let mut owner = PgConnection::connect(&logins.admin()).await.unwrap();
    owner.execute(AssertSqlSafe(prepare.to_owned())).await.unwrap();
    let db = Db::new(&logins.config()).unwrap();
    let plan = App::builder(db, kernel_core::testkit::config()).with(pillar).plan();
    owner.execute(AssertSqlSafe(plan.bootstrap(&name))).await.unwrap();
    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    let outcome = match plan.run(&mut migrate).await {
        Ok(()) => Ok(plan.verify(&mut migrate).await.unwrap().iter().map(ToString::to_string).collect()),
        Err(error) => Err(format!("{error:?}")),
    };
    migrate.close().await.unwrap();
    owner.close().await.unwrap();
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    outcome
}

#[tokio::test]
async fn a_host_keeps_its_extension_where_it_is() {
    let prepare = "CREATE SCHEMA \"the host's\"; CREATE EXTENSION pg_trgm SCHEMA \"the host's\";
                   GRANT USAGE ON SCHEMA \"the host's\" TO PUBLIC";
    assert_eq!(migrated("extension", prepare, pillar()).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_forgotten_migration_is_named() {
    let table = Table::tenant("shop", "book").public(&["id"]).private(&["title", "body"]);
    let forgetful = Pillar::new("shop")
        .migrations(shop::migrations(SCHEMA.split("SELECT").next().unwrap()))
        .tables([table.searchable("english", &["title", "body"])]);
    let refused = migrated("forgotten", "SELECT", forgetful).await.unwrap_err();
    assert!(refused.contains("shop.book is declared searchable, but no migration calls"), "{refused}");
}
