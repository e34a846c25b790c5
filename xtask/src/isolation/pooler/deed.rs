//! One transaction of a client, and what befalls it.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use kernel_core::{Entropy, WorkspaceId};
use sqlx::{Executor, PgConnection};
use uuid::Uuid;

use super::ledger::{Fate, Ledger};
use super::product::{Sight, write};

/// What happens to a transaction on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The future is dropped when it has been polled so many times.
    DroppedAfter(u32),
    /// The future is dropped after so many microseconds.
    DroppedAt(u64),
    /// A statement fails, and the client goes on as if nothing was.
    ErrorSwallowed,
    /// The server's process is terminated in the middle.
    Killed,
    None,
    Panic,
    /// The client changes its mind.
    Refusal,
    /// A statement takes too long.
    Timeout,
}

impl Mishap {
    pub(super) fn draw(entropy: &Entropy) -> Self {
        match below(entropy, 1000) {
            0..380 => Self::None,
            380..640 => Self::DroppedAfter(1 + u32::try_from(below(entropy, 16)).unwrap_or(0)),
            640..780 => Self::DroppedAt(below(entropy, 6000)),
            780..860 => Self::Refusal,
            860..920 => Self::ErrorSwallowed,
            920..980 => Self::Panic,
            980..996 => Self::Killed,
            _ => Self::Timeout,
        }
    }
}

/// A number under `end`.
pub(super) fn below(entropy: &Entropy, end: u64) -> u64 {
    u64::from_le_bytes(entropy.bytes()) % end
}

/// One entry to be written, in two parts, in one transaction.
#[derive(Debug)]
pub(super) struct Deed<'a> {
    pub(super) id: Uuid,
    pub(super) workspace: WorkspaceId,
    pub(super) mishap: Mishap,
    pub(super) ledger: &'a Ledger,
    /// Nothing is left to do but to commit.
    done: AtomicBool,
}

impl<'a> Deed<'a> {
    pub(super) fn new(id: Uuid, workspace: WorkspaceId, mishap: Mishap, ledger: &'a Ledger) -> Self {
        Self { id, workspace, mishap, ledger, done: AtomicBool::new(false) }
    }

    /// The body of the transaction.
    pub(super) async fn body(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let expected = Sight::of(self.workspace);
        self.ledger.inside(&write(conn, self.id, 1, self.workspace).await?, &expected);
        match self.mishap {
            Mishap::Refusal => return Err(sqlx::Error::RowNotFound),
            Mishap::Panic => resume_unwind(Box::new("a planned panic")),
            Mishap::Killed => {
                conn.execute("SELECT pg_terminate_backend(pg_backend_pid())").await?;
            }
            Mishap::Timeout => {
                conn.execute("SELECT pg_sleep(10)").await?;
            }
            Mishap::ErrorSwallowed => {
                let _ = conn.execute("SELECT 1 / 0").await;
                return Ok(());
            }
            Mishap::None | Mishap::DroppedAfter(_) | Mishap::DroppedAt(_) => {}
        }
        self.ledger.inside(&write(conn, self.id, 2, self.workspace).await?, &expected);
        self.done.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Runs the transaction with its mishap, and notes what must have become of the entry.
    pub(super) async fn run<E>(&self, transaction: impl Future<Output = Result<(), E>> + Send)
    where
        E: std::error::Error + Send,
    {
        let transaction = AssertUnwindSafe(transaction).catch_unwind();
        let ended = match self.mishap {
            Mishap::DroppedAfter(polls) => at_most(polls, transaction).await,
            Mishap::DroppedAt(micros) => {
                tokio::time::timeout(Duration::from_micros(micros), transaction).await.ok()
            }
            _ => Some(transaction.await),
        };
        if let Some(Ok(Err(error))) = &ended {
            self.ledger.refused(error);
        }
        let fate = match ended {
            Some(Ok(Ok(()))) => Fate::Kept,
            _ if self.done.load(Ordering::SeqCst) => Fate::Open,
            _ => Fate::Undone,
        };
        self.ledger.note(self.id, fate);
    }
}

/// Polls `future` so many times and then drops it.
pub(super) async fn at_most<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    std::future::poll_fn(move |context| match (left, future.as_mut().poll(context)) {
        (_, Poll::Ready(output)) => Poll::Ready(Some(output)),
        (0 | 1, Poll::Pending) => Poll::Ready(None),
        (_, Poll::Pending) => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_future_is_dropped_after_its_polls() {
        let thrice = || async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            7
        };
        assert_eq!(at_most(2, thrice()).await, None);
        assert_eq!(at_most(3, thrice()).await, Some(7));
    }
}
