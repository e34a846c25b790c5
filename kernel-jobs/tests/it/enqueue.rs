use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::testkit::TestKernel;
use kernel_core::{DbError, Error, ErrorKind, GlobalTx, TenantTx};
use kernel_jobs::{MAX_PAYLOAD, Options, Priority, enqueue, enqueue_many, enqueue_with};

use crate::desk::{Desk, Leave, Then, jobs, left, notes, put, put_with, runner};

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_transaction_commits() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let failed = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
        enqueue(tx, &left("undone", Then::End)).await?;
        Err::<(), _>(Error::new(ErrorKind::Conflict, "conflict"))
    });
    assert_eq!(failed.await.unwrap_err().code(), "conflict");
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 0);

    put(&kernel, &workspace, &left("done", Then::End)).await;
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 0, None)]);
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["done"]);
    assert_eq!(jobs(&kernel).await, []);
}

#[tokio::test]
async fn a_job_of_the_system_runs_in_the_system_workspace() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let ctx = kernel.app.system("test");
    let put = async |tx: &mut GlobalTx| enqueue(tx, &left("system", Then::End)).await;
    kernel.app.db().global(&ctx, put).await.unwrap();
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    let nil: bool =
        sqlx::query_scalar("SELECT workspace_id = '00000000-0000-0000-0000-000000000000' FROM desk.note")
            .fetch_one(&mut kernel.admin().await)
            .await
            .unwrap();
    assert!(nil);
}

#[tokio::test]
async fn a_delayed_job_waits_for_its_time() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let later = Options::new().run_at(kernel.clock.now() + TimeDelta::hours(1));
    put_with(&kernel, &workspace, &left("later", Then::End), later).await;
    let runner = runner(&kernel);
    kernel.clock.advance(TimeDelta::minutes(59));
    assert_eq!(runner.drain().await.unwrap().done, 0);
    kernel.clock.advance(TimeDelta::minutes(1));
    assert_eq!(runner.drain().await.unwrap().done, 1);
}

#[tokio::test]
async fn the_more_urgent_of_two_due_jobs_runs_first_and_then_the_one_due_longer() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let due = kernel.clock.now();
    let later = due + TimeDelta::seconds(1);
    let put = async |text, priority, at| {
        let options = Options::new().priority(priority).run_at(at);
        put_with(&kernel, &workspace, &left(text, Then::End), options).await;
    };
    put("low", Priority::Low, due).await;
    put("normal, later", Priority::Normal, later).await;
    put("normal", Priority::Normal, due).await;
    put("high", Priority::High, due).await;
    put("urgent", Priority::Urgent, later).await;
    kernel.clock.advance(TimeDelta::seconds(1));
    let one_by_one = kernel_jobs::RunnerConfig { concurrency: 1, ..crate::desk::quick() };
    kernel_jobs::Runner::new(&kernel.app, one_by_one).unwrap().drain().await.unwrap();
    let order: Vec<String> = sqlx::query_scalar("SELECT text FROM desk.note ORDER BY xmin::text::bigint")
        .fetch_all(&mut kernel.admin().await)
        .await
        .unwrap();
    assert_eq!(order, ["urgent", "high", "normal", "normal, later", "low"]);
}

#[tokio::test]
async fn of_two_live_jobs_with_one_unique_key_only_the_first_is_kept() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    let key = || Options::new().unique_key("report");
    let first = put_with(&kernel, &here, &left("first", Then::Wait), key()).await;
    assert_eq!(put_with(&kernel, &here, &left("second", Then::End), key()).await, first);
    // Another workspace, another key, no key.
    assert_ne!(put_with(&kernel, &there, &left("there", Then::End), key()).await, first);
    put_with(&kernel, &here, &left("other", Then::End), Options::new().unique_key("other")).await;
    put(&kernel, &here, &left("none", Then::End)).await;

    let runner = runner(&kernel);
    let draining = {
        let runner = runner.clone();
        tokio::spawn(async move { runner.drain().await })
    };
    desk.somebody_waits().await;
    // It keeps its key while it runs.
    assert_eq!(put_with(&kernel, &here, &left("third", Then::End), key()).await, first);
    desk.go.add_permits(1);
    assert_eq!(draining.await.unwrap().unwrap().done, 4);
    assert_ne!(put_with(&kernel, &here, &left("again", Then::End), key()).await, first);
    runner.drain().await.unwrap();
    assert_eq!(notes(&kernel).await, ["again", "first", "none", "other", "there"]);
}

#[tokio::test]
async fn a_dead_job_has_lost_its_unique_key() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let key = || Options::new().unique_key("report").attempts(NonZeroU32::MIN);
    let first = put_with(&kernel, &workspace, &left("fails", Then::Fail), key()).await;
    let runner = runner(&kernel);
    assert_eq!(runner.drain().await.unwrap().failed, 1);
    assert_ne!(put_with(&kernel, &workspace, &left("works", Then::End), key()).await, first);
    assert_eq!(runner.drain().await.unwrap().done, 1);
    assert_eq!(jobs(&kernel).await, [("dead".to_owned(), 1, Some("desk.closed".to_owned()))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_that_race_for_a_unique_key_agree_on_one_job() {
    let kernel = std::sync::Arc::new(TestKernel::start(Desk::default().register()).await);
    let workspace = kernel.found_workspace().await;
    let racers = (0..8).map(|_| {
        let (kernel, workspace) = (kernel.clone(), workspace.clone());
        tokio::spawn(async move {
            let ctx = kernel.app.system("test");
            kernel
                .app
                .db()
                .tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
                    let options = Options::new().unique_key("one");
                    let id = enqueue_with(tx, &left("one", Then::End), options).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok::<_, DbError>(id)
                })
                .await
                .unwrap()
        })
    });
    let mut ids = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        ids.push(racer.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(jobs(&kernel).await.len(), 1);
}

#[tokio::test]
async fn many_jobs_are_enqueued_with_few_statements_and_all_run() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let many: Vec<_> = (0..2100).map(|number| left(&format!("{number:04}"), Then::End)).collect();
    let put = async |tx: &mut TenantTx| {
        assert_eq!(enqueue_many::<Leave>(tx, &[]).await?, []);
        enqueue_many(tx, &many).await
    };
    let mut ids = kernel.app.db().tenant(&ctx, &workspace, put).await.unwrap();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2100);
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 2100);
    let notes = notes(&kernel).await;
    assert!(notes.iter().zip(&many).all(|(note, job)| *note == job.text) && notes.len() == 2100);
}

#[tokio::test]
async fn a_job_that_is_too_large_or_has_no_usable_key_is_refused() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let refused = async |text: &str, options: Options| {
        let put = async |tx: &mut TenantTx| enqueue_with(tx, &left(text, Then::End), options).await;
        match kernel.app.db().tenant(&ctx, &workspace, put).await {
            Err(DbError::Sql(sqlx::Error::Encode(reason))) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let large = refused(&"x".repeat(MAX_PAYLOAD), Options::new()).await;
    assert!(
        large.starts_with("a desk.leave job has 2621") && large.ends_with("262144 are allowed"),
        "{large}"
    );
    for key in [String::new(), "k".repeat(201)] {
        let key = refused("fine", Options::new().unique_key(key)).await;
        assert_eq!(key, "the unique key of a desk.leave job has 1 to 200 characters");
    }
    assert_eq!(jobs(&kernel).await, []);
    let widest = "ä".repeat(200);
    put_with(&kernel, &workspace, &left("fine", Then::End), Options::new().unique_key(widest)).await;
}
