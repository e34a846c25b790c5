//! A server that keeps what it is sent: in place of a collector of OpenTelemetry, or of Sentry.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a [`Listener`] does with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// Answers with 200.
    #[default]
    Accepting,
    /// Answers with this status, and `Retry-After: 60`.
    Refusing(u16),
    /// Reads it and never answers.
    Silent,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A server on a free port of this machine. Dropping it stops it.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    kept: Arc<Kept>,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Kept {
    received: Mutex<Vec<Received>>,
    manner: Mutex<Manner>,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, kept) = (listener.local_addr()?, Arc::<Kept>::default());
        let mut task = JoinSet::new();
        let own = kept.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let kept = own.clone();
                connections.spawn(async move {
                    // A client that breaks off has sent nothing.
                    let _ = serve(stream, &kept).await;
                });
            }
        });
        Ok(Self { address, kept, _task: task })
    }

    /// Where it listens: `http://127.0.0.1:4318`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The name of a project of a Sentry that listens here.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("http://publickey@{}/42", self.address)
    }

    /// What it does from now on.
    pub fn behave(&self, manner: Manner) {
        *self.kept.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Everything that has come so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.kept.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, kept: &Kept) -> io::Result<()> {
    let mut unread = BytesMut::new();
    loop {
        let received = loop {
            if let Some(received) = whole(&mut unread)? {
                break received;
            }
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
        };
        kept.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let manner = *kept.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match manner {
            Manner::Accepting => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Manner::Refusing(status) => {
                format!("HTTP/1.1 {status} No\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n")
            }
            Manner::Silent => std::future::pending().await,
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The next request, once all of it has come. Its length is announced.
fn whole(unread: &mut BytesMut) -> io::Result<Option<Received>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(unread).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let path = request.path.unwrap_or_default().to_owned();
    let mut map = HeaderMap::new();
    for header in request.headers.iter() {
        let name = HeaderName::try_from(header.name).map_err(io::Error::other)?;
        map.append(name, HeaderValue::from_bytes(header.value).map_err(io::Error::other)?);
    }
    let length = map.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or_default();
    if unread.len() < head + length {
        return Ok(None);
    }
    unread.advance(head);
    Ok(Some(Received { path, headers: map, body: unread.split_to(length).freeze() }))
}

#[cfg(feature = "otlp")]
mod spans {
    use std::collections::BTreeMap;

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use prost::Message;

    use super::{Listener, Received};

    /// A span that came. Ids are hexadecimal digits.
    #[derive(Debug, Clone, PartialEq, Eq)]
    #[expect(missing_docs, reason = "each field is what OpenTelemetry calls so")]
    pub struct SeenSpan {
        pub name: String,
        pub trace_id: String,
        pub span_id: String,
        pub parent_id: String,
        pub attributes: BTreeMap<String, String>,
        pub nanos: u64,
        pub failed: bool,
    }

    impl Listener {
        /// Every span that has come so far.
        ///
        /// # Panics
        /// When a body is no message of OpenTelemetry.
        #[must_use]
        pub fn spans(&self) -> Vec<SeenSpan> {
            let received = self.received().into_iter().filter(|received| received.path == "/v1/traces");
            received.flat_map(|received| spans(&received)).collect()
        }

        /// The names of the metrics that came last.
        ///
        /// # Panics
        /// When a body is no message of OpenTelemetry.
        #[must_use]
        pub fn metric_names(&self) -> Vec<String> {
            let received = self.received();
            let Some(last) = received.iter().rfind(|received| received.path == "/v1/metrics") else {
                return Vec::new();
            };
            let request = ExportMetricsServiceRequest::decode(last.body.clone()).expect("it is a message");
            let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect()
        }
    }

    fn spans(received: &Received) -> Vec<SeenSpan> {
        let request = ExportTraceServiceRequest::decode(received.body.clone()).expect("it is a message");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let spans = scopes.flat_map(|scope| scope.spans).map(|span| SeenSpan {
            name: span.name,
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_id: hex(&span.parent_span_id),
            attributes: span
                .attributes
                .into_iter()
                .map(|pair| match pair.value.and_then(|value| value.value) {
                    Some(Value::StringValue(text)) => (pair.key, text),
                    other => (pair.key, format!("{other:?}")),
                })
                .collect(),
            nanos: span.end_time_unix_nano - span.start_time_unix_nano,
            failed: span.status.is_some_and(|status| status.code == i32::from(StatusCode::Error)),
        });
        spans.collect()
    }
}

#[cfg(feature = "otlp")]
pub use spans::SeenSpan;
