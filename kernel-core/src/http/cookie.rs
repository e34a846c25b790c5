//! Cookies: how they are set, and how the session's is found.

use std::time::Duration;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

use crate::error::Error;

/// A cookie for this host only, invisible to scripts: `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`.
///
/// Its name starts with `__Host-`, so that a browser takes it from no sibling domain and over no plain connection
/// (`localhost` excepted).
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: &'static str,
    value: String,
    max_age: Option<Duration>,
}

impl std::fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SetCookie {
    /// A cookie that lasts until the browser closes.
    #[must_use]
    pub fn session(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), max_age: None }
    }

    /// The same cookie, kept for this long.
    #[must_use]
    pub fn lasting(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// Takes the cookie away.
    #[must_use]
    pub fn removal(name: &'static str) -> Self {
        Self { name, value: String::new(), max_age: Some(Duration::ZERO) }
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        // What RFC 6265 lets a value hold; the rest would end it early.
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if !self.name.starts_with("__Host-") || !self.value.bytes().all(plain) {
            return Err(Error::internal(format!("the cookie {:?} cannot be set", self.name)));
        }
        let mut text = format!("{}={}; Path=/; Secure; HttpOnly; SameSite=Lax", self.name, self.value);
        if let Some(max_age) = self.max_age {
            text = format!("{text}; Max-Age={}", max_age.as_secs());
        }
        HeaderValue::try_from(text).map_err(Error::internal)
    }
}

/// The value of a cookie. A name that comes twice with different values has none: somebody planted one of them.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // As bytes: beside ours, a browser sends what sibling sites have set, and that need not be ASCII.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let named = |pair: &'a [u8]| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    let mut values = pairs.filter_map(named);
    let first = values.next()?;
    let sound = values.all(|other| other == first) && !first.is_empty() && first.is_ascii();
    if sound { std::str::from_utf8(first).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_second_cookie_counts_as_none() {
        let with = |line: &'static str| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(line))]);
        assert_eq!(value(&with("a=1; __Host-s=x=y; b=2"), "__Host-s"), Some("x=y"));
        assert_eq!(value(&with("__Host-s=x; __Host-s=x"), "__Host-s"), Some("x"));
        assert_eq!(value(&with("__Host-s=x; __Host-s=y"), "__Host-s"), None);
        assert_eq!(value(&with("a=1"), "__Host-s"), None);
    }

    #[test]
    fn a_neighbour_that_is_not_ascii_hides_no_cookie() {
        let line = |bytes: &[u8]| HeaderMap::from_iter([(COOKIE, HeaderValue::from_bytes(bytes).unwrap())]);
        assert_eq!(value(&line(b"caf\xc3\xa9=\xff; __Host-s=x"), "__Host-s"), Some("x"));
        assert_eq!(value(&line(b"__Host-s=x; __Host-s=\xff"), "__Host-s"), None);
        assert_eq!(value(&line(b"__Host-s=\xc3\xa9"), "__Host-s"), None);
    }

    #[test]
    fn a_cookie_has_all_its_attributes() {
        let cookie = SetCookie::session("__Host-s", "v").lasting(Duration::from_mins(1)).header().unwrap();
        assert_eq!(cookie, "__Host-s=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
        assert!(SetCookie::session("__Host-s", "v; Domain=evil").header().is_err());
        assert!(SetCookie::session("s", "v").header().is_err());
    }
}
