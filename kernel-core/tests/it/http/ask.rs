//! Requests as a browser or a program sends them, and what comes back.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use kernel_core::http::Reply;
use serde_json::Value;

pub(super) const CLIENT: &str = "203.0.113.7";

/// A request on its way to the shop.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) request: Request<Bytes>,
    pub(super) peer: IpAddr,
}

impl Ask {
    pub(super) fn new(method: &str, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).header("host", "shop.example");
        Self { request: request.body(Bytes::new()).unwrap(), peer: CLIENT.parse().unwrap() }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Alice makes an item in her workspace, as her browser would.
    pub(super) fn item(name: &str) -> Self {
        Self::new("POST", "/api/v1/w/acme/items").json(&format!(r#"{{"name": "{name}"}}"#)).by("alice")
    }

    pub(super) fn json(self, body: &str) -> Self {
        self.with("content-type", "application/json").body(body)
    }

    pub(super) fn body(mut self, body: &str) -> Self {
        *self.request.body_mut() = Bytes::from(body.to_owned());
        self
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    /// With a session and its token, from one of our own pages.
    pub(super) fn by(self, name: &str) -> Self {
        self.with("cookie", &format!("__Host-shop={name}"))
            .with("x-csrf-token", &format!("csrf-{name}"))
            .with("origin", "https://shop.example")
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    pub(super) fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn of(reply: Reply) -> Self {
        let Reply::Full(response) = reply else { panic!("{reply:?} is not full") };
        let (head, body) = Response::into_parts(response);
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is no JSON", self.text))
    }

    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{} has no code", self.text))
            .to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and body, with what differs from one request to the next taken out.
    pub(super) fn masked(&self) -> (u16, String) {
        (self.status, self.text.replace(self.header("x-request-id"), "req_"))
    }
}
