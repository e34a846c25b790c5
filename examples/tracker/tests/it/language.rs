//! The tracker in German, for whoever asks for it.

use bytes::Bytes;
use http::Request;
use kernel_core::testkit::{Answer, Client};
use serde_json::{Value, json};

use crate::{signed_up, start};

const SWISS: &str = "de-CH, en;q=0.5";

async fn ask(client: &mut Client, method: &str, path: &str, body: Option<Value>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("accept-language", SWISS);
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    client.send(request.header("content-type", "application/json"), body).await
}

#[tokio::test]
async fn pages_refusals_and_what_is_told_are_in_german() {
    let kernel = start().await;
    let mut ada = signed_up(&kernel, "Ada").await;
    let founded = json!({ "name": "Acme", "slug": "acme" });
    assert_eq!(ask(&mut ada, "POST", "/api/v1/workspaces", Some(founded)).await.status, 201);

    let page = ask(&mut ada, "GET", "/w/acme/projects", None).await;
    assert_eq!((page.status, page.headers["content-language"].to_str().unwrap()), (200, "de"));
    assert!(page.headers.get_all("vary").iter().any(|value| value == "accept-language"));
    for text in ["<html lang=\"de\">", "Neues Projekt", "Erste Schritte", "1 offener Vorgang"] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let activity = ask(&mut ada, "GET", "/api/v1/w/acme/activity", None).await;
    assert_eq!(activity.headers["content-language"], "de");
    let told = activity.json()["items"].to_string();
    assert!(told.contains("Ada hat Acme gegründet"), "{told}");

    let project = json!({ "name": "Mobile", "key": "START", "description": "" });
    let taken = ask(&mut ada, "POST", "/api/v1/w/acme/projects", Some(project)).await;
    assert_eq!((taken.status, taken.code()), (409, "tracker.key_taken".to_owned()));
    assert_eq!(taken.json()["error"]["message"], "Das Kürzel START ist vergeben.");
    assert_eq!(taken.json()["error"]["fields"]["key"], "ist vergeben");
    let missing = ask(&mut ada, "GET", "/w/acme/projects/nothing", None).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"]["message"], Value::Null, "a page for people");
    assert!(missing.text().contains("Seite nicht gefunden"), "{}", missing.text());

    let english = ada.get("/w/acme/projects").await;
    assert_eq!(english.headers["content-language"], "en");
    assert!(english.text().contains("New project"), "{}", english.text());
}

#[tokio::test]
async fn every_text_is_there_in_every_language() {
    let kernel = start().await;
    let messages = kernel.app.messages();
    let languages: Vec<_> = messages.languages().collect();
    assert_eq!(languages.iter().map(|language| language.tag()).collect::<Vec<_>>(), ["en", "de"]);
    for language in languages {
        assert!(
            messages.untranslated(language).is_empty(),
            "{language}: {:?}",
            messages.untranslated(language)
        );
    }
}
