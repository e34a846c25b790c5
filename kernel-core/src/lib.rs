#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod activity;
pub mod actor;
mod app;
pub mod audit;
pub mod cache;
mod catalog;
pub mod chore;
mod clock;
mod ctx;
mod data_key;
mod db;
pub mod doctor;
mod entropy;
mod error;
pub mod event;
pub mod health;
pub mod hook;
pub mod http;
mod id;
pub mod job;
pub mod message;
pub mod migration;
mod pillar;
pub mod product;
mod redaction;
mod role;
pub mod rule;
pub mod seam;
pub mod secret;
mod secure;
mod store;
pub mod table;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod workspace;

pub use activity::{ActivityConfig, ActivityEntry, ActivityKind};
pub use actor::Actor;
pub use app::{App, AppBuilder, Config, Problem, Problems, Resealed};
pub use audit::{AuditAction, AuditConfig, AuditEntry, audit};
pub use catalog::Finding;
pub use chore::Chore;
pub use clock::Clock;
pub use ctx::{Client, Ctx, RequestId, RequestNoun};
pub use data_key::{DataKeyError, DataKeyStatus};
pub use db::{
    Db, DbConfig, DbError, GlobalTx, OperatorTx, Purged, Reason, RoleNames, TenantTx, Tx, UnusableReason,
    WorkerDb, violates,
};
pub use entropy::Entropy;
pub use error::{Error, ErrorKind, Fault, Flaw, causes};
pub use event::{Event, EventId, publish};
pub use hook::people;
pub use id::{Id, MalformedId, Noun, UserId, UserNoun, WorkspaceId};
pub use job::{Job, JobDef, JobId, Subscriber};
pub use message::{Language, Messages};
pub use migration::{MigrationPlan, Migrations};
pub use pillar::Pillar;
pub use product::Product;
pub use redaction::Redaction;
pub use role::{Feature, Limit, Permission, Role, UnknownRole};
pub use secret::{KeyProvider, LocalKeys, Sealed, SealedColumn, SecretSource, open, seal};
pub use table::{Class, Table};
pub use workspace::{Grant, Workspace, WorkspaceStatus};

use table::Function;

/// The name of the core's own pillar.
const CORE: &str = "core";

/// The core's own tables, registered in every app before anything else.
fn core_pillar() -> Pillar {
    core_tables()
        .migrations(Migrations::new("kernel_core", sqlx::migrate!("./migrations")))
        .messages(include_str!("../locales/en.json"))
        .translation("de", include_str!("../locales/de.json"))
        .audits(audit::action::OWN)
        .functions(core_functions())
}

fn core_tables() -> Pillar {
    Pillar::new(CORE).tables([
        Table::tenant("kernel_core", "activity")
            .public(&["id", "kind", "actor_type", "actor_id", "target_type", "target_id"])
            .public(&["within_type", "within_id", "params", "created_at"])
            .append_only()
            .queued(),
        Table::tenant("kernel_core", "tenant").public(&["created_at"]).append_only(),
        Table::tenant("kernel_core", "audit_log")
            .public(&["id", "actor_type", "actor_id", "acting_as", "action", "target_type", "target_id"])
            .public(&["request_id", "created_at"])
            .private(&["metadata", "ip_address", "user_agent"])
            .read_only()
            .filled()
            .partitioned(),
        Table::tenant("kernel_core", "audit_unsealed")
            .public(&["id", "actor_type", "actor_id", "acting_as", "action", "target_type", "target_id"])
            .public(&["request_id", "created_at"])
            .private(&["metadata", "ip_address", "user_agent"])
            .append_only()
            .queued(),
        Table::tenant("kernel_core", "audit_seal")
            .public(&["seq", "id", "digest", "hash"])
            .private(&["salt", "personal"])
            .read_only()
            .queued(),
        Table::tenant("kernel_core", "audit_head")
            .public(&["seq", "hash", "floor_seq", "floor_hash", "floor_id", "sealed_at", "code"])
            .read_only()
            .queued(),
        Table::global("kernel_core", "audit_total")
            .public(&["id", "workspaces", "sealed", "sealed_at", "code"])
            .read_only()
            .queued(),
        Table::tenant("kernel_core", "outbox")
            .public(&["id", "seq", "name", "aggregate_id", "request_id", "trace_id"])
            .public(&["created_at", "published_no"])
            .private(&["payload"])
            .append_only()
            .queued(),
        Table::tenant("kernel_core", "idempotency_key")
            .public(&["id", "scope_hash", "fingerprint", "status", "created_at", "expires_at"])
            .sealed(&["answer"])
            .queued(),
        Table::global("kernel_core", "rate_limit")
            .public(&["whole_at", "taken", "expires_hour"])
            // A hash of an address, of which there are few enough to try them all.
            .private(&["id"])
            .withheld()
            .queued(),
        Table::tenant("kernel_core", "cache_tag").public(&["tag", "version", "bumped_at"]).kept().queued(),
        Table::global("kernel_core", "cache_entry")
            .public(&["expires_at"])
            .sensitive(&["key_hash", "sealed_value"])
            .withheld()
            .queued(),
        Table::global("kernel_core", "data_key")
            .public(&["number", "key_id", "created_at", "sealing_from"])
            .sensitive(&["wrapped"])
            .kept(),
    ])
}

/// The definer functions of the core.
fn core_functions() -> Vec<Function> {
    let function = |signature| Function::queue("kernel_core", signature);
    let upkeep = |signature| Function::upkeep("kernel_core", signature);
    vec![
        function("begin_audit_seal()"),
        function("unsealed_audit(integer, uuid[])"),
        function("audit_heads(uuid[])"),
        function("seal_audit(uuid[], bigint[], uuid[], bytea[], bytea[], bytea[], bytea[])"),
        function(
            "set_audit_heads(uuid[], bigint[], bytea[], bigint[], bytea[], uuid[], timestamp with time zone, bytea[])",
        ),
        function("set_audit_total(bigint, bigint, timestamp with time zone, bytea)"),
        function("audit_floors(uuid, integer)"),
        function("drop_audit_seals(uuid[], bigint[])"),
        function("is_audit_sealed(uuid)"),
        function("backlog(timestamp with time zone)"),
        function("purge_activity(integer, integer, timestamp with time zone)"),
        function("purge_idempotency_key(integer, timestamp with time zone)"),
        function("purge_rate_limit(integer, timestamp with time zone)"),
        function("purge_cache_tag(integer, timestamp with time zone)"),
        function("purge_cache_entry(integer, timestamp with time zone)"),
        Function::lookup("kernel_core", "find_cached(bytea, timestamp with time zone)"),
        Function::lookup("kernel_core", "keep_cached(bytea, bytea, bigint, timestamp with time zone)"),
        Function::lookup("kernel_core", "take_rate(uuid, integer, bigint, bigint, timestamp with time zone)"),
        upkeep("ensure_audit_partitions(integer, timestamp with time zone)"),
        upkeep("drop_audit_partition(date)"),
        upkeep("audit_rows_beyond()"),
    ]
}
