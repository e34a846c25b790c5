//! A server for one test.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel_core::http::Timeouts;
use kernel_core::testkit::{Answer, RawClient, TestKernel, config};
use tokio::sync::oneshot;

use crate::demo::Demo;
use crate::host;

/// Longer than anything in these tests takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a test's server waits for slow clients.
pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    head: Duration::from_millis(700),
    body: Duration::from_millis(500),
    drain: Duration::from_secs(3),
    notice: None,
};

/// A running server with the demo's app; stopped when dropped.
pub(crate) struct Server {
    pub(crate) demo: Demo,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    kernel: TestKernel,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::under("").await
    }

    pub(crate) async fn under(prefix: &'static str) -> Self {
        Self::with(prefix, TIMEOUTS).await
    }

    pub(crate) async fn with(prefix: &'static str, timeouts: Timeouts) -> Self {
        let demo = Demo::default();
        let mut config = config();
        config.http.timeouts = timeouts;
        "demo@1".clone_into(&mut config.telemetry.release);
        let kernel = TestKernel::with(config, |app| app.with(demo.pillar())).await;
        demo.workspace.set(kernel.found_workspace().await.id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let app = kernel.app.clone();
        // A thread of its own, since actix's server does not move between threads.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(host::run(app, listener, prefix, stopped))
        });
        Self { demo, address, stop: Some(stop), thread: Some(thread), kernel }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self) -> RawClient {
        RawClient::connect(self.address).await.unwrap()
    }

    /// The answer to one request, on a connection of its own.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut client = self.connect().await;
        let length =
            if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}{length}\r\n{body}");
        client.send(request).await.unwrap();
        within(client.answer(method == "HEAD")).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Whether the server has stopped by itself within its drain time.
    pub(crate) async fn ended(&mut self) -> bool {
        let thread = self.thread.take().unwrap();
        let ended = tokio::task::spawn_blocking(move || thread.join().unwrap());
        tokio::time::timeout(TIMEOUTS.drain.saturating_sub(Duration::from_secs(1)), ended).await.is_ok()
    }

    pub(crate) fn app(&self) -> &kernel_core::App {
        &self.kernel.app
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Waits until the count is this.
pub(crate) async fn until(count: &AtomicUsize, wanted: usize) {
    within(async {
        while count.load(Ordering::SeqCst) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
