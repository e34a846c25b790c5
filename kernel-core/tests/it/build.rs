use std::time::Duration;

use kernel_core::chore::{Chore, Pace};
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{App, AuditAction, Db, GlobalTx, Job, JobDef, Pillar, Problem, Table, TenantTx};
use sqlx::Executor;

use crate::shop;

kernel_core::permissions! {
    /// Sell things.
    pub SELL = "shop.sell" for Member;
}

async fn problems_of(pillars: fn() -> Vec<Pillar>) -> String {
    let built =
        TestKernel::try_with(config(), |app| pillars().into_iter().fold(app, kernel_core::AppBuilder::with));
    built.await.err().map(|problems| format!("{problems}")).unwrap_or_default()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Restock;

impl Job for Restock {
    const KIND: &'static str = "shop.restock";
}

async fn restock((): (), _: &mut TenantTx, _: Restock) -> Result<(), kernel_core::Error> {
    Ok(())
}

fn sweep() -> Chore {
    async fn nothing((): (), _: &mut GlobalTx) -> Result<Pace, kernel_core::Error> {
        Ok(Pace::Rest)
    }
    Chore::new("shop.sweep", Duration::from_secs(1), (), nothing)
}

#[tokio::test]
async fn what_is_declared_twice_or_lacks_a_provider_is_refused() {
    const ITEM_SELL: AuditAction = AuditAction::new("shop.item.sell");
    let twice = problems_of(|| {
        let shop = shop::pillar().permissions(ALL).permissions(&[SELL]).audits(&[ITEM_SELL]);
        vec![shop, Pillar::new("shop").audits(&[ITEM_SELL])]
    });
    let twice = twice.await;
    assert!(twice.contains("the pillar shop is declared twice"), "{twice}");
    assert!(twice.contains("the permission shop.sell is declared twice"), "{twice}");
    assert!(twice.contains("the audit action shop.item.sell is declared twice"), "{twice}");

    let jobs = problems_of(|| vec![shop::pillar().jobs([JobDef::new((), restock)])]).await;
    assert!(jobs.contains("shop.restock needs a job runner, and no pillar provides it"), "{jobs}");

    let chores = problems_of(|| vec![shop::pillar().chore(sweep()).chore(sweep())]).await;
    assert!(chores.contains("the chore shop.sweep is declared twice"), "{chores}");
    assert!(chores.contains("shop.sweep needs a job runner, and no pillar provides it"), "{chores}");
}

/// Plants each fault in turn, and sees that the catalog's audit finds it: a statement, and a part of the finding.
async fn plant(faults: &[(&'static str, &str)]) {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let mut admin = kernel.admin().await;
    for (fault, finding) in faults {
        admin.execute("BEGIN").await.unwrap();
        let planted = admin.execute(*fault).await;
        let found = match planted {
            Ok(_) => kernel.app.plan().verify(&mut admin).await.unwrap(),
            // The key of the table already forbids it.
            Err(_) => Vec::new(),
        };
        let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
        admin.execute("ROLLBACK").await.unwrap();
        let seen = texts.iter().any(|text| !finding.is_empty() && text.contains(finding));
        assert!(seen || finding.is_empty(), "{fault}: {texts:?}");
    }
    assert!(kernel.app.plan().verify(&mut admin).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_difference_from_the_declared_schema_is_found() {
    plant(&[
        ("ALTER TABLE shop.item DISABLE ROW LEVEL SECURITY", "shop.item: row-level security"),
        ("ALTER TABLE shop.item NO FORCE ROW LEVEL SECURITY", "shop.item: row-level security"),
        ("DROP POLICY tenant ON shop.item", "policy tenant is missing"),
        ("ALTER POLICY tenant ON shop.item USING (true)", "policy tenant is not as generated"),
        ("CREATE POLICY more ON shop.item USING (true)", "policy more is not as generated"),
        ("ALTER POLICY operator ON shop.item TO PUBLIC", "policy operator is not as generated"),
        ("ALTER TABLE shop.item ADD COLUMN note text", "column note has no class"),
        ("ALTER TABLE shop.item ALTER COLUMN workspace_id DROP NOT NULL", ""),
        ("CREATE UNIQUE INDEX by_name ON shop.item (name)", "unique key by_name does not lead"),
        ("CREATE UNIQUE INDEX by_lower ON shop.item (lower(name))", "unique key by_lower does not lead"),
        (
            "ALTER TABLE shop.item ADD CONSTRAINT up FOREIGN KEY (workspace_id) REFERENCES kernel_core.tenant",
            "leaves the schema",
        ),
        (
            "ALTER TABLE shop.item ADD CONSTRAINT lone EXCLUDE USING btree (name WITH =)",
            "unique key lone does not lead",
        ),
        (
            "CREATE VIEW public.report AS SELECT i.name FROM shop.item AS i",
            "public.report: a view runs as its owner",
        ),
        (
            "CREATE FUNCTION public.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM shop.item';
             ALTER FUNCTION public.peek() OWNER TO kernel_test_migrate",
            "public.peek(): a SECURITY DEFINER function that no pillar declares",
        ),
        ("CREATE TABLE shop.loose (id int)", "shop.loose: no pillar declares it"),
        ("CREATE VIEW shop.all_items AS SELECT * FROM shop.item", "a view runs as its owner"),
        ("CREATE MATERIALIZED VIEW shop.copy AS SELECT * FROM shop.item", "a materialised view"),
        (
            "CREATE FUNCTION shop.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM shop.item'",
            "a SECURITY DEFINER function that no pillar declares",
        ),
        ("COMMENT ON COLUMN shop.item.name IS 'class: public'", "column name does not carry its class"),
        ("DROP TABLE shop.item", "shop.item: does not exist"),
    ])
    .await;
}

#[tokio::test]
async fn every_right_too_much_or_too_little_is_found() {
    plant(&[
        (
            "GRANT UPDATE (action) ON kernel_core.audit_log TO kernel_test_app",
            "kernel_test_app may UPDATE (action)",
        ),
        ("GRANT TRUNCATE ON shop.item TO kernel_test_app", "kernel_test_app may TRUNCATE"),
        ("GRANT SELECT ON shop.item TO PUBLIC", "PUBLIC may SELECT"),
        ("GRANT UPDATE ON kernel_core.audit_log TO kernel_test_app", "kernel_test_app may UPDATE"),
        ("GRANT SELECT ON kernel_core.audit_log_default TO kernel_test_app", "a granted partition"),
        ("ALTER TABLE shop.item OWNER TO kernel_test_migrate", "is owned by kernel_test_migrate"),
        (
            "ALTER FUNCTION kernel_core.drop_audit_partition(date) OWNER TO kernel_test_resolver",
            "has another owner or other callers",
        ),
        (
            "REVOKE SELECT ON shop.item FROM kernel_test_worker",
            "shop.item: kernel_test_worker may not SELECT",
        ),
        (
            "REVOKE DELETE ON kernel_core.outbox FROM kernel_test_resolver",
            "kernel_core.outbox: kernel_test_resolver may not DELETE",
        ),
        ("GRANT SELECT ON shop.item TO kernel_test_resolver", "kernel_test_resolver may SELECT"),
        (
            "GRANT SELECT ON shop.item TO kernel_test_app WITH GRANT OPTION",
            "kernel_test_app may SELECT WITH GRANT OPTION",
        ),
        (
            "GRANT EXECUTE ON FUNCTION kernel_core.drop_audit_partition(date) TO kernel_test_worker WITH GRANT OPTION",
            "has another owner or other callers",
        ),
        ("REVOKE USAGE ON SCHEMA shop FROM kernel_test_operator", "shop: kernel_test_operator has no USAGE"),
        ("GRANT CREATE ON SCHEMA shop TO kernel_test_app", "shop: kernel_test_app has CREATE"),
        ("GRANT USAGE ON SCHEMA shop TO PUBLIC", "shop: everybody has USAGE"),
        (
            "ALTER TABLE kernel_core.audit_log_default OWNER TO kernel_test_migrate",
            "audit_log_default: a partition is owned by kernel_test_migrate",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_table_without_classes_is_refused() {
    let bare = problems_of(|| {
        let tables = [Table::tenant("shop", "shelf").public(&["id"]), Table::tenant("shop", "item")];
        vec![Pillar::new("shop").migrations(shop::migrations(shop::SCHEMA)).tables(tables)]
    });
    let bare = bare.await;
    assert!(bare.contains("the table shop.item declares no column with its class"), "{bare}");
    assert!(bare.contains("shop.item: column name has no class"), "{bare}");
}

#[tokio::test]
async fn a_login_that_sees_past_its_tenant_is_refused() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let logins = kernel.database.logins();
    let roles = kernel_core::testkit::roles();
    let mut admin = kernel.admin().await;
    let name = format!("kernel_test_bad_{}", std::process::id());
    let bad =
        |more: &str| format!("CREATE ROLE {name} LOGIN PASSWORD 'x' {more}; GRANT {} TO {name}", roles.app);
    let via = format!("{name}_via");
    let cases = [
        (bad("SUPERUSER"), "is a superuser"),
        (bad("BYPASSRLS"), "has BYPASSRLS"),
        (bad(&format!("IN ROLE {}", roles.owner)), "owns tables, or is a member"),
        (bad(&format!("IN ROLE {}", roles.migrate)), "owns tables, or is a member"),
        (bad(&format!("NOINHERIT IN ROLE {}", roles.resolver)), "owns tables, or is a member"),
        (
            format!("CREATE ROLE {via} IN ROLE {}; {}", roles.owner, bad(&format!("IN ROLE {via}"))),
            "owns tables, or is a member",
        ),
        (format!("{}; ALTER TABLE shop.shelf OWNER TO {name}", bad("")), "owns tables, or is a member"),
    ];
    for (setup, reason) in cases {
        admin.execute(sqlx::AssertSqlSafe(setup.clone())).await.unwrap();
        let mut url = logins.config();
        url.app = logins.admin().replacen(&admin_part(&logins.admin()), &format!("{name}:x"), 1);
        url.max_connections = 2;
        let db = Db::new(&url).unwrap();
        let built = App::builder(db.clone(), config()).with(shop::pillar()).build().await;
        let problems = built.expect_err(&setup).0;
        let refused =
            problems.iter().any(|p| matches!(p, Problem::Login(_)) && p.to_string().contains(reason));
        assert!(refused, "{setup}: {problems:?}");
        db.close().await;
        let cleanup = format!(
            "ALTER TABLE shop.shelf OWNER TO {}; DROP OWNED BY {name}; DROP ROLE {name}; DROP ROLE IF EXISTS {via}",
            roles.owner
        );
        admin.execute(sqlx::AssertSqlSafe(cleanup)).await.unwrap();
    }
}

#[tokio::test]
async fn two_roles_of_one_name_are_refused() {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let mut config_of_db = kernel.database.logins().config();
    config_of_db.roles.resolver.clone_from(&config_of_db.roles.owner);
    let db = Db::new(&config_of_db).unwrap();
    let problems = App::builder(db, config()).with(shop::pillar()).build().await.unwrap_err().to_string();
    assert!(problems.contains("the role kernel_test_owner is declared twice"), "{problems}");
}

/// The `user:password` of a URL.
fn admin_part(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.split_once('@').unwrap().0.to_owned()
}
