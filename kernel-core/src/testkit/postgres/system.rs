//! Processes, locks, ports and randomness: what the finder asks of the operating system.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::sleep;

use super::{NoPostgres, Progress};

/// Takes a lock that other processes hold only for a while; the system frees it when its holder dies.
pub(in crate::testkit) async fn lock(path: &Path, progress: Progress<'_>) -> Result<File, NoPostgres> {
    let what = || step(format!("locking {}", path.display()));
    let file = File::create(path).map_err(what())?;
    let mut told = false;
    // `File::lock` would hold up the whole runtime.
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(what()(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if !std::mem::replace(&mut told, true) {
            progress("PostgreSQL: waiting for another process that is bringing it up");
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Runs a command to its end and returns what it printed.
pub(in crate::testkit) async fn output(name: &str, command: &mut Command) -> Result<String, NoPostgres> {
    let failed = |detail: String| NoPostgres::Step { step: name.to_owned(), detail };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let command = std::mem::replace(command, Command::new(""));
    let out = tokio::process::Command::from(command).kill_on_drop(true).output().await;
    let out = out.map_err(|error| failed(error.to_string()))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    Err(failed(last_lines(&String::from_utf8_lossy(&out.stderr))))
}

/// The end of a log, on one line.
pub(in crate::testkit) fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}

/// Names what was being done when an operation on a file failed.
pub(in crate::testkit) fn step(what: impl Into<String>) -> impl FnOnce(io::Error) -> NoPostgres {
    let what = what.into();
    move |error| NoPostgres::Step { step: what, detail: error.to_string() }
}

/// A port that is free now.
pub(in crate::testkit) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub(in crate::testkit) fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
}

/// Whether a file system in memory has room for a cluster and all that tests put into it, and the machine the memory.
pub(in crate::testkit) fn has_room(dir: &Path) -> bool {
    const NEEDED_KIB: u64 = 6 << 20;
    let df = Command::new("df").args(["-P", "-k"]).arg(dir).stderr(Stdio::null()).output();
    let df = df.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    // Below the headings: device, size, used, available, all in KiB.
    let free = df.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available = available.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    [free, available].into_iter().all(|kib: Option<u64>| kib.is_some_and(|kib| kib >= NEEDED_KIB))
}
