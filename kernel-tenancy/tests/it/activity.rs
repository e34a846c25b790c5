use chrono::TimeDelta;
use kernel_core::activity::record;
use kernel_core::job::{JobId, JobNoun};
use kernel_core::testkit::{Answer, TestKernel, config};
use kernel_core::{
    ActivityConfig, ActivityEntry, ActivityKind, Error, Pillar, Role, TenantTx, Tx, WorkspaceId,
};
use kernel_tenancy::Tenancy;
use serde_json::{Value, json};

use crate::people::{User, identity};

mod permission {
    kernel_core::permissions! {
        /// See the till.
        pub TILL_READ = "shop.till.read" for Admin;
        /// See the shelves.
        pub SHELF_READ = "shop.shelf.read" for Viewer;
    }
}

const TILL_COUNTED: ActivityKind = ActivityKind::new("shop.till.counted", permission::TILL_READ);
const SHELF_FILLED: ActivityKind = ActivityKind::new("shop.shelf.filled", permission::SHELF_READ);
const UNDECLARED: ActivityKind = ActivityKind::new("shop.shelf.broken", permission::SHELF_READ);

fn shop() -> Pillar {
    Pillar::new("shop").permissions(permission::ALL).activities(&[TILL_COUNTED, SHELF_FILLED]).messages(
        r#"{
            "activity.shop.till.counted": "{actor} counted {sum, number} coins",
            "activity.shop.shelf.filled": "{actor} filled {target} with {count, plural, one {# jar} other {# jars}}"
        }"#,
    )
}

async fn kernel() -> TestKernel {
    TestKernel::with(config(), |app| app.with(identity()).with(Tenancy).with(shop())).await
}

async fn note(
    kernel: &TestKernel,
    user: &User,
    workspace: WorkspaceId,
    entry: ActivityEntry,
) -> Result<(), Error> {
    let (ctx, workspace) = (kernel.user(user.id), kernel.workspace(workspace));
    let noted = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| record(tx, entry).await);
    noted.await.map(drop)
}

fn thing(kernel: &TestKernel) -> JobId {
    kernel.app.system("test").new_id::<JobNoun>()
}

fn texts(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_feed_is_filtered_paged_and_shows_what_one_may_see() {
    let kernel = kernel().await;
    let (mut ada, mut bob) = (User::new(&kernel), User::new(&kernel));
    let workspace: WorkspaceId = ada.found("acme").await.parse().unwrap();
    let (ctx, inside) = (kernel.app.system("test"), kernel.workspace(workspace));
    let joined = kernel
        .app
        .db()
        .tenant(&ctx, &inside, async |tx: &mut TenantTx| Tenancy.join(tx, bob.id, Role::Viewer).await);
    joined.await.unwrap();
    let (till, shelf) = (thing(&kernel), thing(&kernel));
    kernel.clock.advance(TimeDelta::seconds(1));
    note(&kernel, &ada, workspace, ActivityEntry::new(TILL_COUNTED, "till", till).number("sum", 12_345))
        .await
        .unwrap();
    kernel.clock.advance(TimeDelta::seconds(1));
    note(&kernel, &bob, workspace, ActivityEntry::new(SHELF_FILLED, "shelf", shelf).number("count", 1))
        .await
        .unwrap();

    let feed = "/api/v1/w/acme/activity";
    let (ada_is, bob_is) = (format!("name of {}", ada.id), format!("name of {}", bob.id));
    let filled = format!("{bob_is} filled something that has been deleted with 1 jar");
    let counted = format!("{ada_is} counted 12,345 coins");
    assert_eq!(texts(&ada.get(feed).await)[..2], [filled.clone(), counted.clone()]);
    let seen = texts(&bob.get(feed).await);
    assert!(seen.contains(&filled) && !seen.contains(&counted), "{seen:?}");
    assert!(
        seen.contains(&format!("{ada_is} founded The acme"))
            && seen.contains(&format!("{bob_is} joined as viewer"))
    );
    let nothing = bob.get(&format!("{feed}?kind=shop.till.counted")).await;
    assert_eq!(texts(&nothing), [""; 0], "asking for a kind shows no more of it");

    for (filter, wanted) in [
        ("kind=shop.till.counted".to_owned(), vec![&counted]),
        (format!("actor={}", bob.id), vec![&filled]),
        (format!("target_id={}", shelf.uuid().as_simple()), vec![&filled]),
        (format!("within_id={shelf}"), vec![]),
        (format!("actor={}&kind=shop.shelf.filled", ada.id), vec![]),
    ] {
        let found = texts(&ada.get(&format!("{feed}?{filter}")).await);
        let found: Vec<_> = found.iter().filter(|text| !text.contains("joined")).collect();
        assert_eq!(found, wanted, "{filter}");
    }
    let first = ada.get(&format!("{feed}?limit=2")).await.json();
    let next = ada.get(&format!("{feed}?limit=100&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    let all = texts(&ada.get(&format!("{feed}?limit=100")).await);
    assert_eq!(texts(&next), all[2..]);
    for wrong in ["?actor=nobody", "?target_id=1", "?colour=red", "?cursor=x"] {
        assert_eq!(ada.get(&format!("{feed}{wrong}")).await.status, 400, "{wrong}");
    }
    let mut eve = User::new(&kernel);
    assert_eq!(eve.get(feed).await.status, 404);
}

#[tokio::test]
async fn an_entry_is_of_a_declared_kind_and_goes_when_it_was_kept_long_enough() {
    let kernel = kernel().await;
    let mut ada = User::new(&kernel);
    let workspace: WorkspaceId = ada.found("acme").await.parse().unwrap();
    let refused =
        note(&kernel, &ada, workspace, ActivityEntry::new(UNDECLARED, "shelf", thing(&kernel))).await;
    assert_eq!(refused.unwrap_err().code(), "internal");

    let worker = kernel.app.worker().unwrap();
    let purge =
        async |limit| worker.purge(limit, ActivityConfig::default(), &kernel.clock).await.unwrap().activities;
    let old = texts(&ada.get("/api/v1/w/acme/activity").await).len();
    assert_eq!((old, purge(100).await), (2, 0));
    kernel.clock.advance(TimeDelta::days(180));
    assert_eq!(purge(100).await, 0, "six months are at least 181 days");
    note(
        &kernel,
        &ada,
        workspace,
        ActivityEntry::new(SHELF_FILLED, "shelf", thing(&kernel)).number("count", 2),
    )
    .await
    .unwrap();
    kernel.clock.advance(TimeDelta::days(5));
    assert_eq!((purge(1).await, purge(100).await, purge(100).await), (1, 1, 0));
    assert_eq!(texts(&ada.get("/api/v1/w/acme/activity").await).len(), 1);

    for statement in [
        "UPDATE kernel_core.activity SET kind = 'x'",
        "DELETE FROM kernel_core.activity",
        "SELECT kernel_core.purge_activity(1, 1, NULL)",
    ] {
        let (ctx, inside) = (kernel.app.system("test"), kernel.workspace(workspace));
        let done = kernel.app.db().tenant(&ctx, &inside, async |tx: &mut TenantTx| {
            sqlx::query(statement).execute(tx.conn()).await.map_err(Error::from)
        });
        assert!(done.await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_build_refuses_a_kind_that_nobody_could_read() {
    fn mute() -> Pillar {
        Pillar::new("mute").permissions(permission::ALL).activities(&[TILL_COUNTED])
    }
    fn undeclared() -> Pillar {
        let texts = r#"{ "activity.shop.shelf.filled": "{actor}" }"#;
        Pillar::new("mute").activities(&[SHELF_FILLED, SHELF_FILLED]).messages(texts)
    }
    let pillars: [fn() -> Pillar; 2] = [mute, undeclared];
    let reasons: [&[&str]; 2] = [
        &["no message activity.shop.till.counted says"],
        &[
            "shop.shelf.filled uses the permission shop.shelf.read",
            "the activity shop.shelf.filled is declared twice",
        ],
    ];
    for (pillar, reasons) in pillars.into_iter().zip(reasons) {
        let refused = TestKernel::try_with(config(), |app| app.with(pillar())).await;
        let refused = refused.err().map(|problems| problems.to_string()).unwrap_or_default();
        for reason in reasons {
            assert!(refused.contains(reason), "{refused}");
        }
    }
}

#[tokio::test]
async fn what_tenancy_does_is_in_the_feed() {
    let kernel = kernel().await;
    let (mut ada, bob) = (User::new(&kernel), User::new(&kernel));
    let workspace: WorkspaceId = ada.found("acme").await.parse().unwrap();
    let (ctx, inside) = (kernel.app.system("test"), kernel.workspace(workspace));
    let joined = kernel
        .app
        .db()
        .tenant(&ctx, &inside, async |tx: &mut TenantTx| Tenancy.join(tx, bob.id, Role::Member).await);
    joined.await.unwrap();
    kernel.clock.advance(TimeDelta::seconds(1));
    let role = json!({ "role": "admin" }).to_string();
    assert_eq!(
        ada.send("PATCH", &format!("/api/v1/w/acme/members/{}", bob.id), &[], &role).await.status,
        204
    );
    kernel.clock.advance(TimeDelta::seconds(1));
    let name = json!({ "name": "Acme & Sons" }).to_string();
    assert_eq!(ada.send("PATCH", "/api/v1/w/acme/workspace", &[], &name).await.status, 200);
    let feed = ada.get("/api/v1/w/acme/activity").await;
    let (ada_is, bob_is) = (format!("name of {}", ada.id), format!("name of {}", bob.id));
    assert_eq!(
        texts(&feed)[..2],
        [format!("{ada_is} renamed the workspace to Acme & Sons"), format!("{ada_is} made {bob_is} admin")]
    );
    let entry = &feed.json()["items"][1];
    assert_eq!(entry["params"], json!({ "role": "admin" }));
    assert_eq!((&entry["actor"]["type"], &entry["within"]), (&json!("user"), &Value::Null));
}
