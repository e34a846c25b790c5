//! The dashboard for Grafana: `docs/telemetry/dashboard.json` is made of these panels.

use serde_json::{Value, json};

/// One diagram.
#[derive(Debug)]
pub struct Panel {
    title: &'static str,
    unit: &'static str,
    /// What it shows: a query, and how its lines are named.
    pub queries: &'static [(&'static str, &'static str)],
}

/// A heading and what stands below it.
#[derive(Debug)]
pub struct Row {
    title: &'static str,
    /// Its diagrams, two side by side.
    pub panels: &'static [Panel],
}

const fn panel(
    title: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, unit, queries }
}

/// The dashboard from top to bottom.
pub const ROWS: &[Row] = &[
    Row {
        title: "Requests: rate, errors, duration",
        panels: &[
            panel(
                "Requests by class of status",
                "reqps",
                &[("sum by (status) (rate(http_requests_total[5m]))", "{{status}}")],
            ),
            panel(
                "Part of requests that fail",
                "percentunit",
                &[(
                    "sum(rate(http_requests_total{status=\"5xx\"}[5m])) / sum(rate(http_requests_total[5m]))",
                    "5xx",
                )],
            ),
            panel(
                "Refused requests by status",
                "reqps",
                &[("sum by (status) (rate(http_requests_refused_total[5m])) > 0", "{{status}}")],
            ),
            panel(
                "Duration",
                "s",
                &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
                        "p50",
                    ),
                    (
                        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
                        "p95",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
                        "p99",
                    ),
                ],
            ),
            panel(
                "Slowest routes (p95)",
                "s",
                &[(
                    "topk(10, histogram_quantile(0.95, sum by (le, method, route) (rate(http_request_duration_seconds_bucket[15m]))))",
                    "{{method}} {{route}}",
                )],
            ),
            panel(
                "Refused by rate limits",
                "reqps",
                &[("sum by (quota) (rate(kernel_limit_refused_total[5m]))", "{{quota}}")],
            ),
            panel(
                "Under way, and left by their clients",
                "short",
                &[
                    ("sum(http_requests_in_flight)", "under way"),
                    ("sum(rate(http_requests_abandoned_total[5m]))", "left per second"),
                ],
            ),
        ],
    },
    Row {
        title: "Saturation",
        panels: &[
            panel(
                "Processor time per process",
                "percentunit",
                &[("rate(process_cpu_seconds_total[5m])", "{{instance}}")],
            ),
            panel(
                "Memory per process",
                "bytes",
                &[
                    ("process_resident_memory_bytes", "{{instance}}"),
                    ("process_memory_limit_bytes", "{{instance}} at most"),
                ],
            ),
            panel(
                "Connections to the database",
                "short",
                &[
                    ("sum by (login, state) (kernel_db_connections)", "{{login}} {{state}}"),
                    ("sum by (login) (kernel_db_connections_max)", "{{login}} at most"),
                ],
            ),
            panel(
                "Waiting for a connection",
                "s",
                &[
                    (
                        "histogram_quantile(0.95, sum by (le, login) (rate(kernel_db_begin_seconds_bucket[5m])))",
                        "{{login}} p95",
                    ),
                    ("max by (login) (kernel_db_transactions_opening)", "{{login}} callers"),
                ],
            ),
            panel(
                "Transactions by end",
                "ops",
                &[(
                    "sum by (login, outcome) (rate(kernel_db_transactions_total[5m]))",
                    "{{login}} {{outcome}}",
                )],
            ),
            panel(
                "Duration of transactions (p95), and those run again",
                "s",
                &[
                    (
                        "histogram_quantile(0.95, sum by (le, login) (rate(kernel_db_transaction_seconds_bucket[5m])))",
                        "{{login}}",
                    ),
                    ("sum(rate(kernel_db_reruns_total[5m]))", "again per second"),
                ],
            ),
            panel("Tasks of the runtime", "short", &[("sum by (state) (kernel_runtime_tasks)", "{{state}}")]),
            panel(
                "Processes that take requests",
                "short",
                &[("sum(kernel_ready)", "ready"), ("count(kernel_ready)", "up")],
            ),
            panel(
                "Processes by version",
                "short",
                &[("count by (version) (kernel_build_info)", "{{version}}")],
            ),
            panel("Running for", "s", &[("time() - process_start_time_seconds", "{{instance}}")]),
        ],
    },
    Row {
        title: "Jobs and events",
        panels: &[
            panel("Queue", "short", &[("max by (kind, state) (kernel_job_queue) > 0", "{{kind}} {{state}}")]),
            panel("Longest due", "s", &[("max by (kind) (kernel_job_due_seconds) > 0", "{{kind}}")]),
            panel(
                "Attempts by end",
                "ops",
                &[(
                    "sum by (kind, outcome) (rate(kernel_job_attempts_total[5m])) > 0",
                    "{{kind}} {{outcome}}",
                )],
            ),
            panel(
                "Duration of attempts (p95)",
                "s",
                &[(
                    "histogram_quantile(0.95, sum by (le, kind) (rate(kernel_job_seconds_bucket[15m])))",
                    "{{kind}}",
                )],
            ),
            panel(
                "Workers",
                "short",
                &[("sum(kernel_job_running)", "running"), ("sum(kernel_job_slots)", "at most")],
            ),
            panel(
                "Outbox",
                "s",
                &[
                    ("max(kernel_outbox_lag_seconds)", "oldest"),
                    ("max(kernel_outbox_waiting)", "waiting"),
                    ("sum(rate(kernel_outbox_published_total[5m]))", "relayed per second"),
                ],
            ),
        ],
    },
    Row {
        title: "Audit log, chores, telemetry",
        panels: &[
            panel(
                "Rows without a seal",
                "s",
                &[("max(kernel_audit_lag_seconds)", "oldest"), ("max(kernel_audit_unsealed)", "waiting")],
            ),
            panel("Audit rows in no month's partition", "short", &[("max(kernel_audit_misplaced)", "rows")]),
            panel(
                "Chores that fail",
                "short",
                &[(
                    "sum by (chore) (increase(kernel_chore_rounds_total{outcome=\"failed\"}[15m]))",
                    "{{chore}}",
                )],
            ),
            panel(
                "Reports of errors",
                "ops",
                &[("sum by (outcome) (rate(kernel_error_reports_total[5m]))", "{{outcome}}")],
            ),
            panel(
                "Told to others",
                "ops",
                &[("sum by (signal, outcome) (rate(kernel_export_total[5m]))", "{{signal}} {{outcome}}")],
            ),
        ],
    },
];

const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// The file that Grafana imports.
#[must_use]
pub fn dashboard() -> Value {
    let (mut panels, mut top, mut id) = (Vec::new(), 0, 0);
    for row in ROWS {
        id += 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "h": 1, "w": 2 * WIDTH, "x": 0, "y": top },
        }));
        top += 1;
        for (index, panel) in row.panels.iter().enumerate() {
            id += 1;
            let place = json!({
                "h": HEIGHT, "w": WIDTH, "x": index % 2 * WIDTH, "y": top + index / 2 * HEIGHT,
            });
            panels.push(panel.json(id, &place));
        }
        top += row.panels.len().div_ceil(2) * HEIGHT;
    }
    json!({
        "title": "Kernel", "uid": "kernel", "schemaVersion": 39, "version": 1, "editable": true,
        "refresh": "30s", "time": { "from": "now-6h", "to": "now" }, "timezone": "utc", "tags": ["kernel"],
        "templating": { "list": [{
            "name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        }] },
        "panels": panels,
    })
}

impl Panel {
    fn json(&self, id: usize, place: &Value) -> Value {
        let source = json!({ "type": "prometheus", "uid": "${source}" });
        let target = |(index, (expr, legend)): (usize, &(&str, &str))| {
            let letter = char::from(b'A' + u8::try_from(index).unwrap_or_default());
            json!({
                "refId": letter.to_string(), "expr": expr, "legendFormat": legend, "datasource": source,
            })
        };
        json!({
            "id": id, "type": "timeseries", "title": self.title, "datasource": source, "gridPos": place,
            "fieldConfig": { "defaults": { "unit": self.unit, "min": 0 }, "overrides": [] },
            "targets": self.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
        })
    }
}
