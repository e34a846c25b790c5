//! A product that keeps secrets of every kind: sealed columns of workspaces and of the system, sealed fields of jobs and
//! events, and an answer that shows one once.

use std::borrow::Cow;

use garde::Validate;
use kernel_auth::Auth;
use kernel_core::event::Delivered;
use kernel_core::http::{Body, Created, Idempotency, Quota, Route};
use kernel_core::job::JobNoun;
use kernel_core::{
    AppBuilder, AuditAction, AuditEntry, Config, DbError, Error, ErrorKind, Event, Id, Job, JobDef,
    KeyProvider, Migrations, Noun, Pillar, Sealed, SealedColumn, Subscriber, Table, TenantTx, Tx, audit,
    publish, seal,
};
use kernel_jobs::{Jobs, enqueue};
use kernel_tenancy::Tenancy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use uuid::Uuid;

use super::canary;

pub(super) const TOKEN: SealedColumn = SealedColumn::new("vault", "channel", "token");
pub(super) const BACKUP: SealedColumn = SealedColumn::new("vault", "channel", "backup");
pub(super) const MIRROR: SealedColumn = SealedColumn::new("vault", "mirror", "token");
pub(super) const PROVIDER: SealedColumn = SealedColumn::new("vault", "provider", "token");

const SCHEMA: &str = "
    CREATE TABLE vault.channel (
        workspace_id uuid NOT NULL,
        id           uuid NOT NULL,
        name         text NOT NULL,
        token        bytea NOT NULL,
        backup       bytea,
        CONSTRAINT channel_pkey PRIMARY KEY (workspace_id, id)
    );
    CREATE TABLE vault.mirror (
        workspace_id uuid NOT NULL,
        id           uuid NOT NULL,
        token        bytea,
        CONSTRAINT mirror_pkey PRIMARY KEY (workspace_id, id)
    );
    CREATE TABLE vault.provider (
        id           uuid NOT NULL,
        token        bytea,
        CONSTRAINT provider_pkey PRIMARY KEY (id)
    );
";

kernel_core::permissions! {
    /// Keep a secret.
    pub CHANNEL_CREATE = "vault.channel.create" for Member;
}

/// Names channels.
#[derive(Debug)]
pub(super) enum ChannelNoun {}

impl Noun for ChannelNoun {
    const PREFIX: &'static str = "chan";
}

pub(super) type ChannelId = Id<ChannelNoun>;

/// A mistake that a product's author could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A secret lies in a clear column too.
    ClearColumn,
    /// What is private goes into the text of a line.
    LoggedName,
    /// A secret goes into the log.
    LoggedSecret,
    /// Nobody learns which columns are private.
    NoClasses,
    /// Every value is sealed for the same row.
    NoContext,
    /// A refusal shows what was sent.
    ToldSecret,
}

/// How a request or job is to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    #[default]
    Well,
    Panic,
    Refusal,
    Statement,
}

/// What keeping a secret takes.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewChannel {
    #[garde(length(min = 1, max = 20))]
    name: String,
    #[garde(length(min = 1, max = 200))]
    token: String,
    #[serde(default)]
    #[garde(skip)]
    ends: End,
    #[serde(default)]
    #[garde(skip)]
    job_ends: End,
}

/// What is shown once.
#[derive(Serialize, JsonSchema)]
struct Issued {
    id: ChannelId,
    secret: String,
}

#[derive(Serialize, Deserialize)]
struct Opened {
    channel: Uuid,
    token: Sealed<String>,
}

impl Event for Opened {
    const NAME: &'static str = "vault.channel.opened";

    fn aggregate(&self) -> Uuid {
        self.channel
    }
}

#[derive(Serialize, Deserialize)]
struct Send {
    name: String,
    token: Sealed<String>,
    ends: End,
}

impl Job for Send {
    const KIND: &'static str = "vault.send";
}

/// The configuration: rate limits that nobody meets.
pub(super) fn config(keys: impl KeyProvider + 'static) -> Config {
    let mut config = kernel_core::testkit::config();
    config.keys = std::sync::Arc::new(keys);
    let wide = Quota::per_minute(60_000);
    let quotas = &mut config.http.quotas;
    (quotas.anonymous, quotas.address, quotas.auth) = (wide, wide, wide);
    (quotas.actor, quotas.workspace, quotas.heavy) = (wide, wide, wide);
    config
}

pub(super) fn register(app: AppBuilder, fault: Option<Fault>) -> AppBuilder {
    let auth = Auth::new(kernel_auth::Settings::default().cheap_hashes());
    app.with(Jobs::new()).with(auth).with(Tenancy).with(pillar(fault))
}

fn pillar(fault: Option<Fault>) -> Pillar {
    let sql = AssertSqlSafe(SCHEMA).into_sql_str();
    let migration = Migration::new(1, Cow::Borrowed("vault"), MigrationType::Simple, sql, false);
    let create =
        Route::tenant(http::Method::POST, "/channels", "vault.channel.create", CHANNEL_CREATE, fault, create);
    Pillar::new("vault")
        .migrations(Migrations::new("vault", Migrator::with_migrations(vec![migration])))
        .tables([
            Table::tenant("vault", "channel").public(&["id"]).private(&["name"]).sealed(&["token", "backup"]),
            Table::tenant("vault", "mirror").public(&["id"]).sealed(&["token"]),
            Table::global("vault", "provider").public(&["id"]).sealed(&["token"]),
        ])
        .permissions(ALL)
        .jobs([JobDef::new((), send).attempts(1)])
        .subscribers([Subscriber::new("vault.hear", (), hear)])
        .routes([create.idempotent(Idempotency::Accepted)])
}

async fn create(
    fault: Option<Fault>,
    tx: &mut TenantTx,
    Body(new): Body<NewChannel>,
) -> Result<Created<Issued>, Error> {
    let id = tx.ctx().new_id();
    let NewChannel { name, token, ends, job_ends } = new;
    if fault == Some(Fault::LoggedSecret) {
        tracing::trace!(what = token, "a channel is opened");
    }
    let name = if fault == Some(Fault::ClearColumn) { format!("{name} {token}") } else { name };
    // As careless authors do it.
    tracing::info_span!("opening", channel.name = name).in_scope(|| tracing::info!(name, token, "a channel"));
    if fault == Some(Fault::LoggedName) {
        tracing::info!("the channel {name} is opened");
    }
    let entry = AuditEntry::new(AuditAction::new("vault.channel.create")).target("channel", id);
    audit(tx, entry.detail("after", json!({ "name": name, "token": token }))).await?;
    insert(tx, id, &name, &token, fault).await?;
    match ends {
        End::Well => {}
        End::Panic => panic!("the handler gave up: {name:?}"),
        End::Refusal => {
            let refused = Error::new(ErrorKind::Conflict, "contended");
            return Err(if fault == Some(Fault::ToldSecret) {
                refused.field("token", token)
            } else {
                refused
            });
        }
        End::Statement => fail(tx.conn(), &token).await?,
    }
    let opened = Opened { channel: id.uuid(), token: Sealed::new(tx, Opened::NAME, &token)? };
    publish(tx, &opened).await?;
    let send = Send { name, token: Sealed::new(tx, Send::KIND, &token)?, ends: job_ends };
    enqueue(tx, &send).await?;
    Ok(Created(Issued { id, secret: format!("once{}", canary::hex(&tx.ctx().entropy().bytes::<16>())) }))
}

/// What a product's statement does that PostgreSQL answers with the value that it was given.
async fn fail(conn: &mut PgConnection, token: &str) -> Result<(), Error> {
    sqlx::query("SELECT $1::text::integer").bind(token).execute(conn).await.map_err(DbError::from)?;
    Ok(())
}

/// For which row the product seals the values of this one.
pub(super) fn row_of(id: ChannelId, fault: Option<Fault>) -> ChannelId {
    if fault == Some(Fault::NoContext) { Id::from_uuid(Uuid::nil()) } else { id }
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: ChannelId,
    name: &str,
    token: &str,
    fault: Option<Fault>,
) -> Result<(), Error> {
    let sealed = seal(tx, TOKEN, row_of(id, fault), token.as_bytes())?;
    let backup = seal(tx, BACKUP, row_of(id, fault), token.as_bytes())?;
    let workspace = tx.workspace_id();
    sqlx::query(
        "INSERT INTO vault.channel (workspace_id, id, name, token, backup) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(workspace)
    .bind(id)
    .bind(name)
    .bind(sealed)
    .bind(backup)
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    Ok(())
}

async fn send((): (), tx: &mut TenantTx, job: Send) -> Result<(), Error> {
    let token = job.token.open(tx, Send::KIND)?;
    match job.ends {
        End::Well => Ok(()),
        End::Panic => panic!("the job gave up"),
        End::Refusal => Err(Error::internal(format!("{}@example.com refused", job.name))),
        End::Statement => fail(tx.conn(), &token).await,
    }
}

async fn hear((): (), tx: &mut TenantTx, event: Delivered<Opened>) -> Result<(), Error> {
    event.event.token.open(tx, Opened::NAME)?;
    // An id of its own, so that the subscriber has done something.
    let _: Id<JobNoun> = tx.ctx().new_id();
    Err(Error::internal("the subscriber gave up"))
}
