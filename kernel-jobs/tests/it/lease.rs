//! Exactly once: what happens when workers die, are taken for dead, or lose their connection.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::Clock;
use kernel_core::testkit::{TestKernel, config};
use kernel_jobs::{Drained, Options, Runner, RunnerConfig};
use sqlx::{Connection, Executor, PgConnection};

use crate::desk::{ByHand, Desk, Manner, Then, jobs, left, notes, put, put_with, quick, runner};

fn by_hand(text: &str, manner: Manner) -> ByHand {
    ByHand { text: text.to_owned(), manner }
}

/// Runs a worker as a task, which can be killed.
fn start(runner: &Runner) -> tokio::task::JoinHandle<()> {
    let runner = runner.clone();
    tokio::spawn(async move { runner.run(std::future::pending()).await })
}

fn lease_over(kernel: &TestKernel) {
    kernel.clock.advance(TimeDelta::from_std(quick().lease).unwrap());
}

/// Until the job table is empty.
async fn all_done(kernel: &TestKernel) {
    for _ in 0..1000 {
        if jobs(kernel).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("jobs are left: {:?}", jobs(kernel).await);
}

#[tokio::test]
async fn a_worker_that_dies_between_effects_and_commit_leaves_no_effect_and_the_job_is_done_once() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("effect", Then::Wait)).await;
    let worker = start(&runner(&kernel));
    desk.somebody_waits().await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(notes(&kernel).await, Vec::<String>::new());

    // Nobody gets it while the dead worker's lease lasts.
    desk.go.add_permits(1);
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained::default());
    assert_eq!(jobs(&kernel).await, [("running".to_owned(), 1, None)]);
    lease_over(&kernel);
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["effect"]);
    assert_eq!(desk.started(), 2);
}

#[tokio::test]
async fn a_worker_that_dies_after_the_commit_has_done_its_job() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("effect", Manner::CompletesAndHangs)).await;
    let worker = start(&runner(&kernel));
    desk.somebody_waits().await;
    worker.abort();
    lease_over(&kernel);
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, ["effect 1"]);
    assert_eq!(desk.started(), 1);
}

#[tokio::test]
async fn an_attempt_that_was_taken_for_dead_cannot_complete() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("effect", Manner::FirstWaits)).await;
    let slow = runner(&kernel);
    let draining = {
        let slow = slow.clone();
        tokio::spawn(async move { slow.drain().await })
    };
    desk.somebody_waits().await;
    lease_over(&kernel);
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["effect 2"]);

    // The first attempt wakes up and leaves its note, and the note goes with its transaction.
    desk.go.add_permits(1);
    assert_eq!(draining.await.unwrap().unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, ["effect 2"]);
    assert_eq!(jobs(&kernel).await, []);
}

#[tokio::test]
async fn no_transaction_of_an_attempt_that_was_taken_for_dead_commits() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("step", Manner::FirstWaitsNeverCompletes)).await;
    let slow = runner(&kernel);
    let draining = tokio::spawn(async move { slow.drain().await });
    desk.somebody_waits().await;
    lease_over(&kernel);
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    desk.go.add_permits(1);
    assert_eq!(draining.await.unwrap().unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, ["step 2"]);
}

#[tokio::test]
async fn nobody_gets_a_job_while_a_transaction_of_it_commits() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("step", Manner::NeverCompletes)).await;
    let mut admin = kernel.admin().await;
    // Deferred, so that commits wait after all that the attempt does itself.
    let slow_commit = "
        CREATE FUNCTION desk.wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON desk.note DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION desk.wait();
        SELECT pg_advisory_lock(4711);
    ";
    admin.execute(slow_commit).await.unwrap();
    let slow = runner(&kernel);
    let draining = tokio::spawn(async move { slow.drain().await });
    let commits = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory')";
    while !sqlx::query_scalar::<_, bool>(commits).fetch_one(&mut admin).await.unwrap() {
        assert!(!draining.is_finished(), "it waits in its commit");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lease_over(&kernel);
    let other = tokio::time::timeout(Duration::from_secs(5), async { runner(&kernel).drain().await });
    assert_eq!(other.await.expect("there is nothing to do").unwrap(), Drained::default());
    admin.execute("SELECT pg_advisory_unlock(4711)").await.unwrap();
    assert_eq!(draining.await.unwrap().unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["step 1"]);
}

#[tokio::test]
async fn of_two_workers_that_think_they_have_a_job_only_the_later_one_completes_it() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("effect", Manner::Waits)).await;
    let drain = |runner: Runner| tokio::spawn(async move { runner.drain().await.unwrap() });
    let first = drain(runner(&kernel));
    desk.somebody_waits().await;
    lease_over(&kernel);
    let second = drain(runner(&kernel));
    desk.somebody_waits().await;

    // Those who wait get their permits in the order in which they came.
    desk.go.add_permits(1);
    assert_eq!(first.await.unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, Vec::<String>::new());
    assert_eq!(jobs(&kernel).await.len(), 1);
    desk.go.add_permits(1);
    assert_eq!(second.await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["effect 2"]);
}

#[tokio::test]
async fn an_attempt_cannot_complete_a_job_that_only_waits_for_its_next_worker() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("effect", Manner::FirstWaits)).await;
    let slow = runner(&kernel);
    let draining = tokio::spawn(async move { slow.drain().await });
    desk.somebody_waits().await;
    // As a shutdown gives a job back: the same attempt number, but nobody's lease.
    kernel.admin().await.execute(
        "UPDATE kernel_jobs.job SET state = 'available', leased_until = NULL, lease_owner = NULL, run_at = 'infinity'",
    ).await.unwrap();
    desk.go.add_permits(1);
    assert_eq!(draining.await.unwrap().unwrap(), Drained::default());
    assert_eq!(notes(&kernel).await, Vec::<String>::new());
    assert_eq!(jobs(&kernel).await, [("available".to_owned(), 1, None)]);
}

#[tokio::test]
async fn a_connection_that_dies_under_a_job_costs_an_attempt_and_no_effect() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("effect", Then::Wait)).await;
    let config = RunnerConfig {
        backoff: kernel_jobs::Backoff { first: Duration::ZERO, ..quick().backoff },
        ..quick()
    };
    let worker = start(&Runner::new(&kernel.app, config).unwrap());
    desk.somebody_waits().await;
    let killed: Vec<bool> = sqlx::query_scalar(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = 'kernel_test_worker' AND state = 'idle in transaction'",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap();
    // A chore may have been in a transaction, too.
    assert!(!killed.is_empty() && killed.iter().all(|killed| *killed), "{killed:?}");
    desk.go.add_permits(2);
    all_done(&kernel).await;
    worker.abort();
    assert_eq!(notes(&kernel).await, ["effect"]);
    assert_eq!(desk.started(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_share_a_queue_never_run_one_job_twice() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspaces = [kernel.found_workspace().await, kernel.found_workspace().await];
    for number in 0..150 {
        put(&kernel, &workspaces[number % 2], &left(&format!("{number:03}"), Then::End)).await;
    }
    let workers: Vec<_> = (0..3).map(|_| start(&runner(&kernel))).collect();
    all_done(&kernel).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let expected: Vec<_> = (0..150).map(|number| format!("{number:03}")).collect();
    assert_eq!(notes(&kernel).await, expected);
    assert_eq!(desk.started(), 150);
}

#[tokio::test]
async fn a_long_job_keeps_its_lease() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("long", Manner::Waits)).await;
    let lease = Duration::from_millis(300);
    let worker = start(&Runner::new(&kernel.app, RunnerConfig { lease, ..quick() }).unwrap());
    desk.somebody_waits().await;
    let (other, mut admin) = (runner(&kernel), kernel.admin().await);
    for _ in 0..8 {
        // Each step is half a lease, and there is a renewal in it.
        kernel.clock.advance(TimeDelta::milliseconds(150));
        let renewed = "SELECT leased_until >= $1 FROM kernel_jobs.job";
        let until = kernel.clock.now() + TimeDelta::from_std(lease).unwrap();
        while !sqlx::query_scalar::<_, bool>(renewed).bind(until).fetch_one(&mut admin).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(other.drain().await.unwrap(), Drained::default());
    }
    desk.go.add_permits(1);
    all_done(&kernel).await;
    worker.abort();
    assert_eq!(notes(&kernel).await, ["long 1"]);
}

#[tokio::test]
async fn a_handler_whose_job_another_worker_has_is_cut_off() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &by_hand("taken", Manner::Waits)).await;
    let lease = Duration::from_millis(300);
    let worker = start(&Runner::new(&kernel.app, RunnerConfig { lease, ..quick() }).unwrap());
    desk.somebody_waits().await;
    kernel.admin().await.execute("UPDATE kernel_jobs.job SET attempt = attempt + 1").await.unwrap();
    for _ in 0..200 {
        if desk.cut_off.load(Ordering::SeqCst) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(desk.cut_off.load(Ordering::SeqCst), 1);
    assert_eq!(jobs(&kernel).await, [("running".to_owned(), 2, None)]);
    worker.abort();
}

#[tokio::test]
async fn a_job_whose_workers_keep_dying_is_set_aside_in_the_end() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("poison", Then::Wait)).await;
    // Once it was given back, which does not count.
    let given_back = "UPDATE kernel_jobs.job SET attempt = 1, forgiven = 1";
    kernel.admin().await.execute(given_back).await.unwrap();
    for _ in 0..3 {
        let worker = start(&runner(&kernel));
        desk.somebody_waits().await;
        worker.abort();
        let _ = worker.await;
        lease_over(&kernel);
    }
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained::default());
    assert_eq!(jobs(&kernel).await, [("dead".to_owned(), 4, Some("jobs.lease_expired".to_owned()))]);
    assert_eq!(notes(&kernel).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_uses_up_no_attempt() {
    let desk = Desk::default();
    let kernel = TestKernel::start(desk.register()).await;
    let workspace = kernel.found_workspace().await;
    let once = Options::new().attempts(NonZeroU32::MIN);
    put_with(&kernel, &workspace, &left("effect", Then::End), once).await;
    let worker = runner(&kernel);
    // The claim waits for the lock; by the time it gets it, the worker has stopped waiting for the claim.
    let mut admin = kernel.admin().await;
    admin.execute("BEGIN; LOCK TABLE kernel_jobs.job IN EXCLUSIVE MODE").await.unwrap();
    let unheard = tokio::time::timeout(Duration::from_millis(500), worker.drain());
    assert!(unheard.await.is_err());
    admin.execute("COMMIT").await.unwrap();
    let lost = [("running".to_owned(), 1, None)];
    for _ in 0..1000 {
        if jobs(&kernel).await == lost {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(jobs(&kernel).await, lost);
    assert_eq!(runner(&kernel).drain().await.unwrap(), Drained::default());
    assert_eq!(worker.drain().await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["effect"]);
    assert_eq!(desk.started(), 1);
}

#[tokio::test]
async fn without_a_clock_of_the_tests_leases_go_by_the_servers_clock() {
    let desk = Desk::default();
    let mut config = config();
    config.clock = Clock::system();
    let kernel = TestKernel::with(config, desk.register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("effect", Then::Wait)).await;
    let lease = Duration::from_millis(400);
    let worker = start(&Runner::new(&kernel.app, RunnerConfig { lease, ..quick() }).unwrap());
    desk.somebody_waits().await;
    let ahead: bool = sqlx::query_scalar(
        "SELECT leased_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 s' FROM kernel_jobs.job",
    )
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert!(ahead);
    worker.abort();
    let _ = worker.await;
    desk.go.add_permits(1);
    tokio::time::sleep(lease).await;
    assert_eq!(runner(&kernel).drain().await.unwrap().done, 1);
    assert_eq!(notes(&kernel).await, ["effect"]);
}

#[tokio::test]
async fn the_queue_listens_to_the_attempt_that_holds_the_lease_and_to_no_other() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let id = put(&kernel, &workspace, &left("fought over", Then::End)).await;
    let mut worker = PgConnection::connect(&kernel.database.logins().config().worker.unwrap()).await.unwrap();
    for attempt in [1, 2] {
        let claim =
            "SELECT attempt FROM kernel_jobs.claim('{desk.leave}', '{3}', gen_random_uuid(), 9, 60000, $1)";
        let claimed =
            sqlx::query_scalar::<_, i32>(claim).bind(kernel.clock.now()).fetch_all(&mut worker).await;
        assert_eq!(claimed.unwrap(), [attempt]);
        lease_over(&kernel);
    }
    let row = "SELECT to_jsonb(j) FROM kernel_jobs.job AS j";
    let held: serde_json::Value = sqlx::query_scalar(row).fetch_one(&mut kernel.admin().await).await.unwrap();
    let calls = [
        ("SELECT kernel_jobs.fail($1, $2, $3, 'x', 0, NULL)::text", "false"),
        ("SELECT kernel_jobs.fail($1, $2, $3, 'x', NULL, NULL)::text", "false"),
        ("SELECT kernel_jobs.finish($1, $2, $3)::text", "false"),
        ("SELECT kernel_jobs.release(ARRAY[$1], ARRAY[$2], ARRAY[$3], NULL)::text", "0"),
        ("SELECT kernel_jobs.renew(ARRAY[$1], ARRAY[$2], ARRAY[$3], 1, NULL)::text", "1"),
    ];
    for (call, refusal) in calls {
        let answer: String = sqlx::query_scalar(call)
            .bind(workspace.id())
            .bind(id)
            .bind(1)
            .fetch_one(&mut worker)
            .await
            .unwrap();
        assert_eq!(answer, refusal, "{call}");
        let after: serde_json::Value =
            sqlx::query_scalar(row).fetch_one(&mut kernel.admin().await).await.unwrap();
        assert_eq!(after, held, "{call}");
    }
    let finish = sqlx::query_scalar::<_, bool>("SELECT kernel_jobs.finish($1, $2, 2)");
    assert!(finish.bind(workspace.id()).bind(id).fetch_one(&mut worker).await.unwrap());
}
