//! Hosts as processes: a kill is a kill.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};

use super::host::{Order, SEALING};
use crate::cargo;

/// How long a host may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A host that seals.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    /// It ends when this is closed.
    _ear: ChildStdin,
}

impl Host {
    pub(super) async fn start(order: &Order) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut host = cargo::child(program);
        host.arg("audit-host").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.spawn().context("cannot start a host")?;
        let mut ear = child.stdin.take().context("the host does not listen")?;
        let mouth = child.stdout.take().context("the host does not speak")?;
        ear.write_all(format!("{}\n", serde_json::to_string(order)?).as_bytes()).await?;
        ear.flush().await?;
        let mut mouth = BufReader::new(mouth).lines();
        let line =
            tokio::time::timeout(PATIENCE, mouth.next_line()).await.context("the host does not start")??;
        ensure!(line.as_deref() == Some(SEALING), "the host said {line:?} instead of «{SEALING}»");
        Ok(Self { child, _ear: ear })
    }

    /// SIGKILL, and waits until the process is gone.
    pub(super) async fn kill(mut self) -> Result<()> {
        let status = self.child.try_wait()?;
        ensure!(status.is_none(), "the host ended by itself: {status:?}");
        self.child.kill().await.context("cannot kill the host")
    }
}
