//! One request, for a socket as bytes and for the app in memory as a value.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};

use super::world::Seed;

/// A well-formed request. `«name»` in its target, header values and body stands for something of the
/// [`Seed`](super::world::Seed).
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: &'static str,
    target: String,
    version: &'static str,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    framing: Framing,
}

#[derive(Debug, Clone)]
enum Framing {
    /// By its length, if there is a body.
    Length,
    /// In chunks of this size.
    Chunks(usize),
    /// As the headers say.
    Own,
}

pub(super) fn ask(method: &'static str, target: impl Into<String>) -> Ask {
    Ask {
        method,
        target: target.into(),
        version: "HTTP/1.1",
        headers: Vec::new(),
        body: Vec::new(),
        framing: Framing::Length,
    }
}

pub(super) fn get(target: impl Into<String>) -> Ask {
    ask("GET", target)
}

/// A `POST` of JSON.
pub(super) fn post(target: impl Into<String>, json: impl AsRef<[u8]>) -> Ask {
    ask("POST", target).header("content-type", "application/json").body(json)
}

impl Ask {
    pub(super) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    pub(super) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(super) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub(super) fn chunked(mut self, size: usize) -> Self {
        self.framing = Framing::Chunks(size);
        self
    }

    /// Frames the body as the given headers say, right or wrong.
    pub(super) fn framed_by_hand(mut self) -> Self {
        self.framing = Framing::Own;
        self
    }

    /// The same for another path.
    pub(super) fn to(self, target: impl Into<String>) -> Self {
        Self { target: target.into(), ..self }
    }

    /// With the session of the workspace's owner, and its token.
    pub(super) fn by_owner(self) -> Self {
        self.header("cookie", "«owner»").header("x-csrf-token", "«owner-csrf»")
    }

    /// With the session of somebody who belongs to another workspace.
    pub(super) fn by_outsider(self) -> Self {
        self.header("cookie", "«outsider»").header("x-csrf-token", "«outsider-csrf»")
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }

    /// As it goes over a socket.
    pub(super) fn bytes(&self, seed: &Seed) -> Vec<u8> {
        let body = seed.fill(&self.body);
        let mut bytes =
            format!("{} {} {}\r\n", self.method, seed.fill_text(&self.target), self.version).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.has("host") {
            line("host", b"localhost");
        }
        for (name, value) in &self.headers {
            line(name, &seed.fill(value));
        }
        match self.framing {
            Framing::Length if !body.is_empty() => line("content-length", body.len().to_string().as_bytes()),
            Framing::Chunks(_) => line("transfer-encoding", b"chunked"),
            Framing::Length | Framing::Own => {}
        }
        bytes.extend_from_slice(b"\r\n");
        if let Framing::Chunks(size) = self.framing {
            for chunk in body.chunks(size) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&body);
        }
        bytes
    }

    /// As the app sees it, with the headers that a socket would add.
    pub(super) fn request(&self, seed: &Seed) -> Result<Request<Bytes>> {
        let body = seed.fill(&self.body);
        let mut request = Request::builder().method(self.method).uri(seed.fill_text(&self.target));
        if !self.has("host") {
            request = request.header("host", "localhost");
        }
        for (name, value) in &self.headers {
            request =
                request.header(HeaderName::try_from(*name)?, HeaderValue::from_bytes(&seed.fill(value))?);
        }
        match self.framing {
            Framing::Length if !body.is_empty() => request = request.header("content-length", body.len()),
            Framing::Chunks(_) => request = request.header("transfer-encoding", "chunked"),
            Framing::Length | Framing::Own => {}
        }
        if self.version == "HTTP/1.0" {
            request = request.version(http::Version::HTTP_10);
        }
        request.body(body.into()).with_context(|| format!("{} {} is no request", self.method, self.target))
    }
}
