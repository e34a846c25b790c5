use std::collections::BTreeSet;

use kernel_core::testkit::{Client, roles};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::browser::Browser;
use crate::{create_issue, create_project, expect, start, text, with_workspace};

const ACME: &str = "/api/v1/w/acme";

async fn issue(client: &mut Client, project: &Value, title: &str, body: &str) -> Value {
    create_issue(client, "acme", project, json!({ "title": title, "body": body })).await
}

async fn listed(client: &mut Client, project: &Value, query: &str) -> Vec<String> {
    let path = format!("{ACME}/projects/{}/issues?{query}", text(project, "id"));
    titles(&expect(200, client.get(&path).await)["items"])
}

fn titles(items: &Value) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| text(item, "title").to_owned()).collect()
}

#[tokio::test]
async fn a_list_finds_words_the_best_first_and_keeps_its_other_filters_and_orders() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let (app, web) =
        (create_project(&mut ada, "acme", "APP").await, create_project(&mut ada, "acme", "WEB").await);
    issue(&mut ada, &app, "Paint the door", "The roof can wait, its leak too.").await;
    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    issue(&mut ada, &app, "The roof is leaking", "").await;
    issue(&mut ada, &app, "Roofs of the world", "").await;
    issue(&mut ada, &web, "Another roof", "").await;

    let by_rank = ["The roof is leaking", "Paint the door"];
    assert_eq!(listed(&mut ada, &app, "q=leaking+roofs").await, by_rank);
    assert_eq!(listed(&mut ada, &app, "q=leaking+roofs&sort=title").await, ["Paint the door", by_rank[0]]);
    assert_eq!(listed(&mut ada, &app, "q=%22paint+the+door%22").await, ["Paint the door"]);
    assert_eq!(listed(&mut ada, &app, "q=roof+-leak").await, ["Roofs of the world"]);
    assert_eq!(listed(&mut ada, &app, "q=roof+lea").await[0], "The roof is leaking", "still typing");
    assert_eq!(listed(&mut ada, &app, "q=rooof").await.len(), 2, "a slip of the finger");
    assert_eq!(listed(&mut ada, &app, "q=roof&status=done").await, [""; 0]);
    assert_eq!(listed(&mut ada, &web, "q=roof").await, ["Another roof"]);
    assert_eq!(listed(&mut ada, &app, "q=+").await.len(), 3, "nothing was typed");
    assert_eq!(listed(&mut ada, &app, "sort=relevance").await[0], "Paint the door", "as by age");
    for none in ["zebra", "%25%25", "%27%22%5C+%3C-%3E+%26", "r"] {
        assert_eq!(listed(&mut ada, &app, &format!("q={none}")).await, [""; 0], "{none}");
    }
}

#[tokio::test]
async fn the_pages_of_a_search_show_each_match_once() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    for number in 0..7 {
        issue(&mut ada, &project, &format!("Leak {}", number / 3), "").await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{ACME}/projects/{}/issues?q=leak&limit=2{cursor}", text(&project, "id"));
        let page = expect(200, ada.get(&path).await);
        assert!(page["items"].as_array().unwrap().len() <= 2);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "id").to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen.len(), BTreeSet::from_iter(&seen).len()), (7, 7));
    // A cursor of one search is none of another.
    let path = format!("{ACME}/projects/{}/issues?q=drip&limit=2{cursor}", text(&project, "id"));
    expect(400, ada.get(&path).await);
}

#[tokio::test]
async fn a_search_finds_issues_comments_and_projects_of_ones_own_workspace_only() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let door = issue(&mut ada, &project, "Paint the door", "").await;
    let path = format!("{ACME}/issues/{}/comments", text(&door, "id"));
    let said = format!("{} The hinges squeak, <b>dreadfully</b>.", "Before that much was said. ".repeat(30));
    expect(201, ada.post(&path, &json!({ "body": said })).await);
    let mut eve = with_workspace(&kernel, "Eve", "evil").await;

    let found = expect(200, ada.get(&format!("{ACME}/search?q=squeaking+hinge")).await);
    assert_eq!(found["issues"], json!([]));
    let comment = &found["comments"][0];
    assert_eq!((text(comment, "key"), text(comment, "title")), ("APP", "Paint the door"));
    assert!(text(comment, "excerpt").contains("hinges squeak") && text(comment, "excerpt").len() < 400);
    let found = expect(200, ada.get(&format!("{ACME}/search?q=app-1")).await);
    assert_eq!(titles(&found["issues"]), ["Paint the door"]);
    let found = expect(200, ada.get(&format!("{ACME}/search?q=project")).await);
    assert_eq!(text(&found["projects"][0], "key"), "APP");

    expect(404, eve.get(&format!("{ACME}/search?q=paint")).await);
    let none = expect(200, eve.get("/api/v1/w/evil/search?q=paint+door+hinges+app").await);
    assert_eq!(none, json!({ "issues": [], "comments": [], "projects": [] }));
    for wrong in ["", "?q=", &format!("?q={}", "x".repeat(121)), "?q=%00", "?q=a&p=b"] {
        expect(400, ada.get(&format!("{ACME}/search{wrong}")).await);
    }

    // What lies in a deleted project is out of sight at once.
    let mut ada = Browser(ada);
    let page = Browser::whole(&ada.get("/w/acme/search?q=squeak").await, 200);
    assert!(page.contains("hinges squeak") && !page.contains("<b>dreadfully"), "{page}");
    assert!(page.contains("APP-1 Paint the door"), "{page}");
    expect(
        204,
        ada.0
            .json(http::Method::DELETE, &format!("{ACME}/projects/{}", text(&project, "id")), &Value::Null)
            .await,
    );
    for query in ["squeak", "paint", "app-1", "app"] {
        let page = Browser::whole(&ada.get(&format!("/w/acme/search?q={query}")).await, 200);
        assert!(page.contains(&format!("Nothing found for “{query}”")), "{query}");
    }
    let page = Browser::whole(&ada.get("/w/acme/search?q=%3Cx%3E").await, 200);
    assert!(page.contains("Nothing found for “&lt;x&gt;”"));
    assert!(Browser::whole(&ada.get("/w/acme/search?q=r").await, 200).contains("One letter is too short"));
    assert!(Browser::whole(&ada.get("/w/acme/search").await, 200).contains("Type a word or two"));
}

/// How a statement is planned for this role in a workspace, when no table may be read from end to end.
async fn plan(conn: &mut PgConnection, role: &str, workspace: &Value, statement: &str) -> String {
    let workspace: kernel_core::WorkspaceId = text(workspace, "id").parse().unwrap();
    let mut tx = conn.begin().await.unwrap();
    let settings = format!(
        "SET LOCAL ROLE \"{role}\"; SET LOCAL app.workspace_id = '{}'; SET LOCAL enable_seqscan = off",
        workspace.uuid()
    );
    tx.execute(AssertSqlSafe(settings)).await.unwrap();
    let explain =
        AssertSqlSafe(format!("EXPLAIN {}", statement.replace("$1", &format!("'{}'", workspace.uuid()))));
    let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *tx).await.unwrap();
    tx.rollback().await.unwrap();
    plan.join("\n")
}

#[tokio::test]
async fn a_search_goes_through_its_index_and_the_table_itself_could_not() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    let project = create_project(&mut ada, "acme", "APP").await;
    // Many rows that do not match, in a workspace that the planner knows as large.
    let rows: String = (0..5_000).map(|row| format!("Nothing to see {row}\n")).collect();
    let path = format!("{ACME}/projects/{}/issues/import", text(&project, "id"));
    let request = http::Request::post(path).header("content-type", "text/csv");
    expect(201, ada.send(request, format!("title\n{rows}").into()).await);

    let mut admin = kernel.admin().await;
    admin.execute("ANALYZE tracker.issue").await.unwrap();
    let words = "SELECT id FROM tracker.issue WHERE workspace_id = $1 AND search @@ websearch_to_tsquery('english', 'leak')";
    let as_function = plan(&mut admin, &roles().search, &workspace, words).await;
    assert!(as_function.contains("Bitmap Index Scan on issue_search "), "{as_function}");
    let as_app = plan(&mut admin, &roles().app, &workspace, words).await;
    let by_index = as_app.lines().any(|line| line.contains("Index Cond:") && line.contains("leak"));
    assert!(!by_index, "the function is not needed: {as_app}");
}
