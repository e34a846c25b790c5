use http::Method;
use kernel_core::Role;
use serde_json::{Value, json};

use crate::browser::{Browser, location};
use crate::{
    create_issue, create_project, drain, expect, join, patch, signed_up, start, text, with_workspace,
};

const ACME: &str = "/api/v1/w/acme";

async fn titles(client: &mut kernel_core::testkit::Client, project: &Value, query: &str) -> Vec<String> {
    let path = format!("{ACME}/projects/{}/issues?sort=title&{query}", text(project, "id"));
    let list = expect(200, client.get(&path).await);
    list["items"].as_array().unwrap().iter().map(|issue| text(issue, "title").to_owned()).collect()
}

#[tokio::test]
async fn labels_are_put_on_issues_and_filter_them() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let labels = format!("{ACME}/labels");
    let bug = expect(201, ada.post(&labels, &json!({ "name": "Bug", "colour": "red" })).await);
    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    let ui = expect(201, ada.post(&labels, &json!({ "name": "UI", "colour": "blue" })).await);
    assert_eq!(expect(200, ada.get(&labels).await)["items"], json!([bug, ui]));

    let project = create_project(&mut ada, "acme", "APP").await;
    let both = json!({ "title": "Both", "labels": [ui["id"], bug["id"], ui["id"]] });
    let both = create_issue(&mut ada, "acme", &project, both).await;
    assert_eq!(both["labels"], json!([bug["id"], ui["id"]]));
    create_issue(&mut ada, "acme", &project, json!({ "title": "One", "labels": [bug["id"]] })).await;
    create_issue(&mut ada, "acme", &project, json!({ "title": "None" })).await;
    let with = |label: &Value| format!("label={}", text(label, "id"));
    assert_eq!(titles(&mut ada, &project, &with(&bug)).await, ["Both", "One"]);
    assert_eq!(titles(&mut ada, &project, &with(&ui)).await, ["Both"]);
    assert_eq!(titles(&mut ada, &project, "label=").await, ["Both", "None", "One"]);
    assert_eq!(titles(&mut ada, &project, "label=lab_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f").await, [""; 0]);

    let at = format!("{ACME}/issues/{}", text(&both, "id"));
    let changed = expect(200, patch(&mut ada, &at, &json!({ "labels": [ui["id"]] })).await);
    assert_eq!(changed["labels"], json!([ui["id"]]));
    assert_eq!(
        expect(200, patch(&mut ada, &at, &json!({ "status": "done" })).await)["labels"],
        json!([ui["id"]])
    );
    drain(&kernel).await;
    let history = expect(200, ada.get(&format!("{at}/activity")).await);
    let mut kinds: Vec<_> =
        history["items"].as_array().unwrap().iter().map(|entry| text(entry, "kind")).collect();
    kinds.sort_unstable();
    let wanted = ["created", "labelled", "labelled", "moved", "unlabelled"];
    assert_eq!(kinds, wanted.map(|kind| format!("tracker.issue.{kind}")));

    expect(204, ada.json(Method::DELETE, &format!("{labels}/{}", text(&ui, "id")), &Value::Null).await);
    assert_eq!(expect(200, ada.get(&at).await)["labels"], json!([]));
    let audited: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM kernel_core.audit_unsealed WHERE action = 'tracker.label.delete'",
    )
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(audited, 1);
}

#[tokio::test]
async fn a_label_has_one_name_a_colour_of_the_palette_and_one_tenant() {
    let kernel = start().await;
    let mut ada = with_workspace(&kernel, "Ada", "acme").await;
    let labels = format!("{ACME}/labels");
    let bug = expect(201, ada.post(&labels, &json!({ "name": "Bug", "colour": "red" })).await);
    let taken = expect(409, ada.post(&labels, &json!({ "name": "bUG", "colour": "gray" })).await);
    assert_eq!(text(&taken["error"], "code"), "tracker.label_taken");
    for (wrong, field) in [
        (json!({ "name": "x", "colour": "mauve" }), "colour"),
        (json!({ "name": "", "colour": "red" }), "name"),
        (json!({ "name": "x".repeat(41), "colour": "red" }), "name"),
        (json!({ "name": "x" }), "colour"),
    ] {
        let refusal = expect(422, ada.post(&labels, &wrong).await);
        assert!(refusal["error"]["fields"][field].is_string(), "{field}: {refusal}");
    }
    let ui = expect(201, ada.post(&labels, &json!({ "name": "UI", "colour": "blue" })).await);
    let at = format!("{labels}/{}", text(&ui, "id"));
    expect(409, patch(&mut ada, &at, &json!({ "name": "bug" })).await);
    assert_eq!(text(&expect(200, patch(&mut ada, &at, &json!({ "name": "ui" })).await), "name"), "ui");
    assert_eq!(
        text(&expect(200, patch(&mut ada, &at, &json!({ "colour": "pink" })).await), "colour"),
        "pink"
    );

    let project = create_project(&mut ada, "acme", "APP").await;
    let mut eve = with_workspace(&kernel, "Eve", "evil").await;
    let hers = json!({ "name": "Bug", "colour": "red" });
    let hers = expect(201, eve.post("/api/v1/w/evil/labels", &hers).await);
    let foreign = json!({ "title": "x", "labels": [hers["id"]] });
    let issues = format!("{ACME}/projects/{}/issues", text(&project, "id"));
    let refusal = expect(422, ada.post(&issues, &foreign).await);
    assert_eq!(text(&refusal["error"], "code"), "tracker.label_unknown");
    let many: Vec<_> = (0..21).map(|_| bug["id"].clone()).collect();
    expect(422, ada.post(&issues, &json!({ "title": "x", "labels": many })).await);
    for base in ["/api/v1/w/acme/labels", "/api/v1/w/evil/labels"] {
        let at = format!("{base}/{}", text(&bug, "id"));
        expect(404, patch(&mut eve, &at, &json!({ "name": "Mine" })).await);
        expect(404, eve.json(Method::DELETE, &at, &Value::Null).await);
    }
    let mut cy = signed_up(&kernel, "Cy").await;
    let workspace = expect(200, ada.get(&format!("{ACME}/workspace")).await);
    join(&kernel, &workspace, &mut cy, Role::Viewer).await;
    assert_eq!(expect(200, cy.get(&labels).await)["items"].as_array().unwrap().len(), 2);
    expect(403, cy.post(&labels, &json!({ "name": "x", "colour": "red" })).await);
}

#[tokio::test]
async fn labels_are_managed_and_chosen_on_pages() {
    let kernel = start().await;
    let mut ada = Browser::signed_up(&kernel.app, "Ada").await;
    location(&ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await);
    assert!(Browser::whole(&ada.get("/w/acme/labels").await, 200).contains("No labels yet"));
    let hostile = "<script>alert(1)</script>";
    for (name, colour) in [(hostile, "red"), ("ui", "teal")] {
        let made = ada.post("/w/acme/labels", &[("name", name), ("colour", colour)]).await;
        assert_eq!(location(&made), "/w/acme/labels");
    }
    let page = Browser::whole(&ada.get("/w/acme/labels").await, 200);
    assert!(page.contains("label-teal") && !page.contains(hostile));
    let again = Browser::whole(&ada.post("/w/acme/labels", &[("name", "UI"), ("colour", "red")]).await, 409);
    assert!(again.contains("value=\"UI\"") && again.contains("is taken"));

    let list = expect(200, ada.0.get("/api/v1/w/acme/labels").await);
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|label| text(label, "id")).collect();
    let fields = [("name", "App"), ("key", "APP"), ("description", "")];
    let project = location(&ada.post("/w/acme/projects/new", &fields).await);
    let fields = [("title", "Wrong"), ("body", ""), ("priority", "low"), ("assignee", "usr_x")];
    let chosen = [("labels", ids[0]), ("labels", ids[1])];
    let new = format!("{project}/issues/new");
    let again = Browser::whole(&ada.post(&new, &[&fields[..], &chosen].concat()).await, 422);
    assert_eq!(again.matches(" checked>").count(), 3, "two labels and the switch of the shortcuts: {again}");
    let fields = [("title", "Right"), ("body", ""), ("priority", "low"), ("assignee", "")];
    let issue = location(&ada.post(&new, &[&fields[..], &chosen].concat()).await);
    let page = Browser::whole(&ada.get(&issue).await, 200);
    assert!(page.contains("label-red") && page.contains("label-teal"));
    let found = Browser::whole(&ada.get(&format!("{project}?label={}", ids[1])).await, 200);
    assert!(found.contains("Right") && found.contains("label-teal"));
    // Without any label in the form, none is left.
    let fields = [("status", "open"), ("priority", "low"), ("assignee", "")];
    location(&ada.post(&issue, &fields).await);
    assert!(
        Browser::whole(&ada.get(&format!("{project}?label={}", ids[1])).await, 200)
            .contains("No issues match")
    );

    let at = format!("/w/acme/labels/{}", ids[1]);
    assert_eq!(location(&ada.post(&at, &[("name", "front"), ("colour", "pink")]).await), "/w/acme/labels");
    let again = Browser::whole(&ada.post(&at, &[("name", ""), ("colour", "pink")]).await, 422);
    assert!(again.contains("<details class=\"label-edit\" open>"));
    assert_eq!(location(&ada.post(&format!("{at}/delete"), &[]).await), "/w/acme/labels");
    assert!(!ada.get("/w/acme/labels").await.text().contains("label-pink"));
}
