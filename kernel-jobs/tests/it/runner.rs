//! How attempts end, and how a runner does.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::job::Run;
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{Actor, App, Db, DbError, Error, Job, JobDef, Pillar, TenantTx};
use kernel_jobs::{Depth, Drained, Jobs, Options, Runner, RunnerConfig, enqueue};
use sqlx::Executor;
use tokio::sync::oneshot;

use crate::desk::{ByHand, Desk, Manner, Then, Unknown, jobs, left, notes, put, put_with, quick, runner};

#[tokio::test]
async fn a_failed_job_waits_longer_after_each_attempt_and_is_dead_after_the_last() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("never", Then::Fail)).await;
    let runner = runner(&kernel);
    let closed = || Some("desk.closed".to_owned());
    for (attempt, longest) in [(1, 5), (2, 10)] {
        assert_eq!(runner.drain().await.unwrap(), Drained { failed: 1, ..Drained::default() });
        assert_eq!(jobs(&kernel).await, [("available".to_owned(), attempt, closed())]);
        // The wait is between half of that and the whole.
        kernel.clock.advance(TimeDelta::milliseconds(longest * 500 - 1));
        assert_eq!(runner.drain().await.unwrap(), Drained::default());
        kernel.clock.advance(TimeDelta::milliseconds(longest * 500 + 1));
    }
    assert_eq!(runner.drain().await.unwrap().failed, 1);
    assert_eq!(jobs(&kernel).await, [("dead".to_owned(), 3, closed())]);
    kernel.clock.advance(TimeDelta::days(365));
    assert_eq!(runner.drain().await.unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_may_say_how_often_it_is_tried() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let once = Options::new().attempts(NonZeroU32::MIN);
    put_with(&kernel, &workspace, &left("once", Then::Fail), once).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().failed, 1);
    assert_eq!(jobs(&kernel).await, [("dead".to_owned(), 1, Some("desk.closed".to_owned()))]);
}

#[tokio::test]
async fn a_panic_fails_its_attempt_alone_and_its_text_stays_out_of_the_row() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("broken", Then::Panic)).await;
    put(&kernel, &workspace, &left("whole", Then::End)).await;
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained { published: 0, done: 1, failed: 1 });
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, Some("jobs.panicked".to_owned()))]);
    assert_eq!(notes(&kernel).await, ["whole"]);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Hang;

impl Job for Hang {
    const KIND: &'static str = "hang.hang";
}

async fn hang(desk: Desk, _: &mut TenantTx, _: Hang) -> Result<(), Error> {
    let _unfinished = desk.unfinished();
    std::future::pending().await
}

#[tokio::test]
async fn a_handler_that_exceeds_its_limit_is_cut_off() {
    let desk = Desk::default();
    let hanging = desk.clone();
    let kernel = TestKernel::start(move |app| {
        let hang = JobDef::new(hanging.clone(), hang).limit(Duration::from_millis(100));
        app.with(Jobs::new()).with(Pillar::new("hang").jobs([hang]))
    })
    .await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &Hang).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().failed, 1);
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, Some("jobs.timed_out".to_owned()))]);
    assert_eq!(desk.cut_off.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_job_by_hand_that_returns_without_completing_is_done_all_the_same() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &ByHand { text: "sent".to_owned(), manner: Manner::NeverCompletes }).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(jobs(&kernel).await, []);
    assert_eq!(notes(&kernel).await, ["sent 1"]);
}

#[tokio::test]
async fn kinds_that_nobody_registered_are_left_alone() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &Unknown).await;
    put(&kernel, &workspace, &left("known", Then::End)).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 0, None)]);
    // Not even when a worker that knew the kind has died on it.
    let died = "UPDATE kernel_jobs.job SET state = 'running', attempt = 9, leased_until = '2000-01-01', lease_owner = id";
    kernel.admin().await.execute(died).await.unwrap();
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained::default());
    assert_eq!(jobs(&kernel).await, [("running".to_owned(), 9, None)]);
}

#[tokio::test]
async fn a_job_runs_as_the_system_under_the_id_of_the_request_that_wanted_it() {
    let kernel = TestKernel::start(|app| {
        app.with(Jobs::new()).with(Pillar::new("witness").jobs([JobDef::by_hand(
            |job: Witness, run: Run| {
                Box::pin(async move {
                    assert_eq!(*run.ctx().actor(), Actor::System { name: "jobs" });
                    assert_eq!(run.ctx().request_id().to_string(), job.request);
                    assert_eq!(run.workspace_id().to_string(), job.workspace);
                    assert_eq!((run.attempt(), run.limit()), (1, Duration::from_mins(1)));
                    Ok(())
                })
            },
        )]))
    })
    .await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let job = Witness { request: ctx.request_id().to_string(), workspace: workspace.id().to_string() };
    let put = async |tx: &mut TenantTx| enqueue(tx, &job).await;
    kernel.app.db().tenant(&ctx, &workspace, put).await.unwrap();
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained { published: 0, done: 1, failed: 0 });
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Witness {
    request: String,
    workspace: String,
}

impl Job for Witness {
    const KIND: &'static str = "witness.look";
}

/// A running worker and the way to shut it down.
fn start(runner: Runner) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { stopped.await.unwrap() };
    (stop, tokio::spawn(async move { runner.run(shutdown).await }))
}

#[tokio::test]
async fn a_shutdown_waits_for_what_runs_and_starts_nothing_more() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("running", Then::Wait)).await;
    // With room for one job only, no claim is under way when the end is announced.
    let one_by_one = RunnerConfig { concurrency: 1, ..quick() };
    let (stop, worker) = start(Runner::new(&kernel.app, one_by_one).unwrap());
    desk.somebody_waits().await;
    stop.send(()).unwrap();
    put(&kernel, &workspace, &left("too late", Then::End)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!worker.is_finished());
    desk.go.add_permits(1);
    worker.await.unwrap();
    assert_eq!(notes(&kernel).await, ["running"]);
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 0, None)]);
}

#[tokio::test]
async fn a_shutdown_gives_back_what_does_not_end_in_time_and_the_attempt_does_not_count() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    let twice = Options::new().attempts(NonZeroU32::MIN.saturating_add(1));
    put_with(&kernel, &workspace, &left("long", Then::WaitAndFail), twice).await;
    let hurried = RunnerConfig { grace: Duration::from_millis(50), ..quick() };
    let (stop, worker) = start(Runner::new(&kernel.app, hurried).unwrap());
    desk.somebody_waits().await;
    stop.send(()).unwrap();
    worker.await.unwrap();
    assert_eq!(desk.cut_off.load(Ordering::SeqCst), 1);
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, None)]);

    // At once, though no lease has ended; and then there are still two attempts.
    desk.go.add_permits(2);
    for (attempt, state) in [(2, "available"), (3, "dead")] {
        assert_eq!(runner(&kernel).drain().await.unwrap().failed, 1);
        assert_eq!(jobs(&kernel).await, [(state.to_owned(), attempt, Some("desk.closed".to_owned()))]);
        kernel.clock.advance(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn a_runner_outlives_trouble_with_the_database() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let mut admin = kernel.admin().await;
    admin.execute("ALTER FUNCTION kernel_jobs.claim RENAME TO gone").await.unwrap();
    assert!(matches!(runner(&kernel).drain().await, Err(DbError::Sql(_))));
    let (_stop, worker) = start(runner(&kernel));
    tokio::time::sleep(Duration::from_millis(50)).await;
    put(&kernel, &workspace, &left("at last", Then::End)).await;
    admin.execute("ALTER FUNCTION kernel_jobs.gone RENAME TO claim").await.unwrap();
    for _ in 0..300 {
        if notes(&kernel).await == ["at last"] {
            return worker.abort();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job never ran");
}

#[tokio::test]
async fn a_process_without_the_worker_login_has_no_runner() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let mut logins = kernel.database.logins().config();
    logins.worker = None;
    let desk = Desk::default();
    let app = desk.register()(App::builder(Db::new(&logins).unwrap(), config())).build().await.unwrap();
    let refused = Runner::new(&app, RunnerConfig::default()).unwrap_err();
    assert!(matches!(refused, DbError::NoLogin("worker")));
    assert_eq!(refused.to_string(), "no database login for the worker role is configured");
}

#[tokio::test]
async fn the_depth_counts_jobs_by_kind_and_state() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    let oldest = kernel.clock.now();
    let once = Options::new().attempts(NonZeroU32::MIN);
    put_with(&kernel, &here, &left("fails", Then::Fail), once).await;
    let runner = runner(&kernel);
    runner.drain().await.unwrap();
    put(&kernel, &here, &left("waits", Then::End)).await;
    kernel.clock.advance(TimeDelta::hours(1));
    put(&kernel, &there, &left("waits", Then::End)).await;
    put(&kernel, &there, &Unknown).await;
    let depth = |kind: &str, state: &str, jobs, oldest_at| Depth {
        kind: kind.to_owned(),
        state: state.to_owned(),
        jobs,
        oldest_at,
    };
    let expected = [
        depth("desk.leave", "available", 2, oldest),
        depth("desk.leave", "dead", 1, oldest),
        depth("desk.unknown", "available", 1, kernel.clock.now()),
    ];
    assert_eq!(runner.depth().await.unwrap(), expected);
}
