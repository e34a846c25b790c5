//! What must hold of every parser of outside bytes, whatever the bytes are. `cargo xtask fuzz` looks for input that breaks
//! it; a test runs what was found before.
//!
//! Each function takes any input and panics when something does not hold.

use crate::ctx::RequestId;
use crate::id::{Id, Noun, UserId, WorkspaceId};

/// Public ids: one spelling each, which is read as it is written.
///
/// # Panics
/// When that does not hold for this input.
pub fn id(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    reads::<crate::id::UserNoun>(&text);
    reads::<crate::workspace::Workspace>(&text);
    reads::<crate::ctx::RequestNoun>(&text);
    // An id of one noun is none of another.
    let read = [
        text.parse::<UserId>().map(Id::uuid).ok(),
        text.parse::<WorkspaceId>().map(Id::uuid).ok(),
        text.parse::<RequestId>().map(Id::uuid).ok(),
    ];
    assert!(read.iter().flatten().count() <= 1);
}

fn reads<N: Noun>(text: &str) {
    let digits = text.strip_prefix(N::PREFIX).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
    let sound = digits.len() == 32
        && digits.bytes().all(|digit| b"0123456789abcdef".contains(&digit))
        && digits.bytes().any(|digit| digit != b'0');
    let read = text.parse::<Id<N>>();
    assert_eq!(read.is_ok(), sound, "{text:?}");
    let in_json = serde_json::from_value::<Id<N>>(text.into());
    assert_eq!(in_json.ok(), read.clone().ok());
    if let Ok(id) = read {
        assert_eq!(id.to_string(), text);
        assert_eq!(Id::<N>::from_uuid(id.uuid()), id);
    }
}

/// Cookies that come in and those that go out.
///
/// # Panics
/// When a value comes out otherwise than it went in, or one of two is taken.
pub fn cookie(data: &[u8]) {
    crate::http::hostile::cookie(data);
}

/// Cursors and limits of lists.
///
/// # Panics
/// When a cursor is taken that its list has not made, or one is not that it has.
pub fn cursor(data: &[u8]) {
    crate::http::hostile::cursor(data);
}

/// Queries and forms.
///
/// # Panics
/// When what was read says something else once it is written anew.
pub fn pairs(data: &[u8]) {
    crate::http::hostile::pairs(data);
}

/// The head of a request: addresses, hosts, traces, credentials, keys, media types.
///
/// # Panics
/// When the chain believes what it must not, or reads half of something.
pub fn head(data: &[u8]) {
    crate::http::hostile_head(data);
}

/// Sealed values, codes and keys.
///
/// # Panics
/// When something opens that must not, or does not that must.
pub fn sealed(data: &[u8]) {
    crate::secret::hostile::sealed(data);
}

/// What the audit log is verified by.
///
/// # Panics
/// When two rows have one hash, or a head is known that nobody signed.
pub fn audit(data: &[u8]) {
    crate::audit::hostile::audit(data);
}
