//! Moves ciphertexts to where they do not belong, changes them, and tries to open them there.

use anyhow::{Context, Result, ensure};
use http::{Method, Request};
use kernel_core::secret::{ExposeSecret, SealError};
use kernel_core::testkit::{Client, TestKernel};
use kernel_core::{
    Error, GlobalTx, LocalKeys, OperatorTx, Reason, Sealed, SealedColumn, TenantTx, Workspace, open, seal,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::product::{self, BACKUP, ChannelId, Fault, MIRROR, PROVIDER, TOKEN, row_of};
use crate::outcome::Outcome;

#[derive(Default)]
struct Tally {
    tried: usize,
    opened: Vec<String>,
    /// What opened where it belongs, and did not.
    right: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn refuse(&mut self, what: &str, opened: bool) {
        self.tried += 1;
        if opened {
            self.opened.push(what.to_owned());
        }
    }

    fn allow(&mut self, what: &str, opened: bool) {
        if opened { self.right += 1 } else { self.wrong.push(what.to_owned()) }
    }
}

/// Two workspaces with two rows each, of the same ids in both.
struct Trial {
    kernel: TestKernel,
    admin: PgConnection,
    fault: Option<Fault>,
    workspaces: [Workspace; 2],
    ids: [ChannelId; 2],
    tally: Tally,
}

pub(super) async fn run(fault: Option<Fault>) -> Result<Outcome> {
    let keys = LocalKeys::new("transplant", "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=")?;
    let kernel = TestKernel::with(product::config(keys), |app| product::register(app, fault)).await;
    let ctx = kernel.app.system("secrets");
    let (workspaces, ids) =
        ([kernel.found_workspace().await, kernel.found_workspace().await], [ctx.new_id(), ctx.new_id()]);
    for workspace in &workspaces {
        for id in ids {
            let token = format!("{:?} {id}", workspace.id());
            let insert = async |tx: &mut TenantTx| product::insert(tx, id, "row", &token, fault).await;
            kernel.app.db().tenant(&ctx, workspace, insert).await?;
        }
    }
    let admin = kernel.admin().await;
    let mut trial = Trial { kernel, admin, fault, workspaces, ids, tally: Tally::default() };
    trial.rows().await?;
    trial.columns().await?;
    trial.bytes().await?;
    trial.payloads().await?;
    trial.answers().await?;
    let Tally { tried, opened, right, wrong } = trial.tally;
    Ok(Outcome::new()
        .value("moved", tried)
        .value("opened", opened.len())
        .value("in_place", right)
        .require(opened.is_empty(), format!("opened where it does not belong: {opened:#?}"))
        .require(wrong.is_empty(), format!("does not open where it belongs: {wrong:#?}"))
        .require(tried > 400 && right >= 7, "too little was tried"))
}

impl Trial {
    /// Puts what one row holds into another, as somebody with the whole database could, and asks the product.
    async fn rows(&mut self) -> Result<()> {
        for (from_workspace, from_id) in [(0, 0), (0, 1), (1, 0)] {
            for (to_workspace, to_id) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let before = self.raw("token", to_workspace, to_id).await?;
                let moved = self.raw("token", from_workspace, from_id).await?;
                self.put("token", to_workspace, to_id, &moved).await?;
                let stored = self.raw("token", to_workspace, to_id).await?;
                let opened = self.opens(TOKEN, to_workspace, to_id, &stored).await?;
                let what = format!("row {from_workspace}/{from_id} in row {to_workspace}/{to_id}");
                if (from_workspace, from_id) == (to_workspace, to_id) {
                    self.tally.allow(&what, opened);
                } else {
                    self.tally.refuse(&what, opened);
                }
                self.put("token", to_workspace, to_id, &before).await?;
            }
        }
        Ok(())
    }

    /// Another column of the same row, another table's same column, the system's table, and a staff transaction.
    async fn columns(&mut self) -> Result<()> {
        let token = self.raw("token", 0, 0).await?;
        let backup = self.raw("backup", 0, 0).await?;
        let opens = [
            ("a column in its own", BACKUP, &backup, true),
            ("a column in another", BACKUP, &token, false),
            ("a column in the other one", TOKEN, &backup, false),
            ("a column in another table", MIRROR, &token, false),
        ];
        for (what, column, bytes, allowed) in opens {
            let opened = self.opens(column, 0, 0, bytes).await?;
            if allowed { self.tally.allow(what, opened) } else { self.tally.refuse(what, opened) }
        }
        let (ctx, id) = (self.kernel.app.system("secrets"), row_of(self.ids[0], self.fault));
        let db = self.kernel.app.db();
        let global = db.global(&ctx, async |tx: &mut GlobalTx| {
            let sealed = seal(tx, PROVIDER, id, b"the system's")?;
            let own = open(tx, PROVIDER, id, &sealed).is_ok();
            let foreign = open(tx, PROVIDER, id, &token).is_ok() || open(tx, TOKEN, id, &token).is_ok();
            Ok::<_, Error>((own, foreign, sealed))
        });
        let (own, foreign, sealed) = global.await?;
        self.tally.allow("the system's value in its place", own);
        self.tally.refuse("a workspace's value in the system's place", foreign);
        let opened = self.opens(TOKEN, 0, 0, &sealed).await?;
        self.tally.refuse("the system's value in a workspace", opened);
        let reason = Reason::new("trying to open what is not staff's")?;
        let staff = db.operator(&ctx, &reason, async |tx: &mut OperatorTx| {
            Ok::<_, Error>(open(tx, TOKEN, id, &token).is_ok())
        });
        self.tally.refuse("a workspace's value in a staff transaction outside it", staff.await?);
        let undeclared = SealedColumn::new("vault", "channel", "name");
        let refused = db.tenant(&ctx, &self.workspaces[0], async |tx: &mut TenantTx| {
            Ok::<_, Error>(seal(tx, undeclared, id, b"x").err() == Some(SealError::Undeclared(undeclared)))
        });
        self.tally.refuse("a column that nobody declares", !refused.await?);
        Ok(())
    }

    /// Every bit turned, every tail cut, something added, another key's number.
    async fn bytes(&mut self) -> Result<()> {
        let ctx = self.kernel.app.system("secrets");
        let second = self.kernel.app.rotate_data_key(&ctx).await?;
        let whole = self.raw("token", 0, 0).await?;
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = self.opens(TOKEN, 0, 0, &changed).await?;
            self.tally.refuse(&format!("a value with its bit {bit} turned"), opened);
        }
        for length in 0..whole.len() {
            let opened = self.opens(TOKEN, 0, 0, &whole[..length]).await?;
            self.tally.refuse(&format!("the first {length} bytes of a value"), opened);
        }
        let longer = [whole.as_slice(), &[0]].concat();
        let opened = self.opens(TOKEN, 0, 0, &longer).await?;
        self.tally.refuse("a value with a byte more", opened);
        for number in [second, 0, -1, i32::MAX] {
            let mut changed = whole.clone();
            changed[1..5].copy_from_slice(&number.to_be_bytes());
            let opened = self.opens(TOKEN, 0, 0, &changed).await?;
            self.tally.refuse(&format!("a value under the key number {number}"), opened);
        }
        Ok(())
    }

    /// A sealed field of a job for another kind, and in another workspace.
    async fn payloads(&mut self) -> Result<()> {
        let ctx = self.kernel.app.system("secrets");
        let db = self.kernel.app.db();
        let sealed = db
            .tenant(&ctx, &self.workspaces[0], async |tx: &mut TenantTx| {
                let sealed = Sealed::new(tx, "vault.send", &"secret".to_owned())?;
                let own = sealed.open(tx, "vault.send").is_ok();
                let other = sealed.open(tx, "vault.other").is_ok();
                Ok::<_, Error>((sealed, own, other))
            })
            .await?;
        let (sealed, own, other) = sealed;
        self.tally.allow("a job's field in its job", own);
        self.tally.refuse("a job's field in a job of another kind", other);
        let elsewhere = db.tenant(&ctx, &self.workspaces[1], async |tx: &mut TenantTx| {
            Ok::<_, Error>(sealed.open(tx, "vault.send").is_ok())
        });
        self.tally.refuse("a job's field in another workspace", elsewhere.await?);
        Ok(())
    }

    /// Stored answers, given to other requests.
    async fn answers(&mut self) -> Result<()> {
        let mut client = Client::new(&self.kernel.app);
        let account =
            json!({ "name": "Ada", "email": "ada@example.com", "password": "correct horse battery" });
        ensure!(client.post("/api/v1/auth/sign-up", &account).await.status == 201, "no account");
        let workspace = json!({ "name": "Acme", "slug": "acme" });
        let mut ask = async |key: &str, path: &str, body: &Value| {
            let request = Request::builder().method(Method::POST).uri(path).header("idempotency-key", key);
            let request = request.header(http::header::CONTENT_TYPE, "application/json");
            client.send(request, body.to_string().into()).await
        };
        ensure!(ask("w", "/api/v1/workspaces", &workspace).await.status == 201, "no workspace");
        let channels = "/api/v1/w/acme/channels";
        let body = |name: &str| json!({ "name": name, "token": "a token of a channel" });
        let mut secrets = Vec::new();
        for key in ["a", "b"] {
            let answer = ask(key, channels, &body(key)).await;
            secrets.push(answer.json()["secret"].as_str().context("a secret is shown")?.to_owned());
        }
        let own = ask("a", channels, &body("a")).await.text().contains(&secrets[0]);
        self.tally.allow("a stored answer for its request", own);
        let pairs = "FROM kernel_core.idempotency_key AS x, kernel_core.idempotency_key AS y
             WHERE x.workspace_id = y.workspace_id AND x.id < y.id";
        // Whole rows change their places: first the texts, then, with these back, what says whose answer it is.
        let swaps = [
            ("answer", "the text of one answer in the row of another"),
            ("scope_hash", "an answer under another request's key"),
        ];
        for (column, what) in swaps {
            let swap = format!(
                "WITH pair AS (SELECT x.id AS one, y.id AS two, x.{column} AS first, y.{column} AS second,
                                      x.fingerprint AS first_print, y.fingerprint AS second_print {pairs} LIMIT 1)
                 UPDATE kernel_core.idempotency_key AS k
                 SET {column} = CASE WHEN k.id = one THEN second ELSE first END,
                     fingerprint = CASE WHEN '{column}' = 'answer' THEN k.fingerprint
                                        WHEN k.id = one THEN second_print ELSE first_print END
                 FROM pair WHERE k.id IN (one, two)"
            );
            let unique =
                "ALTER TABLE kernel_core.idempotency_key DROP CONSTRAINT IF EXISTS idempotency_key_scope";
            self.admin.execute(unique).await?;
            let swapped = self.admin.execute(AssertSqlSafe(swap.clone())).await?.rows_affected();
            ensure!(swapped == 2, "{swapped} answers changed places");
            for (index, key) in ["a", "b"].iter().enumerate() {
                let answer = ask(key, channels, &body(key)).await;
                self.tally.refuse(what, answer.status < 400 || answer.text().contains(&secrets[1 - index]));
            }
            self.admin.execute(AssertSqlSafe(swap)).await?;
        }
        Ok(())
    }

    async fn raw(&mut self, column: &str, workspace: usize, id: usize) -> Result<Vec<u8>> {
        let statement = format!("SELECT {column} FROM vault.channel WHERE workspace_id = $1 AND id = $2");
        let found = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(self.workspaces[workspace].id())
            .bind(self.ids[id])
            .fetch_one(&mut self.admin);
        Ok(found.await?)
    }

    async fn put(&mut self, column: &str, workspace: usize, id: usize, bytes: &[u8]) -> Result<()> {
        let statement = format!("UPDATE vault.channel SET {column} = $3 WHERE workspace_id = $1 AND id = $2");
        sqlx::query(AssertSqlSafe(statement))
            .bind(self.workspaces[workspace].id())
            .bind(self.ids[id])
            .bind(bytes)
            .execute(&mut self.admin)
            .await?;
        Ok(())
    }

    /// Whether the product opens these bytes in that place, and finds a text in them.
    async fn opens(&self, column: SealedColumn, workspace: usize, id: usize, bytes: &[u8]) -> Result<bool> {
        let (ctx, id) = (self.kernel.app.system("secrets").reading(), row_of(self.ids[id], self.fault));
        let opened =
            self.kernel.app.db().tenant(&ctx, &self.workspaces[workspace], async |tx: &mut TenantTx| {
                Ok::<_, Error>(
                    open(tx, column, id, bytes).is_ok_and(|plain| !plain.expose_secret().is_empty()),
                )
            });
        Ok(opened.await?)
    }
}
