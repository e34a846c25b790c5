//! Who gets into which workspace, and what they may do there.

use kernel_core::http::Resolution;
use kernel_core::seam::Principal;
use kernel_core::{Actor, Role, WorkspaceStatus};

use super::ask::{Answer, Ask};
use super::shop::Shop;

#[tokio::test]
async fn a_foreign_a_missing_and_a_malformed_workspace_look_alike() {
    let shop = Shop::open().await;
    assert_eq!(shop.send(Ask::get("/api/v1/w/acme/items").by("alice")).await.status, 200);
    let mut seen = Vec::new();
    for slug in ["rival", "missing", "%20", "UPPER", "a_b", "ac%2Fme", "-", &"a".repeat(70)] {
        seen.push(shop.send(Ask::get(&format!("/api/v1/w/{slug}/items")).by("alice")).await.masked());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].0, 404);
    let asked = shop.town.asked.lock().unwrap().clone();
    assert_eq!(asked, ["acme", "rival", "missing"], "what can be no slug is not looked up");
    let item = shop.send(Ask::get("/api/v1/w/acme/items/nonsense").by("alice")).await;
    let missing = format!("/api/v1/w/acme/items/job_{}", "1".repeat(32));
    assert_eq!(item.masked(), shop.send(Ask::get(&missing).by("alice")).await.masked());
    assert_eq!(item.masked(), seen[0]);
}

#[tokio::test]
async fn a_header_names_the_workspace_where_the_app_says_so() {
    let shop = Shop::with(|http| http.resolution = Resolution::Header).await;
    let items = |id: &str| Ask::get("/api/v1/items").by("alice").with("x-workspace-id", id);
    let own = shop.acme.id().to_string();
    assert_eq!(shop.send(items(&own)).await.status, 200);
    for id in [&shop.rival.id().to_string(), "acme", "", &own.to_uppercase()] {
        assert_eq!(shop.send(items(id)).await.status, 404, "{id}");
    }
    assert_eq!(shop.send(items(&own).with("x-workspace-id", &own)).await.status, 404, "named twice");
    let unnamed = shop.send(Ask::get("/api/v1/items").by("alice")).await;
    assert_eq!((unnamed.status, unnamed.code().as_str()), (400, "workspace_missing"));
    assert_eq!(
        shop.send(Ask::get("/api/v1/w/acme/items").by("alice")).await.status,
        404,
        "no falling through"
    );
}

#[tokio::test]
async fn a_subdomain_names_the_workspace_where_the_app_says_so() {
    let base_domain = "shop.example".to_owned();
    let shop = Shop::with(|http| {
        http.resolution = Resolution::Subdomain { base_domain };
        http.reserved_names.push("rival".to_owned());
    })
    .await;
    let items = |host: &str| Ask::get("/api/v1/items").by("alice").without("host").with("host", host);
    for host in ["acme.shop.example", "ACME.shop.example", "acme.shop.example:8443"] {
        assert_eq!(shop.send(items(host)).await.status, 200, "{host}");
    }
    for host in [
        "shop.example",
        "missing.shop.example",
        "a.acme.shop.example",
        "acme.shop.example.evil.example",
        "acmeshop.example",
        "acme.other.example",
        "127.0.0.1",
        "acme",
        ".shop.example",
    ] {
        assert_eq!(shop.send(items(host)).await.status, 404, "{host}");
    }
    let reserved = Ask::get("/api/v1/items").by("bob").without("host").with("host", "rival.shop.example");
    assert_eq!(shop.send(reserved).await.status, 404);
}

#[tokio::test]
async fn nobody_is_asked_to_sign_in_before_anything_is_looked_up() {
    let shop = Shop::open().await;
    let mut seen = Vec::new();
    for slug in ["acme", "missing", "%20"] {
        seen.push(shop.send(Ask::get(&format!("/api/v1/w/{slug}/items"))).await.masked());
    }
    seen.dedup();
    assert_eq!((seen.len(), seen[0].0), (1, 401));
}

#[tokio::test]
async fn a_key_stays_in_the_workspace_that_made_it() {
    let shop = Shop::open().await;
    let items =
        |slug: &str| Ask::get(&format!("/api/v1/w/{slug}/items")).with("authorization", "Bearer acme-key");
    assert_eq!(shop.send(items("acme")).await.status, 200);
    assert_eq!(shop.send(items("rival")).await.status, 404);
    let people = shop.send(Ask::get("/api/v1/people").with("authorization", "Bearer acme-key")).await;
    assert_eq!((people.status, people.code().as_str()), (403, "people_only"));
}

#[tokio::test]
async fn credentials_that_prove_nobody() {
    let shop = Shop::open().await;
    let whoami = || Ask::get("/api/v1/whoami");
    for bearer in ["Bearer stolen", "Bearer", "Bearer a b"] {
        let answer = shop.send(whoami().by("alice").with("authorization", bearer)).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{bearer}");
    }
    let stale = shop.send(whoami().by("nobody")).await;
    assert!(stale.text.contains("anonymous"), "an old cookie is no error: {stale:?}");
    let twice = shop.send(whoami().by("alice").with("cookie", "__Host-shop=bob")).await;
    assert!(twice.text.contains("anonymous"), "{twice:?}");
}

#[tokio::test]
async fn roles_plans_and_proofs_are_required() {
    let shop = Shop::open().await;
    let code = |answer: &Answer| (answer.status, answer.code());
    let post = |path: &str| Ask::new("POST", path).json(r#"{"name": "bread"}"#);
    let export = shop.send(post("/api/v1/w/acme/export").by("alice")).await;
    assert_eq!(code(&export), (402, "feature_not_in_plan".to_owned()));
    assert_eq!(shop.send(post("/api/v1/w/acme/verified").by("alice")).await.status, 201);
    let fresh = shop.sign_in("fresh", false);
    shop.join(fresh, shop.acme.id(), "acme", Role::Member, WorkspaceStatus::Active);
    let unverified = shop.send(post("/api/v1/w/acme/verified").by("fresh")).await;
    assert_eq!(code(&unverified), (403, "email_unverified".to_owned()));
    let staff = shop.send(Ask::get("/api/v1/staff").by("alice")).await;
    assert_eq!(code(&staff), (403, "staff_only".to_owned()));
    let actor = Actor::Staff { id: fresh, acting_as: None };
    let principal = Principal::by_bearer(actor);
    shop.town.sessions.lock().unwrap().insert("staff".to_owned(), principal);
    assert_eq!(shop.send(Ask::get("/api/v1/staff").by("staff")).await.status, 200);
}

#[tokio::test]
async fn a_workspace_that_may_only_be_read_takes_no_writes() {
    let shop = Shop::open().await;
    let owner = shop.sign_in("owner", true);
    for (slug, status) in [("frozen", WorkspaceStatus::ReadOnly), ("held", WorkspaceStatus::Suspended)] {
        let workspace = shop.kernel.found_workspace().await;
        shop.join(owner, workspace.id(), slug, Role::Owner, status);
        assert_eq!(shop.send(Ask::get(&format!("/api/v1/w/{slug}/items")).by("owner")).await.status, 200);
        let write = Ask::new("POST", &format!("/api/v1/w/{slug}/items")).json(r#"{"name": "x"}"#).by("owner");
        assert_eq!(shop.send(write).await.code(), "read_only");
    }
    assert_eq!(shop.runs(), 0, "the handler is not even asked");
    shop.join(owner, shop.acme.id(), "leaving", Role::Owner, WorkspaceStatus::Deleting);
    assert_eq!(shop.send(Ask::get("/api/v1/w/leaving/items").by("owner")).await.status, 404);
}

#[tokio::test]
async fn a_cursor_is_good_for_one_workspace() {
    let shop = Shop::open().await;
    let bob = shop.sign_in("both", true);
    shop.join(bob, shop.acme.id(), "acme", Role::Member, WorkspaceStatus::Active);
    shop.join(bob, shop.rival.id(), "rival", Role::Member, WorkspaceStatus::Active);
    for name in ["a", "b", "c"] {
        for slug in ["acme", "rival"] {
            let path = format!("/api/v1/w/{slug}/items");
            let made = Ask::new("POST", &path).json(&format!(r#"{{"name": "{name}"}}"#)).by("both");
            assert_eq!(shop.send(made).await.status, 201);
        }
    }
    let first = shop.send(Ask::get("/api/v1/w/acme/items?limit=2").by("both")).await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["has_more"]), (2, &true.into()));
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = shop.send(Ask::get(&format!("/api/v1/w/acme/items?cursor={cursor}")).by("both")).await.json();
    assert_eq!((&next["items"], &next["next_cursor"]), (&serde_json::json!(["c"]), &serde_json::Value::Null));
    let foreign = shop.send(Ask::get(&format!("/api/v1/w/rival/items?cursor={cursor}")).by("both")).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (400, "malformed_cursor"));
    let other = shop.send(Ask::get(&format!("/api/v1/w/acme/heavy?cursor={cursor}")).by("both")).await;
    assert_eq!(other.status, 400, "another operation");
}
