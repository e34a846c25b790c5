//! Headers that keep browsers from being used against the people in front of them.

use std::collections::BTreeMap;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// A content security policy: this site only, with what is added. Nothing can be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csp {
    directives: BTreeMap<&'static str, Vec<String>>,
}

impl Default for Csp {
    fn default() -> Self {
        let directives = [
            ("base-uri", "'none'"),
            ("default-src", "'self'"),
            ("form-action", "'self'"),
            ("frame-ancestors", "'none'"),
            ("object-src", "'none'"),
        ];
        Self { directives: directives.map(|(name, source)| (name, vec![source.to_owned()])).into() }
    }
}

impl Csp {
    /// Lets `directive` use `source` too: `.allow("img-src", "https://images.example.com")`.
    #[must_use]
    pub fn allow(mut self, directive: &'static str, source: impl Into<String>) -> Self {
        let sources = self.directives.entry(directive).or_insert_with(|| vec!["'self'".to_owned()]);
        sources.retain(|source| source != "'none'");
        sources.push(source.into());
        self
    }

    pub(crate) fn header(&self) -> String {
        let directives =
            self.directives.iter().map(|(name, sources)| format!("{name} {}", sources.join(" ")));
        directives.collect::<Vec<_>>().join("; ")
    }
}

/// The headers that every response carries, made once.
#[derive(Debug, Clone)]
pub(crate) struct SecurityHeaders {
    csp: HeaderValue,
}

impl SecurityHeaders {
    /// `None` when the policy holds bytes that no header may.
    pub(crate) fn new(csp: &Csp) -> Option<Self> {
        Some(Self { csp: HeaderValue::try_from(csp.header()).ok()? })
    }

    /// Adds what the handler has not set itself.
    pub(crate) fn add(&self, headers: &mut HeaderMap, strict_transport: bool) {
        let mut default = |name, value: HeaderValue| {
            headers.entry(name).or_insert(value);
        };
        default(CONTENT_SECURITY_POLICY, self.csp.clone());
        default(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: with it browsers send `Origin: null` with the site's own forms.
        default(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
        // What one person may see must not be served to the next out of a cache.
        default(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if strict_transport {
            let two_years = "max-age=63072000; includeSubDomains; preload";
            default(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(two_years));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_only_grows() {
        let csp = Csp::default().allow("img-src", "data:").allow("frame-ancestors", "https://example.com");
        assert_eq!(
            csp.header(),
            "base-uri 'none'; default-src 'self'; form-action 'self'; frame-ancestors https://example.com; \
             img-src 'self' data:; object-src 'none'"
        );
    }

    #[test]
    fn a_handler_may_say_something_else() {
        let security = SecurityHeaders::new(&Csp::default()).unwrap();
        let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
        security.add(&mut headers, false);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(SecurityHeaders::new(&Csp::default().allow("img-src", "a\nb")).is_none());
    }
}
