//! What a host said, and whether two hosts said the same.

use std::fmt;

use http::HeaderMap;

/// Headers that belong to a connection or to the moment.
const LEFT_OUT: [&str; 3] = ["connection", "date", "transfer-encoding"];

/// Everything that a client heard in one case, and how many handlers ran for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transcript {
    pub(super) heard: Vec<Heard>,
    pub(super) runs: usize,
}

/// One thing that a client heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(Answer),
    Bytes(Vec<u8>),
    /// The body broke off after these bytes, or the connection ended where more was to come.
    BrokenOff,
    /// The connection ended, as was to be expected.
    Ended,
    /// The handlers have ended.
    Idle,
    /// Nothing came in time.
    Nothing,
}

/// An answer without what differs from moment to moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let kept = headers.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
        let mut headers: Vec<_> =
            kept.map(|(name, value)| (name.to_string(), without_ids(value.as_bytes()))).collect();
        headers.sort();
        Self { status, headers, body: without_ids(body) }
    }

    /// The code of the error that the answer tells about.
    pub(super) fn code(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let code = body["error"]["code"].as_str().or_else(|| body["code"].as_str());
        code.map(str::to_owned)
    }
}

/// Every `req_…` id replaced by the same one.
fn without_ids(bytes: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"req_";
    const DIGITS: usize = 32;
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(first) = rest.first() {
        let id = rest.strip_prefix(PREFIX).and_then(|after| after.get(..DIGITS));
        if id.is_some_and(|id| id.iter().all(u8::is_ascii_hexdigit)) {
            out.extend_from_slice(b"req_0");
            rest = &rest[PREFIX.len() + DIGITS..];
        } else {
            out.push(*first);
            rest = &rest[1..];
        }
    }
    out
}

impl Transcript {
    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.heard
            .iter()
            .filter_map(|heard| if let Heard::Answer(answer) = heard { Some(answer) } else { None })
    }

    /// Whether the host turned the client away by itself: an error in the 400s or a hang-up, and no handler ran.
    pub(super) fn is_refusal(&self) -> bool {
        let refused = match self.heard.first() {
            Some(Heard::Answer(answer)) => (400..500).contains(&answer.status),
            Some(Heard::BrokenOff | Heard::Ended) => true,
            _ => false,
        };
        refused && self.runs == 0
    }

    /// How it differs from another, in a line; `None` when it does not.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        for (one, two) in self.heard.iter().zip(&other.heard) {
            if let (Heard::Answer(one), Heard::Answer(two)) = (one, two) {
                let missing = |from: &Answer, of: &Answer| {
                    of.headers
                        .iter()
                        .filter(|header| !from.headers.contains(header))
                        .map(show_header)
                        .collect::<Vec<_>>()
                };
                if one.status != two.status || one.headers != two.headers {
                    return Some(format!(
                        "{} {:?} / {} {:?}",
                        one.status,
                        missing(two, one),
                        two.status,
                        missing(one, two)
                    ));
                }
            }
            if one != two {
                return Some(format!("{one} / {two}"));
            }
        }
        Some(format!("{self} / {other}"))
    }
}

fn show_header((name, value): &(String, Vec<u8>)) -> String {
    format!("{name}: {}", value.escape_ascii())
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => {
                let body = &answer.body[..answer.body.len().min(200)];
                write!(f, "{} «{}»", answer.status, body.escape_ascii())
            }
            Self::Bytes(bytes) => write!(f, "«{}»", bytes.escape_ascii()),
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for heard in &self.heard {
            write!(f, "{heard}, ")?;
        }
        write!(f, "{} handlers ran", self.runs)
    }
}
