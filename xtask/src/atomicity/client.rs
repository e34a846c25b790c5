//! Clients that never give up: an unanswered request is sent again with its key until it is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::Method;
use kernel_core::Entropy;
use serde_json::{Value, json};

use super::ask::{Answer, Person};

/// How long a request may stay unanswered, over all its repetitions.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a client was told is there.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    /// `sale` or `workspace`.
    pub(super) noun: &'static str,
    /// The text by which the client knows it: a reference, a slug.
    pub(super) name: String,
    /// The id that the answer gave it.
    pub(super) id: String,
}

/// What all clients have seen.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) stop: AtomicBool,
    pub(super) requests: AtomicU64,
    /// Requests that were sent again because they were not answered.
    pub(super) retried: AtomicU64,
    /// Those of them whose first sending had its effect, as it turned out.
    pub(super) had_effect: AtomicU64,
    /// Requests that were sent again although they were answered.
    pub(super) repeated: AtomicU64,
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// What must not happen to a client.
    wrong: Mutex<Vec<String>>,
}

impl Record {
    pub(super) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// One person with a workspace, who sells.
#[derive(Debug)]
pub(super) struct Client {
    person: Person,
    name: String,
    slug: String,
    entropy: Entropy,
}

impl Client {
    /// Signs up and founds a workspace, while nobody is being killed.
    pub(super) async fn start(port: u16, number: usize, record: &Record) -> Result<Self> {
        let name = format!("client{number}");
        let person = Person::sign_up(port, &name).await?;
        let client = Self { person, slug: format!("{name}-0"), name, entropy: Entropy::system() };
        client.found(&client.slug, record).await.context("the first workspace cannot be founded")?;
        Ok(client)
    }

    /// Sells until it is told to stop, and now and then does something else.
    pub(super) async fn run(self, record: &Record) {
        for round in 1_u64.. {
            if record.stop.load(Ordering::Relaxed) {
                break;
            }
            match self.below(40) {
                0 => {
                    // What it answers is on the record.
                    let _ = self.found(&format!("{}-{round}", self.name), record).await;
                }
                1..3 => self.look(record).await,
                _ => self.sell(&format!("{}-{round}", self.name), record).await,
            }
        }
    }

    fn below(&self, end: u64) -> u64 {
        u64::from_le_bytes(self.entropy.bytes()) % end
    }

    async fn sell(&self, reference: &str, record: &Record) {
        let (path, body) = (format!("/api/v1/w/{}/sales", self.slug), json!({ "reference": reference }));
        let key = self.key();
        let Some(answer) = self.settle(&path, &key, &body, record).await else { return };
        Self::acknowledge("sale", reference, &answer, record);
        match self.below(20) {
            0..5 => self.repeat(&path, &key, &body, &answer, record).await,
            5 => self.misuse(&path, &key, record).await,
            _ => {}
        }
    }

    async fn found(&self, slug: &str, record: &Record) -> Option<()> {
        let (key, body) = (self.key(), json!({ "name": "A shop", "slug": slug }));
        let answer = self.settle("/api/v1/workspaces", &key, &body, record).await?;
        Self::acknowledge("workspace", slug, &answer, record);
        Some(())
    }

    /// The session lives on, whatever happens to the host.
    async fn look(&self, record: &Record) {
        if let Ok(answer) = self.person.ask(Method::GET, "/api/v1/me", None, None).await
            && !answer.is_success()
            && answer.status < 500
        {
            record.refuse(format!("the session is gone: {} {}", answer.status, answer.json()));
        }
    }

    fn key(&self) -> String {
        let bytes: [u8; 16] = self.entropy.bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn acknowledge(noun: &'static str, name: &str, answer: &Answer, record: &Record) {
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        let acknowledged = Acknowledged { noun, name: name.to_owned(), id };
        record.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledged);
    }

    /// Sends a request until it is answered.
    async fn settle(&self, path: &str, key: &str, body: &Value, record: &Record) -> Option<Answer> {
        let until = Instant::now() + PATIENCE;
        let mut sendings = 0;
        while Instant::now() < until {
            if sendings == 0 {
                Record::count(&record.requests);
            }
            sendings += 1;
            match self.person.ask(Method::POST, path, Some(key), Some(body)).await {
                Ok(answer) if answer.is_success() => {
                    if sendings > 1 {
                        Record::count(&record.retried);
                        if answer.is_replayed() {
                            Record::count(&record.had_effect);
                        }
                    } else if answer.is_replayed() {
                        record.refuse(format!("a fresh key is known already: {path}"));
                    }
                    return Some(answer);
                }
                // The host is down, or the transaction of the one before it has not been given up yet.
                Ok(answer) if answer.status >= 500 => {}
                Ok(answer) if answer.json()["error"]["code"] == "idempotency_in_flight" => {}
                Ok(answer) => {
                    record.refuse(format!("POST {path}: {} {}", answer.status, answer.json()));
                    return None;
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(2 + self.below(8))).await;
        }
        record.refuse(format!("POST {path} was never answered"));
        None
    }

    /// Sends an answered request again: the same answer must come back.
    async fn repeat(&self, path: &str, key: &str, body: &Value, first: &Answer, record: &Record) {
        let Some(again) = self.repeated(path, key, body).await else { return };
        Record::count(&record.repeated);
        if (again.status, &again.body) != (first.status, &first.body) {
            record.refuse(format!(
                "a repeated request was answered otherwise: {} {}",
                again.status,
                again.json()
            ));
        }
    }

    /// Sends another request with the same key: it must be refused.
    async fn misuse(&self, path: &str, key: &str, record: &Record) {
        let other = json!({ "reference": format!("{}-misused", self.name) });
        let Some(answer) = self.repeated(path, key, &other).await else { return };
        if answer.json()["error"]["code"] != "idempotency_mismatch" {
            record.refuse(format!("a key was good for two requests: {} {}", answer.status, answer.json()));
        }
    }

    /// One more answer, or none if the host does not live long enough.
    async fn repeated(&self, path: &str, key: &str, body: &Value) -> Option<Answer> {
        for _ in 0..20 {
            match self.person.ask(Method::POST, path, Some(key), Some(body)).await {
                Ok(answer) if answer.status < 500 => return Some(answer),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        None
    }
}
