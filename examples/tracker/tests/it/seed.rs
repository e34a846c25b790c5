use kernel_core::http::Environment;
use kernel_core::testkit::{TestKernel, config};
use serde_json::json;
use sqlx::PgConnection;
use tracker::Settings;
use tracker::seed::{self, PASSWORD, SeedError, Seeded};

use crate::browser::{Browser, location};
use crate::{expect, start};

/// Every row that the seed may write, as text. Hashes are left out where only the salt makes them differ.
const EVERYTHING: &str = "
    SELECT row FROM (
        SELECT 'user ' || to_jsonb(t)::text AS row FROM kernel_auth.\"user\" AS t
        UNION ALL SELECT 'session ' || to_jsonb(t)::text FROM kernel_auth.session AS t
        UNION ALL SELECT 'workspace ' || to_jsonb(t)::text FROM kernel_tenancy.workspace AS t
        UNION ALL SELECT 'membership ' || to_jsonb(t)::text FROM kernel_tenancy.membership AS t
        UNION ALL SELECT 'project ' || to_jsonb(t)::text FROM tracker.project AS t
        UNION ALL SELECT 'issue ' || to_jsonb(t)::text FROM tracker.issue AS t
        UNION ALL SELECT 'comment ' || to_jsonb(t)::text FROM tracker.comment AS t
        UNION ALL SELECT 'label ' || to_jsonb(t)::text FROM tracker.label AS t
        UNION ALL SELECT 'labelled ' || to_jsonb(t)::text FROM tracker.issue_label AS t
        UNION ALL SELECT 'activity ' || to_jsonb(t)::text FROM kernel_core.activity AS t
        UNION ALL SELECT 'audit ' || to_jsonb(t)::text FROM kernel_core.audit_log AS t
        UNION ALL SELECT 'audit ' || to_jsonb(t)::text FROM kernel_core.audit_unsealed AS t
    ) AS everything ORDER BY row";

async fn everything(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(EVERYTHING).fetch_all(conn).await.unwrap()
}

async fn seeded(kernel: &TestKernel) -> Seeded {
    let db = kernel.database.logins().config();
    seed::run(&db, config().keys, &Settings::default()).await.unwrap()
}

#[tokio::test]
async fn seeding_twice_leaves_what_seeding_once_does() {
    let kernel = start().await;
    assert_eq!(seeded(&kernel).await, Seeded { people: 20, workspaces: 6 });
    let mut admin = kernel.admin().await;
    let first = everything(&mut admin).await;
    assert_eq!(seeded(&kernel).await, Seeded::default());
    assert_eq!(everything(&mut admin).await, first);

    let count = |noun: &str| first.iter().filter(|row| row.starts_with(noun)).count();
    assert_eq!((count("user "), count("workspace "), count("issue ")), (20, 6, 100));
    assert!(count("activity ") >= 100);
    assert_eq!(count("label "), 6 * 5);
    assert!(
        count("comment ") >= 50 && count("labelled ") >= 50,
        "{} {}",
        count("comment "),
        count("labelled ")
    );
    let roles: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT role FROM kernel_tenancy.membership ORDER BY role")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(roles, ["admin", "member", "owner", "viewer"]);

    let other = start().await;
    seeded(&other).await;
    let elsewhere = everything(&mut other.admin().await).await;
    let first_difference = first.iter().zip(&elsewhere).find(|(here, there)| here != there);
    assert_eq!(first_difference, None, "another database holds something else");
}

#[tokio::test]
async fn everybody_logs_in_and_looks_around_in_the_demo() {
    let kernel = start().await;
    seeded(&kernel).await;
    for name in [seed::PEOPLE[0], seed::PEOPLE[19]] {
        let mut somebody = Browser::new(&kernel.app);
        let email = seed::email(name);
        let fields = [("email", email.as_str()), ("password", PASSWORD), ("next", "/w/demo/projects")];
        assert_eq!(location(&somebody.post("/log-in", &fields).await), "/w/demo/projects");
        let page = Browser::whole(&somebody.get("/w/demo/projects").await, 200);
        assert!(page.contains("Website"));
        let may_create = page.contains("/w/demo/projects/new");
        assert_eq!(may_create, name == seed::PEOPLE[0], "{name}");
        let new = json!({ "name": "x", "key": "XX" });
        let expected = if may_create { 201 } else { 403 };
        somebody.0.get("/api/v1/me").await;
        expect(expected, somebody.0.post("/api/v1/w/demo/projects", &new).await);
    }
}

#[tokio::test]
async fn production_gets_no_example_data() {
    let kernel = start().await;
    let settings = Settings { environment: Environment::Production, ..Settings::default() };
    let refused = seed::run(&kernel.database.logins().config(), config().keys, &settings).await;
    assert!(matches!(refused, Err(SeedError::Production)), "{refused:?}");
    assert_eq!(everything(&mut kernel.admin().await).await, [""; 0]);
}
