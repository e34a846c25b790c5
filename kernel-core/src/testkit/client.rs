//! A browser without a window: calls an app in memory, keeps its cookie, sends its token.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request};
use serde_json::Value;

use crate::app::App;
use crate::http::Reply;

/// A client of an app with a session of its own.
#[derive(Debug, Clone)]
pub struct Client {
    app: App,
    cookie: Option<String>,
    csrf: Option<String>,
}

/// What an app answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty for a stream or a socket.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the error envelope; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    /// A client that has not signed in.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), cookie: None, csrf: None }
    }

    /// `GET` of a path, with its query.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::builder().method(Method::GET).uri(path), Bytes::new()).await
    }

    /// A JSON request.
    pub async fn json(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        self.send(request, body.to_string().into()).await
    }

    /// `POST` of JSON.
    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Any request, with the cookie and the token of the session added.
    ///
    /// # Panics
    /// When the request cannot be built.
    pub async fn send(&mut self, mut request: http::request::Builder, body: Bytes) -> Answer {
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let request = request.body(body).expect("the request can be built");
        let (head, body) = request.into_parts();
        let to = self.app.find(&head);
        let reply = self.app.call(to, Request::from_parts(head, body), IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        let answer = match reply {
            Reply::Full(response) => {
                let (head, body) = response.into_parts();
                Answer { status: head.status.as_u16(), headers: head.headers, body }
            }
            Reply::Stream(response) => {
                let head = response.into_parts().0;
                Answer { status: head.status.as_u16(), headers: head.headers, body: Bytes::new() }
            }
            Reply::Socket(_) => Answer { status: 101, headers: HeaderMap::new(), body: Bytes::new() },
        };
        self.remember(&answer);
        answer
    }

    fn remember(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default().to_owned();
            self.cookie = if cookie.contains("Max-Age=0") { None } else { Some(pair) };
        }
        if let Some(token) = answer.json()["csrf_token"].as_str() {
            self.csrf = Some(token.to_owned());
        }
        if self.cookie.is_none() {
            self.csrf = None;
        }
    }

    /// The session cookie as `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }
}
