//! Requests over a connection that may break at any moment.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// After so long without an answer there will be none.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    #[error("no answer within {PATIENCE:?}")]
    Late,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// 2xx.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer was stored, and is repeated.
    pub(super) fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Person {
    port: u16,
    cookie: String,
    csrf: String,
}

impl Person {
    /// Makes an account.
    pub(super) async fn sign_up(port: u16, name: &str) -> Result<Self> {
        let nobody = Self { port, cookie: String::new(), csrf: String::new() };
        let account = serde_json::json!({
            "name": name, "email": format!("{name}@example.com"), "password": "correct horse battery staple"
        });
        let answer = nobody.ask(Method::POST, "/api/v1/auth/sign-up", None, Some(&account)).await?;
        ensure!(answer.is_success(), "nobody can sign up: {answer:?}");
        let cookie =
            answer.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookie = cookie.context("signing up gives no cookie")?.to_owned();
        let csrf = answer.json()["csrf_token"].as_str().context("signing up gives no token")?.to_owned();
        Ok(Self { port, cookie, csrf })
    }

    /// Asks once.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, Unanswered> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, &self.cookie).header("x-csrf-token", &self.csrf);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).expect("the request can be built");
        tokio::time::timeout(PATIENCE, self.send(request)).await.unwrap_or(Err(Unanswered::Late))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let asking = async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        // How the connection ends says nothing that the answer does not say.
        let (answer, _) = tokio::join!(asking, connection);
        answer
    }
}
