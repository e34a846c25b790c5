//! Writers: audited transactions in several workspaces, of which some commit late and some never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use kernel_core::testkit::TestKernel;
use kernel_core::{
    AuditAction, AuditEntry, DbError, Entropy, TenantTx, UserId, Workspace, WorkspaceId, audit,
};
use tokio::task::JoinSet;

const WRITERS: usize = 6;

/// How a writer's transaction ends.
enum End {
    At(Duration),
    Never,
}

/// Writers at work.
pub(super) struct Writers {
    tasks: JoinSet<Result<BTreeMap<WorkspaceId, i64>>>,
    shared: Arc<Shared>,
}

struct Shared {
    kernel: Arc<TestKernel>,
    workspaces: Vec<Workspace>,
    stop: AtomicBool,
    holds: AtomicBool,
    late: AtomicU64,
}

impl Writers {
    pub(super) async fn start(kernel: &Arc<TestKernel>, workspaces: usize) -> Self {
        let mut founded = Vec::new();
        for _ in 0..workspaces {
            founded.push(kernel.found_workspace().await);
        }
        let shared = Arc::new(Shared {
            kernel: kernel.clone(),
            workspaces: founded,
            stop: AtomicBool::new(false),
            holds: AtomicBool::new(true),
            late: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            tasks.spawn(shared.clone().run());
        }
        Self { tasks, shared }
    }

    /// From now on every transaction commits as soon as it can.
    pub(super) fn hold_no_more(&self) {
        self.shared.holds.store(false, Ordering::Relaxed);
    }

    /// How many rows were committed well after others that were written later.
    pub(super) fn late(&self) -> u64 {
        self.shared.late.load(Ordering::Relaxed)
    }

    /// How many rows were committed in each workspace.
    pub(super) async fn stop(mut self) -> Result<BTreeMap<WorkspaceId, i64>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut committed = BTreeMap::new();
        while let Some(ended) = self.tasks.join_next().await {
            for (workspace, rows) in ended.context("a writer broke down")?? {
                *committed.entry(workspace).or_default() += rows;
            }
        }
        Ok(committed)
    }
}

impl Shared {
    async fn run(self: Arc<Self>) -> Result<BTreeMap<WorkspaceId, i64>> {
        let (entropy, mut committed) = (Entropy::system(), BTreeMap::new());
        while !self.stop.load(Ordering::Relaxed) {
            let [place, kind, rows, pause] = entropy.bytes();
            let workspace = &self.workspaces[usize::from(place) % self.workspaces.len()];
            let (rows, holds) = (i64::from(rows % 3) + 1, self.holds.load(Ordering::Relaxed));
            let end = match kind % 10 {
                0 => End::Never,
                1..=3 if holds => End::At(Duration::from_millis(100 + u64::from(pause) * 3)),
                _ => End::At(Duration::ZERO),
            };
            let waits = matches!(end, End::At(wait) if !wait.is_zero());
            if self.write(workspace, rows, end).await? {
                *committed.entry(workspace.id()).or_default() += rows;
                if waits {
                    self.late.fetch_add(1, Ordering::Relaxed);
                }
            }
            tokio::time::sleep(Duration::from_millis(40 + u64::from(pause) / 2)).await;
        }
        Ok(committed)
    }

    /// Whether the rows were committed.
    async fn write(&self, workspace: &Workspace, rows: i64, end: End) -> Result<bool> {
        let system = self.kernel.app.system("writer");
        let user: UserId = system.new_id();
        let ctx = self.kernel.user(user);
        let written = self.kernel.app.db().tenant(&ctx, workspace, async |tx: &mut TenantTx| {
            for row in 0..rows {
                let entry = AuditEntry::new(AuditAction::new("proof.row.write"))
                    .target("user", user)
                    .detail("row", row);
                audit(tx, entry).await?;
            }
            match end {
                End::Never => return Err(DbError::Abandoned),
                End::At(wait) => tokio::time::sleep(wait).await,
            }
            Ok(())
        });
        match written.await {
            Ok(()) => Ok(true),
            Err(DbError::Abandoned) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
