//! What the log says of a request: every line by whom and for which workspace, and one line for the whole.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::instrument::WithSubscriber;

use super::ask::{Answer, Ask};
use super::shop::Shop;

#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// What collects lines, and the subscriber that writes them.
    pub(super) fn subscriber() -> (Self, impl tracing::Subscriber + Send + Sync) {
        let lines = Self::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().json().with_writer(move || writer.clone());
        (lines, log.with_max_level(tracing::Level::INFO).finish())
    }

    /// The lines so far.
    pub(super) fn taken(&self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer, and each line that was logged on the way.
async fn logged(shop: &Shop, ask: Ask) -> (Answer, Vec<Value>) {
    let (lines, log) = Lines::subscriber();
    let answer = shop.send(ask).with_subscriber(log).await;
    (answer, lines.taken())
}

#[tokio::test]
async fn every_line_names_the_request_and_once_known_the_user_and_the_workspace() {
    let shop = Shop::open().await;
    for name in ["bread", "bad", "panic"] {
        let (answer, lines) = logged(&shop, Ask::item(name)).await;
        assert!(lines.len() >= 2, "the handler's line and the access line: {lines:?}");
        for line in &lines {
            let span = &line["span"];
            assert_eq!(span["request_id"], answer.header("x-request-id"), "{line}");
            assert_eq!(span["workspace_id"], shop.acme.id().to_string(), "{line}");
            assert_eq!(span["actor"], "user", "{line}");
            assert!(span["user_id"].as_str().unwrap().starts_with("usr_"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_request_has_one_access_line_and_strangers_have_no_workspace_in_it() {
    let shop = Shop::open().await;
    let outsider = Ask::get("/api/v1/w/acme/items").by("bob");
    for (ask, status) in
        [(outsider, 404), (Ask::get("/api/v1/w/acme/items"), 401), (Ask::get("/nowhere"), 404)]
    {
        let (answer, lines) = logged(&shop, ask).await;
        assert_eq!(answer.status, status);
        let access: Vec<_> = lines.iter().filter(|line| line["target"] == "kernel::access").collect();
        assert_eq!(access.len(), 1, "{lines:?}");
        assert_eq!(access[0]["fields"]["status"], status);
        assert!(access[0]["span"].get("workspace_id").is_none(), "{access:?}");
        assert!(access[0]["fields"].get("workspace_id").is_none(), "{access:?}");
    }
}

#[tokio::test]
async fn of_a_clients_address_the_log_has_the_network_only() {
    let shop = Shop::open().await;
    let addresses = [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:17:42::cafe", "2001:db8:17::/48")];
    for (address, network) in addresses {
        let (_, lines) = logged(&shop, Ask::get("/api/v1/w/acme/items").by("bob").from(address)).await;
        let access = lines.iter().find(|line| line["target"] == "kernel::access").unwrap();
        assert_eq!(access["fields"]["client"], network);
        assert!(lines.iter().all(|line| !line.to_string().contains(address)), "{lines:?}");
    }
}
