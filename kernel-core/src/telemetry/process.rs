//! What the process is, and what it uses where the system tells: CPU and memory on Linux, tasks of the runtime everywhere.

use std::fs;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use super::metric::{Kind, Labels, Metrics, precise};
use crate::health::limit_bytes;

/// Linux counts processor time in hundredths of a second for every architecture, whatever its clock does.
const TICKS: f64 = 100.0;
/// Of memory, in the kernel's own table.
const KIB: u64 = 1024;

/// Shows which version of the product runs since when.
pub(super) fn introduce(metrics: &Metrics, release: &str, started: DateTime<Utc>) {
    let versions = [release.to_owned(), env!("CARGO_PKG_VERSION").to_owned()];
    metrics.observe(
        Kind::Gauge,
        "kernel_build_info",
        "Always 1: its labels are the version of the product and that of the kernel.",
        Labels::listed(["version", "kernel"], [versions]),
        || vec![1.0],
    );
    let seconds = precise(u64::try_from(started.timestamp()).unwrap_or_default());
    metrics.observe(
        Kind::Gauge,
        "process_start_time_seconds",
        "When the app was built, in seconds since 1970.",
        Labels::none(),
        move || vec![seconds],
    );
}

pub(super) fn register(metrics: &Metrics) {
    metrics.observe(
        Kind::Counter,
        "process_cpu_seconds_total",
        "Processor time that the process has used, in seconds.",
        Labels::none(),
        || cpu_seconds().into_iter().collect(),
    );
    metrics.observe(
        Kind::Gauge,
        "process_resident_memory_bytes",
        "Memory that the process holds, in bytes.",
        Labels::none(),
        || resident_bytes().map(precise).into_iter().collect(),
    );
    metrics.observe(
        Kind::Gauge,
        "process_memory_limit_bytes",
        "Memory that the process may hold, by its control groups or the machine, in bytes.",
        Labels::none(),
        || limit_bytes().map(precise).into_iter().collect(),
    );
    metrics.observe(
        Kind::Gauge,
        "kernel_runtime_tasks",
        "Tasks that the asynchronous runtime has, by whether they wait for a thread.",
        Labels::of("state", ["alive", "waiting"]),
        runtime_tasks,
    );
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold blanks; it ends with the last bracket. Of the rest, fields 12 and 13 are the time in
    // the program and in the system.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(precise(user + system) / TICKS)
}

pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * KIB)
}

fn runtime_tasks() -> Vec<f64> {
    let Ok(runtime) = Handle::try_current() else { return Vec::new() };
    let metrics = runtime.metrics();
    let count = |tasks| precise(u64::try_from(tasks).unwrap_or(u64::MAX));
    vec![count(metrics.num_alive_tasks()), count(metrics.global_queue_depth())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_tells_what_it_uses() {
        let metrics = Metrics::new();
        register(&metrics);
        let text = metrics.text();
        assert!(text.contains("kernel_runtime_tasks{state=\"alive\"} "), "{text}");
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().unwrap() > 1_000_000);
            assert!(limit_bytes().unwrap() > resident_bytes().unwrap());
            assert!(cpu_seconds().unwrap() < 1_000_000.0);
        }
    }
}
