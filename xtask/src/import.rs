//! `cargo xtask prove import`: a large file of issues goes through a real server in little memory, as a whole or not at
//! all, whatever is in it, and who sends slowly keeps nobody from the database.

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::{Client, RawClient, TestKernel};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::founder;
use crate::outcome::{Outcome, Stopwatch};
use crate::prove::Options;

mod server;

use server::{Kind, Server};

/// The faults that the proof can plant.
pub const FAULTS: &[&str] = &["connection", "whole"];

/// How much more memory a process may have at its fullest than when idle. The file alone is larger.
const MEMORY_MAX_KB: u64 = 10 * 1024;
/// How many bytes the client sends at once.
const CHUNK: usize = 64 * 1024;
/// More than the server has connections to the database.
const SLOW: usize = 12;

/// Sends files to both servers.
///
/// # Errors
///
/// When there is no PostgreSQL, or the system does not tell how much memory a process has.
pub async fn run(options: Options) -> Result<Outcome> {
    // Held so that the server that the test kit finds is the one that the command line asks for.
    let _server = options.postgres().await?;
    let short = Size { rows: 4_000, bytes: 12 << 20 };
    let size = if options.short { short } else { Size { rows: tracker::import::ROWS_MAX, bytes: 31 << 20 } };
    let kinds: &[Kind] = if options.fault.is_some() { &[Kind::Axum] } else { &[Kind::Axum, Kind::Actix] };
    let mut outcome = Outcome::new().value("rows", size.rows).value("file_mb", size.bytes >> 20);
    for kind in kinds {
        let mut clock = Stopwatch::start();
        let mut trial = Trial::start(*kind, options.fault).await?;
        outcome = trial.run(size, outcome).await?;
        clock.done(kind.name());
    }
    Ok(outcome)
}

struct Trial {
    kind: Kind,
    _kernel: TestKernel,
    server: Server,
    admin: PgConnection,
    /// What a request says of its sender.
    credentials: String,
    project: String,
}

impl Trial {
    async fn start(kind: Kind, fault: Option<&str>) -> Result<Self> {
        let (tracker, config) = founder::product();
        let kernel = TestKernel::with(config, |builder| tracker.register(builder)).await;
        let mut client = Client::new(&kernel.app);
        let account =
            json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
        let signed_up = client.post("/api/v1/auth/sign-up", &account).await;
        let token = text(&signed_up.json(), "csrf_token")?;
        client.post("/api/v1/workspaces", &json!({ "name": "Acme", "slug": "acme" })).await;
        let project = client.post("/api/v1/w/acme/projects", &json!({ "name": "App", "key": "APP" })).await;
        let project = text(&project.json(), "id")?;
        let cookie = client.cookie().context("nobody has signed up")?;
        let credentials = format!("cookie: {cookie}\r\nx-csrf-token: {token}\r\n");
        let (server, admin) = (Server::start(kind, &kernel.app, fault)?, kernel.admin().await);
        Ok(Self { kind, _kernel: kernel, server, admin, credentials, project })
    }

    async fn run(&mut self, size: Size, outcome: Outcome) -> Result<Outcome> {
        let (status, answer) = self.upload(small(1_000)).await?;
        ensure!(status == 201, "a small file was refused: {answer}");
        let before = self.issues().await?;

        let idle = memory("VmRSS:")?;
        forget_peak()?;
        let unclosed = std::iter::once("title\n\"".to_owned()).chain(size.filler());
        let huge = std::iter::once("title\n".to_owned()).chain(size.filler());
        let (wrong, late) = (self.upload(size.file(true)).await?, self.issues().await?);
        let hostile = [wrong.0, self.upload(unclosed).await?.0, self.upload(huge).await?.0];
        let refused = hostile.iter().filter(|status| **status == 422).count();
        let slow = self.slow().await?;
        let half = self.issues().await?.max(late) - before;
        let (done, answer) = self.upload(size.file(false)).await?;
        let imported = self.issues().await? - before;
        let peak = memory("VmHWM:")?.saturating_sub(idle);

        let named = |what: &str| format!("{}: {what}", self.kind.name());
        let [key_peak, key_slow] = self.kind.keys();
        Ok(outcome
            .value(key_peak, peak)
            .value(key_slow, format!("{}/{SLOW}", slow.served))
            .require(peak <= MEMORY_MAX_KB, named(&format!("{peak} KB more than idle at the fullest")))
            .require(refused == hostile.len(), named(&format!("hostile files were answered {hostile:?}")))
            .require(half == 0, named(&format!("{half} issues of files that were refused or cut off")))
            .require(slow.served == SLOW, named("others waited for those who send slowly"))
            .require(slow.held == 0, named(&format!("{} transactions wait for bodies", slow.held)))
            .require(
                done == 201 && imported == size.rows as u64,
                named(&format!("{imported} imported: {answer}")),
            ))
    }

    /// Lets many send half a file and wait, and looks at who else is served meanwhile. Then all of them hang up.
    async fn slow(&mut self) -> Result<Slow> {
        let mut waiting = Vec::new();
        for _ in 0..SLOW {
            let mut client = RawClient::connect(self.server.address).await?;
            client.send(self.head("POST", &self.import())).await?;
            send(&mut client, "title\nHalf a fi").await?;
            waiting.push(client);
        }
        let mut served = 0;
        for _ in 0..SLOW {
            let mut client = RawClient::connect(self.server.address).await?;
            client.send(self.head("GET", "/api/v1/w/acme/projects")).await?;
            client.send("0\r\n\r\n").await?;
            served += usize::from(client.answer(false).await.is_ok_and(|answer| answer.status == 200));
        }
        let held = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let held: i64 = sqlx::query_scalar(held).fetch_one(&mut self.admin).await?;
        Ok(Slow { served, held })
    }

    fn import(&self) -> String {
        format!("/api/v1/w/acme/projects/{}/issues/import", self.project)
    }

    fn head(&self, method: &str, path: &str) -> String {
        let credentials = &self.credentials;
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{credentials}content-type: text/csv\r\n\
             transfer-encoding: chunked\r\n\r\n"
        )
    }

    /// Sends a file, which nobody holds as a whole, and hears the status and the body of the answer.
    async fn upload(&self, lines: impl Iterator<Item = String>) -> Result<(u16, Value)> {
        let mut client = RawClient::connect(self.server.address).await?;
        client.send(self.head("POST", &self.import())).await?;
        let mut chunk = String::with_capacity(2 * CHUNK);
        for line in lines {
            chunk.push_str(&line);
            if chunk.len() >= CHUNK {
                send(&mut client, &chunk).await?;
                chunk.clear();
            }
        }
        send(&mut client, &chunk).await?;
        client.send("0\r\n\r\n").await?;
        let answer = client.answer(false).await.context("no answer to a file")?;
        Ok((answer.status, answer.json()))
    }

    async fn issues(&mut self) -> Result<u64> {
        let count = "SELECT count(*) FROM tracker.issue AS i JOIN tracker.project AS p ON p.id = i.project_id
                     WHERE p.key = 'APP'";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut self.admin).await?;
        Ok(count.try_into()?)
    }
}

/// What happened while others sent slowly.
struct Slow {
    served: usize,
    held: i64,
}

async fn send(client: &mut RawClient, piece: &str) -> Result<()> {
    if !piece.is_empty() {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await?;
    }
    Ok(())
}

fn small(rows: usize) -> impl Iterator<Item = String> {
    std::iter::once("title\n".to_owned()).chain((0..rows).map(|row| format!("Issue {row}\n")))
}

/// How large a file is, in rows and about so many bytes.
#[derive(Debug, Clone, Copy)]
struct Size {
    rows: usize,
    bytes: usize,
}

impl Size {
    /// A file of issues; with a last row that is none.
    fn file(self, wrong: bool) -> impl Iterator<Item = String> {
        let body = "word ".repeat((self.bytes / self.rows).saturating_sub(20) / 5);
        let good = (0..self.rows - usize::from(wrong)).map(move |row| format!("Issue {row},low,{body}\n"));
        let last = wrong.then(|| "Issue,no such priority,\n".to_owned());
        std::iter::once("title,priority,body\n".to_owned()).chain(good).chain(last)
    }

    /// A field that fills a file.
    fn filler(self) -> impl Iterator<Item = String> {
        let piece = "a field that does not end ".repeat(CHUNK / 26);
        let count = self.bytes / piece.len();
        std::iter::repeat_n(piece, count)
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no {field} in {value}"))
}

/// A figure of this process, in kilobytes.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("the system tells no memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    figure.with_context(|| format!("the system tells no {name}"))
}

/// Lets the greatest memory so far be that of now.
fn forget_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("the system does not forget peaks")
}
