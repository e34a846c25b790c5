//! Chores: each in a task of its own, one process at a time, late rather than twice.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kernel_core::chore::{Chore, Pace, Round, Turn};
use kernel_core::{DbError, Error};
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::SETBACK;
use super::shared::Shared;
use crate::store::chore as store;

/// However rare a chore is, so often a process looks whether it is due, and so soon one that failed is tried again.
const LOOK: Duration = Duration::from_secs(30);

/// What [`Runner::tend`](super::Runner::tend) has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tended {
    /// Rounds that came to a good end.
    pub done: u64,
    /// Chores that failed.
    pub failed: u64,
}

/// The chores under way. Tasks of the runner's own future: dropping it ends them all, and what is unfinished is undone.
pub(super) struct Chores(JoinSet<()>);

impl Chores {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let mut tasks = JoinSet::new();
        for chore in shared.app.chores() {
            tasks.spawn(keep(shared.clone(), chore.clone()));
        }
        Self(tasks)
    }

    /// Never ready: what ends the chores is that this is dropped.
    pub(super) async fn keep(mut self) {
        while self.0.join_next().await.is_some() {}
        std::future::pending::<()>().await;
    }
}

async fn keep(shared: Arc<Shared>, chore: Chore) {
    while let Err(error) = shared.know_chores().await {
        shared.refused("chores", &error);
        sleep(SETBACK).await;
    }
    loop {
        let pause = match round(&shared, &chore).await {
            Some(Round::Done(Pace::Again)) => Duration::ZERO,
            Some(Round::Done(Pace::Rest | Pace::Idle)) => chore.every(),
            Some(Round::NotYet(wait)) => wait,
            None => retry(&chore),
        };
        sleep(pause.min(LOOK)).await;
    }
}

/// Does every chore that is due.
pub(super) async fn tend(shared: &Shared) -> Result<Tended, DbError> {
    shared.know_chores().await?;
    let mut tended = Tended::default();
    for chore in shared.app.chores() {
        loop {
            match round(shared, chore).await {
                Some(Round::Done(pace)) => {
                    tended.done += 1;
                    if pace == Pace::Again {
                        continue;
                    }
                }
                Some(Round::NotYet(_)) => {}
                None => tended.failed += 1,
            }
            break;
        }
    }
    Ok(tended)
}

/// One round, within its limits; `None` after one that failed.
async fn round(shared: &Shared, chore: &Chore) -> Option<Round> {
    let turn = RowTurn { name: chore.name(), now: shared.now(), pause: chore.every().min(LOOK) };
    let error = match chore.run(&shared.db, &shared.ctx, &turn).await {
        Ok(round) => {
            if matches!(round, Round::Done(_)) {
                shared.meter.chore(chore, true);
            }
            return Some(round);
        }
        Err(error) => error,
    };
    shared.meter.chore(chore, false);
    if let Err(error) = shared.chore_failed(chore, error.code(), retry(chore)).await {
        shared.refused("chore", &error);
    }
    None
}

/// A failed chore waits as long as a rare one is looked after, and a frequent one its usual time but a second at least.
fn retry(chore: &Chore) -> Duration {
    chore.every().clamp(SETBACK, LOOK)
}

/// The chore's row in the database.
#[derive(Debug)]
struct RowTurn {
    name: &'static str,
    now: Option<DateTime<Utc>>,
    /// How long to wait while another process is at it.
    pause: Duration,
}

#[async_trait::async_trait]
impl Turn for RowTurn {
    async fn take(&self, conn: &mut PgConnection) -> Result<Option<Duration>, Error> {
        let wait = store::take(conn, self.name, self.now).await.map_err(DbError::from)?;
        Ok(match wait {
            Some(Duration::ZERO) => None,
            Some(wait) => Some(wait),
            None => Some(self.pause),
        })
    }

    async fn done(&self, conn: &mut PgConnection, wait: Duration) -> Result<(), Error> {
        Ok(store::finish(conn, self.name, wait, self.now).await.map_err(DbError::from)?)
    }
}
