use http::Method;
use kernel_core::testkit::Client;
use serde_json::{Value, json};

use crate::{create_issue, create_project, drain, expect, patch, start, text, with_workspace};

const ACME: &str = "/api/v1/w/acme";

async fn titles(client: &mut Client, project: &Value, query: &str) -> Vec<String> {
    let path = format!("{ACME}/projects/{}/issues?{query}", text(project, "id"));
    let list = expect(200, client.get(&path).await);
    list["items"].as_array().unwrap().iter().map(|issue| text(issue, "title").to_owned()).collect()
}

#[tokio::test]
async fn a_team_starts_a_project_and_works_on_an_issue() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let me = expect(200, ada.get("/api/v1/me").await)["user"]["id"].clone();
    let project = create_project(&mut ada, "acme", "APP").await;
    assert_eq!((project["open_issue_count"].as_i64(), &project["created_by"]), (Some(0), &me));

    let issue = json!({ "title": "It is broken", "priority": "high", "assignee": me });
    let first = create_issue(&mut ada, "acme", &project, issue).await;
    assert_eq!((first["number"].as_i64(), text(&first, "status")), (Some(1), "open"));
    let second = create_issue(&mut ada, "acme", &project, json!({ "title": "Another" })).await;
    assert_eq!((second["number"].as_i64(), &second["assignee"]), (Some(2), &Value::Null));

    let at = format!("{ACME}/issues/{}", text(&first, "id"));
    let edit = json!({ "status": "done", "assignee": null });
    let changed = expect(200, patch(&mut ada, &at, &edit).await);
    assert_eq!((text(&changed, "status"), &changed["assignee"]), ("done", &Value::Null));
    assert_eq!(text(&changed, "priority"), "high");
    assert_eq!(expect(200, ada.get(&at).await), changed);

    let project = format!("{ACME}/projects/{}", text(&project, "id"));
    assert_eq!(expect(200, ada.get(&project).await)["open_issue_count"], 1);
    expect(204, ada.json(Method::DELETE, &at, &json!(null)).await);
    expect(404, ada.get(&at).await);
}

/// A change of any operation or shape shows in the snapshot, and so to whoever reviews it.
#[tokio::test]
async fn the_document_is_as_it_was_agreed() {
    let kernel = start().await;
    let document = expect(200, Client::new(&kernel.app).get("/api/v1/openapi.json").await);
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn filters_and_orders_combine_and_pages_join_up() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let me = expect(200, ada.get("/api/v1/me").await)["user"]["id"].clone();
    for (title, priority, assignee) in [
        ("alpha", "low", &me),
        ("Beta 50%", "urgent", &Value::Null),
        ("gamma", "none", &me),
        ("delta_1", "urgent", &me),
        ("epsilon", "high", &Value::Null),
    ] {
        kernel.clock.advance(chrono::TimeDelta::seconds(1));
        let issue = json!({ "title": title, "priority": priority, "assignee": assignee });
        create_issue(&mut ada, "acme", &project, issue).await;
    }
    let ada = &mut ada;
    assert_eq!(titles(ada, &project, "").await, ["epsilon", "delta_1", "gamma", "Beta 50%", "alpha"]);
    assert_eq!(titles(ada, &project, "sort=created_at&status=&q=&priority=&assignee=").await[0], "alpha");
    assert_eq!(titles(ada, &project, "sort=-priority&priority=urgent").await, ["delta_1", "Beta 50%"]);
    assert_eq!(titles(ada, &project, "assignee=me&sort=priority").await, ["gamma", "alpha", "delta_1"]);
    assert_eq!(titles(ada, &project, "q=BETA").await, ["Beta 50%"]);
    assert_eq!(titles(ada, &project, "q=50%25").await, ["Beta 50%"]);
    assert_eq!(titles(ada, &project, "q=delta&priority=urgent&assignee=me&sort=title").await, ["delta_1"]);
    assert_eq!(titles(ada, &project, "status=done").await, [""; 0]);
    assert_eq!(titles(ada, &project, "limit=2&sort=title").await.len(), 2);

    for sort in ["created_at", "-created_at", "priority", "-priority", "title", "-title", "-updated_at"] {
        let whole = titles(ada, &project, &format!("sort={sort}")).await;
        let (mut joined, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{ACME}/projects/{}/issues?sort={sort}&limit=2{cursor}", text(&project, "id"));
            let page = expect(200, ada.get(&path).await);
            joined.extend(
                page["items"].as_array().unwrap().iter().map(|issue| text(issue, "title").to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(joined, whole, "sort={sort}");
    }
    let issues = format!("{ACME}/projects/{}/issues", text(&project, "id"));
    for wrong in
        ["status=closed", "sort=body", "assignee=usr_1", "limit=0", "cursor=x", "colour=red", "q=%00"]
    {
        expect(400, ada.get(&format!("{issues}?{wrong}")).await);
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_says_which_field() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let projects = format!("{ACME}/projects");
    let issues = format!("{projects}/{}/issues", text(&project, "id"));
    let long = "x".repeat(121);
    for (path, body, field) in [
        (&projects, json!({ "name": "", "key": "ABC" }), "name"),
        (&projects, json!({ "name": "  ", "key": "ABC" }), "name"),
        (&projects, json!({ "name": "x", "key": "abc" }), "key"),
        (&projects, json!({ "name": "x", "key": "ABCDEFG" }), "key"),
        (&projects, json!({ "name": "x" }), "key"),
        (&projects, json!({ "name": "x", "key": "ABC", "colour": "red" }), "colour"),
        (&issues, json!({ "title": long }), "title"),
        (&issues, json!({ "title": "a\u{0}b" }), "title"),
        (&issues, json!({ "title": "x", "priority": "very" }), "priority"),
        (&issues, json!({ "title": "x", "assignee": "usr_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f" }), "assignee"),
    ] {
        let refusal = expect(422, ada.post(path, &body).await);
        assert!(refusal["error"]["fields"][field].is_string(), "{field}: {refusal}");
    }
    let taken = expect(409, ada.post(&projects, &json!({ "name": "x", "key": "APP" })).await);
    assert_eq!(text(&taken["error"], "code"), "tracker.key_taken");
    assert_eq!(text(&taken["error"], "message"), "The key APP is taken.");

    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "x" })).await;
    let at = format!("{ACME}/issues/{}", text(&issue, "id"));
    expect(422, patch(&mut ada, &at, &json!({ "title": null })).await);
    expect(400, patch(&mut ada, &at, &json!({ "status": null })).await);
    assert_eq!(expect(200, patch(&mut ada, &at, &json!({})).await), issue);
}

#[tokio::test]
async fn another_tenant_finds_nothing() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "Secret" })).await;
    let mut eve = with_workspace(&kernel, "Eve", "evil").await;

    let (project, issue) = (text(&project, "id"), text(&issue, "id"));
    for workspace in ["acme", "evil"] {
        let base = format!("/api/v1/w/{workspace}");
        for path in [format!("/projects/{project}"), format!("/issues/{issue}")] {
            expect(404, eve.get(&format!("{base}{path}")).await);
            expect(404, patch(&mut eve, &format!("{base}{path}"), &json!({})).await);
            expect(404, eve.json(Method::DELETE, &format!("{base}{path}"), &json!(null)).await);
        }
        let issues = format!("{base}/projects/{project}/issues");
        expect(404, eve.get(&issues).await);
        expect(404, eve.post(&issues, &json!({ "title": "Mine" })).await);
        expect(404, eve.get(&format!("{base}/projects/{project}/activity")).await);
    }
    expect(404, eve.get(&format!("{ACME}/projects")).await);
    assert_eq!(text(&expect(200, ada.get(&format!("{ACME}/issues/{issue}")).await), "title"), "Secret");
}

#[tokio::test]
async fn a_deleted_project_is_purged() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let project_at = format!("{ACME}/projects/{}", text(&project, "id"));
    create_issue(&mut ada, "acme", &project, json!({ "title": "y" })).await;
    expect(204, ada.json(Method::DELETE, &project_at, &json!(null)).await);
    expect(404, ada.get(&project_at).await);
    expect(404, ada.get(&format!("{project_at}/activity")).await);
    // The key is free at once, even though the rows are still there.
    create_project(&mut ada, "acme", "APP").await;
    drain(&kernel).await;
    let left: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM tracker.issue WHERE project_id = $1), \
         (SELECT count(*) FROM tracker.project WHERE id = $1)",
    )
    .bind(text(&project, "id").parse::<tracker::project::ProjectId>().unwrap())
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(left, (0, 0));
}

#[tokio::test]
async fn deletions_are_in_the_audit_log() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let issue = create_issue(&mut ada, "acme", &project, json!({ "title": "x" })).await;
    expect(
        204,
        ada.json(Method::DELETE, &format!("{ACME}/issues/{}", text(&issue, "id")), &json!(null)).await,
    );
    expect(
        204,
        ada.json(Method::DELETE, &format!("{ACME}/projects/{}", text(&project, "id")), &json!(null)).await,
    );
    let actions: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM kernel_core.audit_unsealed WHERE action LIKE 'tracker.%' ORDER BY id",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(actions.len(), 2);
    assert!(actions.contains(&"tracker.issue.delete".to_owned()));
    assert!(actions.contains(&"tracker.project.delete".to_owned()));
}
