use http::Method;
use kernel_core::Role;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::{create_issue, create_project, expect, join, patch, signed_up, start, text, with_workspace};

const ACME: &str = "/api/v1/w/acme";

fn texts(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|entry| text(entry, "text").to_owned()).collect()
}

#[tokio::test]
async fn the_feed_tells_what_happened_with_todays_names() {
    let kernel = start().await;
    let second = || kernel.clock.advance(chrono::TimeDelta::seconds(1));
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let me = expect(200, ada.get("/api/v1/me").await)["user"]["id"].clone();
    let project = create_project(&mut ada, "acme", "APP").await;
    let label = json!({ "name": "Bug", "colour": "red" });
    let label = expect(201, ada.post(&format!("{ACME}/labels"), &label).await);
    second();
    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "Leak" })).await;
    let at = format!("{ACME}/issues/{}", text(&issue, "id"));
    for edit in [
        json!({ "status": "in_progress" }),
        json!({ "assignee": me }),
        json!({ "assignee": null }),
        json!({ "labels": [label["id"]] }),
        json!({ "labels": [], "title": "The leak" }),
    ] {
        second();
        expect(200, patch(&mut ada, &at, &edit).await);
    }
    second();
    expect(201, ada.post(&format!("{at}/comments"), &json!({ "body": "Secret words" })).await);
    // No job has run: an entry is there with its deed.
    let feed = expect(200, ada.get(&format!("{at}/activity")).await);
    assert_eq!(
        texts(&feed),
        [
            "Ada commented on APP-1 The leak",
            "Ada took the label Bug off APP-1 The leak",
            "Ada added the label Bug to APP-1 The leak",
            "Ada left APP-1 The leak unassigned",
            "Ada assigned APP-1 The leak to Ada",
            "Ada moved APP-1 The leak to In progress",
            "Ada opened APP-1 The leak",
        ]
    );
    let first = &feed["items"][0];
    assert_eq!(text(&first["target"], "path"), format!("/issues/{}", text(&issue, "id")));
    assert_eq!((&first["actor"]["id"], text(&first["within"], "type")), (&me, "project"));
    assert!(!feed.to_string().contains("Secret words"));

    // What is gone has no name and no place, and the rest stays.
    expect(
        204,
        ada.json(Method::DELETE, &format!("{ACME}/labels/{}", text(&label, "id")), &Value::Null).await,
    );
    second();
    expect(204, ada.json(Method::DELETE, &at, &Value::Null).await);
    let feed = expect(200, ada.get(&format!("{ACME}/projects/{}/activity", text(&project, "id"))).await);
    let told = texts(&feed);
    assert_eq!(told[0], "Ada deleted issue 1 of Project APP");
    let gone = "something that has been deleted";
    assert_eq!(told[2], format!("Ada took the label {gone} off {gone}"));
    assert_eq!(
        (&feed["items"][2]["target"]["name"], &feed["items"][2]["target"]["path"]),
        (&Value::Null, &Value::Null)
    );
    let all = texts(&expect(200, ada.get(&format!("{ACME}/activity?limit=100")).await));
    assert!(
        all.contains(&"Ada founded acme".to_owned()) && all.contains(&"Ada joined as owner".to_owned()),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_refused_deed_leaves_no_entry_and_another_tenant_sees_none() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let count = "SELECT count(*) FROM kernel_core.activity";
    let mut admin = kernel.admin().await;
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut admin).await.unwrap();
    let path = format!("{ACME}/projects/{}/issues", text(&project, "id"));
    // The issue and its entry are written before the label is found missing.
    let unknown = json!({ "title": "x", "labels": ["lab_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f"] });
    expect(422, ada.post(&path, &unknown).await);
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut admin).await.unwrap();
    assert_eq!(before, after);

    let mut eve = with_workspace(&kernel, "Eve", "evil").await;
    expect(404, eve.get(&format!("{ACME}/activity")).await);
    let own = expect(
        200,
        eve.get(&format!("/api/v1/w/evil/activity?limit=100&within_id={}", text(&project, "id"))).await,
    );
    assert_eq!(own["items"], json!([]));
    for entry in texts(&expect(200, eve.get("/api/v1/w/evil/activity?limit=100").await)) {
        assert!(!entry.contains("Ada") && !entry.contains("Project APP"), "{entry}");
    }
}

#[tokio::test]
async fn pages_show_the_feed_and_lead_to_what_it_is_about() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "<b>Leak</b>" })).await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    let mut bob = signed_up(&kernel, "Bob").await;
    join(&kernel, &workspace, &mut bob, Role::Viewer).await;
    let mut bob = Browser(bob);
    for path in ["/w/acme/projects", "/w/acme/activity"] {
        let page = Browser::whole(&bob.get(path).await, 200);
        assert!(page.contains("Ada opened APP-1 &lt;b&gt;Leak&lt;/b&gt;"), "{path}: {page}");
        assert!(page.contains(&format!("href=\"/w/acme/issues/{}\"", text(&issue, "id"))), "{path}");
        assert!(page.contains("Bob joined as viewer"));
    }
    let mut nobody = Browser(signed_up(&kernel, "Cy").await);
    Browser::whole(&nobody.get("/w/acme/activity").await, 404);
}
