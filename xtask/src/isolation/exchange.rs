//! Requests and answers as plain values, equal or not equal.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

/// One request, whole.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Path and query, encoded.
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    /// The address that it comes from.
    pub(super) peer: IpAddr,
}

impl Ask {
    /// All that the caller has written, for telling an echo from a leak.
    pub(super) fn text(&self) -> String {
        let headers: String =
            self.headers.iter().map(|(_, value)| String::from_utf8_lossy(value.as_bytes()) + "\n").collect();
        format!("{}\n{headers}{}", self.target, String::from_utf8_lossy(&self.body))
    }
}

/// One answer, whole: everything that its receiver can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status; 0 for a step that is no request.
    pub(super) status: u16,
    /// Names and values, sorted by name; values of one name in their order.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: u16, headers: &HeaderMap, body: Bytes) -> Self {
        let mut headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        Self { status, headers, body }
    }

    /// The outcome of a step that is no request.
    pub(super) fn note(text: impl Into<String>) -> Self {
        Self { status: 0, headers: Vec::new(), body: text.into().into() }
    }

    /// The first value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of the error envelope; empty when there is none.
    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Everything in it as one text.
    pub(super) fn whole(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{}\n{headers}\n{}", self.status, self.text())
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Where the two differ first, in words; `None` when they are equal.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.status != other.status {
            return Some(format!(
                "status {} became {} ({})",
                self.status,
                other.status,
                excerpt(&other.text(), 0)
            ));
        }
        if let Some((name, value)) = self.headers.iter().find(|pair| !other.headers.contains(pair)) {
            return Some(format!(
                "header {name}: {value} became {}",
                other.header(name).unwrap_or("nothing")
            ));
        }
        if let Some((name, value)) = other.headers.iter().find(|pair| !self.headers.contains(pair)) {
            return Some(format!("header {name}: {value} appeared"));
        }
        if self.headers != other.headers {
            return Some("the headers came in another order".to_owned());
        }
        if self.body == other.body {
            return None;
        }
        let at = self.body.iter().zip(&other.body).take_while(|(a, b)| a == b).count();
        let (own, others) = (excerpt(&self.text(), at), excerpt(&other.text(), at));
        Some(format!("body at byte {at}: {own:?} became {others:?}"))
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, excerpt(&self.target, 0))
    }
}

/// A piece of a text around a byte, short enough for a line.
fn excerpt(text: &str, at: usize) -> String {
    let floor = |mut byte: usize| {
        byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let (from, to) = (floor(at.saturating_sub(20)), floor(at + 140));
    text[from..to].replace('\n', " ")
}
