//! A first signal is a notice to load balancers, a second one is meant at once.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::Duration;

use kernel_core::testkit::{RawClient, TestKernel, config, roles};
use tracker::{Settings, Tracker};

/// Longer than a program takes to start or to stop.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);

/// The program, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// On the database of `kernel`; once told to stop, it goes on for longer than any test.
    fn start(kernel: &TestKernel, address: SocketAddr) -> Self {
        let mut command = Command::new(crate::PROGRAM);
        command
            .env("APP_ENV", "development")
            .env("APP_KEY", "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=")
            .env("APP_KEY_ID", "test")
            .env("APP_DATABASE_URL", kernel.database.logins().of(&roles().app))
            .env("DATABASE_ROLE_PREFIX", "kernel_test")
            .env("LISTEN", address.to_string())
            .env("STOP_NOTICE_SECONDS", "3600");
        Self(command.spawn().unwrap())
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

/// The status of the answer on a new connection; none when nobody listens.
async fn asked(address: SocketAddr, path: &str) -> Option<u16> {
    let mut client = RawClient::connect(address).await.ok()?;
    client.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await.ok()?;
    Some(client.answer(false).await.ok()?.status)
}

async fn until(address: SocketAddr, status: u16) {
    let answers = async {
        while asked(address, "/readyz").await != Some(status) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.unwrap_or_else(|_| panic!("it never answers {status}"));
}

#[tokio::test]
async fn a_program_that_is_told_to_stop_takes_requests_until_it_is_told_again() {
    let tracker = Tracker::new(&Settings::default());
    let mut config = config();
    tracker.configure(&mut config);
    let kernel = TestKernel::with(config, |builder| tracker.register(builder)).await;
    // Nobody else takes the port in the moment until the program does, or the program ends and the test with it.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut program = Running::start(&kernel, address);
    until(address, 200).await;
    program.terminate();
    until(address, 503).await;
    assert_eq!(asked(address, "/healthz").await, Some(200), "the listener is still open");
    let ended = async {
        loop {
            if let Some(status) = program.0.try_wait().unwrap() {
                return status;
            }
            program.terminate();
            tokio::time::sleep(PAUSE).await;
        }
    };
    let status = tokio::time::timeout(PATIENCE, ended).await.expect("a second signal ends the notice");
    assert!(status.success(), "{status}");
    assert_eq!(asked(address, "/healthz").await, None);
}
