//! The app's chain before the host's own handlers.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use kernel_core::http::BODY_LIMIT;
use serde_json::Value;

use crate::demo::{bearer, member, outsider};
use crate::server::Server;

/// Errors outside the API are pages unless a program asks.
const JSON: &str = "accept: application/json\r\n";

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
    assert_eq!(ask("/w/acme/nested/own", &bearer(member())).await, (200, "acme".to_owned()));
    assert_eq!(ask("/w/acme/nested/own", &bearer(outsider())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/acme/rule", &bearer(member())).await, (403, "forbidden".to_owned()));
    assert_eq!(ask("/w/acme/own", &bearer(outsider())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/other/own", &bearer(member())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/..%2f/own", &bearer(member())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/acme/own", "").await, (401, "unauthenticated".to_owned()));
    // A middleware that asks is answered in the same words.
    assert_eq!(ask("/w/acme/guarded", &bearer(member())).await, (200, "inside".to_owned()));
    assert_eq!(ask("/w/acme/guarded", &bearer(outsider())).await, (404, "not_found".to_owned()));
    assert_eq!(ask("/w/acme/guarded", "").await, (401, "unauthenticated".to_owned()));
    let refused = server.ask("GET", "/w/acme/guarded", JSON, "").await;
    assert!(refused.headers.contains_key("x-request-id") && refused.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_refusal_speaks_the_apps_words_without_a_caller_too() {
    let server = Server::start().await;
    let refused = server.ask("GET", "/own/refused", "accept: application/problem+json\r\n", "").await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (404, Some("not_found")));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert!(refused.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_body_is_read_and_refused_like_those_of_the_apps_routes() {
    let server = Server::start().await;
    let ask = async |path: &str, content_type: &str, body: &str| {
        let answer = server.ask("POST", path, &format!("content-type: {content_type}\r\n{JSON}"), body).await;
        let mut json = answer.json();
        if let Some(error) = json.get_mut("error").and_then(Value::as_object_mut) {
            assert_eq!(error.remove("request_id").unwrap(), answer.headers["x-request-id"].to_str().unwrap());
        }
        (answer.status, json)
    };
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for (content_type, body, status) in [
        (json, r#"{"text": "abc"}"#, 200),
        (json, r"{", 400),
        (json, "", 400),
        (json, "[\"abc\"]", 422),
        (json, "{}", 422),
        (json, r#"{"text": 5}"#, 422),
        (json, r#"{"text": "a", "text": "b"}"#, 422),
        (json, r#"{"text": "a", "more": 1}"#, 422),
        ("text/plain", r#"{"text": "abc"}"#, 415),
        (form, "text=abc", 415),
    ] {
        let own = ask("/own/body", content_type, body).await;
        assert_eq!(own, ask("/api/v1/take", content_type, body).await, "{content_type} {body}");
        assert_eq!(own.0, status, "{content_type} {body}");
    }
    let long = format!(r#"{{"text": "{}"}}"#, "a".repeat(101));
    let (status, refused) = ask("/own/body", json, &long).await;
    assert_eq!((status, &refused["error"]["fields"]["text"]), (422, &"is longer than 100".into()));
    let deep = format!(r#"{{"text": {}"#, "[".repeat(200));
    assert_eq!(ask("/own/body", json, &deep).await.0, 422, "not even looked into");
    let large = "x".repeat(BODY_LIMIT + 1);
    let (status, refused) = ask("/own/body", json, &large).await;
    assert_eq!((status, &refused["error"]["params"]["limit"]), (413, &BODY_LIMIT.to_string().into()));
}

#[tokio::test]
async fn who_may_not_call_a_handler_hears_nothing_of_its_body() {
    let server = Server::start().await;
    let stranger = format!("authorization: Bearer nobody\r\ncontent-type: application/json\r\n{JSON}");
    assert_eq!(server.ask("POST", "/own/body", &stranger, "{").await.code(), "unauthenticated");
    let foreign = format!(
        "cookie: __Host-demo={}\r\ncontent-type: application/json\r\norigin: https://evil.example\r\n{JSON}",
        member()
    );
    assert_eq!(server.ask("POST", "/own/body", &foreign, "{").await.code(), "cross_site");
}

#[tokio::test]
async fn a_body_that_takes_unknown_fields_is_a_fault_of_ours() {
    let log = Log::begin();
    let server = Server::start().await;
    let headers = "content-type: application/json\r\naccept: application/json\r\n";
    let refused = server.ask("POST", "/own/careless", headers, r#"{"text": "abc"}"#).await;
    assert_eq!((refused.status, refused.code().as_str()), (500, "internal"));
    let lines = log.of_request(refused.headers["x-request-id"].to_str().unwrap());
    let said = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(said["fields"]["error"].as_str().unwrap().contains("deny_unknown_fields"), "{said}");
}

#[tokio::test]
async fn a_handler_of_the_hosts_own_is_logged_and_counted_like_the_apps() {
    let log = Log::begin();
    let server = Server::start().await;
    let answer = server.ask("GET", "/w/acme/own", &bearer(member()), "").await;
    assert_eq!(answer.text(), "acme");
    let lines = log.of_request(answer.headers["x-request-id"].to_str().unwrap());
    assert_eq!(lines.len(), 2, "the handler's line and the access line: {lines:?}");
    for line in &lines {
        assert_eq!(line["span"]["user_id"], member().to_string(), "{line}");
        assert_eq!(line["span"]["workspace_id"], server.demo.workspace.get().unwrap().to_string(), "{line}");
    }
    let access = &lines[1]["fields"];
    assert_eq!((&access["route"], &access["status"]), (&"/w/{workspace}/own".into(), &200.into()));
    server.get("/own").await;
    let counted = server.app().metrics().text();
    let other = "http_requests_total{method=\"other\",route=\"other\",status=\"2xx\"} 1\n";
    assert!(counted.contains(other), "what asks nobody is the host's own: {counted}");
    assert!(counted.contains("http_requests_in_flight 0\n"), "{counted}");
}

#[tokio::test]
async fn a_panic_of_a_handler_of_the_hosts_own_is_an_error_like_the_apps() {
    let log = Log::begin();
    let server = Server::start().await;
    let broken = server.ask("GET", "/own/panics", "accept: application/json\r\n", "").await;
    assert_eq!((broken.status, broken.code().as_str()), (500, "internal"));
    let lines = log.of_request(broken.headers["x-request-id"].to_str().unwrap());
    let said = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(said["fields"]["error"].as_str().unwrap().contains("the handler is broken"), "{said}");
    let counted = server.app().metrics().text();
    assert!(counted.contains("http_requests_total{method=\"other\",route=\"other\",status=\"5xx\"} 1\n"));
}

#[tokio::test]
async fn a_panic_after_a_refusal_is_one_too() {
    let server = Server::start().await;
    let nobody = format!("authorization: Bearer nobody\r\n{JSON}");
    let broken = server.ask("GET", "/own/refused-panics", &nobody, "").await;
    assert_eq!((broken.status, broken.code().as_str()), (500, "internal"));
}

/// The lines of all servers of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> Self {
        static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
            log
        })
        .clone()
    }

    fn of_request(&self, id: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["span"]["request_id"] == id).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
