//! Answers in the language that is asked for.

use kernel_core::Pillar;
use kernel_core::testkit::{TestKernel, config};

use super::ask::{Answer, Ask};
use super::shop::Shop;

const SWISS: &str = "de-CH, en;q=0.5";

async fn bilingual() -> Shop {
    Shop::configured(|config| config.languages = vec!["de".to_owned()]).await
}

fn varies(answer: &Answer) -> bool {
    answer.headers.get_all("vary").iter().any(|value| value == "accept-language")
}

#[tokio::test]
async fn errors_and_fields_are_in_the_language_that_is_asked_for() {
    let shop = bilingual().await;
    let refused = |language| {
        let ask = Ask::new("POST", "/api/v1/register").json("{}");
        shop.send(ask.with("accept-language", language))
    };
    let german = refused(SWISS).await;
    assert_eq!((german.status, german.header("content-language")), (422, "de"));
    assert!(varies(&german), "{german:?}");
    assert_eq!(german.json()["error"]["message"], "Einige Felder müssen berichtigt werden.");
    assert_eq!(german.json()["error"]["fields"]["name"], "wird gebraucht");
    let long = Ask::new("POST", "/api/v1/register").json(r#"{"name": "a name of more than twenty letters"}"#);
    let long = shop.send(long.with("accept-language", SWISS)).await.json();
    assert_eq!(long["error"]["fields"]["name"], "ist länger als 20");
    let reason = serde_json::json!({ "code": "field.too_long", "params": { "max": "20" } });
    assert_eq!(long["error"]["reasons"], serde_json::json!({ "name": reason }));
    let english = refused("fr").await;
    assert_eq!((english.status, english.header("content-language"), varies(&english)), (422, "en", true));
    assert_eq!(english.json()["error"]["fields"]["name"], "is required");

    let nowhere = Ask::get("/nowhere").with("accept", "text/html").with("accept-language", SWISS);
    let page = shop.send(nowhere).await;
    assert_eq!(page.header("content-language"), "de");
    assert!(
        page.text.contains("<html lang=\"de\">") && page.text.contains("Hier ist nichts"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn only_an_answer_whose_handler_asked_varies() {
    let shop = bilingual().await;
    let ask = |path| shop.send(Ask::get(path).with("accept-language", SWISS));
    let spoken = ask("/api/v1/language").await;
    assert_eq!((spoken.text.as_str(), spoken.header("content-language")), ("\"de\"", "de"));
    assert!(varies(&spoken), "{spoken:?}");
    let mute = ask("/api/v1/whoami").await;
    assert_eq!((mute.status, mute.header("content-language"), varies(&mute)), (200, "", false));
}

#[tokio::test]
async fn a_repeated_answer_says_in_which_language_it_was_given() {
    let shop = bilingual().await;
    let write = |language| {
        let write = Ask::new("POST", "/api/v1/w/acme/language").by("alice").json("null").key("k");
        shop.send(write.with("accept-language", language))
    };
    for replayed in ["", "true"] {
        let answer = write(if replayed.is_empty() { SWISS } else { "en" }).await;
        assert_eq!((answer.text.as_str(), answer.header("idempotent-replayed")), ("\"de\"", replayed));
        assert_eq!((answer.header("content-language"), varies(&answer)), ("de", true), "{answer:?}");
    }
}

#[tokio::test]
async fn an_app_with_english_alone_says_nothing_of_languages() {
    let shop = Shop::open().await;
    for (path, text) in [("/api/v1/language", "\"en\""), ("/api/v1/nowhere", "There is nothing here")] {
        let answer = shop.send(Ask::get(path).with("accept-language", SWISS)).await;
        assert!(!varies(&answer) && answer.header("content-language").is_empty(), "{answer:?}");
        assert!(answer.text.contains(text), "{answer:?}");
    }
}

#[tokio::test]
async fn a_build_refuses_a_translation_of_nothing() {
    fn shop() -> Pillar {
        let english = r#"{ "shop.sold": "{name} is sold" }"#;
        let unknown = r#"{ "shop.bought": "gekauft" }"#;
        let argument = r#"{ "shop.sold": "{nahme} ist verkauft" }"#;
        let pillar = Pillar::new("shop").messages(english).translation("de", unknown);
        pillar.translation("de", argument).translation("de_CH", "{}").translation("fr", "[]")
    }
    let mut config = config();
    config.languages = vec!["de".to_owned(), "it".to_owned()];
    let refused = TestKernel::try_with(config, |app| app.with(shop())).await;
    let refused = refused.err().map(|problems| problems.to_string()).unwrap_or_default();
    for reason in [
        "the messages of shop: de: there is no English message \"shop.bought\"",
        "the messages of shop: de: the message \"shop.sold\" names nahme, which the English text does not",
        "the messages of shop: \"de_CH\" is no language",
        "the messages of shop: a catalogue is a JSON object of texts",
        "languages: no pillar has texts in \"it\"",
    ] {
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
}
