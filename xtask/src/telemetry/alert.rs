//! The objectives of the service, and the alerts that follow from them: `docs/telemetry/alerts.json` is made of these.

use serde_json::{Value, json};

/// Of all requests, so many are to be answered without a fault of ours, over 30 days.
const AVAILABLE: f64 = 0.999;
/// Of all requests, so many are to be answered within half a second, over 30 days.
const FAST: f64 = 0.99;
/// Probes come whether anybody uses the product or not.
const PROBES: &str = "route!~\"/healthz|/readyz\"";

/// Over which two windows the budget is spent how many times too fast, and whether somebody is called at night for it.
/// At 14.4 times, a fiftieth of the month's budget is gone in an hour; the short window ends the alert soon after the
/// trouble has.
const BURNS: &[Burn] = &[
    Burn { name: "Fast", long: "1h", short: "5m", times: 14.4, severity: PAGE },
    Burn { name: "Medium", long: "6h", short: "30m", times: 6.0, severity: PAGE },
    Burn { name: "Slow", long: "3d", short: "6h", times: 1.0, severity: TICKET },
];

const PAGE: &str = "page";
const TICKET: &str = "ticket";

struct Burn {
    name: &'static str,
    long: &'static str,
    short: &'static str,
    times: f64,
    severity: &'static str,
}

/// An alert, and a trial that must raise it.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// What raises it.
    pub expr: String,
    /// For how long that must hold.
    pub lasting: &'static str,
    severity: &'static str,
    summary: String,
    /// The file in `docs/runbooks/` that says what to do.
    pub runbook: &'static str,
    /// Series that raise it, and the labels that it then has.
    trial: Trial,
}

#[derive(Debug, Clone)]
struct Trial {
    series: Vec<(String, &'static str)>,
    labels: Vec<(&'static str, &'static str)>,
}

fn trial(series: &[(&str, &'static str)], labels: &[(&'static str, &'static str)]) -> Trial {
    let series = series.iter().map(|(name, values)| ((*name).to_owned(), *values)).collect();
    Trial { series, labels: labels.to_vec() }
}

/// A rule that keeps the part of requests that miss an objective, over one window.
fn recorded(objective: &str, window: &str) -> String {
    format!("slo:http_{objective}:ratio_rate{window}")
}

fn windows() -> Vec<&'static str> {
    let mut windows: Vec<_> = BURNS.iter().flat_map(|burn| [burn.short, burn.long]).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// What the recording rules compute, with their names.
#[must_use]
pub fn recordings() -> Vec<(String, String)> {
    let of = |window: &'static str| {
        let errors = format!(
            "sum(rate(http_requests_total{{status=\"5xx\",{PROBES}}}[{window}])) / \
             sum(rate(http_requests_total{{{PROBES}}}[{window}]))"
        );
        let slow = format!(
            "1 - sum(rate(http_request_duration_seconds_bucket{{le=\"0.5\",{PROBES}}}[{window}])) / \
             sum(rate(http_request_duration_seconds_count{{{PROBES}}}[{window}]))"
        );
        [(recorded("errors", window), errors), (recorded("slow", window), slow)]
    };
    windows().into_iter().flat_map(of).collect()
}

fn burning() -> Vec<Alert> {
    let series = |part: &str| format!("http_requests_total{{method=\"GET\",route=\"/\",status=\"{part}\"}}");
    // Every request fails, or takes longer than half a second.
    let bad = vec![(series("5xx"), "0+60x480"), (series("2xx"), "0+0x480")];
    let slow = |part: &str| format!("http_request_duration_seconds_{part}route=\"/\"}}");
    let late = vec![(slow("bucket{le=\"0.5\","), "0+0x480"), (slow("count{"), "0+60x480")];
    let objectives = [
        ("errors", "ErrorBudgetBurn", AVAILABLE, "error-budget", bad, "fail"),
        ("slow", "LatencyBudgetBurn", FAST, "latency-budget", late, "take longer than half a second"),
    ];
    let of = |burn: &Burn| {
        let Burn { name, long, short, times, severity } = *burn;
        let objectives = objectives.clone();
        objectives.map(|(objective, alert, part, runbook, series, what)| {
            let most = format!("({times} * {:.3})", 1.0 - part);
            let over = |window| format!("{} > {most}", recorded(objective, window));
            Alert {
                name: format!("{alert}{name}"),
                expr: format!("{} and {}", over(long), over(short)),
                lasting: "2m",
                severity,
                summary: format!(
                    "So many requests {what} that the month's budget burns {times} times too fast."
                ),
                runbook,
                trial: Trial { series, labels: Vec::new() },
            }
        })
    };
    BURNS.iter().flat_map(of).collect()
}

fn alert(
    name: &str,
    expr: &str,
    lasting: &'static str,
    severity: &'static str,
    summary: &str,
    runbook: &'static str,
    trial: Trial,
) -> Alert {
    let (name, expr, summary) = (name.to_owned(), expr.to_owned(), summary.to_owned());
    Alert { name, expr, lasting, severity, summary, runbook, trial }
}

/// Every alert.
#[must_use]
pub fn alerts() -> Vec<Alert> {
    burning()
        .into_iter()
        .chain([of_process()])
        .chain(of_database())
        .chain(of_jobs())
        .chain(of_upkeep())
        .collect()
}

fn of_process() -> Alert {
    // Whom nobody sends requests fails none, so nothing else would ring.
    alert(
        "NotReady",
        "min by (instance) (kernel_ready) == 0",
        "2m",
        PAGE,
        "The process {{ $labels.instance }} is up and takes no requests.",
        "not-ready",
        trial(&[("kernel_ready{instance=\"10.0.0.7:9464\"}", "0x60")], &[("instance", "10.0.0.7:9464")]),
    )
}

fn of_database() -> [Alert; 2] {
    [
        alert(
            "DatabaseUnreachable",
            "sum by (login) (rate(kernel_db_transactions_total{outcome=\"refused\"}[5m])) > 0.1",
            "2m",
            PAGE,
            "Transactions of the login {{ $labels.login }} cannot begin.",
            "database-unreachable",
            trial(
                &[(
                    "kernel_db_transactions_total{login=\"app\",scope=\"workspace\",outcome=\"refused\"}",
                    "0+60x60",
                )],
                &[("login", "app")],
            ),
        ),
        alert(
            "DatabasePoolFull",
            "max by (login) (kernel_db_transactions_opening) > 5",
            "5m",
            PAGE,
            "Callers wait for connections of the login {{ $labels.login }}.",
            "database-pool",
            trial(&[("kernel_db_transactions_opening{login=\"app\"}", "9x60")], &[("login", "app")]),
        ),
    ]
}

fn of_jobs() -> [Alert; 3] {
    [
        alert(
            "NoWorker",
            "absent(kernel_job_slots)",
            "5m",
            PAGE,
            "No process runs jobs, relays events or seals the audit log.",
            "no-worker",
            trial(&[], &[]),
        ),
        alert(
            "JobsLate",
            "max by (kind) (kernel_job_due_seconds) > 300",
            "5m",
            PAGE,
            "Jobs of the kind {{ $labels.kind }} have been due for minutes.",
            "jobs-late",
            trial(
                &[("kernel_job_due_seconds{kind=\"tracker.purge\"}", "600x60")],
                &[("kind", "tracker.purge")],
            ),
        ),
        alert(
            "JobsDead",
            "max by (kind) (kernel_job_queue{state=\"dead\"}) > 0",
            "1m",
            TICKET,
            "Jobs of the kind {{ $labels.kind }} failed for good.",
            "jobs-dead",
            trial(
                &[("kernel_job_queue{kind=\"tracker.purge\",state=\"dead\"}", "1x60")],
                &[("kind", "tracker.purge")],
            ),
        ),
    ]
}

fn of_upkeep() -> [Alert; 5] {
    [
        alert(
            "OutboxStuck",
            "max(kernel_outbox_lag_seconds) > 60",
            "5m",
            PAGE,
            "Events wait for the relay.",
            "outbox-stuck",
            trial(&[("kernel_outbox_lag_seconds", "600x60")], &[]),
        ),
        alert(
            "AuditUnsealed",
            "max(kernel_audit_lag_seconds) > 60",
            "5m",
            PAGE,
            "Audit rows wait for their seal.",
            "audit-unsealed",
            trial(&[("kernel_audit_lag_seconds", "600x60")], &[]),
        ),
        alert(
            "AuditMisplaced",
            "max(kernel_audit_misplaced) > 0",
            "5m",
            TICKET,
            "Audit rows lie in no month's partition.",
            "audit-misplaced",
            trial(&[("kernel_audit_misplaced", "3x60")], &[]),
        ),
        alert(
            "ChoreFails",
            "sum by (chore) (increase(kernel_chore_rounds_total{outcome=\"failed\"}[15m])) > 3",
            "1m",
            TICKET,
            "The chore {{ $labels.chore }} fails again and again.",
            "chore-fails",
            trial(
                &[("kernel_chore_rounds_total{chore=\"core.audit.seal\",outcome=\"failed\"}", "0+1x60")],
                &[("chore", "core.audit.seal")],
            ),
        ),
        alert(
            "TelemetryLost",
            "sum by (signal) (rate(kernel_export_total{outcome=~\"failed|dropped\"}[10m])) > 0",
            "15m",
            TICKET,
            "What is told by {{ $labels.signal }} does not arrive.",
            "telemetry-lost",
            trial(
                &[("kernel_export_total{signal=\"spans\",outcome=\"dropped\"}", "0+60x60")],
                &[("signal", "spans")],
            ),
        ),
    ]
}

impl Alert {
    fn rule(&self) -> Value {
        json!({
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasting,
            "labels": { "severity": self.severity },
            "annotations": { "summary": self.summary, "runbook": self.runbook_path() },
        })
    }

    fn runbook_path(&self) -> String {
        format!("docs/runbooks/{}.md", self.runbook)
    }

    /// The trial, as `promtool test rules` takes it.
    fn test(&self) -> Value {
        let at = if self.expr.starts_with("slo:") { "7h" } else { "50m" };
        let series = |(series, values): &(String, &str)| json!({ "series": series, "values": values });
        let severity = ("severity", self.severity);
        let labels = self.trial.labels.iter().chain([&severity]);
        let labels: serde_json::Map<_, _> =
            labels.map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let summary = self.trial.labels.iter().fold(self.summary.clone(), |summary, (name, value)| {
            summary.replace(&format!("{{{{ $labels.{name} }}}}"), value)
        });
        let raised = json!({
            "exp_labels": labels,
            "exp_annotations": { "summary": summary, "runbook": self.runbook_path() },
        });
        let loud = json!({ "eval_time": at, "alertname": self.name, "exp_alerts": [raised] });
        json!({
            "interval": "1m",
            "input_series": self.trial.series.iter().map(series).collect::<Vec<_>>(),
            "alert_rule_test": [loud],
        })
    }
}

/// What the series of a product look like when all is well.
const WELL: &[(&str, &str)] = &[
    ("http_requests_total{method=\"GET\",route=\"/\",status=\"2xx\"}", "0+10000x480"),
    ("http_requests_total{method=\"GET\",route=\"/\",status=\"5xx\"}", "0+1x480"),
    ("http_requests_total{method=\"GET\",route=\"/readyz\",status=\"5xx\"}", "0+60x480"),
    ("http_request_duration_seconds_bucket{le=\"0.5\",route=\"/\"}", "0+9990x480"),
    ("http_request_duration_seconds_count{route=\"/\"}", "0+10000x480"),
    ("kernel_db_transactions_total{login=\"app\",scope=\"workspace\",outcome=\"refused\"}", "0x480"),
    ("kernel_db_transactions_opening{login=\"app\"}", "3x480"),
    ("kernel_ready{instance=\"10.0.0.7:9464\"}", "1x480"),
    ("kernel_job_slots", "8x480"),
    ("kernel_job_due_seconds{kind=\"tracker.purge\"}", "5x480"),
    ("kernel_job_queue{kind=\"tracker.purge\",state=\"dead\"}", "0x480"),
    ("kernel_outbox_lag_seconds", "1x480"),
    ("kernel_audit_lag_seconds", "4x480"),
    ("kernel_audit_misplaced", "0x480"),
    ("kernel_chore_rounds_total{chore=\"core.audit.seal\",outcome=\"failed\"}", "0+1x2 2x480"),
    ("kernel_export_total{signal=\"spans\",outcome=\"dropped\"}", "0x480"),
];

/// The rules, as Prometheus reads them: JSON is YAML too.
#[must_use]
pub fn rules() -> Value {
    // One group, since groups wait for one another no more than for the clock, and the alerts read what is recorded.
    let recordings = recordings().into_iter().map(|(name, expr)| json!({ "record": name, "expr": expr }));
    let rules: Vec<_> = recordings.chain(alerts().iter().map(Alert::rule)).collect();
    json!({ "groups": [{ "name": "kernel", "rules": rules }] })
}

/// The trials of all alerts, for rules in this file: each is raised by its trouble, and none when all is well.
#[must_use]
pub fn tests(rules: &str) -> Value {
    let mut tests: Vec<_> = alerts().iter().map(Alert::test).collect();
    let series = WELL.iter().map(|(series, values)| json!({ "series": series, "values": values }));
    let silent = |alert: &Alert| json!({ "eval_time": "7h", "alertname": alert.name, "exp_alerts": [] });
    tests.push(json!({
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "alert_rule_test": alerts().iter().map(silent).collect::<Vec<_>>(),
    }));
    json!({ "rule_files": [rules], "evaluation_interval": "10m", "tests": tests })
}
