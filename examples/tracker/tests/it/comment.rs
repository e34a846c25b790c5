use http::Method;
use kernel_core::Role;
use kernel_core::testkit::{Client, TestKernel};
use serde_json::{Value, json};

use crate::browser::{Browser, location};
use crate::{
    create_issue, create_project, drain, expect, join, patch, signed_up, start, text, with_workspace,
};

const ACME: &str = "/api/v1/w/acme";

/// Ada, who owns acme, an issue there, and Bob and Cy, who are members.
async fn team(kernel: &TestKernel) -> (Client, Value, Client, Client) {
    let mut ada = with_workspace(kernel, "Ada", "acme").await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    let (mut bob, mut cy) = (signed_up(kernel, "Bob").await, signed_up(kernel, "Cy").await);
    join(kernel, &workspace, &mut bob, Role::Member).await;
    join(kernel, &workspace, &mut cy, Role::Viewer).await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "It leaks" })).await;
    (ada, issue, bob, cy)
}

fn comments_of(issue: &Value) -> String {
    format!("{ACME}/issues/{}/comments", text(issue, "id"))
}

#[tokio::test]
async fn comments_are_written_changed_and_deleted_by_their_author() {
    let kernel = start().await;
    let (mut ada, issue, mut bob, _) = team(&kernel).await;
    let path = comments_of(&issue);
    let first = expect(201, bob.post(&path, &json!({ "body": "Here too" })).await);
    kernel.clock.advance(chrono::TimeDelta::minutes(1));
    let second = expect(201, ada.post(&path, &json!({ "body": "Since when?" })).await);
    let list = expect(200, ada.get(&path).await);
    assert_eq!(list["items"], json!([second, first]));
    let short = expect(200, ada.get(&format!("{path}?limit=1")).await);
    let rest = format!("{path}?limit=1&cursor={}", text(&short, "next_cursor"));
    assert_eq!(expect(200, ada.get(&rest).await)["items"], json!([first]));
    let shown = expect(200, ada.get(&format!("{ACME}/issues/{}", text(&issue, "id"))).await);
    assert_eq!(shown["comment_count"], 2);

    let at = format!("{ACME}/comments/{}", text(&first, "id"));
    let changed = expect(200, patch(&mut bob, &at, &json!({ "body": "Here too, daily" })).await);
    assert_eq!(text(&changed, "body"), "Here too, daily");
    assert!(text(&changed, "updated_at") > text(&changed, "created_at"));
    assert_eq!(expect(200, ada.get(&at).await), changed);
    // Not even the owner puts words into somebody's mouth.
    let refused = expect(403, patch(&mut ada, &at, &json!({ "body": "Never mind" })).await);
    assert_eq!(text(&refused["error"], "code"), "tracker.comment_not_own");
    for wrong in [json!({ "body": "" }), json!({ "body": " \n" }), json!({ "body": "x".repeat(10_001) })] {
        let refusal = expect(422, bob.post(&path, &wrong).await);
        assert!(refusal["error"]["fields"]["body"].is_string(), "{refusal}");
    }
    expect(204, bob.json(Method::DELETE, &at, &Value::Null).await);
    expect(404, bob.get(&at).await);
}

#[tokio::test]
async fn only_moderators_delete_what_others_said_and_the_audit_log_says_who() {
    let kernel = start().await;
    let (mut ada, issue, mut bob, mut cy) = team(&kernel).await;
    let path = comments_of(&issue);
    let by_ada = expect(201, ada.post(&path, &json!({ "body": "Mine" })).await);
    let by_bob = expect(201, bob.post(&path, &json!({ "body": "Spam" })).await);
    expect(403, cy.post(&path, &json!({ "body": "May I?" })).await);
    assert_eq!(expect(200, cy.get(&path).await)["items"].as_array().unwrap().len(), 2);
    let at = |comment: &Value| format!("{ACME}/comments/{}", text(comment, "id"));
    let refused = expect(403, bob.json(Method::DELETE, &at(&by_ada), &Value::Null).await);
    assert_eq!(text(&refused["error"], "code"), "tracker.comment_not_own");
    expect(204, ada.json(Method::DELETE, &at(&by_bob), &Value::Null).await);
    let rows: Vec<(String, Value)> = sqlx::query_as(
        "SELECT target_id::text, metadata FROM kernel_core.audit_unsealed WHERE action = 'tracker.comment.delete'",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!((rows.len(), &rows[0].1["own"]), (1, &json!(false)), "{rows:?}");
    let events: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM kernel_core.outbox WHERE name LIKE 'tracker.comment.%' ORDER BY seq",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(events, ["tracker.comment.created", "tracker.comment.created", "tracker.comment.deleted"]);
}

#[tokio::test]
async fn comments_of_another_tenant_are_not_there_and_go_with_their_issue() {
    let kernel = start().await;
    let (mut ada, issue, ..) = team(&kernel).await;
    let comment = expect(201, ada.post(&comments_of(&issue), &json!({ "body": "Secret" })).await);
    let mut eve = with_workspace(&kernel, "Eve", "evil").await;
    let (issue, comment) = (text(&issue, "id"), text(&comment, "id"));
    for workspace in ["acme", "evil"] {
        let base = format!("/api/v1/w/{workspace}");
        let said = json!({ "body": "Mine" });
        expect(404, eve.get(&format!("{base}/issues/{issue}/comments")).await);
        expect(404, eve.get(&format!("{base}/issues/{issue}/activity")).await);
        expect(404, eve.post(&format!("{base}/issues/{issue}/comments"), &said).await);
        expect(404, eve.get(&format!("{base}/comments/{comment}")).await);
        expect(404, patch(&mut eve, &format!("{base}/comments/{comment}"), &said).await);
        expect(404, eve.json(Method::DELETE, &format!("{base}/comments/{comment}"), &Value::Null).await);
    }
    assert_eq!(text(&expect(200, ada.get(&format!("{ACME}/comments/{comment}")).await), "body"), "Secret");
    expect(204, ada.json(Method::DELETE, &format!("{ACME}/issues/{issue}"), &Value::Null).await);
    expect(404, ada.get(&format!("{ACME}/comments/{comment}")).await);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM tracker.comment")
        .fetch_one(&mut kernel.admin().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_page_of_an_issue_takes_comments_and_tells_what_happened() {
    let kernel = start().await;
    let mut ada = Browser::signed_up(&kernel.app, "Ada").await;
    location(&ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await);
    let fields = [("name", "App"), ("key", "APP"), ("description", "")];
    let project = location(&ada.post("/w/acme/projects/new", &fields).await);
    let fields = [("title", "It leaks"), ("body", ""), ("priority", "low"), ("assignee", "")];
    let issue = location(&ada.post(&format!("{project}/issues/new"), &fields).await);
    let page = Browser::whole(&ada.get(&issue).await, 200);
    assert!(page.contains("Nobody has said anything yet") && page.contains("Ada opened this issue"));

    let said = location(&ada.post(&format!("{issue}/comments"), &[("body", "<b>Wet</b> floor")]).await);
    let (page_of, comment) = said.split_once('#').unwrap();
    assert_eq!(page_of, issue);
    let page = Browser::whole(&ada.get(&issue).await, 200);
    assert!(page.contains("&lt;b&gt;Wet&lt;/b&gt; floor") && page.contains(&format!("id=\"{comment}\"")));
    let again = Browser::whole(&ada.post(&format!("{issue}/comments"), &[("body", " ")]).await, 422);
    assert!(again.contains("aria-invalid=\"true\"") && again.contains("is required"));

    let at = format!("/w/acme/comments/{comment}");
    kernel.clock.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(location(&ada.post(&at, &[("body", "Dry again")]).await), said);
    let again = Browser::whole(&ada.post(&at, &[("body", "")]).await, 422);
    assert!(again.contains("<details open>") && again.contains("aria-invalid=\"true\""));
    let fields = [("status", "done"), ("priority", "low"), ("assignee", "")];
    location(&ada.post(&issue, &fields).await);
    drain(&kernel).await;
    let page = Browser::whole(&ada.get(&issue).await, 200);
    assert!(page.contains("Dry again") && page.contains("edited"));
    let told: Vec<_> = ["Ada opened this issue", "Ada commented", "Ada moved this to"]
        .map(|entry| page.find(entry).unwrap_or_else(|| panic!("{entry} is not told: {page}")))
        .into();
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(location(&ada.post(&format!("{at}/delete"), &[]).await), issue);
    assert!(!ada.get(&issue).await.text().contains("Dry again"));
}

#[tokio::test]
async fn a_long_conversation_is_read_from_its_end() {
    let kernel = start().await;
    let (mut ada, issue, ..) = team(&kernel).await;
    for number in 1..=51 {
        kernel.clock.advance(chrono::TimeDelta::seconds(1));
        let said = json!({ "body": format!("Saying {number:02}") });
        expect(201, ada.post(&comments_of(&issue), &said).await);
    }
    let mut ada = Browser(ada);
    let page = Browser::whole(&ada.get(&format!("/w/acme/issues/{}", text(&issue, "id"))).await, 200);
    assert!(!page.contains("Saying 01") && page.find("Saying 02") < page.find("Saying 51"));
    let earlier = page.split_once("#comments\" rel=\"next\"").unwrap().0.rsplit_once("href=\"").unwrap().1;
    let page = Browser::whole(&ada.get(&earlier.replace("&amp;", "&")).await, 200);
    assert!(page.contains("Saying 01") && !page.contains("Saying 02"));
}
