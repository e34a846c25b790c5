//! What a search under row-level security costs: the function in a tenant transaction against the query that a superuser
//! would filter by hand, on the same million documents.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use benches::ratio::{Ratio, median};
use kernel_core::testkit::TestKernel;
use kernel_core::{Ctx, DbError, TenantTx, Tx, Workspace, WorkspaceId};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolOptions};
use uuid::Uuid;
use xtask::outcome::Outcome;
use xtask::search::corpus::{self, Size};

/// How many hits a page shows.
const MOST: i32 = 20;

type Hits = Vec<(Uuid, f32)>;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let short = std::env::args().any(|argument| argument == "--short");
    let size = if short {
        Size { documents: 50_000, tenants: 500 }
    } else {
        Size { documents: 1_000_000, tenants: 10_000 }
    };
    let kernel = TestKernel::start(|app| app.with(corpus::pillar())).await;
    let mut admin = kernel.admin().await;
    corpus::fill(&mut admin, size).await?;
    let queries = corpus::queries(&mut admin).await?;
    let superuser = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect(&kernel.database.logins().admin())
        .await?;
    let mut outcome = Outcome::new().value("documents", size.documents).value("tenants", size.tenants);
    // The large one has 40 % of all documents, the other one a ten-thousandth.
    for (key, name) in [("big", "tenant 0"), ("small", "tenant 7")] {
        let id: Uuid = sqlx::query_scalar("SELECT md5($1)::uuid").bind(name).fetch_one(&mut admin).await?;
        let bench = Bench { kernel: &kernel, superuser: &superuser, id: WorkspaceId::from_uuid(id) };
        outcome = bench.run(outcome, key, &queries, if short { 20 } else { 40 }).await?;
    }
    Ok(outcome.report("search"))
}

struct Bench<'a> {
    kernel: &'a TestKernel,
    superuser: &'a PgPool,
    id: WorkspaceId,
}

impl Bench<'_> {
    async fn run(
        &self,
        outcome: Outcome,
        key: &'static str,
        queries: &[String],
        blocks: usize,
    ) -> Result<Outcome> {
        let (ctx, workspace) = (self.kernel.app.system("bench").reading(), self.kernel.workspace(self.id));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // The first block fills caches.
        for block in 0..=blocks {
            let (mut own, mut other) = (Duration::ZERO, Duration::ZERO);
            for (turn, query) in queries.iter().enumerate() {
                // Whoever goes first changes from query to query and from block to block.
                for who in [(turn + block) % 2, (turn + block + 1) % 2] {
                    let started = Instant::now();
                    if who == 0 {
                        self.ours(&ctx, &workspace, query).await?;
                        own += started.elapsed();
                    } else {
                        self.by_hand(query).await?;
                        other += started.elapsed();
                    }
                }
            }
            if block > 0 {
                ours.push(own.as_secs_f64() * 1e3 / queries.len() as f64);
                theirs.push(other.as_secs_f64() * 1e3 / queries.len() as f64);
            } else {
                ensure!(!self.ours(&ctx, &workspace, &queries[0]).await?.is_empty(), "nothing is found");
            }
        }
        let ratio = Ratio::between(&ours, &theirs);
        let (time, ratio_key) = if key == "big" { ("big", "ratio_big") } else { ("small", "ratio_small") };
        Ok(outcome
            .value(time, format!("{:.2}/{:.2}ms", median(&ours), median(&theirs)))
            .value(ratio_key, ratio)
            .require(
                !ratio.misses(1.20),
                format!("{ratio} times the superuser's query in the {key} tenant, goal 1.20"),
            ))
    }

    async fn ours(&self, ctx: &Ctx, workspace: &Workspace, query: &str) -> Result<Hits, DbError> {
        let searched = self.kernel.app.db().tenant(ctx, workspace, async |tx: &mut TenantTx| {
            let hits = sqlx::query_as("SELECT id, rank FROM library.search_document($1, $2)");
            Ok::<_, DbError>(hits.bind(query).bind(MOST).fetch_all(tx.conn()).await?)
        });
        searched.await
    }

    async fn by_hand(&self, query: &str) -> Result<Hits> {
        let mut tx = self.superuser.begin_with("BEGIN READ ONLY").await?;
        let hits = sqlx::query_as(AssertSqlSafe(corpus::statement("$1", "$2", "$3", "$4")))
            .bind(self.id)
            .bind(query)
            .bind(corpus::is_plain(query))
            .bind(MOST)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(hits)
    }
}
