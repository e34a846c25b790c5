//! Who may see and move whose jobs.

use std::sync::{Arc, OnceLock};

use kernel_core::job::Run;
use kernel_core::testkit::TestKernel;
use kernel_core::{
    Db, DbError, Error, ErrorKind, GlobalTx, Job, JobDef, OperatorTx, Pillar, Reason, TenantTx, Tx,
    WorkspaceId,
};
use kernel_jobs::{Jobs, enqueue};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::desk::{Desk, Then, jobs, left, put, runner, say};

const CALLS: [&str; 13] = [
    "kernel_jobs.claim('{desk.leave}', '{3}', gen_random_uuid(), 10, 1000, NULL)",
    "kernel_jobs.fail(gen_random_uuid(), gen_random_uuid(), 1, 'x', NULL, NULL)",
    "kernel_jobs.finish(gen_random_uuid(), gen_random_uuid(), 1)",
    "kernel_jobs.renew('{}', '{}', '{}', 1000, NULL)",
    "kernel_jobs.release('{}', '{}', '{}', NULL)",
    "kernel_jobs.disclaim('{}', NULL)",
    "kernel_jobs.backlog(NULL)",
    "kernel_jobs.depth()",
    "kernel_jobs.relay('{}', '{}', 10, NULL)",
    "kernel_jobs.know_chores('{}', NULL)",
    "kernel_jobs.take_chore('desk.sweep', NULL)",
    "kernel_jobs.chore_done('desk.sweep', 1000, NULL)",
    "kernel_jobs.chore_failed('desk.sweep', 'x', 1000, NULL)",
];

#[tokio::test]
async fn only_the_worker_login_may_call_the_queues_functions() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let logins = kernel.database.logins().config();
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'kernel_jobs'::regnamespace AND prosecdef",
    )
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(usize::try_from(count).unwrap(), CALLS.len(), "every definer function is tried here");
    for (url, allowed) in
        [(logins.app, false), (logins.operator.unwrap(), false), (logins.worker.unwrap(), true)]
    {
        let mut conn = PgConnection::connect(&url).await.unwrap();
        for call in CALLS {
            let called = conn.execute(AssertSqlSafe(format!("SELECT {call}"))).await;
            match called {
                Ok(_) => assert!(allowed, "{call}"),
                Err(error) => {
                    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                    assert!(!allowed && code.as_deref() == Some("42501"), "{call}: {error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_workspace_neither_sees_nor_touches_anothers_jobs() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    put(&kernel, &there, &left("theirs", Then::End)).await;
    let ctx = kernel.app.system("test");
    // What an author who forgets every WHERE would do.
    let statements = [
        "SELECT id FROM kernel_jobs.job",
        "UPDATE kernel_jobs.job SET priority = 0",
        "DELETE FROM kernel_jobs.job",
    ];
    for statement in statements {
        let touched = kernel.app.db().tenant(&ctx, &here, async |tx: &mut TenantTx| {
            Ok::<_, DbError>(tx.conn().execute(statement).await?.rows_affected())
        });
        assert_eq!(touched.await.unwrap(), 0, "{statement}");
    }
    // What numbers the events of all workspaces is out of reach altogether, and so are events that are written.
    for statement in
        ["UPDATE kernel_jobs.relay SET last_no = 0", "UPDATE kernel_core.outbox SET published_no = 1"]
    {
        let refused = kernel.app.db().tenant(&ctx, &here, async |tx: &mut TenantTx| {
            Ok::<_, DbError>(tx.conn().execute(statement).await?.rows_affected())
        });
        let DbError::Sql(refused) = refused.await.unwrap_err() else { panic!("{statement}") };
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    let smuggled = kernel.app.db().tenant(&ctx, &here, async |tx: &mut TenantTx| {
        let insert = sqlx::query(
            "INSERT INTO kernel_jobs.job (workspace_id, id, kind, payload, state, priority, attempt, forgiven, run_at,
                 request_id, created_at, updated_at)
             VALUES ($1, gen_random_uuid(), 'desk.leave', '{}', 'available', 0, 0, 0, now(), gen_random_uuid(), now(),
                 now())",
        );
        Ok::<_, DbError>(insert.bind(there.id()).execute(tx.conn()).await?)
    });
    let refused = smuggled.await.unwrap_err();
    let DbError::Sql(refused) = refused else { panic!("{refused}") };
    assert!(refused.to_string().contains("row-level security"), "{refused}");
    assert_eq!(jobs(&kernel).await.len(), 1);

    // The worker login itself sees nothing either, outside its functions.
    let worker = kernel.app.worker().unwrap();
    let seen = worker.queue(async |conn: &mut PgConnection| {
        Ok::<_, DbError>(conn.execute("DELETE FROM kernel_jobs.job").await?.rows_affected())
    });
    assert_eq!(seen.await.unwrap(), 0);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Look;

impl Job for Look {
    const KIND: &'static str = "peek.look";
}

/// Notes what a job sees that forgets every WHERE: its workspace's notes, jobs and events.
async fn look((): (), tx: &mut TenantTx, _: Look) -> Result<(), Error> {
    let workspace = tx.workspace_id();
    sqlx::query(
        "INSERT INTO desk.note (workspace_id, id, text)
         SELECT $1, gen_random_uuid(), concat_ws(' ',
             'sees', (SELECT count(*) FROM desk.note), (SELECT count(*) FROM kernel_jobs.job),
             (SELECT count(*) FROM kernel_core.outbox), (SELECT count(*) FROM kernel_core.tenant))",
    )
    .bind(workspace)
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    Ok(())
}

#[tokio::test]
async fn a_job_sees_its_own_workspace_only() {
    let desk = Desk::default();
    let kernel = TestKernel::start(|app| {
        app.with(Jobs::new()).with(desk.pillar()).with(Pillar::new("peek").jobs([JobDef::new((), look)]))
    })
    .await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    for workspace in [&here, &there, &there] {
        put(&kernel, workspace, &left("note", Then::End)).await;
        say(&kernel, workspace, uuid::Uuid::nil(), "note").await;
    }
    let runner = runner(&kernel);
    runner.drain().await.unwrap();
    put(&kernel, &here, &Look).await;
    put(&kernel, &there, &Look).await;
    assert_eq!(runner.drain().await.unwrap().done, 2);
    let seen: Vec<(bool, String)> = sqlx::query_as(
        "SELECT workspace_id = $1, text FROM desk.note WHERE text LIKE 'sees%' ORDER BY 1 DESC",
    )
    .bind(here.id())
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    // A note per job and per subscriber; itself as the only job; its events; itself as the only workspace.
    assert_eq!(seen, [(true, "sees 3 1 1 1".to_owned()), (false, "sees 6 1 2 1".to_owned())]);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Reach;

impl Job for Reach {
    const KIND: &'static str = "peek.reach";
}

/// A pillar with a job that does `reach`, and a place for a database that its author has kept from somewhere.
fn reaching<R>(kept: &Arc<OnceLock<Db>>, reach: fn(Db, Run) -> R) -> Pillar
where
    R: Future<Output = Result<(), Error>> + Send + 'static,
{
    let kept = kept.clone();
    let job = JobDef::by_hand(move |_: Reach, run| {
        let db = kept.get().expect("it is there before a job runs").clone();
        Box::pin(reach(db, run))
    });
    Pillar::new("peek").jobs([job])
}

async fn see_all(db: Db, run: Run) -> Result<(), Error> {
    let reason = Reason::new("a job that wants to see everything").map_err(Error::internal)?;
    db.operator(run.ctx(), &reason, async |_: &mut OperatorTx| Ok(())).await
}

#[tokio::test]
async fn a_job_is_no_operator_whatever_database_it_has_kept() {
    let kept = Arc::new(OnceLock::new());
    let kernel = TestKernel::start(|app| app.with(Jobs::new()).with(reaching(&kept, see_all))).await;
    kept.set(kernel.app.db().clone()).unwrap();
    // The host's own code may, with the same database.
    let reason = Reason::new("the host looks for itself").unwrap();
    let ctx = kernel.app.system("test");
    let seen = kept.get().unwrap().operator(&ctx, &reason, async |_: &mut OperatorTx| Ok::<_, DbError>(()));
    seen.await.unwrap();
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &Reach).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().failed, 1);
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, Some("forbidden".to_owned()))]);
}

async fn work_globally(_: Db, run: Run) -> Result<(), Error> {
    let at = run.global(async |tx: &mut GlobalTx| Ok(tx.workspace_id())).await?;
    if at == WorkspaceId::SYSTEM { Ok(()) } else { Err(Error::new(ErrorKind::Internal, "peek.elsewhere")) }
}

#[tokio::test]
async fn only_a_job_of_the_system_workspace_works_there() {
    let kept = Arc::new(OnceLock::new());
    let kernel = TestKernel::start(|app| app.with(Jobs::new()).with(reaching(&kept, work_globally))).await;
    kept.set(kernel.app.db().clone()).unwrap();
    let (ctx, workspace) = (kernel.app.system("test"), kernel.found_workspace().await);
    put(&kernel, &workspace, &Reach).await;
    kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| enqueue(tx, &Reach).await).await.unwrap();
    let drained = runner(&kernel).drain().await.unwrap();
    assert_eq!((drained.done, drained.failed), (1, 1));
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, Some("forbidden".to_owned()))]);
}
