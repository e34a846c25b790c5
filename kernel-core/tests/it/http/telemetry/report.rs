//! Reports of errors: which there are, what they say, and that whoever gets them cannot do harm.

use std::sync::{Arc, Mutex};

use kernel_core::telemetry::{ErrorReporter, Incident, Report};

use super::super::ask::Ask;
use super::super::shop::Shop;

#[derive(Default)]
struct Kept(Mutex<Vec<Report>>);

impl ErrorReporter for Kept {
    fn report(&self, report: Report) {
        self.0.lock().unwrap().push(report);
    }
}

struct Broken;

impl ErrorReporter for Broken {
    fn report(&self, _: Report) {
        panic!("the reporter broke");
    }
}

#[tokio::test]
async fn what_is_our_fault_is_reported_and_what_is_the_callers_is_not() {
    let kept = Arc::<Kept>::default();
    let shop = Shop::configured(|config| {
        config.telemetry.reporter = Some(kept.clone());
        "shop@1.4.0".clone_into(&mut config.telemetry.release);
    })
    .await;
    for name in ["bread", "bad", ""] {
        shop.send(Ask::item(name)).await;
    }
    shop.send(Ask::get("/nowhere")).await;
    assert_eq!(kept.0.lock().unwrap().len(), 0);
    let answer = shop.send(Ask::item("panic")).await;
    let reports = std::mem::take(&mut *kept.0.lock().unwrap());
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.incident, report.code.as_str()), (Incident::Panic, "internal"));
    assert_eq!(report.place, "POST /api/v1/w/{workspace}/items");
    assert_eq!(report.message, "internal: panicked: the shelf fell over");
    assert_eq!(report.request_id.to_string(), answer.header("x-request-id"));
    assert_eq!(report.release, "shop@1.4.0");
    assert_eq!(report.workspace_id, Some(shop.acme.id()));
    assert_eq!(report.trace.unwrap().trace_id(), report.request_id.uuid());
    assert_eq!(report.at, shop.kernel.clock.now());
}

#[tokio::test]
async fn a_storm_is_held_back() {
    let kept = Arc::<Kept>::default();
    let shop = Shop::configured(|config| {
        config.telemetry.reporter = Some(kept.clone());
        config.http.quotas.actor = kernel_core::http::Quota::per_minute(10_000);
    })
    .await;
    for _ in 0..40 {
        assert_eq!(shop.send(Ask::item("panic")).await.status, 500);
    }
    assert_eq!(kept.0.lock().unwrap().len(), 5);
    let text = shop.kernel.app.metrics().text();
    assert!(text.contains("kernel_error_reports_total{outcome=\"held_back\"} 35\n"), "{text}");
}

#[tokio::test]
async fn a_reporter_that_breaks_changes_no_answer() {
    let shop = Shop::configured(|config| config.telemetry.reporter = Some(Arc::new(Broken))).await;
    let answer = shop.send(Ask::item("panic")).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
}
