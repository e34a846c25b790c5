//! The jobs that run right now, and their leases.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::attempt::{Outcome, attempt};
use super::shared::Shared;
use crate::store::lease::{Claimed, Lease};

/// How long a cut-off handler may take to come to its next await. One that does not keeps its lease.
const CUT_OFF: Duration = Duration::from_secs(1);

/// What the runner has to see to.
pub(super) enum Event {
    /// The leases are due to be renewed: [`Running::renew`].
    Beat,
    /// A job has ended.
    Ended(Outcome),
}

/// Tasks of this runner's own future: dropping it ends them all.
pub(super) struct Running {
    shared: Arc<Shared>,
    tasks: JoinSet<Outcome>,
    leases: HashMap<Id, (Lease, AbortHandle)>,
    renewed: Instant,
    next_beat: Instant,
}

impl Running {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self { shared, tasks: JoinSet::new(), leases: HashMap::new(), renewed: now, next_beat: now }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn start(&mut self, claimed: Vec<Claimed>) {
        if self.is_empty() {
            self.renewed = Instant::now();
            self.next_beat = self.renewed + self.beat();
        }
        for job in claimed {
            let lease = Lease { workspace_id: job.workspace_id, id: job.id, attempt: job.attempt };
            let task = self.tasks.spawn(attempt(self.shared.clone(), job));
            self.leases.insert(task.id(), (lease, task));
        }
    }

    /// Waits for the next job to end, or beat to be due. Dropping the future loses nothing. For ever when none runs.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            biased;
            () = sleep_until(self.next_beat), if !self.tasks.is_empty() => Event::Beat,
            Some(ended) = self.tasks.join_next_with_id() => Event::Ended(self.settle(ended).1),
            else => std::future::pending().await,
        }
    }

    /// Forgets a task that has ended, and says which lease it leaves when it was cut off.
    fn settle(&mut self, ended: Result<(Id, Outcome), JoinError>) -> (Option<Lease>, Outcome) {
        match ended {
            Ok((task, outcome)) => {
                self.leases.remove(&task);
                (None, outcome)
            }
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(error = %error, "an attempt panicked outside its handler");
                }
                (self.leases.remove(&error.id()).map(|(lease, _)| lease), Outcome::Lost)
            }
        }
    }

    fn beat(&self) -> Duration {
        self.shared.config.lease / 3
    }

    /// Renews the leases. Handlers whose job another worker has are cut off; so are all when the queue cannot be
    /// reached for as long as a lease lasts.
    pub(super) async fn renew(&mut self) {
        self.next_beat = Instant::now() + self.beat();
        let (leases, tasks): (Vec<_>, Vec<_>) =
            self.leases.values().map(|(lease, task)| (*lease, task.clone())).unzip();
        let asked = Instant::now();
        match self.shared.renew(&leases).await {
            Ok(lost) => {
                self.renewed = asked;
                lost.into_iter().filter_map(|position| tasks.get(position)).for_each(AbortHandle::abort);
            }
            Err(error) => {
                self.shared.refused("renew", &error);
                if self.renewed.elapsed() >= self.shared.config.lease {
                    tasks.iter().for_each(AbortHandle::abort);
                }
            }
        }
    }

    /// Lets running jobs end, and gives back those that have not ended within the grace time.
    pub(super) async fn wind_down(mut self) {
        let deadline = Instant::now() + self.shared.config.grace;
        while !self.is_empty() {
            match timeout_at(deadline, self.event()).await {
                Ok(Event::Beat) => self.renew().await,
                Ok(Event::Ended(_)) => {}
                Err(_) => break,
            }
        }
        self.tasks.abort_all();
        let (cut_off, mut unfinished) = (Instant::now() + CUT_OFF, Vec::new());
        while let Ok(Some(ended)) = timeout_at(cut_off, self.tasks.join_next_with_id()).await {
            unfinished.extend(self.settle(ended).0);
        }
        if let Err(error) = self.shared.disclaim().await {
            self.shared.refused("disclaim", &error);
        }
        if unfinished.is_empty() {
            return;
        }
        match self.shared.release(&unfinished).await {
            Ok(jobs) => tracing::info!(worker = self.shared.config.name, jobs, "unfinished jobs given back"),
            Err(error) => self.shared.refused("release", &error),
        }
    }
}
