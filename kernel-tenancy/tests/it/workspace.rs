use kernel_core::http::Resolution;

use crate::people::{User, kernel};

#[tokio::test]
async fn outsiders_cannot_tell_a_workspace_from_none() {
    let kernel = kernel(Resolution::Path).await;
    let (mut ada, mut eve) = (User::new(&kernel), User::new(&kernel));
    ada.found("acme").await;
    assert_eq!(ada.get("/api/v1/w/acme/workspace").await.status, 200);
    let bare = |answer: kernel_core::testkit::Answer| {
        let mut json = answer.json();
        json["error"]["request_id"].take();
        (answer.status, json)
    };
    let foreign = bare(eve.get("/api/v1/w/acme/workspace").await);
    assert_eq!(foreign.0, 404);
    for missing in ["/api/v1/w/none-such/workspace", "/api/v1/w/A!!c/workspace", "/api/v1/w/%2F/workspace"] {
        assert_eq!(bare(eve.get(missing).await), foreign, "{missing}");
    }
}

#[tokio::test]
async fn a_slug_is_given_once_and_reserved_ones_never() {
    let kernel = kernel(Resolution::Path).await;
    let (mut ada, mut eve) = (User::new(&kernel), User::new(&kernel));
    ada.found("acme").await;
    let taken = eve.send("POST", "/api/v1/workspaces", &[], r#"{"name": "Acme", "slug": "acme"}"#).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "tenancy.slug_taken"));
    for slug in ["www", "A!!acme!!", "-a-", "xn--abc", ""] {
        let body = serde_json::json!({ "name": "Acme", "slug": slug }).to_string();
        let refused = eve.send("POST", "/api/v1/workspaces", &[], &body).await;
        assert!((400..423).contains(&refused.status), "{slug}: {}", refused.text());
    }
    assert_eq!(eve.get("/api/v1/workspaces").await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_workspace_is_named_in_one_way_only() {
    let by_header = kernel(Resolution::Header).await;
    let mut ada = User::new(&by_header);
    let id = ada.found("acme").await;
    let header = [("x-workspace-id", id.as_str())];
    assert_eq!(ada.send("GET", "/api/v1/workspace", &header, "").await.status, 200);
    assert_eq!(ada.get("/api/v1/w/acme/workspace").await.status, 404);
    let malformed = [("x-workspace-id", "ws_1")];
    assert_eq!(ada.send("GET", "/api/v1/workspace", &malformed, "").await.status, 404);

    let by_host = kernel(Resolution::Subdomain { base_domain: "app.example.com".to_owned() }).await;
    let mut ada = User::new(&by_host);
    ada.found("acme").await;
    for (host, status) in [
        ("acme.app.example.com", 200),
        ("ACME.app.example.com:8443", 200),
        ("app.example.com", 404),
        ("www.app.example.com", 404),
        ("deep.acme.app.example.com", 404),
        ("acme.app.example.com.evil.example", 404),
        ("127.0.0.1", 404),
    ] {
        let answer = ada.send("GET", "/api/v1/workspace", &[("host", host)], "").await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_workspace_that_may_only_be_read_is_only_read() {
    let kernel = kernel(Resolution::Path).await;
    let mut ada = User::new(&kernel);
    ada.found("acme").await;
    let mut admin = kernel.admin().await;
    for (status, read, write) in
        [("read_only", 200, 403), ("suspended", 200, 403), ("deleting", 404, 404), ("active", 200, 200)]
    {
        sqlx::query("UPDATE kernel_tenancy.workspace SET status = $1")
            .bind(status)
            .execute(&mut admin)
            .await
            .unwrap();
        assert_eq!(ada.get("/api/v1/w/acme/workspace").await.status, read, "{status}");
        let renamed = ada.send("PATCH", "/api/v1/w/acme/workspace", &[], r#"{"name": "New"}"#).await;
        assert_eq!(renamed.status, write, "{status}: {}", renamed.text());
    }
}

#[tokio::test]
async fn ones_workspaces_come_in_pages_and_by_name() {
    let kernel = kernel(Resolution::Path).await;
    let (mut owner, mut other) = (User::new(&kernel), User::new(&kernel));
    let slugs = ["acme", "bolt", "corp", "dyno", "echo"];
    for slug in slugs {
        owner.found(slug).await;
    }
    other.found("bond").await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/workspaces?limit=2".to_owned();
    loop {
        let page = owner.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|mine| mine["slug"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/workspaces?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, slugs);
    // A cursor says where to go on, and never whose list it is.
    let others = other.get(&path).await.json();
    assert_eq!(others["items"], serde_json::json!([]));
    assert_eq!(owner.get("/api/v1/workspaces?cursor=x").await.status, 400);
}
