//! The listener that Prometheus and operators ask is another one than the app's.

use std::net::TcpListener;

use kernel_core::testkit::RawClient;
use tokio::sync::oneshot;

use crate::host;
use crate::server::{Server, within};

#[tokio::test]
async fn metrics_and_health_are_on_a_listener_of_their_own_and_nothing_else_is() {
    let mut server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let app = server.app().clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(host::scraped(app, listener, stopped))
    });
    let ask = async |to, path: &str| {
        let mut client = RawClient::connect(to).await.unwrap();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await.unwrap();
        within(client.answer(false)).await.unwrap()
    };
    assert_eq!(ask(server.address(), "/api/v1/hello").await.status, 200);
    assert_eq!(ask(server.address(), "/metrics").await.status, 404);
    let metrics = ask(address, "/metrics").await;
    assert_eq!((metrics.status, metrics.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    let hello = "http_requests_total{method=\"GET\",route=\"/api/v1/hello\",status=\"2xx\"} 1\n";
    assert!(metrics.text().contains(hello), "{}", metrics.text());
    assert_eq!(ask(address, "/api/v1/hello").await.status, 404);
    assert_eq!(ask(server.address(), "/health").await.status, 404);
    let health = ask(address, "/health").await;
    assert_eq!((health.status, &health.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    let health: serde_json::Value = serde_json::from_str(&health.text()).unwrap();
    assert_eq!((&health["version"], &health["uptime_seconds"]), (&"demo@1".into(), &0.into()));
    assert_eq!(health["checks"]["database"]["status"], "healthy", "{health}");
    drop(stop);
    server.stop();
    assert!(server.ended().await);
    thread.join().unwrap().unwrap();
}
