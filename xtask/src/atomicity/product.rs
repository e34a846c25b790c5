//! A product whose one route writes everything that a route can write: a row, an audit row, an event, a job and the
//! stored answer.

use std::borrow::Cow;

use garde::Validate;
use kernel_auth::Auth;
use kernel_core::http::{Access, Body, Call, Created, Idempotency, Quota, Route};
use kernel_core::{
    App, AppBuilder, AuditAction, AuditEntry, Config, Ctx, Db, DbError, Error, Event, Id, Job, JobDef,
    LocalKeys, Migrations, Noun, Pillar, RoleNames, Table, TenantTx, Tx, audit, publish,
};
use kernel_jobs::{Jobs, enqueue};
use kernel_tenancy::Tenancy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use uuid::Uuid;

use super::fault::Fault;

/// Nothing in it is unique but the key: what happens twice must show.
const SCHEMA: &str = r"
    CREATE TABLE shop.sale (
        workspace_id uuid        NOT NULL,
        id           uuid        NOT NULL,
        reference    text        NOT NULL,
        created_at   timestamptz NOT NULL,
        CONSTRAINT sale_pkey PRIMARY KEY (workspace_id, id)
    );
";

kernel_core::permissions! {
    /// Sell something.
    pub SALE_CREATE = "shop.sale.create" for Member;
}

/// Names sales.
#[derive(Debug)]
pub(super) enum SaleNoun {}

impl Noun for SaleNoun {
    const PREFIX: &'static str = "sale";
}

/// What selling takes.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct NewSale {
    #[garde(length(min = 1, max = 100))]
    reference: String,
}

/// A sale, as the seller sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Sale {
    pub(super) id: Id<SaleNoun>,
    pub(super) reference: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sold {
    sale: Uuid,
}

impl Event for Sold {
    const NAME: &'static str = "shop.sale.created";

    fn aggregate(&self) -> Uuid {
        self.sale
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Ship {
    sale: Uuid,
}

impl Job for Ship {
    const KIND: &'static str = "shop.ship";
}

/// What the handlers work with. Sound ones need nothing; the faults open transactions of their own.
#[derive(Debug, Clone)]
struct Shop {
    db: Db,
    fault: Option<Fault>,
}

/// The app on a database.
pub(super) fn app(db: &Db, fault: Option<Fault>) -> AppBuilder {
    App::builder(db.clone(), config())
        .with(Jobs::new())
        .with(Auth::default())
        .with(Tenancy)
        .with(pillar(Shop { db: db.clone(), fault }))
}

pub(super) fn roles() -> RoleNames {
    RoleNames::prefixed("kernel_atomicity")
}

/// Rate limits as wide as they go: the clients of this proof come from one address and do nothing but ask.
fn config() -> Config {
    let key = LocalKeys::new("atomicity", "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=");
    let mut config = Config::new(key.expect("the text is 32 bytes in base64"));
    let wide = Quota::per_minute(60_000);
    let quotas = &mut config.http.quotas;
    (quotas.anonymous, quotas.address, quotas.auth) = (wide, wide, wide);
    (quotas.actor, quotas.workspace, quotas.heavy) = (wide, wide, wide);
    config
}

fn pillar(shop: Shop) -> Pillar {
    let sql = AssertSqlSafe(SCHEMA).into_sql_str();
    let migration = Migration::new(1, Cow::Borrowed("shop"), MigrationType::Simple, sql, false);
    Pillar::new("shop")
        .migrations(Migrations::new("shop", Migrator::with_migrations(vec![migration])))
        .tables([Table::tenant("shop", "sale").public(&["id", "created_at"]).private(&["reference"])])
        .permissions(ALL)
        .jobs([JobDef::new((), ship)])
        .routes([route(shop)])
}

fn route(shop: Shop) -> Route {
    let (method, path, operation) = (http::Method::POST, "/sales", "shop.sale.create");
    match shop.fault {
        Some(Fault::AnswerBeforeCommit) => {
            Route::free(method, path, operation, Access::Member(SALE_CREATE), shop, promise)
        }
        Some(Fault::NoIdempotency) => {
            Route::tenant(method, path, operation, SALE_CREATE, shop, create).idempotent(Idempotency::Off)
        }
        Some(Fault::TwoTransactions) | None => {
            Route::tenant(method, path, operation, SALE_CREATE, shop, create)
                .idempotent(Idempotency::Required)
        }
    }
}

async fn create(shop: Shop, tx: &mut TenantTx, Body(new): Body<NewSale>) -> Result<Created<Sale>, Error> {
    let sale = Sale { id: tx.ctx().new_id(), reference: new.reference };
    if shop.fault == Some(Fault::TwoTransactions) {
        let ctx = tx.ctx().clone();
        let first = async |other: &mut TenantTx| insert(other, &sale).await;
        shop.db.tenant(&ctx, ctx.workspace()?, first).await?;
    } else {
        insert(tx, &sale).await?;
    }
    announce(tx, &sale).await?;
    Ok(Created(sale))
}

/// The fault of answering before it is certain.
#[expect(clippy::disallowed_methods, reason = "the fault is to let go of the work")]
async fn promise(shop: Shop, call: Call, Body(new): Body<NewSale>) -> Result<Created<Sale>, Error> {
    let sale = Sale { id: call.ctx.new_id(), reference: new.reference };
    let kept = Sale { id: sale.id, reference: sale.reference.clone() };
    tokio::spawn(write_later(shop.db, call.ctx, kept));
    Ok(Created(sale))
}

async fn write_later(db: Db, ctx: Ctx, sale: Sale) -> Result<(), Error> {
    let write = async |tx: &mut TenantTx| {
        insert(tx, &sale).await?;
        announce(tx, &sale).await
    };
    db.tenant(&ctx, ctx.workspace()?, write).await
}

async fn insert(tx: &mut TenantTx, sale: &Sale) -> Result<(), Error> {
    sqlx::query("INSERT INTO shop.sale (workspace_id, id, reference, created_at) VALUES ($1, $2, $3, $4)")
        .bind(tx.workspace_id())
        .bind(sale.id)
        .bind(&sale.reference)
        .bind(tx.ctx().now())
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn announce(tx: &mut TenantTx, sale: &Sale) -> Result<(), Error> {
    let id = sale.id.uuid();
    audit(tx, AuditEntry::new(AuditAction::new("shop.sale.create")).target("sale", sale.id)).await?;
    publish(tx, &Sold { sale: id }).await?;
    enqueue(tx, &Ship { sale: id }).await?;
    Ok(())
}

async fn ship((): (), _: &mut TenantTx, _: Ship) -> Result<(), Error> {
    Ok(())
}

/// Which of the five a transaction has written, for whom and about what, where that is not each of them once.
///
/// A row knows the transaction that wrote it, so nothing that the product says about itself is believed here. Nobody runs
/// the jobs or relays the events: the rows are as they were written.
pub(super) async fn torn(admin: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH written AS (
             SELECT 'sale' AS what, xmin::text AS tx, workspace_id, id AS subject FROM shop.sale
             UNION ALL
             SELECT 'audit', xmin::text, workspace_id, target_id
             FROM kernel_core.audit_unsealed WHERE action = 'shop.sale.create'
             UNION ALL
             SELECT 'event', xmin::text, workspace_id, aggregate_id
             FROM kernel_core.outbox WHERE name = 'shop.sale.created'
             UNION ALL
             SELECT 'job', xmin::text, workspace_id, (payload ->> 'sale')::uuid
             FROM kernel_jobs.job WHERE kind = 'shop.ship'
             UNION ALL
             SELECT 'answer', xmin::text, workspace_id, NULL
             FROM kernel_core.idempotency_key WHERE workspace_id <> '00000000-0000-0000-0000-000000000000'
         )
         SELECT format('transaction %s wrote %s about %s', tx, string_agg(what, '+' ORDER BY what), min(subject::text))
         FROM written
         GROUP BY tx
         HAVING string_agg(what, '+' ORDER BY what) <> 'answer+audit+event+job+sale'
             OR count(DISTINCT subject) <> 1
             OR count(DISTINCT workspace_id) <> 1",
    )
    .fetch_all(admin)
    .await
}

/// Workspaces of which not every part is there once, and stored answers without a workspace.
pub(super) async fn torn_workspaces(admin: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH written AS (
             SELECT 'tenant' AS what, workspace_id AS id FROM kernel_core.tenant
             UNION ALL SELECT 'workspace', workspace_id FROM kernel_tenancy.workspace
             UNION ALL SELECT 'member', workspace_id FROM kernel_tenancy.membership
             UNION ALL SELECT 'audit', target_id FROM kernel_core.audit_unsealed WHERE action = 'tenancy.workspace.create'
             UNION ALL SELECT 'event', workspace_id FROM kernel_core.outbox WHERE name = 'tenancy.workspace.created'
         )
         SELECT format('the workspace %s has %s', id, string_agg(what, '+' ORDER BY what))
         FROM written
         GROUP BY id
         HAVING string_agg(what, '+' ORDER BY what) <> 'audit+event+member+tenant+workspace'
         UNION ALL
         SELECT format('%s workspaces and %s answers that made one', tenants, answers)
         FROM (SELECT (SELECT count(*) FROM kernel_core.tenant) AS tenants,
                      (SELECT count(*) FROM kernel_core.idempotency_key
                       WHERE workspace_id = '00000000-0000-0000-0000-000000000000') AS answers) AS counted
         WHERE tenants <> answers",
    )
    .fetch_all(admin)
    .await
}

/// Every sale, by its reference.
pub(super) async fn sales(admin: &mut PgConnection) -> Result<Vec<(String, Uuid)>, DbError> {
    Ok(sqlx::query_as("SELECT reference, id FROM shop.sale").fetch_all(admin).await?)
}

/// Every workspace, by its slug.
pub(super) async fn workspaces(admin: &mut PgConnection) -> Result<Vec<(String, Uuid)>, DbError> {
    Ok(sqlx::query_as("SELECT slug, workspace_id FROM kernel_tenancy.workspace").fetch_all(admin).await?)
}
