//! A small product whose jobs leave notes, and do what the test says before and after.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kernel_core::event::Delivered;
use kernel_core::job::Run;
use kernel_core::testkit::TestKernel;
use kernel_core::{
    AppBuilder, DbError, Error, ErrorKind, Event, Job, JobDef, JobId, Migrations, Pillar, Subscriber, Table,
    TenantTx, Tx, Workspace, publish,
};
use kernel_jobs::{Jobs, Options, Runner, RunnerConfig, enqueue_with};
use serde::{Deserialize, Serialize};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use tokio::sync::Semaphore;
use uuid::Uuid;

const SCHEMA: &str = r"
    CREATE TABLE desk.note (
        workspace_id uuid NOT NULL,
        id uuid NOT NULL,
        text text NOT NULL,
        PRIMARY KEY (workspace_id, id)
    )
";

/// Leaves a note, then does what `then` says, all in the job's transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leave {
    pub(crate) text: String,
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    End,
    Fail,
    Panic,
    /// Waits until [`Desk::go`] has a permit.
    Wait,
    /// Waits likewise, and then fails.
    WaitAndFail,
}

impl Job for Leave {
    const KIND: &'static str = "desk.leave";
}

/// The same in a job that opens its own transactions; the first attempt waits before it completes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ByHand {
    pub(crate) text: String,
    pub(crate) manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Manner {
    /// The first attempt waits for [`Desk::go`], then completes; later ones complete at once.
    FirstWaits,
    /// Likewise, but they leave their notes as under `NeverCompletes`.
    FirstWaitsNeverCompletes,
    /// Completes and then hangs.
    CompletesAndHangs,
    /// Leaves its note in a transaction of its own and returns without completing.
    NeverCompletes,
    /// Waits for [`Desk::go`] outside any transaction, then completes.
    Waits,
}

impl Job for ByHand {
    const KIND: &'static str = "desk.by_hand";
}

/// Nobody runs this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unknown;

impl Job for Unknown {
    const KIND: &'static str = "desk.unknown";
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) about: Uuid,
    pub(crate) text: String,
}

impl Event for Said {
    const NAME: &'static str = "desk.said";

    fn aggregate(&self) -> Uuid {
        self.about
    }
}

/// Counts and signals, shared by the handlers and the test.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    /// How often a handler has started.
    pub(crate) started: Arc<AtomicU32>,
    /// How often a handler was cut off.
    pub(crate) cut_off: Arc<AtomicU32>,
    /// A permit per handler that waits.
    pub(crate) waiting: Arc<Semaphore>,
    /// A permit lets one of them go on.
    pub(crate) go: Arc<Semaphore>,
}

impl Default for Desk {
    fn default() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { started: Arc::default(), cut_off: Arc::default(), waiting: none(), go: none() }
    }
}

/// Notices that a handler was dropped before its end.
pub(crate) struct Unfinished(Option<Arc<AtomicU32>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Desk {
    async fn wait(&self) {
        self.waiting.add_permits(1);
        self.go.acquire().await.unwrap().forget();
    }

    /// Until a handler waits.
    pub(crate) async fn somebody_waits(&self) {
        let waiting = tokio::time::timeout(Duration::from_secs(20), self.waiting.acquire());
        waiting.await.expect("a handler gets there").unwrap().forget();
    }

    pub(crate) fn unfinished(&self) -> Unfinished {
        Unfinished(Some(self.cut_off.clone()))
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn pillar(&self) -> Pillar {
        let sql = sqlx::AssertSqlSafe(SCHEMA.to_owned()).into_sql_str();
        let migration = Migration::new(1, Cow::Borrowed("desk"), MigrationType::Simple, sql, false);
        let desk = self.clone();
        let by_hand =
            JobDef::by_hand::<ByHand, _>(move |job, run| Box::pin(leave_by_hand(desk.clone(), job, run)));
        Pillar::new("desk")
            .migrations(Migrations::new("desk", Migrator::with_migrations(vec![migration])))
            .tables([Table::tenant("desk", "note").public(&["id"]).private(&["text"])])
            .jobs([
                JobDef::new(self.clone(), leave).attempts(3).limit(Duration::from_secs(5)),
                by_hand.attempts(3),
            ])
            .subscribers([
                Subscriber::new("desk.echo", "echo", react),
                Subscriber::new("desk.mirror", "mirror", react),
            ])
    }

    pub(crate) fn register(&self) -> impl Fn(AppBuilder) -> AppBuilder {
        let desk = self.clone();
        move |app| app.with(Jobs::new()).with(desk.pillar())
    }
}

async fn leave(desk: Desk, tx: &mut TenantTx, job: Leave) -> Result<(), Error> {
    desk.started.fetch_add(1, Ordering::SeqCst);
    let mut unfinished = desk.unfinished();
    note(tx, &job.text).await?;
    if matches!(job.then, Then::Wait | Then::WaitAndFail) {
        desk.wait().await;
    }
    assert!(job.then != Then::Panic, "the secret desk broke");
    unfinished.0 = None;
    if matches!(job.then, Then::Fail | Then::WaitAndFail) {
        return Err(
            Error::new(ErrorKind::Unavailable, "desk.closed").because("the drawer named secret is shut")
        );
    }
    Ok(())
}

async fn leave_by_hand(desk: Desk, job: ByHand, run: Run) -> Result<(), Error> {
    desk.started.fetch_add(1, Ordering::SeqCst);
    let mut unfinished = desk.unfinished();
    let text = format!("{} {}", job.text, run.attempt());
    match job.manner {
        Manner::FirstWaits | Manner::FirstWaitsNeverCompletes if run.attempt() == 1 => desk.wait().await,
        Manner::Waits => desk.wait().await,
        _ => {}
    }
    if matches!(job.manner, Manner::NeverCompletes | Manner::FirstWaitsNeverCompletes) {
        run.tenant(async |tx: &mut TenantTx| Ok(note(tx, &text).await?)).await?;
        unfinished.0 = None;
        return Ok(());
    }
    run.complete(async |tx: &mut TenantTx| Ok(note(tx, &text).await?)).await?;
    if job.manner == Manner::CompletesAndHangs {
        desk.wait().await;
    }
    unfinished.0 = None;
    Ok(())
}

async fn react(name: &'static str, tx: &mut TenantTx, said: Delivered<Said>) -> Result<(), Error> {
    note(tx, &format!("{name}: {}", said.event.text)).await?;
    Ok(())
}

async fn note(tx: &mut TenantTx, text: &str) -> Result<(), DbError> {
    let (workspace, id) = (tx.workspace_id(), tx.ctx().new_id::<kernel_core::job::JobNoun>());
    sqlx::query("INSERT INTO desk.note (workspace_id, id, text) VALUES ($1, $2, $3)")
        .bind(workspace)
        .bind(id)
        .bind(text)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) fn quick() -> RunnerConfig {
    RunnerConfig {
        lease: Duration::from_mins(1),
        poll_interval: Duration::from_millis(10),
        grace: Duration::from_secs(10),
        ..RunnerConfig::default()
    }
}

pub(crate) fn runner(kernel: &TestKernel) -> Runner {
    Runner::new(&kernel.app, quick()).unwrap()
}

/// Enqueues in a transaction of its own.
pub(crate) async fn put<J: Job>(kernel: &TestKernel, workspace: &Workspace, job: &J) -> JobId {
    put_with(kernel, workspace, job, Options::new()).await
}

pub(crate) async fn put_with<J: Job>(
    kernel: &TestKernel,
    workspace: &Workspace,
    job: &J,
    options: Options,
) -> JobId {
    let ctx = kernel.app.system("test");
    let put = async |tx: &mut TenantTx| enqueue_with(tx, job, options).await;
    kernel.app.db().tenant(&ctx, workspace, put).await.unwrap()
}

pub(crate) async fn say(kernel: &TestKernel, workspace: &Workspace, about: Uuid, text: &str) {
    let (ctx, said) = (kernel.app.system("test"), Said { about, text: text.to_owned() });
    kernel
        .app
        .db()
        .tenant(&ctx, workspace, async |tx: &mut TenantTx| publish(tx, &said).await)
        .await
        .unwrap();
}

pub(crate) fn left(text: &str, then: Then) -> Leave {
    Leave { text: text.to_owned(), then }
}

/// Every note in every workspace.
pub(crate) async fn notes(kernel: &TestKernel) -> Vec<String> {
    let notes = sqlx::query_scalar("SELECT text FROM desk.note ORDER BY text");
    notes.fetch_all(&mut kernel.admin().await).await.unwrap()
}

/// State, attempt and last error of every job.
pub(crate) async fn jobs(kernel: &TestKernel) -> Vec<(String, i32, Option<String>)> {
    let jobs =
        sqlx::query_as("SELECT state, attempt, last_error FROM kernel_jobs.job ORDER BY created_at, id");
    jobs.fetch_all(&mut kernel.admin().await).await.unwrap()
}
