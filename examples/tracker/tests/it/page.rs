use kernel_core::testkit::TestKernel;
use serde_json::json;

use crate::browser::{Browser, location};
use crate::{create_issue, create_project, expect, patch, signed_up, start, text};

/// What would run, or break out of its place, if a template forgot to escape.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

async fn at_work(kernel: &TestKernel) -> Browser {
    let mut ada = Browser::signed_up(&kernel.app, "Ada").await;
    let founded = ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await;
    assert_eq!(location(&founded), "/w/acme/projects");
    ada
}

#[tokio::test]
async fn a_stranger_signs_up_founds_a_workspace_and_finds_an_issue_again() {
    let kernel = start().await;
    let mut ada = Browser::new(&kernel.app);
    for path in ["/", "/sign-up", "/log-in"] {
        Browser::whole(&ada.get(path).await, 200);
    }
    assert_eq!(location(&ada.get("/workspaces").await), "/log-in?next=%2Fworkspaces");
    let fields = [("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
    assert_eq!(location(&ada.post("/sign-up", &fields).await), "/workspaces/new");
    assert!(Browser::whole(&ada.get("/workspaces").await, 200).contains("You are not in a workspace yet"));
    let founded = ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await;
    let projects = location(&founded);
    assert!(Browser::whole(&ada.get(&projects).await, 200).contains("Getting started"));
    assert_eq!(location(&ada.get("/w/acme").await), projects);

    let fields = [("name", "Mobile app"), ("key", "APP"), ("description", "")];
    let project = location(&ada.post("/w/acme/projects/new", &fields).await);
    assert!(Browser::whole(&ada.get(&project).await, 200).contains("No issues yet"));
    let fields = [("title", "It crashes"), ("body", "Always."), ("priority", "high"), ("assignee", "")];
    let issue = location(&ada.post(&format!("{project}/issues/new"), &fields).await);
    let shown = Browser::whole(&ada.get(&issue).await, 200);
    assert!(shown.contains("It crashes") && shown.contains("APP-1") && shown.contains("Opened by Ada"));

    let found = Browser::whole(
        &ada.get(&format!("{project}?status=&priority=high&assignee=&q=CRASH&sort=")).await,
        200,
    );
    assert!(found.contains("It crashes") && found.contains("1 issue"));
    let missed = Browser::whole(&ada.get(&format!("{project}?q=nothing")).await, 200);
    assert!(missed.contains("No issues match") && !missed.contains("It crashes"));

    let fields = [("status", "done"), ("priority", "none"), ("assignee", "")];
    assert_eq!(location(&ada.post(&issue, &fields).await), issue);
    assert!(Browser::whole(&ada.get(&format!("{project}?status=done")).await, 200).contains("It crashes"));
    assert_eq!(location(&ada.post(&format!("{issue}/delete"), &[]).await), project);
    Browser::whole(&ada.get(&issue).await, 404);

    assert_eq!(location(&ada.post("/log-out", &[]).await), "/");
    assert_eq!(location(&ada.get(&project).await).split('?').next(), Some("/log-in"));
}

#[tokio::test]
async fn a_page_names_its_workspace_and_leads_to_the_others() {
    let kernel = start().await;
    let mut ada = at_work(&kernel).await;
    ada.post("/workspaces/new", &[("name", "The corner shop"), ("slug", "corner")]).await;
    let page = Browser::whole(&ada.get("/w/acme/projects").await, 200);
    for expected in ["Acme", "The corner shop", "/w/corner/projects"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
}

#[tokio::test]
async fn a_refused_form_comes_back_with_what_was_sent() {
    let kernel = start().await;
    let mut stranger = Browser::new(&kernel.app);
    let fields = [("name", "Eve"), ("email", "no address"), ("password", "tooshort"), ("next", "/w/acme")];
    let again = Browser::whole(&stranger.post("/sign-up", &fields).await, 422);
    assert!(
        again.contains("value=\"no address\"")
            && again.contains("aria-invalid")
            && !again.contains("tooshort")
    );
    assert!(again.contains("name=\"next\" value=\"/w/acme\""));

    let mut ada = at_work(&kernel).await;
    let fields = [("name", "Eve"), ("email", "ada@example.com"), ("password", "correct horse battery")];
    Browser::whole(&stranger.post("/sign-up", &fields).await, 409);
    let fields = [("email", "ada@example.com"), ("password", "wrong, and long enough"), ("next", "")];
    let again = Browser::whole(&stranger.post("/log-in", &fields).await, 401);
    assert!(again.contains("role=\"alert\"") && again.contains("value=\"ada@example.com\""));

    Browser::whole(&ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "acme")]).await, 409);
    Browser::whole(&ada.post("/workspaces/new", &[("name", "Acme"), ("slug", "A!")]).await, 422);
    let project = [("name", "Again"), ("key", "START"), ("description", "")];
    let again = Browser::whole(&ada.post("/w/acme/projects/new", &project).await, 409);
    assert!(again.contains("value=\"Again\"") && again.contains("is taken"));
    let again = ada.scripted("/w/acme/projects/new", &project).await;
    assert_eq!((again.status, again.code()), (409, "tracker.key_taken".to_owned()));
    let fields = [("name", "Fine"), ("key", "FINE"), ("description", "")];
    let done = ada.scripted("/w/acme/projects/new", &fields).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let project = text(&done.json(), "location").to_owned();

    let nobody = "usr_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
    let fields = [("title", "Kept"), ("body", "Kept too"), ("priority", "low"), ("assignee", nobody)];
    let again = Browser::whole(&ada.post(&format!("{project}/issues/new"), &fields).await, 422);
    assert!(again.contains("Kept too") && again.contains("is not a member"));
    // A refusal leaves no gap in the numbers.
    let fields = [("title", "Kept"), ("body", ""), ("priority", "low"), ("assignee", "")];
    let issue = location(&ada.post(&format!("{project}/issues/new"), &fields).await);
    assert!(ada.get(&issue).await.text().contains("FINE-1"));
    let fields = [("status", "open"), ("priority", "low"), ("assignee", nobody)];
    Browser::whole(&ada.post(&issue, &fields).await, 422);
}

#[tokio::test]
async fn hostile_texts_are_shown_and_never_run() {
    let kernel = start().await;
    let mut ada = Browser::new(&kernel.app);
    let fields = [("name", HOSTILE), ("email", "ada@example.com"), ("password", "correct horse battery")];
    location(&ada.post("/sign-up", &fields).await);
    location(&ada.post("/workspaces/new", &[("name", HOSTILE), ("slug", "acme")]).await);
    let fields = [("name", HOSTILE), ("key", "XSS"), ("description", HOSTILE)];
    let project = location(&ada.post("/w/acme/projects/new", &fields).await);
    let fields = [("title", HOSTILE), ("body", HOSTILE), ("priority", "urgent"), ("assignee", "")];
    let issue = location(&ada.post(&format!("{project}/issues/new"), &fields).await);
    let encoded = serde_html_form::to_string([("q", HOSTILE)]).unwrap();
    let paths = [
        "/".to_owned(),
        "/workspaces".to_owned(),
        "/workspaces/new".to_owned(),
        "/w/acme/projects".to_owned(),
        "/w/acme/projects/new".to_owned(),
        "/w/acme/members".to_owned(),
        format!("{project}?{encoded}"),
        format!("{project}/issues/new"),
        issue.clone(),
    ];
    for path in paths {
        let page = Browser::whole(&ada.get(&path).await, 200);
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
        assert!(page.contains("&lt;script&gt;"), "{path} does not show the name");
    }
    let fields = [("name", ""), ("key", HOSTILE), ("description", HOSTILE)];
    let again = Browser::whole(&ada.post("/w/acme/projects/new", &fields).await, 422);
    assert!(!again.contains("<script>") && again.contains("&lt;script&gt;"));
    let missing = Browser::whole(&ada.get(&format!("/{encoded}")).await, 404);
    assert!(!missing.contains("<script>"));
    let mut stranger = Browser::new(&kernel.app);
    let fields = [("email", HOSTILE), ("password", HOSTILE), ("next", HOSTILE)];
    let again = Browser::whole(&stranger.post("/log-in", &fields).await, 401);
    assert!(!again.contains("<script>") && !again.contains("name=\"next\" value=\"&lt;"));
}

#[tokio::test]
async fn a_form_without_the_sessions_token_does_nothing() {
    let kernel = start().await;
    let mut ada = at_work(&kernel).await;
    let project = [("name", "Forged"), ("key", "FORGED"), ("description", "")];
    for token in ["", "forged"] {
        let fields = [&[("_csrf", token)], &project[..]].concat();
        let refused = ada.send("/w/acme/projects/new", "text/html", &fields).await;
        Browser::whole(&refused, 403);
    }
    let refused = ada.send("/w/acme/projects/new", "text/html", &project).await;
    Browser::whole(&refused, 403);
    assert!(!ada.get("/w/acme/projects").await.text().contains("Forged"));
}

#[tokio::test]
async fn signing_in_leads_to_a_page_of_this_site_only() {
    let kernel = start().await;
    drop(at_work(&kernel).await);
    let with = |next| [("email", "ada@example.com"), ("password", "correct horse battery"), ("next", next)];
    for (next, leads_to) in [
        ("/w/acme/projects?status=open", "/w/acme/projects?status=open"),
        ("", "/workspaces"),
        ("//evil.example", "/workspaces"),
        ("/\\evil.example", "/workspaces"),
        ("https://evil.example", "/workspaces"),
    ] {
        let mut ada = Browser::new(&kernel.app);
        assert_eq!(location(&ada.post("/log-in", &with(next)).await), leads_to, "{next}");
        let page = serde_html_form::to_string([("next", next)]).unwrap();
        assert_eq!(location(&ada.get(&format!("/log-in?{page}")).await), leads_to, "{next}");
    }
}

#[tokio::test]
async fn pages_offer_what_the_role_allows() {
    let kernel = start().await;
    let mut ada = at_work(&kernel).await;
    let mut eve = Browser::signed_up(&kernel.app, "Eve").await;
    for path in ["/w/acme", "/w/acme/projects", "/w/acme/projects/new", "/w/acme/members"] {
        let missing = Browser::whole(&eve.get(path).await, 404);
        assert!(!missing.contains("Acme"), "{path}");
    }
    let members = Browser::whole(&ada.get("/w/acme/members").await, 200);
    assert!(members.contains("Ada") && members.contains("ada@example.com"));
    let page = Browser::whole(&ada.get("/w/acme/projects").await, 200);
    assert!(page.contains("/w/acme/projects/new"));
    let asset = page.split_once("rel=\"stylesheet\" href=\"").unwrap().1.split('"').next().unwrap();
    let css = eve.get(asset).await;
    assert_eq!((css.status, css.headers["content-type"].to_str().unwrap()), (200, "text/css; charset=utf-8"));
    assert_eq!(css.headers["cache-control"], "public, max-age=31536000, immutable");
    Browser::whole(&eve.get("/static/app.css").await, 404);
}

#[tokio::test]
async fn a_long_list_is_turned_page_by_page_with_its_filter() {
    let kernel = start().await;
    let mut ada = signed_up(&kernel, "Ada").await;
    expect(201, ada.post("/api/v1/workspaces", &json!({ "name": "Acme", "slug": "acme" })).await);
    let project = create_project(&mut ada, "acme", "APP").await;
    for number in 1..=60 {
        let issue = json!({ "title": format!("Issue {number:02}"), "priority": "low" });
        let issue = create_issue(&mut ada, "acme", &project, issue).await;
        if number == 60 {
            let at = format!("/api/v1/w/acme/issues/{}", text(&issue, "id"));
            expect(200, patch(&mut ada, &at, &json!({ "priority": "high" })).await);
        }
    }
    let mut ada = Browser(ada);
    let at = format!("/w/acme/projects/{}?priority=low&sort=title", text(&project, "id"));
    let first = Browser::whole(&ada.get(&at).await, 200);
    assert!(first.contains("50 issues on this page, more follow") && first.contains("Issue 50"));
    let next = first.split_once("rel=\"next\"").unwrap().0.rsplit_once("href=\"").unwrap().1;
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    let second = Browser::whole(&ada.get(&next).await, 200);
    assert!(second.contains("9 issues") && second.contains("Issue 59") && !second.contains("Issue 60"));
    assert!(!second.contains("rel=\"next\""));
}
