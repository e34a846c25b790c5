use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use kernel_core::http::{Reply, Resolution};
use kernel_core::seam::AllIncluded;
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{AuditAction, AuditEntry, Pillar, Role, TenantTx, audit};
use kernel_tenancy::Tenancy;
use serde_json::{Value, json};

use crate::people::{User, identity, kernel};

/// A product whose plans include everything.
async fn included() -> TestKernel {
    TestKernel::with(config(), |app| {
        let plans = Pillar::new("plans").provides_entitlements(Arc::new(AllIncluded));
        app.with(identity()).with(Tenancy).with(plans)
    })
    .await
}

async fn join(kernel: &TestKernel, workspace: &str, user: &User, role: Role) {
    let workspace = kernel.workspace(workspace.parse().unwrap());
    let ctx = kernel.app.system("test");
    let join = async |tx: &mut TenantTx| Tenancy.join(tx, user.id, role).await;
    kernel.app.db().tenant(&ctx, &workspace, join).await.unwrap();
}

const EXPORT: &str = "/api/v1/w/acme/audit-log/export";

/// The whole of a stream, and its content type.
async fn download(kernel: &TestKernel, user: &User, wanted: &Value) -> (u16, String, String) {
    let request = Request::post(EXPORT).header("authorization", format!("Bearer {}", user.id));
    let request = request.header("content-type", "application/json");
    let (head, body) = request.body(Bytes::from(wanted.to_string())).unwrap().into_parts();
    let to = kernel.app.find(&head);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match kernel.app.call(to, Request::from_parts(head, body), peer).await {
        Reply::Stream(response) => {
            let (head, mut body) = response.into_parts();
            let mut text = String::new();
            while let Some(piece) = body.next().await {
                text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
            }
            let mime = head.headers["content-type"].to_str().unwrap().to_owned();
            (head.status.as_u16(), mime, text)
        }
        Reply::Full(response) => {
            let text = String::from_utf8_lossy(response.body()).into_owned();
            (response.status().as_u16(), String::new(), text)
        }
        Reply::Socket(_) => panic!("not a socket"),
    }
}

#[tokio::test]
async fn an_admin_reads_who_did_what_and_an_owner_from_where() {
    let kernel = kernel(Resolution::Path).await;
    let (mut owner, mut admin, mut member) = (User::new(&kernel), User::new(&kernel), User::new(&kernel));
    let id = owner.found("acme").await;
    join(&kernel, &id, &admin, Role::Admin).await;
    join(&kernel, &id, &member, Role::Member).await;
    // Ids of one moment have no order.
    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    let renamed =
        owner.send("PATCH", "/api/v1/w/acme/workspace", &[("user-agent", "=cmd()")], r#"{"name": "New"}"#);
    assert_eq!(renamed.await.status, 200);

    assert_eq!(member.get("/api/v1/w/acme/audit-log").await.status, 403);
    let seen = admin.get("/api/v1/w/acme/audit-log").await.json();
    let newest = &seen["items"][0];
    assert_eq!(
        (&newest["action"], &newest["actor"]["type"]),
        (&"tenancy.workspace.update".into(), &"user".into())
    );
    assert_eq!(newest["actor"]["id"], owner.id.to_string());
    assert_eq!(newest["actor"]["name"], format!("name of {}", owner.id));
    assert_eq!(newest["target"]["id"], id.trim_start_matches("ws_"));
    assert_eq!((&newest["ip_address"], &newest["user_agent"]), (&Value::Null, &Value::Null));
    let seen = owner.get("/api/v1/w/acme/audit-log").await.json();
    assert_eq!(
        (&seen["items"][0]["ip_address"], &seen["items"][0]["user_agent"]),
        (&"127.0.0.1".into(), &"=cmd()".into())
    );

    for (filter, expected) in [
        (format!("actor={}", owner.id), 3),
        (format!("actor={}", member.id), 0),
        ("action=tenancy.member.join".to_owned(), 3),
        (format!("target_type=workspace&target_id={id}"), 2),
        ("since=2027-01-05T00:00:00Z".to_owned(), 0),
        ("until=2027-01-05T00:00:00Z".to_owned(), 5),
    ] {
        let found = owner.get(&format!("/api/v1/w/acme/audit-log?{filter}")).await.json();
        assert_eq!(found["items"].as_array().unwrap().len(), expected, "{filter}");
    }
    let first = owner.get("/api/v1/w/acme/audit-log?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = owner.get(&format!("/api/v1/w/acme/audit-log?limit=2&cursor={cursor}")).await.json();
    assert_ne!(first["items"][1]["id"], second["items"][0]["id"]);
    assert_eq!(owner.get("/api/v1/w/acme/audit-log?target_id=zz").await.status, 400);
}

#[tokio::test]
async fn a_plan_without_the_export_does_not_give_it() {
    let kernel = kernel(Resolution::Path).await;
    let mut owner = User::new(&kernel);
    owner.found("acme").await;
    let answer = owner.send("POST", EXPORT, &[], r#"{"format": "csv"}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "feature_not_in_plan"));
    // Nothing is sold here, so no plan would give it.
    let params = json!({ "feature": "tenancy.audit_log_export", "plans": "" });
    assert_eq!(answer.json()["error"]["params"], params);
}

#[tokio::test]
async fn the_log_goes_out_whole_in_three_forms() {
    let kernel = included().await;
    let mut owner = User::new(&kernel);
    let id = owner.found("acme").await;
    let (workspace, ctx) = (kernel.workspace(id.parse().unwrap()), kernel.app.system("test"));
    // More than one page of the export holds.
    let many = async |tx: &mut TenantTx| {
        for row in 0..1200 {
            audit(tx, AuditEntry::new(AuditAction::new("test.row.write")).detail("row", row)).await?;
        }
        Ok::<_, kernel_core::DbError>(())
    };
    kernel.app.db().tenant(&ctx, &workspace, many).await.unwrap();
    kernel.clock.advance(chrono::TimeDelta::seconds(30));
    let renamed =
        owner.send("PATCH", "/api/v1/w/acme/workspace", &[("user-agent", "=cmd()")], r#"{"name": "New"}"#);
    assert_eq!(renamed.await.status, 200);
    kernel.clock.advance(chrono::TimeDelta::seconds(30));

    let (status, mime, csv) = download(&kernel, &owner, &json!({ "format": "csv" })).await;
    assert_eq!((status, mime.as_str()), (200, "text/csv; charset=utf-8"));
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
    // Founded, joined, written, renamed.
    assert_eq!(rows.len(), 1203);
    assert_eq!(&rows[1202][10], "'=cmd()", "a spreadsheet does not run it");
    kernel.clock.advance(chrono::TimeDelta::seconds(30));

    let (_, mime, lines) = download(&kernel, &owner, &json!({ "format": "json", "action": null })).await;
    assert_eq!(mime, "application/x-ndjson");
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 1204);
    assert_eq!(events[1202]["action"], "tenancy.workspace.update");
    // Taking it out is something that somebody did, too.
    assert_eq!(events[1203]["action"], "tenancy.audit_log.export");
    assert_eq!(events[1203]["details"], json!({ "wanted": { "format": "csv" } }));
    kernel.clock.advance(chrono::TimeDelta::seconds(30));

    let wanted = json!({ "format": "splunk", "action": "tenancy.workspace.update", "actor": null });
    let (_, _, lines) = download(&kernel, &owner, &wanted).await;
    let event: Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!((&event["time"], &event["sourcetype"]), (&1_799_064_030.0.into(), &"kernel:audit".into()));
    assert_eq!(event["event"]["action"], "tenancy.workspace.update");
    assert_eq!(download(&kernel, &owner, &json!({ "format": "xml" })).await.0, 422);
}
