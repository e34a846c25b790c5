//! Chores: done when due, by one process at a time, late rather than twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::chore::{Chore, Pace};
use kernel_core::testkit::TestKernel;
use kernel_core::{AppBuilder, AuditAction, AuditEntry, Error, ErrorKind, GlobalTx, Pillar, Tx, audit};
use kernel_jobs::Jobs;
use tokio::sync::Semaphore;

use crate::desk::runner;

const NAME: &str = "probe.chore";
const EVERY: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Again(u32),
    Fail,
    Hang,
    Idle,
    Panic,
    Rest,
    Wait,
}

/// Leaves an audit row of the system and then does what `then` says.
#[derive(Debug, Clone)]
struct Probe {
    then: Then,
    started: Arc<AtomicU32>,
    waiting: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Probe {
    fn new(then: Then) -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { then, started: Arc::default(), waiting: none(), go: none() }
    }

    fn started(&self) -> u32 {
        self.started.load(Ordering::SeqCst)
    }

    fn register(&self, limit: Duration) -> impl Fn(AppBuilder) -> AppBuilder {
        let probe = self.clone();
        move |app| {
            let chore = Chore::new(NAME, EVERY, probe.clone(), work).limit(limit);
            app.with(Jobs::new()).with(Pillar::new("probe").chore(chore))
        }
    }

    async fn kernel(&self) -> Arc<TestKernel> {
        Arc::new(TestKernel::start(self.register(Duration::from_secs(20))).await)
    }
}

async fn work(probe: Probe, tx: &mut GlobalTx) -> Result<Pace, Error> {
    let round = probe.started.fetch_add(1, Ordering::SeqCst) + 1;
    audit(tx, AuditEntry::new(AuditAction::new("probe.chore.done"))).await?;
    match probe.then {
        Then::Again(times) if round < times => return Ok(Pace::Again),
        Then::Again(_) | Then::Rest => {}
        Then::Fail => {
            return Err(
                Error::new(ErrorKind::Unavailable, "probe.broken").because("the secret drawer is shut")
            );
        }
        Then::Hang => std::future::pending().await,
        Then::Idle => return Ok(Pace::Idle),
        Then::Panic => panic!("the secret drawer fell"),
        Then::Wait => {
            probe.waiting.add_permits(1);
            probe.go.acquire().await.unwrap().forget();
        }
    }
    assert!(tx.ctx().actor() == &kernel_core::Actor::System { name: NAME });
    Ok(Pace::Rest)
}

/// How often the chore was done for good.
async fn done(kernel: &TestKernel) -> i64 {
    let done =
        "SELECT count(*) FROM (TABLE kernel_core.audit_log UNION ALL TABLE kernel_core.audit_unsealed) AS a
                WHERE a.action = 'probe.chore.done'";
    sqlx::query_scalar(done).fetch_one(&mut kernel.admin().await).await.unwrap()
}

/// Failures since the last good end, and the last error.
async fn row(kernel: &TestKernel) -> (i32, Option<String>) {
    sqlx::query_as("SELECT failures, last_error FROM kernel_jobs.chore WHERE name = $1")
        .bind(NAME)
        .fetch_one(&mut kernel.admin().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_chore_is_done_at_once_and_then_whenever_its_time_has_passed() {
    let probe = Probe::new(Then::Rest);
    let kernel = probe.kernel().await;
    let runner = runner(&kernel);
    for expected in [1, 1] {
        runner.tend().await.unwrap();
        assert_eq!(done(&kernel).await, expected);
    }
    kernel.clock.advance(TimeDelta::seconds(599));
    runner.tend().await.unwrap();
    assert_eq!(done(&kernel).await, 1);
    // Hours late is once, not once for each time that was missed.
    kernel.clock.advance(TimeDelta::hours(5));
    for _ in 0..2 {
        runner.tend().await.unwrap();
    }
    assert_eq!((done(&kernel).await, probe.started()), (2, 2));
}

#[tokio::test]
async fn a_chore_with_more_to_do_goes_on_at_once() {
    let probe = Probe::new(Then::Again(4));
    let kernel = probe.kernel().await;
    runner(&kernel).tend().await.unwrap();
    assert_eq!(done(&kernel).await, 4);
}

#[tokio::test]
async fn a_chore_that_finds_nothing_to_do_writes_nothing_and_is_due_still() {
    let probe = Probe::new(Then::Idle);
    let kernel = probe.kernel().await;
    for looked in 1..3 {
        assert_eq!(runner(&kernel).tend().await.unwrap().failed, 0);
        assert_eq!((probe.started(), done(&kernel).await), (looked, 0));
    }
}

#[tokio::test]
async fn while_one_process_is_at_it_no_other_is_and_neither_waits() {
    let probe = Probe::new(Then::Wait);
    let kernel = probe.kernel().await;
    let first = tokio::spawn({
        let (kernel, runner) = (kernel.clone(), runner(&kernel));
        async move {
            let tended = runner.tend().await;
            drop(kernel);
            tended
        }
    });
    probe.waiting.acquire().await.unwrap().forget();
    runner(&kernel).tend().await.unwrap();
    assert_eq!((probe.started(), done(&kernel).await), (1, 0));
    probe.go.add_permits(1);
    first.await.unwrap().unwrap();
    runner(&kernel).tend().await.unwrap();
    assert_eq!((probe.started(), done(&kernel).await), (1, 1));
}

#[tokio::test]
async fn a_process_that_dies_at_it_lets_go_and_leaves_nothing_done() {
    let probe = Probe::new(Then::Wait);
    let kernel = probe.kernel().await;
    let worker = runner(&kernel);
    let dying = tokio::spawn(async move { worker.run(std::future::pending()).await });
    probe.waiting.acquire().await.unwrap().forget();
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    probe.go.add_permits(1);
    for _ in 0..200 {
        runner(&kernel).tend().await.unwrap();
        if done(&kernel).await == 1 {
            return assert_eq!(probe.started(), 2);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the chore was never let go");
}

#[tokio::test]
async fn a_chore_that_fails_or_panics_is_undone_counted_and_tried_again() {
    for (then, code) in [(Then::Fail, "probe.broken"), (Then::Panic, "chore_panicked")] {
        let probe = Probe::new(then);
        let kernel = probe.kernel().await;
        let runner = runner(&kernel);
        for failures in 1..3 {
            assert_eq!(runner.tend().await.unwrap().failed, 1);
            assert_eq!((row(&kernel).await, done(&kernel).await), ((failures, Some(code.to_owned())), 0));
            // It waits for half a minute, not for its usual ten.
            assert_eq!(runner.tend().await.unwrap().failed, 0);
            kernel.clock.advance(TimeDelta::seconds(30));
        }
    }
}

#[tokio::test]
async fn a_chore_that_takes_too_long_is_cut_off() {
    let probe = Probe::new(Then::Hang);
    let kernel = TestKernel::start(probe.register(Duration::from_millis(200))).await;
    assert_eq!(runner(&kernel).tend().await.unwrap().failed, 1);
    assert_eq!((row(&kernel).await, done(&kernel).await), ((1, Some("chore_timed_out".to_owned())), 0));
}

#[tokio::test]
async fn chores_and_jobs_end_with_their_runner() {
    let probe = Probe::new(Then::Rest);
    let kernel = probe.kernel().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = runner(&kernel);
    let running = tokio::spawn(async move { worker.run(async { drop(stopped.await) }).await });
    for _ in 0..300 {
        if done(&kernel).await == 1 {
            stop.send(()).unwrap();
            return tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the chore was never done");
}
