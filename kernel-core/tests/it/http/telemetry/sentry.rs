//! Sentry, by a server that keeps what it is sent.
#![cfg(feature = "sentry")]

use std::sync::Arc;
use std::time::Duration;

use kernel_core::telemetry::sentry::{self, SentryCourier, SentryOptions};
use kernel_core::testkit::{Listener, Manner};
use serde_json::Value;
use tokio::sync::oneshot;

use super::super::ask::Ask;
use super::super::shop::Shop;

async fn shop_with(server: &Listener) -> (Shop, SentryCourier) {
    let options = SentryOptions::new(&server.dsn()).unwrap().environment("test");
    let mut courier = None;
    let shop = Shop::configured(|config| {
        "shop@1".clone_into(&mut config.telemetry.release);
        let (reporter, its) = sentry::reporter(options, &config.telemetry.metrics);
        config.telemetry.reporter = Some(Arc::new(reporter));
        courier = Some(its);
    })
    .await;
    (shop, courier.unwrap())
}

/// The events among what came.
fn events(server: &Listener) -> Vec<Value> {
    let lines = |body: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    server.received().iter().map(|received| lines(&received.body)[2].clone()).collect()
}

#[tokio::test]
async fn reports_of_two_workspaces_at_once_do_not_mix() {
    let server = Listener::start().await.unwrap();
    let (shop, courier) = shop_with(&server).await;
    let (running, stopped) = oneshot::channel::<()>();
    let fails = |slug: &str, who: &str| {
        Ask::new("POST", &format!("/api/v1/w/{slug}/items")).json(r#"{"name": "panic"}"#).by(who)
    };
    let traffic = async {
        let (one, other) = tokio::join!(shop.send(fails("acme", "alice")), shop.send(fails("rival", "bob")));
        drop(running);
        [one, other].map(|answer| answer.header("x-request-id").to_owned())
    };
    let (ids, ()) = tokio::join!(traffic, courier.run(async { drop(stopped.await) }));
    let events = events(&server);
    assert_eq!(events.len(), 2);
    for (id, workspace) in ids.iter().zip([&shop.acme, &shop.rival]) {
        let event = events.iter().find(|event| event["tags"]["request_id"] == **id).unwrap();
        assert_eq!(event["tags"]["workspace_id"], workspace.id().to_string());
        // From the error to the trace, and from the trace to the lines of the log, which have the same id.
        let hex = id.trim_start_matches("req_");
        assert_eq!(event["contexts"]["trace"]["trace_id"], hex);
        assert_eq!(event["exception"]["values"][0]["value"], "internal: panicked: the shelf fell over");
        assert_eq!(event["transaction"], "POST /api/v1/w/{workspace}/items");
        assert_eq!((&event["release"], &event["environment"]), (&"shop@1".into(), &"test".into()));
        assert!(event.get("user").is_none() && event.get("request").is_none(), "{event}");
    }
    let received = &server.received()[0];
    assert_eq!(received.path, "/api/42/envelope/");
    assert!(received.headers["x-sentry-auth"].to_str().unwrap().contains("sentry_key=publickey"));
}

#[tokio::test]
async fn sentry_that_refuses_is_left_alone_and_one_that_hangs_holds_up_nobody() {
    let server = Listener::start().await.unwrap();
    let (shop, courier) = shop_with(&server).await;
    server.behave(Manner::Refusing(429));
    let (running, stopped) = oneshot::channel::<()>();
    let traffic = async {
        for _ in 0..5 {
            assert_eq!(shop.send(Ask::item("panic")).await.status, 500);
        }
        // Until the first has been refused, and the others were left unsent for it.
        let text = || shop.kernel.app.metrics().text();
        while !text().contains("kernel_export_total{signal=\"reports\",outcome=\"dropped\"} 4\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(running);
    };
    tokio::join!(traffic, courier.run(async { drop(stopped.await) }));
    assert_eq!(server.received().len(), 1);

    let (shop, courier) = shop_with(&server).await;
    server.behave(Manner::Silent);
    let (running, stopped) = oneshot::channel::<()>();
    let traffic = async {
        for _ in 0..5 {
            assert_eq!(shop.send(Ask::item("panic")).await.status, 500);
        }
        drop(running);
    };
    // Its last words take five seconds at most.
    let told = async { tokio::join!(traffic, courier.run(async { drop(stopped.await) })) };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("the courier ends");
    // The one that was under way is not sent anew, and no other before it.
    assert_eq!(server.received().len(), 2);
}

#[test]
fn a_dsn_that_is_none_is_refused_without_being_shown() {
    for dsn in ["", "secret", "ftp://secret@host/1", "https://secret@host", "https://host/1"] {
        let error = SentryOptions::new(dsn).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let options = SentryOptions::new("https://secret@sentry.example/1").unwrap();
    assert!(!format!("{options:?}").contains("secret"), "{options:?}");
}
