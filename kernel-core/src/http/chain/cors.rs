//! Cross-origin requests: who may call, and what a browser is told about it.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};

use super::arrival::single;
use crate::http::config::Cors;

const ASKED: &str = "authorization, content-type, idempotency-key, x-csrf-token, x-workspace-id";
const SHOWN: &str = "idempotent-replayed, location, ratelimit, ratelimit-policy, retry-after, x-ratelimit-limit, \
                     x-ratelimit-remaining, x-ratelimit-reset, x-request-id";

impl Cors {
    /// Whether scripts of the request's origin may see the answer.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed == origin)
    }

    /// Tells the browser what scripts of its origin may do; nothing at all to an origin that is not listed.
    pub(super) fn write(&self, asked: &HeaderMap, allow: Option<&str>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = single(asked, ORIGIN.as_str()).filter(|origin| self.allows(origin)) else {
            return;
        };
        let any = self.origins.iter().any(|allowed| allowed == "*");
        let Ok(origin) = HeaderValue::from_str(if any { "*" } else { origin }) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        match allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
            Some(methods) if asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) => {
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ASKED));
                headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            }
            _ => {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(origins: &[&str], credentials: bool, origin: &str, preflight: bool) -> HeaderMap {
        let cors = Cors { origins: origins.iter().map(|o| (*o).to_owned()).collect(), credentials };
        let mut asked = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_str(origin).unwrap())]);
        if preflight {
            asked.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        }
        let mut headers = HeaderMap::new();
        cors.write(&asked, preflight.then_some("GET, POST"), &mut headers);
        headers
    }

    #[test]
    fn a_listed_origin_is_allowed_and_named() {
        let headers = told(&["https://a.example", "https://b.example"], true, "https://b.example", true);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://b.example");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "GET, POST");
        assert_eq!(headers[VARY], "origin");
    }

    #[test]
    fn others_are_told_nothing() {
        for origin in ["https://evil.example", "null", "https://a.example.evil.example", "https://A.example"]
        {
            let headers = told(&["https://a.example"], true, origin, true);
            assert_eq!(headers.keys().collect::<Vec<_>>(), [VARY], "{origin}");
        }
        assert!(told(&[], false, "https://a.example", true).is_empty());
    }

    #[test]
    fn anybody_may_read_without_credentials_where_the_host_says_so() {
        let headers = told(&["*"], false, "https://any.example", false);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}
