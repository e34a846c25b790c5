//! The pillar: what the queue needs of the database.

use kernel_core::table::Function;
use kernel_core::{Migrations, Pillar, Table};

use crate::check::{Dead, Late, Unrelayed};

const SCHEMA: &str = "kernel_jobs";

/// The queue, as a pillar to register. Registering it lets other pillars have jobs and subscribers; a
/// [`Runner`](crate::Runner) in this process or another one runs them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Jobs {}

impl Jobs {
    /// The queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl From<Jobs> for Pillar {
    fn from(_: Jobs) -> Self {
        Self::new("jobs")
            .migrations(Migrations::new(SCHEMA, sqlx::migrate!("./migrations")))
            .messages(include_str!("../locales/en.json"))
            .translation("de", include_str!("../locales/de.json"))
            .tables([
                Table::tenant(SCHEMA, "job")
                    .public(&[
                        "id",
                        "kind",
                        "state",
                        "priority",
                        "attempt",
                        "forgiven",
                        "max_attempts",
                        "run_at",
                    ])
                    .public(&[
                        "leased_until",
                        "lease_owner",
                        "last_error",
                        "request_id",
                        "trace_id",
                        "created_at",
                        "updated_at",
                    ])
                    .private(&["payload", "unique_key"])
                    .queued(),
                Table::global(SCHEMA, "chore")
                    .public(&["name", "due_at", "done_at", "failures", "last_error"])
                    .withheld()
                    .queued(),
                Table::global(SCHEMA, "relay")
                    .public(&["shard", "last_no", "updated_at"])
                    .withheld()
                    .queued(),
            ])
            .functions([
                queue("claim(text[], integer[], uuid, integer, integer, timestamp with time zone)"),
                queue("fail(uuid, uuid, integer, text, bigint, timestamp with time zone)"),
                queue("finish(uuid, uuid, integer)"),
                queue("renew(uuid[], uuid[], integer[], integer, timestamp with time zone)"),
                queue("release(uuid[], uuid[], integer[], timestamp with time zone)"),
                queue("disclaim(uuid[], timestamp with time zone)"),
                queue("backlog(timestamp with time zone)"),
                queue("depth()"),
                queue("relay(text[], text[], integer, timestamp with time zone)"),
                queue("know_chores(text[], timestamp with time zone)"),
                queue("take_chore(text, timestamp with time zone)"),
                queue("chore_done(text, bigint, timestamp with time zone)"),
                queue("chore_failed(text, text, bigint, timestamp with time zone)"),
            ])
            .check("jobs.dead", Dead)
            .check("jobs.late", Late)
            .check("jobs.unrelayed", Unrelayed)
            .provides_runner()
    }
}

const fn queue(signature: &'static str) -> Function {
    Function::queue(SCHEMA, signature)
}
