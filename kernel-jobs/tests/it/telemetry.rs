//! What the queue tells: how attempts end, what waits, and whose line each is.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use kernel_core::telemetry::{ErrorReporter, Incident, Report};
use kernel_core::testkit::{TestKernel, config};
use kernel_jobs::Options;
use uuid::Uuid;

use crate::desk::{Desk, Then, Unknown, left, put, put_with, runner, say};

#[derive(Default)]
struct Kept(Mutex<Vec<Report>>);

impl ErrorReporter for Kept {
    fn report(&self, report: Report) {
        self.0.lock().unwrap().push(report);
    }
}

fn value(kernel: &TestKernel, series: &str) -> i64 {
    let text = kernel.app.metrics().text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

#[tokio::test]
async fn a_job_that_fails_for_good_is_reported_once_and_attempts_are_counted() {
    let kept = Arc::<Kept>::default();
    let mut config = config();
    config.telemetry.reporter = Some(kept.clone());
    let kernel = TestKernel::with(config, Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let twice = || Options::new().attempts(NonZeroU32::new(2).unwrap());
    put_with(&kernel, &workspace, &left("never", Then::Fail), twice()).await;
    put(&kernel, &workspace, &left("whole", Then::End)).await;
    let runner = runner(&kernel);
    runner.drain().await.unwrap();
    assert_eq!(kept.0.lock().unwrap().len(), 0, "it is tried again");
    kernel.clock.advance(TimeDelta::hours(1));
    runner.drain().await.unwrap();
    let reports = std::mem::take(&mut *kept.0.lock().unwrap());
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.incident, report.place.as_str()), (Incident::DeadJob, "desk.leave"));
    assert_eq!((report.code.as_str(), report.workspace_id), ("desk.closed", Some(workspace.id())));
    let mut admin = kernel.admin().await;
    let id: Uuid =
        sqlx::query_scalar("SELECT request_id FROM kernel_jobs.job").fetch_one(&mut admin).await.unwrap();
    assert_eq!(report.request_id.uuid(), id);
    let ended = |outcome| {
        value(&kernel, &format!("kernel_job_attempts_total{{kind=\"desk.leave\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!((ended("done"), ended("failed"), ended("dead"), ended("lost")), (1, 1, 1, 0));
    assert_eq!(value(&kernel, "kernel_job_seconds_count{kind=\"desk.leave\"}"), 3);
    assert_eq!(value(&kernel, "kernel_job_running"), 0);
}

#[tokio::test]
async fn what_waits_shows_by_kind_and_for_how_long() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    put(&kernel, &workspace, &left("a", Then::End)).await;
    put_with(&kernel, &workspace, &left("b", Then::End), Options::new()).await;
    put(&kernel, &workspace, &Unknown).await;
    say(&kernel, &workspace, Uuid::nil(), "hello").await;
    kernel.clock.advance(TimeDelta::seconds(90));
    let runner = runner(&kernel);
    runner.survey().await.unwrap();
    assert_eq!(value(&kernel, "kernel_job_queue{kind=\"desk.leave\",state=\"available\"}"), 2);
    assert_eq!(value(&kernel, "kernel_job_queue{kind=\"other\",state=\"other\"}"), 1);
    assert_eq!(value(&kernel, "kernel_job_due_seconds{kind=\"desk.leave\"}"), 90);
    assert_eq!(value(&kernel, "kernel_outbox_waiting"), 1);
    assert_eq!(value(&kernel, "kernel_outbox_lag_seconds"), 90);
    runner.drain().await.unwrap();
    runner.survey().await.unwrap();
    assert_eq!(value(&kernel, "kernel_job_queue{kind=\"desk.leave\",state=\"available\"}"), 0);
    assert_eq!(value(&kernel, "kernel_job_due_seconds{kind=\"desk.leave\"}"), 0);
    assert_eq!(value(&kernel, "kernel_outbox_waiting"), 0);
    assert_eq!(value(&kernel, "kernel_outbox_published_total"), 1);
}

#[tokio::test]
async fn unsealed_audit_rows_show_until_they_are_sealed() {
    let kernel = TestKernel::start(Desk::default().register()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let written = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut kernel_core::TenantTx| {
        kernel_core::audit(tx, kernel_core::AuditEntry::new(kernel_core::AuditAction::new("desk.look"))).await
    });
    written.await.unwrap();
    kernel.clock.advance(TimeDelta::seconds(90));
    let runner = runner(&kernel);
    runner.survey().await.unwrap();
    assert_eq!(value(&kernel, "kernel_audit_unsealed"), 1);
    assert_eq!(value(&kernel, "kernel_audit_lag_seconds"), 90);
    runner.tend().await.unwrap();
    runner.survey().await.unwrap();
    assert_eq!((value(&kernel, "kernel_audit_unsealed"), value(&kernel, "kernel_audit_lag_seconds")), (0, 0));
    assert!(value(&kernel, "kernel_chore_rounds_total{chore=\"core.audit.seal\",outcome=\"done\"}") >= 1);
}
