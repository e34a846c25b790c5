//! The app's chain before the host's own handlers.

use crate::demo::{bearer, member, outsider};
use crate::server::Server;

#[tokio::test]
async fn a_caller_is_who_the_app_says() {
    let server = Server::start().await;
    let anonymous = server.get("/own/caller").await;
    assert_eq!(anonymous.text(), "anonymous");
    for header in ["x-request-id", "content-security-policy", "x-content-type-options"] {
        assert!(anonymous.headers.contains_key(header), "{header}");
    }
    assert_eq!(server.ask("GET", "/own/caller", &bearer(member()), "").await.text(), "user");
    let cookies = server.get("/own/cookies").await;
    assert_eq!(cookies.headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn whom_the_app_does_not_admit_the_handler_never_sees() {
    let server = Server::start().await;
    let json = "accept: application/json\r\n";
    let garbled =
        server.ask("GET", "/own/caller", &format!("authorization: Bearer nobody\r\n{json}"), "").await;
    assert_eq!((garbled.status, garbled.code().as_str()), (401, "unauthenticated"));
    assert!(garbled.headers.contains_key("www-authenticate") && garbled.headers.contains_key("x-request-id"));
    let cookie = format!("cookie: __Host-demo={}\r\n{json}", member());
    let foreign = format!("{cookie}origin: https://evil.example\r\n");
    assert_eq!(server.ask("POST", "/own/caller", &foreign, "").await.code(), "cross_site");
    assert_eq!(server.ask("POST", "/own/caller", &cookie, "").await.code(), "csrf");
    let token = format!("{cookie}x-csrf-token: token\r\n");
    assert_eq!(server.ask("POST", "/own/caller", &token, "").await.text(), "user");
}

#[tokio::test]
async fn a_workspace_is_entered_by_its_members_only() {
    let server = Server::start().await;
    let ask = async |path: &str, headers: &str| {
        let answer = server.ask("GET", path, &format!("{headers}accept: application/json\r\n"), "").await;
        (answer.status, if answer.status == 200 { answer.text() } else { answer.code() })
    };
    assert_eq!(ask("/w/acme/own", &bearer(member())).await, (200, "acme".to_owned()));
    assert_eq!(ask("/w/acme/rule", &bearer(member())).await, (403, "forbidden".to_owned()));
    assert_eq!(ask("/w/acme/own", &bearer(outsider())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/other/own", &bearer(member())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/..%2f/own", &bearer(member())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/acme/own", "").await, (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn a_refusal_speaks_the_apps_words_without_a_caller_too() {
    let server = Server::start().await;
    let refused = server.ask("GET", "/own/refused", "accept: application/problem+json\r\n", "").await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (404, Some("not_found")));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert!(refused.headers.contains_key("x-request-id"));
}
