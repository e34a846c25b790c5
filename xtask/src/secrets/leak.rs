//! Drives secrets through everything that goes well and everything that fails, and looks for them afterwards.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use kernel_core::telemetry::otlp::{self, Exporter, OtlpOptions};
use kernel_core::testkit::{Answer, Client, Listener, TestKernel};
use kernel_core::{Entropy, GlobalTx, Id, LocalKeys, Redaction, Tx, seal};
use kernel_jobs::{Runner, RunnerConfig};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::sync::oneshot;
use url::Url;

use super::canary::{Canaries, draw};
use super::log::Lines;
use super::private::{self, Reports};
use super::product::{self, ChannelNoun, Fault, PROVIDER};
use super::start;
use crate::outcome::Outcome;

const CHANNELS: &str = "/api/v1/w/acme/channels";

/// Everything about one run.
struct Drive {
    kernel: TestKernel,
    client: Client,
    canaries: Canaries,
    /// What is private: it lies in columns, and shows in answers to whose it is.
    private: Canaries,
    /// From where the requests come.
    address: String,
    requests: usize,
}

pub(super) async fn run(short: bool, fault: Option<Fault>) -> Result<Outcome> {
    let mut canaries = Canaries::default();
    let key = Entropy::system().bytes::<32>();
    canaries.add("the provider's key", &key);
    let keys = LocalKeys::new("leak", &STANDARD.encode(key))?;
    let mut config = product::config(keys);
    config.http.trusted_proxies = vec!["127.0.0.1/32".parse()?];
    if fault == Some(Fault::NoClasses) {
        config.telemetry.redaction = Redaction::deaf();
    }
    let reports = Arc::new(Reports::default());
    config.telemetry.reporter = Some(reports.clone());
    let collector = Listener::start().await?;
    let (spans, exporter) = otlp::exporter(OtlpOptions::new(&collector.url(), "vault")?, &config);
    let (text, json) = Lines::start(&config.telemetry.redaction, &spans)?;
    tracing::trace!("the log begins");
    let kernel = TestKernel::with(config.clone(), |app| product::register(app, fault)).await;
    let logins = kernel.database.logins().config();
    for url in
        [Some(logins.app.clone()), logins.worker.clone(), logins.operator.clone()].into_iter().flatten()
    {
        let password = Url::parse(&url)?.password().context("a login has a password")?.to_owned();
        canaries.add("a login's password", password.as_bytes());
    }
    let client = Client::new(&kernel.app);
    let address = private::address();
    let mut private = Canaries::default();
    private.add("an address", address.as_bytes());
    let mut drive = Drive { kernel, client, canaries, private, address, requests: 0 };
    drive.all(exporter).await?;
    for (place, shown) in Box::pin(start::shown(&drive.kernel, &config, &mut drive.canaries, short)).await? {
        drive.canaries.search(&place, &shown);
    }
    let (texts, jsons) = (text.take(), json.take());
    for line in ["the log begins", "job failed", "request failed", "sqlx::query"] {
        ensure!(texts.contains(line) && jsons.contains(line), "the log has not «{line}»");
    }
    let (seen, heard) = (format!("{:?}", collector.spans()), reports.take());
    ensure!(seen.contains("opening") && heard.contains("Failure"), "spans or reports are missing");
    for (place, shown) in
        [("the log as text", &texts), ("the log as JSON", &jsons), ("a span", &seen), ("a report", &heard)]
    {
        drive.canaries.search(place, shown);
        drive.private.search(place, shown);
    }
    let mut admin = drive.kernel.admin().await;
    let rows = search_tables(&mut admin, &mut drive.canaries).await?;
    private::search(&mut admin, &mut drive.private).await?;
    let controls =
        drive.controls(&text, &json).await? + private::controls(&mut admin, &drive.address).await?;
    let (canaries, texts) = (drive.canaries.len(), drive.canaries.texts + drive.private.texts);
    let private = drive.private.len();
    let kibibytes = (drive.canaries.bytes + drive.private.bytes) / 1024;
    let found = [drive.canaries.take(), drive.private.take()].concat();
    Ok(Outcome::new()
        .value("canaries", canaries)
        .value("private", private)
        .value("requests", drive.requests)
        .value("texts", texts)
        .value("kib", kibibytes)
        .value("rows", rows)
        .value("controls", format!("{controls}/{CONTROLS}"))
        .value("leaks", found.len())
        .require(controls == CONTROLS, "a secret that was put somewhere was not found there")
        .require(found.is_empty(), format!("secrets were found: {found:#?}")))
}

impl Drive {
    /// Everything that happens, while its spans are sent.
    async fn all(&mut self, exporter: Exporter) -> Result<()> {
        let (stop, stopped) = oneshot::channel::<()>();
        let driving = async {
            self.people().await?;
            self.channels().await?;
            self.bad_input().await;
            self.global().await?;
            let done = Runner::new(&self.kernel.app, RunnerConfig::default())?.drain().await?;
            ensure!(done.failed >= 6, "jobs were to fail, and {} have", done.failed);
            drop(stop);
            Ok(())
        };
        tokio::join!(driving, exporter.run(async { drop(stopped.await) })).0
    }

    /// A request whose answer must show none of the secrets, but for `handed_out`.
    async fn ask(&mut self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header("x-forwarded-for", &self.address);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.requests += 1;
        self.client.send(request, body.to_string().into()).await
    }

    async fn refused(&mut self, path: &str, body: &Value, statuses: &[u16]) -> Result<()> {
        let answer = self.ask(Method::POST, path, body, None).await;
        ensure!(statuses.contains(&answer.status), "{path} answered {}", answer.status);
        let shown = format!("{:?} {}", answer.headers, answer.text());
        self.canaries.search("a refusal", &shown);
        self.private.search("a refusal", &shown);
        Ok(())
    }

    /// Signs up, fails to log in, logs in, and founds a workspace.
    async fn people(&mut self) -> Result<()> {
        let (password, wrong, short) = (draw("password"), draw("wrong"), draw("")[..11].to_owned());
        self.canaries.add("a password", password.as_bytes());
        self.canaries.add("a wrong password", wrong.as_bytes());
        let (name, email) = (draw("Ada "), format!("{}@example.com", draw("ada")));
        self.private.add("a person's name", name.as_bytes());
        self.private.add("an e-mail address", email.as_bytes());
        let account = json!({ "name": name, "email": email, "password": password });
        for (path, status) in [("sign-up", 201), ("sign-up", 409), ("log-in", 200)] {
            let body = if path == "sign-up" {
                account.clone()
            } else {
                json!({ "email": email, "password": password })
            };
            let answer = self.ask(Method::POST, &format!("/api/v1/auth/{path}"), &body, None).await;
            ensure!(answer.status == status, "{path} answered {}: {}", answer.status, answer.text());
            self.session(&answer);
        }
        let wrong = json!({ "email": email, "password": wrong });
        self.refused("/api/v1/auth/log-in", &wrong, &[401]).await?;
        let short = json!({ "name": "Bob", "email": "bob@example.com", "password": short });
        self.refused("/api/v1/auth/sign-up", &short, &[422]).await?;
        let twisted =
            json!({ "name": "Bob", "email": account["password"], "password": { "is": account["password"] } });
        self.refused("/api/v1/auth/sign-up", &twisted, &[400, 422]).await?;
        let workspace = json!({ "name": "Acme", "slug": "acme" });
        let answer = self.ask(Method::POST, "/api/v1/workspaces", &workspace, Some("founding")).await;
        ensure!(answer.status == 201, "no workspace: {}", answer.text());
        self.canaries.search("an answer", &answer.text());
        Ok(())
    }

    /// The cookie and the token of a session are secrets from now on. Its answer alone may show them.
    fn session(&mut self, answer: &Answer) {
        let token = answer.json()["csrf_token"].as_str().map(str::to_owned);
        let cookie =
            self.client.cookie().and_then(|cookie| cookie.split_once('=')).map(|(_, value)| value.to_owned());
        if let Some(token) = &token {
            self.canaries.add("the token of a session's writes", token.as_bytes());
        }
        if let Some(cookie) = cookie.filter(|_| token.is_some()) {
            self.canaries.add("the cookie of a session", cookie.as_bytes());
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&cookie);
            self.canaries
                .add("the bytes of a session's cookie", &bytes.unwrap_or_else(|_| cookie.into_bytes()));
        }
    }

    /// Sealed columns, jobs, events and stored answers; and each way in which a handler ends.
    async fn channels(&mut self) -> Result<()> {
        for job_ends in ["well", "panic", "refusal", "statement"] {
            let token = draw("token");
            self.canaries.add("the token of a channel", token.as_bytes());
            let body = json!({ "name": self.name(), "token": token, "job_ends": job_ends });
            let answer = self.ask(Method::POST, CHANNELS, &body, Some(job_ends)).await;
            ensure!(answer.status == 201, "no channel: {}", answer.text());
            let once = answer.json()["secret"].as_str().context("a secret is shown once")?.to_owned();
            self.canaries.add("what is shown once", once.as_bytes());
            let again = self.ask(Method::POST, CHANNELS, &body, Some(job_ends)).await;
            ensure!(again.text() == answer.text(), "the answer is not repeated: {}", again.text());
            self.canaries.search_but("an answer", &format!("{:?} {}", again.headers, again.text()), &once);
        }
        for (ends, status) in [("panic", 500), ("refusal", 409), ("statement", 500)] {
            let token = draw("token");
            self.canaries.add("the token of a channel that was not opened", token.as_bytes());
            let body = json!({ "name": self.name(), "token": token, "ends": ends });
            self.refused(CHANNELS, &body, &[status]).await?;
        }
        Ok(())
    }

    /// The name of a channel, which is private.
    fn name(&mut self) -> String {
        let name = draw("")[..20].to_owned();
        self.private.add("the name of a channel", name.as_bytes());
        name
    }

    /// Requests that carry a secret where none belongs.
    async fn bad_input(&mut self) {
        let token = draw("token");
        self.canaries.add("a token in the wrong place", token.as_bytes());
        let bodies = [
            json!({ "name": { "in": token }, "token": token }),
            json!({ "name": "mail", "token": [token] }),
            json!({ "name": "mail", "token": token, "ends": token }),
            json!({ "name": token.repeat(3), "token": token }),
            json!(token),
        ];
        for body in bodies {
            let answer = self.ask(Method::POST, CHANNELS, &body, None).await;
            self.canaries.search("a refusal of bad input", &answer.text());
        }
        let paths =
            [format!("{CHANNELS}?token={token}"), format!("/api/v1/w/acme/{token}"), format!("/{token}")];
        for path in paths {
            let answer = self.ask(Method::POST, &path, &json!({}), None).await;
            self.canaries.search("a refusal of a bad path", &answer.text());
        }
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("idempotency-key", format!("{token} x")),
            ("x-csrf-token", token.clone()),
            ("cookie", format!("__Host-session={token}")),
        ];
        for (name, value) in headers {
            let request = Request::builder().method(Method::POST).uri(CHANNELS).header(name, value);
            self.requests += 1;
            let answer = Client::new(&self.kernel.app).send(request, Bytes::from(format!("{{{token}"))).await;
            self.canaries.search("a refusal of a bad header", &answer.text());
        }
    }

    /// A sealed column of the system's own.
    async fn global(&mut self) -> Result<()> {
        let token = draw("token");
        self.canaries.add("the token of the system", token.as_bytes());
        let ctx = self.kernel.app.system("secrets");
        let insert = async |tx: &mut GlobalTx| {
            let id: Id<ChannelNoun> = tx.ctx().new_id();
            let sealed = seal(tx, PROVIDER, id, token.as_bytes())?;
            sqlx::query("INSERT INTO vault.provider (id, token) VALUES ($1, $2)")
                .bind(id)
                .bind(sealed)
                .execute(tx.conn())
                .await?;
            Ok::<_, kernel_core::Error>(())
        };
        Ok(self.kernel.app.db().global(&ctx, insert).await?)
    }

    /// Puts a secret of its own wherever is looked, in another form each, and counts where it is found.
    async fn controls(&mut self, text: &Lines, json: &Lines) -> Result<usize> {
        let secret = draw("control");
        let mut own = Canaries::default();
        own.add("the control", secret.as_bytes());
        let forms = super::canary::forms(secret.as_bytes());
        let mut admin = self.kernel.admin().await;
        let mut found = 0;
        for (index, (_, form)) in forms.iter().enumerate() {
            tracing::trace!(form, "a control");
            let id = Entropy::system().uuid(chrono::DateTime::UNIX_EPOCH);
            let statement = "INSERT INTO vault.provider (id, token) VALUES ($1, convert_to($2, 'UTF8'))";
            // A bytea shows in hexadecimal digits: what is put there as it is, is found as those.
            let stored = if form == &secret { secret.as_str() } else { "" };
            sqlx::query(statement).bind(id).bind(stored).execute(&mut admin).await?;
            sqlx::query("UPDATE vault.channel SET name = $1").bind(form).execute(&mut admin).await?;
            for (place, shown) in [("text", text.take()), ("json", json.take())] {
                own.search(place, &shown);
            }
            search_tables(&mut admin, &mut own).await?;
            let places = own.take();
            let all = places.iter().any(|p| p.ends_with("text"))
                && places.iter().any(|p| p.ends_with("json"))
                && places.iter().any(|p| p.contains("vault.channel"));
            let stored = stored.is_empty() || places.iter().any(|place| place.contains("vault.provider"));
            found += usize::from(all && stored);
            admin.execute(AssertSqlSafe(format!("DELETE FROM vault.provider WHERE id = '{id}'"))).await?;
            ensure!(index < FORMS, "more forms than expected");
        }
        admin.execute("UPDATE vault.channel SET name = 'mail'").await?;
        Ok(found)
    }
}

/// The forms of a secret that is text, and the places of what is private.
const CONTROLS: usize = FORMS + private::CONTROLS;
const FORMS: usize = 13;

/// Every column of every row of every table, as the superuser sees them.
async fn search_tables(admin: &mut PgConnection, canaries: &mut Canaries) -> Result<usize> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', n.nspname, c.relname)
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
             AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'",
    )
    .fetch_all(&mut *admin)
    .await?;
    let mut count = 0;
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} AS t")))
                .fetch_all(&mut *admin)
                .await?;
        count += rows.len();
        canaries.search(&table, &rows.join("\n"));
    }
    Ok(count)
}
