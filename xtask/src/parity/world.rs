//! The apps that cases run against: the same pillars under different settings, and who lives there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kernel_core::http::{Cors, Counting, Environment, Quota, Quotas, Resolution, Timeouts};
use kernel_core::testkit::{Client, config};
use kernel_core::{App, AppBuilder, Config, Entropy};
use serde_json::json;

use super::pillar::{self, Runs};

/// How an app is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum World {
    /// Workspaces in the path, other origins allowed, quotas that nobody exhausts.
    Path,
    /// Workspaces in a header.
    Header,
    /// Workspaces in the host name.
    Subdomain,
    /// Behind a proxy, over an encrypted connection.
    Proxied,
    /// Impatient with slow clients.
    Impatient,
    /// Quotas that anybody exhausts.
    Tight,
    /// Its clients leave in the middle of a request: when that counts against a quota is up to the server.
    Deserted,
}

impl World {
    pub(super) const ALL: [Self; 7] = [
        Self::Path,
        Self::Header,
        Self::Subdomain,
        Self::Proxied,
        Self::Impatient,
        Self::Tight,
        Self::Deserted,
    ];

    /// The configuration; `base` holds the clock and the randomness that all worlds of a host share.
    pub(super) fn config(self, base: &Config) -> Config {
        let mut config = base.clone();
        let http = &mut config.http;
        "Parity".clone_into(&mut http.title);
        http.sign_in_page = Some("/form".to_owned());
        http.quotas = quotas(50_000);
        http.timeouts = Timeouts {
            head: Duration::from_secs(20),
            body: Duration::from_secs(20),
            drain: Duration::from_secs(5),
            notice: Some(Duration::ZERO),
        };
        match self {
            Self::Path => {
                http.cors = Cors { origins: vec!["https://front.example".to_owned()], credentials: true };
            }
            Self::Header => http.resolution = Resolution::Header,
            Self::Subdomain => {
                http.resolution = Resolution::Subdomain { base_domain: "app.example".to_owned() };
                http.public_origin = Some("https://app.example".to_owned());
            }
            Self::Proxied => {
                http.environment = Environment::Production;
                http.trusted_proxies =
                    ["127.0.0.0/8", "10.0.0.0/8"].iter().filter_map(|net| net.parse().ok()).collect();
                http.cors = Cors { origins: vec!["*".to_owned()], credentials: false };
            }
            Self::Impatient => {
                http.timeouts.head = Duration::from_millis(500);
                http.timeouts.body = Duration::from_millis(500);
            }
            Self::Tight => http.quotas = quotas(2),
            // Its counts are no other world's, though they share a database.
            Self::Deserted => http.quotas.counting = Counting::Process,
        }
        config
    }
}

fn quotas(requests: u32) -> Quotas {
    let mut quotas = Quotas::all(Quota::per_minute(requests));
    quotas.subjects = 1000;
    quotas
}

/// The clock, keys and randomness of one host: the same at the same step on every host.
pub(super) fn base() -> Config {
    let mut base = config();
    base.entropy = Entropy::seeded(0);
    base
}

pub(super) fn register(builder: AppBuilder, runs: &Runs) -> AppBuilder {
    let auth = kernel_auth::Auth::new(kernel_auth::Settings::default().cheap_hashes());
    builder.with(auth).with(kernel_tenancy::Tenancy).with(pillar::pillar(runs))
}

/// What is in every host's database: an owner with the workspace `acme`, an outsider with the workspace `other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seed {
    values: Vec<(&'static str, String)>,
}

impl Seed {
    pub(super) async fn plant(app: &App) -> Result<Self> {
        let mut values = Vec::new();
        for (person, slug, names) in [
            ("owner", "acme", ["«owner»", "«owner-csrf»", "«workspace»"]),
            ("outsider", "other", ["«outsider»", "«outsider-csrf»", "«foreign»"]),
        ] {
            let mut client = Client::new(app);
            let account = json!({
                "name": person, "email": format!("{person}@example.com"), "password": "a long enough password",
            });
            let session = client.post("/api/v1/auth/sign-up", &account).await;
            ensure!(session.status == 201, "signing up: {}", session.text());
            let workspace = client.post("/api/v1/workspaces", &json!({ "name": slug, "slug": slug })).await;
            ensure!(workspace.status == 201, "founding: {}", workspace.text());
            let (session, workspace) = (session.json(), workspace.json());
            let cookie = client.cookie().context("no cookie came")?.to_owned();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let facts = [cookie, text(&session["csrf_token"]), text(&workspace["id"])];
            values.extend(names.into_iter().zip(facts));
        }
        Ok(Self { values })
    }

    /// The text with every `«name»` replaced.
    pub(super) fn fill_text(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The bytes with every `«name»` replaced; bytes that are no text name nothing.
    pub(super) fn fill(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.fill_text(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        }
    }
}
