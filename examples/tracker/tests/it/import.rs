use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use kernel_core::Role;
use kernel_core::testkit::{Answer, Client};
use serde_json::{Value, json};

use crate::browser::{Browser, location};
use crate::{create_issue, create_project, drain, expect, join, signed_up, start, text, with_workspace};

const ACME: &str = "/api/v1/w/acme";

async fn import(client: &mut Client, project: &Value, file: impl Into<Bytes>) -> Answer {
    let path = format!("{ACME}/projects/{}/issues/import", text(project, "id"));
    client.send(Request::post(path).header(CONTENT_TYPE, "text/csv"), file.into()).await
}

async fn count(client: &mut Client, project: &Value) -> i64 {
    let path = format!("{ACME}/projects/{}", text(project, "id"));
    expect(200, client.get(&path).await)["open_issue_count"].as_i64().unwrap()
}

#[tokio::test]
async fn a_file_becomes_issues_numbered_in_its_order() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let me = expect(200, ada.get("/api/v1/me").await)["user"]["id"].clone();
    let mut bob = signed_up(&kernel, "Bob").await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    join(&kernel, &workspace, &mut bob, Role::Member).await;
    let his = expect(200, bob.get("/api/v1/me").await)["user"]["id"].clone();
    let project = create_project(&mut ada, "acme", "APP").await;
    create_issue(&mut ada, "acme", &project, json!({ "title": "Before" })).await;

    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    let file = format!(
        "title,assignee,priority,status,body\nFirst,me,HIGH,done,\"two\nlines\"\nSecond,bob@example.com,,,\n\
         Third,BOB,low,in_progress,x\nFourth,{},,,\n",
        text(&json!({ "id": his }), "id")
    );
    let imported = expect(201, import(&mut ada, &project, file).await);
    assert_eq!(imported, json!({ "count": 4, "first_number": 2, "last_number": 5 }));
    let path = format!("{ACME}/projects/{}/issues?sort=created_at", text(&project, "id"));
    let list = expect(200, ada.get(&path).await);
    let seen: Vec<_> = list["items"].as_array().unwrap().iter().skip(1).collect();
    let wanted = [
        (2, "First", &me, "high", "done"),
        (3, "Second", &his, "none", "open"),
        (4, "Third", &his, "low", "in_progress"),
        (5, "Fourth", &his, "none", "open"),
    ];
    for (issue, (number, title, assignee, priority, status)) in seen.into_iter().zip(wanted) {
        assert_eq!((issue["number"].as_i64(), text(issue, "title")), (Some(number), title));
        assert_eq!((&issue["assignee"], text(issue, "priority")), (assignee, priority), "{title}");
        assert_eq!((text(issue, "status"), &issue["created_by"]), (status, &me), "{title}");
    }
    let next = create_issue(&mut ada, "acme", &project, json!({ "title": "After" })).await;
    assert_eq!(next["number"], 6);

    drain(&kernel).await;
    let activity = format!("{ACME}/projects/{}/activity", text(&project, "id"));
    let activity = expect(200, ada.get(&activity).await);
    let told: Vec<_> = activity["items"].as_array().unwrap().iter().collect();
    let told = told.into_iter().find(|entry| entry["kind"] == "tracker.issue.imported").unwrap();
    assert_eq!((&told["params"], &told["actor"]["id"]), (&json!({ "count": 4 }), &me));
    assert_eq!(text(told, "text"), "Ada imported 4 issues into Project APP");
    let audited: Vec<Value> = sqlx::query_scalar(
        "SELECT metadata FROM kernel_core.audit_unsealed WHERE action = 'tracker.issue.import'",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(audited, [json!({ "first_number": 2, "count": 4 })]);
}

#[tokio::test]
async fn one_wrong_line_imports_nothing_and_all_are_told() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let mut file = b"title,status,assignee\nGood,open,\n".to_vec();
    file.extend_from_slice(b",open,\nBad,closed,eve@example.com\n\xFF,,\nShort\n");
    let refusal = expect(422, import(&mut ada, &project, file).await);
    assert_eq!(text(&refusal["error"], "code"), "tracker.import_refused");
    assert!(text(&refusal["error"], "message").contains("There are 5 problems"), "{refusal}");
    assert_eq!(
        refusal["error"]["fields"],
        json!({
            "lines[3].title": "is required",
            "lines[4].assignee": "is not a member of this workspace",
            "lines[4].status": "is none of open, in_progress, done",
            "lines[5].title": "is not UTF-8 text",
            "lines[6]": "has another number of fields than the first line",
        })
    );
    let many = format!("title,status\n{}", "x,closed\n".repeat(250));
    let refusal = expect(422, import(&mut ada, &project, many).await);
    assert_eq!(refusal["error"]["fields"].as_object().unwrap().len(), 100);
    assert!(text(&refusal["error"], "message").contains("There are 250 problems"), "{refusal}");
    let empty = expect(422, import(&mut ada, &project, "title\n").await);
    assert_eq!(text(&empty["error"], "code"), "tracker.import_empty");
    let long = format!("title\n{}", "x\n".repeat(tracker::import::ROWS_MAX + 1));
    let long = expect(422, import(&mut ada, &project, long).await);
    assert_eq!(text(&long["error"], "code"), "tracker.import_too_long");
    let path = format!("{ACME}/projects/{}/issues/import", text(&project, "id"));
    expect(415, ada.post(&path, &json!({ "title": "x" })).await);
    assert_eq!(count(&mut ada, &project).await, 0);
    // A refusal takes no numbers.
    let first = create_issue(&mut ada, "acme", &project, json!({ "title": "x" })).await;
    assert_eq!(first["number"], 1);
}

#[tokio::test]
async fn a_file_goes_into_a_project_of_ones_own_tenant_only() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let mut eve = with_workspace(&kernel, "Eve", "evil").await;
    expect(404, import(&mut eve, &project, "title\nMine\n").await);
    let path = format!("/api/v1/w/evil/projects/{}/issues/import", text(&project, "id"));
    let request = Request::post(path).header(CONTENT_TYPE, "text/csv");
    expect(404, eve.send(request, "title\nMine\n".into()).await);
    let mut cy = signed_up(&kernel, "Cy").await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    join(&kernel, &workspace, &mut cy, Role::Viewer).await;
    expect(403, import(&mut cy, &project, "title\nMine\n").await);
    assert_eq!(count(&mut ada, &project).await, 0);
}

#[tokio::test]
async fn the_largest_file_is_imported_in_one_transaction() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let project = create_project(&mut ada, "acme", "APP").await;
    let rows: String = (1..=tracker::import::ROWS_MAX).map(|row| format!("Issue {row},low\n")).collect();
    kernel.clock.advance(chrono::TimeDelta::from_std(Duration::from_mins(5)).unwrap());
    let imported = expect(201, import(&mut ada, &project, format!("title,priority\n{rows}")).await);
    assert_eq!(imported["count"], 100_000);
    assert_eq!(count(&mut ada, &project).await, 100_000);
    let writers: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT xmin::text) FROM tracker.issue WHERE number > 0 AND project_id = $1",
    )
    .bind(text(&project, "id").parse::<tracker::project::ProjectId>().unwrap())
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(writers, 1);
}

#[tokio::test]
async fn the_page_takes_a_file_or_its_text_and_shows_what_is_wrong() {
    let kernel = start().await;
    let mut ada = Browser::signed_up(&kernel.app, "Ada").await;
    location(&ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await);
    let fields = [("name", "App"), ("key", "APP"), ("description", "")];
    let project = location(&ada.post("/w/acme/projects/new", &fields).await);
    let at = format!("{project}/issues/import");
    let page = Browser::whole(&ada.get(&at).await, 200);
    let sample = page.split_once("\" download=").unwrap().0.rsplit_once("href=\"").unwrap().1.to_owned();
    let sample = ada.get(&sample).await;
    assert_eq!(sample.headers[CONTENT_TYPE], "text/csv; charset=utf-8");

    let wrong = "title,status\n<b>x</b>,closed\n,open\n";
    let again = Browser::whole(&ada.post(&at, &[("file", wrong)]).await, 422);
    assert!(again.contains("There are 2 problems") && again.contains("&lt;b&gt;x&lt;/b&gt;,closed"));
    assert!(again.contains("is none of open, in_progress, done") && again.contains("is required"));
    assert!(!again.contains("<b>x"));
    let done = location(&ada.post(&at, &[("file", &sample.text())]).await);
    let page = Browser::whole(&ada.get(&done).await, 200);
    assert!(page.contains("3 issues were imported: APP-1 to APP-3"), "{page}");

    let token = ada.token().await;
    for (file, status) in [(&b"title\nBy script\n"[..], 303), (b"title\n\xFF\n", 422)] {
        let request = Request::post(&at).header(ACCEPT, "text/html").header("host", "localhost:3000");
        let request = request.header("origin", "http://localhost:3000").header("x-csrf-token", &token);
        let answer = ada.0.send(request.header(CONTENT_TYPE, "text/csv"), file.into()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.text().contains("is not UTF-8 text"), status == 422);
    }
    assert!(Browser::whole(&ada.get(&project).await, 200).contains("By script"));
}
