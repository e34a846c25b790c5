//! Events: published once, without gaps, in the order of each aggregate, to each subscriber.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kernel_core::testkit::TestKernel;
use kernel_core::{DbError, GlobalTx, TenantTx, Tx, publish};
use kernel_jobs::{Drained, Runner, RunnerConfig};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::desk::{Desk, Said, notes, quick, runner, say};

/// Number and text of every event in a workspace or out of it, in the order of numbers; without one they come last.
async fn events(kernel: &TestKernel) -> Vec<(Option<i64>, String)> {
    let events =
        sqlx::query_as("SELECT published_no, payload ->> 'text' FROM kernel_core.outbox ORDER BY 1, seq");
    events.fetch_all(&mut kernel.admin().await).await.unwrap()
}

#[tokio::test]
async fn each_subscriber_gets_each_committed_event_once() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    say(&kernel, &workspace, Uuid::nil(), "yes").await;
    let undone = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
        publish(tx, &Said { about: Uuid::nil(), text: "no".to_owned() }).await?;
        Err::<(), _>(DbError::Abandoned)
    });
    assert!(undone.await.is_err());
    let runner = runner(&kernel);
    assert_eq!(runner.drain().await.unwrap(), Drained { published: 1, done: 2, failed: 0 });
    assert_eq!(runner.drain().await.unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, ["echo: yes", "mirror: yes"]);
}

#[tokio::test]
async fn an_event_of_the_system_is_delivered_in_the_system_workspace() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let ctx = kernel.app.system("test");
    let said = Said { about: Uuid::nil(), text: "all".to_owned() };
    kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| publish(tx, &said).await).await.unwrap();
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 2);
    let nil: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT workspace_id FROM desk.note")
        .fetch_all(&mut kernel.admin().await)
        .await
        .unwrap();
    assert_eq!(nil, [Uuid::nil()]);
}

#[tokio::test]
async fn an_event_that_nobody_subscribes_to_is_numbered_all_the_same() {
    let kernel = TestKernel::start(|app| app.with(kernel_jobs::Jobs::new())).await;
    let workspace = kernel.found_workspace().await;
    say(&kernel, &workspace, Uuid::nil(), "unheard").await;
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained { published: 1, ..Drained::default() });
    assert_eq!(events(&kernel).await, [(Some(1), "unheard".to_owned())]);
}

#[tokio::test]
async fn an_event_that_commits_late_is_published_late_and_not_skipped() {
    let kernel = Arc::new(TestKernel::start(Desk::default().register()).await);
    let workspace = kernel.found_workspace().await;
    let (commit, held) = oneshot::channel::<()>();
    let (written, is_written) = oneshot::channel();
    let slow = tokio::spawn({
        let (kernel, workspace) = (kernel.clone(), workspace.clone());
        async move {
            let ctx = kernel.app.system("test");
            kernel
                .app
                .db()
                .tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
                    publish(tx, &Said { about: Uuid::nil(), text: "began first".to_owned() }).await?;
                    written.send(()).unwrap();
                    held.await.unwrap();
                    Ok::<_, DbError>(())
                })
                .await
        }
    });
    is_written.await.unwrap();
    kernel.clock.advance(chrono::TimeDelta::seconds(1));
    say(&kernel, &workspace, Uuid::nil(), "ended first").await;
    let runner = runner(&kernel);
    assert_eq!(runner.drain().await.unwrap().published, 1);
    commit.send(()).unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(runner.drain().await.unwrap().published, 1);
    let expected = [(Some(1), "ended first".to_owned()), (Some(2), "began first".to_owned())];
    assert_eq!(events(&kernel).await, expected);
    assert_eq!(notes(&kernel).await.len(), 4);
}

#[tokio::test]
async fn events_of_one_aggregate_keep_their_order_within_a_millisecond_and_across_skewed_clocks() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    // The clock stands still, so that ids of these are in random order.
    let many = async |tx: &mut TenantTx| {
        for number in 0..20 {
            publish(tx, &Said { about: Uuid::nil(), text: format!("{number:02}") }).await?;
        }
        Ok::<_, DbError>(())
    };
    kernel.app.db().tenant(&ctx, &workspace, many).await.unwrap();
    // A machine whose clock is an hour behind writes the last one.
    kernel.clock.advance(chrono::TimeDelta::hours(-1));
    say(&kernel, &workspace, Uuid::nil(), "20").await;
    runner(&kernel).drain().await.unwrap();
    let expected: Vec<_> = (0..=20).map(|number| (Some(number + 1), format!("{number:02}"))).collect();
    assert_eq!(events(&kernel).await, expected);
}

#[tokio::test]
async fn a_relay_that_does_not_come_to_its_commit_has_published_nothing() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    say(&kernel, &workspace, Uuid::nil(), "one").await;
    let mut worker = worker(&kernel).await;
    worker.execute("BEGIN").await.unwrap();
    assert_eq!(relay(&mut worker).await, Some(1));
    // Meanwhile another relay finds that one at work, and does not wait for it.
    let mut other = self::worker(&kernel).await;
    assert_eq!(relay(&mut other).await, None);
    worker.execute("ROLLBACK").await.unwrap();
    assert_eq!(events(&kernel).await, [(None, "one".to_owned())]);
    assert_eq!(relay(&mut other).await, Some(1));
    assert_eq!(relay(&mut worker).await, Some(0));
    assert_eq!(events(&kernel).await, [(Some(1), "one".to_owned())]);
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained { published: 0, done: 2, failed: 0 });
}

async fn worker(kernel: &TestKernel) -> PgConnection {
    let url = kernel.database.logins().config().worker.unwrap();
    PgConnection::connect(&url).await.unwrap()
}

async fn relay(conn: &mut PgConnection) -> Option<i32> {
    sqlx::query_scalar(
        "SELECT kernel_jobs.relay('{desk.said,desk.said}', '{desk.echo,desk.mirror}', 100, '2027-01-04T12:00:00Z')",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

const PUBLISHERS: usize = 6;
const EACH: usize = 40;

/// Publishes on an aggregate of its own, one transaction after the other, and holds each open for a while.
async fn publisher(kernel: Arc<TestKernel>, number: usize) {
    let workspace = kernel.found_workspace().await;
    let about = kernel.app.system("test").new_id::<kernel_core::job::JobNoun>().uuid();
    for event in 0..EACH {
        let ctx = kernel.app.system("test");
        let said = async |tx: &mut TenantTx| {
            publish(tx, &Said { about, text: format!("{number} {event:03}") }).await?;
            let micros = u64::from(u16::from_be_bytes(tx.ctx().entropy().bytes())) / 8;
            tokio::time::sleep(Duration::from_micros(micros)).await;
            Ok::<_, DbError>(())
        };
        kernel.app.db().tenant(&ctx, &workspace, said).await.unwrap();
    }
}

/// Reads events by their number, as a consumer with a cursor does, until all have come.
async fn reader(kernel: Arc<TestKernel>) -> Vec<(i64, String)> {
    let mut admin = kernel.admin().await;
    let (mut seen, mut cursor) = (Vec::new(), 0);
    while seen.len() < PUBLISHERS * EACH {
        let news: Vec<(i64, String)> = sqlx::query_as(
            "SELECT published_no, payload ->> 'text' FROM kernel_core.outbox WHERE published_no > $1 ORDER BY 1",
        )
        .bind(cursor)
        .fetch_all(&mut admin)
        .await
        .unwrap();
        cursor = news.last().map_or(cursor, |event| event.0);
        seen.extend(news);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn relays_and_publishers_at_once_leave_no_gap_skip_nothing_and_deliver_once() {
    let kernel = Arc::new(TestKernel::start(Desk::default().register()).await);
    // Small batches, so that the relays take turns.
    let config =
        RunnerConfig { batch: 7, concurrency: 2, poll_interval: Duration::from_millis(1), ..quick() };
    let workers = [(); 3].map(|()| {
        let runner = Runner::new(&kernel.app, config.clone()).unwrap();
        tokio::spawn(async move { runner.run(std::future::pending()).await })
    });
    let reader = tokio::spawn(reader(kernel.clone()));
    let publishers = (0..PUBLISHERS).map(|number| tokio::spawn(publisher(kernel.clone(), number)));
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let seen =
        tokio::time::timeout(Duration::from_secs(30), reader).await.expect("nothing is skipped").unwrap();
    let numbers: Vec<_> = seen.iter().map(|(no, _)| *no).collect();
    assert_eq!(numbers, (1..=i64::try_from(PUBLISHERS * EACH).unwrap()).collect::<Vec<_>>());
    let mut last = HashMap::new();
    for (_, text) in &seen {
        let (publisher, event) = text.split_once(' ').unwrap();
        let before = last.insert(publisher, event);
        assert!(before < Some(event), "{before:?} came before {text}");
    }

    let mut expected: Vec<_> =
        seen.iter().flat_map(|(_, t)| [format!("echo: {t}"), format!("mirror: {t}")]).collect();
    expected.sort();
    for _ in 0..1000 {
        if notes(&kernel).await.len() >= expected.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(notes(&kernel).await, expected);
}
