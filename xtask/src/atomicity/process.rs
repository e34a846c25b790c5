//! Hosts as processes: one serves, the next one waits for its turn, and a kill is a kill.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::host::{Order, READY, SERVE, SERVING};
use crate::cargo;

/// How long a host may take over a step.
const PATIENCE: Duration = Duration::from_mins(1);

/// A host that is starting, waiting or serving.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    ear: ChildStdin,
    mouth: Lines<BufReader<ChildStdout>>,
}

impl Host {
    /// Starts a host and gives it its order; it goes on by itself until it is ready.
    pub(super) async fn start(order: &Order) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut host = cargo::child(program);
        host.arg("atomicity-host").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = host.spawn().context("cannot start a host")?;
        let ear = child.stdin.take().context("the host does not listen")?;
        let mouth = child.stdout.take().context("the host does not speak")?;
        let mut host = Self { child, ear, mouth: BufReader::new(mouth).lines() };
        host.tell(&serde_json::to_string(order)?).await?;
        Ok(host)
    }

    /// Waits until the host could serve.
    pub(super) async fn ready(&mut self) -> Result<()> {
        self.hear(READY).await
    }

    /// Lets the host serve, and says how long that took.
    pub(super) async fn serve(&mut self) -> Result<Duration> {
        let since = Instant::now();
        self.tell(SERVE).await?;
        self.hear(SERVING).await?;
        Ok(since.elapsed())
    }

    /// SIGKILL, and waits until the process is gone.
    pub(super) async fn kill(mut self) -> Result<()> {
        let status = self.child.try_wait()?;
        ensure!(status.is_none(), "the host ended by itself: {status:?}");
        self.child.kill().await.context("cannot kill the host")
    }

    async fn tell(&mut self, line: &str) -> Result<()> {
        self.ear.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.ear.flush().await?)
    }

    async fn hear(&mut self, wanted: &str) -> Result<()> {
        let line = tokio::time::timeout(PATIENCE, self.mouth.next_line()).await;
        let line = line.with_context(|| format!("the host is not «{wanted}» in time"))??;
        ensure!(line.as_deref() == Some(wanted), "the host said {line:?} instead of «{wanted}»");
        Ok(())
    }
}
