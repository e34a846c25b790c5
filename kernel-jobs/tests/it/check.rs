//! What the doctor finds of the queue.

use kernel_core::doctor::Verdict;
use kernel_core::testkit::{TestKernel, config};
use kernel_core::{App, Clock, Db};
use sqlx::Executor;
use uuid::Uuid;

use crate::desk::{Desk, notes, runner, say};

/// The faults that the doctor finds in the database of this app.
async fn faults(kernel: &TestKernel) -> Vec<&'static str> {
    let db = Db::new(&kernel.database.logins().config()).unwrap();
    let mut config = config();
    config.clock = Clock::system();
    let report = Desk::default().register()(App::builder(db, config)).examine(None).await;
    let faults = report.diagnoses.iter().filter(|d| matches!(d.verdict, Verdict::Fault { .. }));
    faults.map(|diagnosis| diagnosis.check).collect()
}

#[tokio::test]
async fn what_piles_up_or_has_failed_is_found() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    say(&kernel, &workspace, Uuid::nil(), "hello").await;
    let mut admin = kernel.admin().await;
    admin.execute("UPDATE kernel_core.outbox SET created_at = now()").await.unwrap();
    assert_eq!(faults(&kernel).await, [""; 0]);

    admin.execute("UPDATE kernel_core.outbox SET created_at = now() - interval '6 minutes'").await.unwrap();
    assert_eq!(faults(&kernel).await, ["jobs.unrelayed"]);
    let runner = runner(&kernel);
    runner.drain().await.unwrap();
    assert!(!notes(&kernel).await.is_empty());
    assert_eq!(faults(&kernel).await, [""; 0]);

    let job = "INSERT INTO kernel_jobs.job SELECT workspace_id, gen_random_uuid(), 'desk.lost', '{}', 'available', 1, 0, 0, \
               NULL, now() - interval '6 minutes', NULL, NULL, NULL, NULL, id, NULL, now(), now() FROM kernel_core.outbox";
    admin.execute(job).await.unwrap();
    assert_eq!(faults(&kernel).await, ["jobs.late"]);
    admin.execute("UPDATE kernel_jobs.job SET state = 'dead'").await.unwrap();
    assert_eq!(faults(&kernel).await, ["jobs.dead"]);
}
