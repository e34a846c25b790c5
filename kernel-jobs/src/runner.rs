//! The runner: relays events, claims jobs, runs them, and keeps their leases while they run.

mod attempt;
mod backoff;
mod chores;
mod meter;
mod running;
mod shared;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kernel_core::{App, DbError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use self::attempt::Outcome;
use self::chores::Chores;
use self::running::{Event, Running};
use self::shared::Shared;
use crate::depth::Depth;

pub use self::backoff::Backoff;
pub use self::chores::Tended;

/// How long a runner waits after the database refused it something.
const SETBACK: Duration = Duration::from_secs(1);

/// How often a runner looks at what waits.
const SURVEY: Duration = Duration::from_secs(15);

/// How a runner works.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The runner's name in the log.
    pub name: String,
    /// How many jobs run at once. Each may hold a connection of the worker login, and the runner needs two more
    /// and one per chore that runs at that moment.
    pub concurrency: usize,
    /// How many jobs one claim takes at most, and how many events one relay publishes.
    pub batch: usize,
    /// After how long a job whose worker is gone goes to another. It is renewed three times in that time.
    pub lease: Duration,
    /// How long the runner waits when there was nothing to do.
    pub poll_interval: Duration,
    /// How long a shutdown waits for running jobs before it gives them back.
    pub grace: Duration,
    /// How long a failed job waits for its next attempt.
    pub backoff: Backoff,
}

impl Default for RunnerConfig {
    /// Eight jobs at once, batches of 100, leases of 15 s, polls every 200 ms, 20 s of grace.
    fn default() -> Self {
        Self {
            name: "worker".to_owned(),
            concurrency: 8,
            batch: 100,
            lease: Duration::from_secs(15),
            poll_interval: Duration::from_millis(200),
            grace: Duration::from_secs(20),
            backoff: Backoff::default(),
        }
    }
}

/// Runs the jobs and subscribers of an app, under the worker login. Cheap to clone.
///
/// It starts no task by itself: the host spawns [`Runner::run`], and dropping that future stops it. Jobs that ran then
/// go to another worker when their leases end.
#[derive(Debug, Clone)]
pub struct Runner {
    shared: Arc<Shared>,
}

/// What [`Runner::drain`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events that were published.
    pub published: u64,
    /// Attempts after which the job was done.
    pub done: u64,
    /// Attempts that failed, those whose job is tried again and those whose job is dead.
    pub failed: u64,
}

impl Runner {
    /// A runner for every job that is registered in `app`. Kinds that are not are left to other workers.
    ///
    /// # Errors
    /// [`DbError::NoLogin`] when the process was given no worker login.
    pub fn new(app: &App, config: RunnerConfig) -> Result<Self, DbError> {
        Ok(Self { shared: Arc::new(Shared::new(app, config)?) })
    }

    /// Relays events, runs jobs and does chores until `shutdown` is ready. Then it claims no more, waits for what runs, and
    /// gives back what has not ended within [`RunnerConfig::grace`]. A chore that is under way then is undone.
    ///
    /// Trouble with the database does not end it: it is logged, and tried again.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let woken = Notify::new();
        tokio::select! {
            () = self.relay(&woken) => {}
            () = Chores::start(&self.shared).keep() => {}
            () = self.measure() => {}
            () = self.work(&woken, shutdown) => {}
        }
    }

    async fn relay(&self, woken: &Notify) {
        let (batch, poll) = (self.shared.relay_batch(), self.shared.config.poll_interval);
        loop {
            let pause = match self.shared.publish().await {
                Ok(Some(published)) => {
                    if published > 0 {
                        woken.notify_one();
                    }
                    if published == batch { Duration::ZERO } else { poll }
                }
                Ok(None) => poll,
                Err(error) => {
                    self.shared.refused("relay", &error);
                    SETBACK
                }
            };
            sleep(pause).await;
        }
    }

    /// Keeps the metrics of what waits up to date. Looking costs the more, the more there is, so it takes a twentieth of the
    /// time at most.
    async fn measure(&self) {
        loop {
            let began = Instant::now();
            if let Err(error) = self.survey().await {
                self.shared.refused("measure", &error);
            }
            sleep(SURVEY.max(began.elapsed() * 20)).await;
        }
    }

    /// Looks once at what waits in the queue, the outbox and the audit log, and sets the metrics accordingly.
    /// [`Runner::run`] does it every 15 seconds.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn survey(&self) -> Result<(), DbError> {
        let (queue, core) = self.shared.backlog().await?;
        self.shared.meter.surveyed(&queue, &core);
        Ok(())
    }

    async fn work(&self, woken: &Notify, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let mut running = Running::new(self.shared.clone());
        let mut next = Instant::now();
        loop {
            let free = self.shared.concurrency().saturating_sub(running.len());
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                // Those that have ended are collected before the next claim, which then asks for several at once.
                event = running.event() => if let Event::Beat = event { running.renew().await },
                () = sleep_until(next), if free > 0 => next = Instant::now() + self.claim(free, &mut running).await,
                () = woken.notified(), if free > 0 => next = Instant::now(),
            }
        }
        running.wind_down().await;
    }

    /// Claims and starts jobs, and says how long to wait before the next claim: not at all while there are more.
    async fn claim(&self, free: usize, running: &mut Running) -> Duration {
        match self.shared.claim(free).await {
            Ok(claimed) => {
                let more = claimed.len() == self.shared.claim_batch(free);
                running.start(claimed);
                if more { Duration::ZERO } else { self.shared.config.poll_interval }
            }
            Err(error) => {
                self.shared.refused("claim", &error);
                SETBACK
            }
        }
    }

    /// Relays and runs until nothing is due any more, for tests and seeds. Failed jobs wait for their next attempt, so
    /// they do not hold it up.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn drain(&self) -> Result<Drained, DbError> {
        let mut drained = Drained::default();
        let mut running = Running::new(self.shared.clone());
        loop {
            let published = self.shared.publish().await?;
            drained.published += u64::from(published.unwrap_or(0));
            let free = self.shared.concurrency().saturating_sub(running.len());
            let claimed = if free > 0 { self.shared.claim(free).await? } else { Vec::new() };
            let found = published != Some(0) || !claimed.is_empty();
            running.start(claimed);
            if published.is_none() {
                // Another relay is at work, and will be done in a moment.
                sleep(Duration::from_millis(5)).await;
            }
            if running.is_empty() {
                if !found {
                    return Ok(drained);
                }
                continue;
            }
            match running.event().await {
                Event::Beat => running.renew().await,
                Event::Ended(Outcome::Done) => drained.done += 1,
                Event::Ended(Outcome::Failed | Outcome::Dead) => drained.failed += 1,
                Event::Ended(Outcome::Lost) => {}
            }
        }
    }

    /// Does every chore that is due, one after the other, for tests and seeds: [`Runner::drain`] does none. One that fails
    /// is logged and counted, as by [`Runner::run`].
    ///
    /// # Errors
    /// When the database cannot be asked which are due.
    pub async fn tend(&self) -> Result<Tended, DbError> {
        chores::tend(&self.shared).await
    }

    /// How many jobs there are of each kind and state, over all workspaces. Reads the whole table.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn depth(&self) -> Result<Vec<Depth>, DbError> {
        self.shared.depth().await
    }
}
