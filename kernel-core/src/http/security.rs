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

/// For how long a browser that has seen this host once asks it by https only (RFC 6797). It cannot be taken back from
/// browsers that have heard it: begin with a short time, and name subdomains only when all of them speak https.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrictTransport {
    days: u32,
    subdomains: bool,
    preload: bool,
}

impl Default for StrictTransport {
    /// A year, for this host alone.
    fn default() -> Self {
        Self::for_days(365)
    }
}

impl StrictTransport {
    /// For so many days, for this host alone; 0 takes it back from whoever asks again.
    #[must_use]
    pub const fn for_days(days: u32) -> Self {
        Self { days, subdomains: false, preload: false }
    }

    /// The same for every subdomain of this host.
    #[must_use]
    pub const fn with_subdomains(self) -> Self {
        Self { subdomains: true, ..self }
    }

    /// Two years with all subdomains, and browsers may ship with it: what <https://hstspreload.org> asks for. To leave that
    /// list takes months.
    #[must_use]
    pub const fn preloaded() -> Self {
        Self { days: 730, subdomains: true, preload: true }
    }

    fn header(self) -> String {
        let subdomains = if self.subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        format!("max-age={}{subdomains}{preload}", u64::from(self.days) * 86_400)
    }
}

/// The headers that every response carries, made once.
#[derive(Debug, Clone)]
pub(crate) struct SecurityHeaders {
    csp: HeaderValue,
    strict_transport: Option<HeaderValue>,
}

impl SecurityHeaders {
    /// `None` when the policy holds bytes that no header may.
    pub(crate) fn new(csp: &Csp, strict_transport: Option<StrictTransport>) -> Option<Self> {
        let strict_transport =
            strict_transport.map(|strict| HeaderValue::try_from(strict.header())).transpose().ok()?;
        Some(Self { csp: HeaderValue::try_from(csp.header()).ok()?, strict_transport })
    }

    /// Adds what the handler has not set itself; `secure` is a connection that strict transport may be asked for on.
    pub(crate) fn add(&self, headers: &mut HeaderMap, secure: bool) {
        let mut default = |name, value: HeaderValue| {
            headers.entry(name).or_insert(value);
        };
        default(CONTENT_SECURITY_POLICY, self.csp.clone());
        default(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: with it browsers send `Origin: null` with the site's own forms.
        default(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
        // What one person may see must not be served to the next out of a cache.
        default(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(strict) = self.strict_transport.as_ref().filter(|_| secure) {
            default(STRICT_TRANSPORT_SECURITY, strict.clone());
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
    fn strict_transport_says_no_more_than_it_was_told() {
        assert_eq!(StrictTransport::default().header(), "max-age=31536000");
        assert_eq!(
            StrictTransport::for_days(1).with_subdomains().header(),
            "max-age=86400; includeSubDomains"
        );
        assert_eq!(StrictTransport::preloaded().header(), "max-age=63072000; includeSubDomains; preload");
    }

    #[test]
    fn a_handler_may_say_something_else() {
        let security = SecurityHeaders::new(&Csp::default(), Some(StrictTransport::default())).unwrap();
        let mut headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
        security.add(&mut headers, false);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        assert!(SecurityHeaders::new(&Csp::default().allow("img-src", "a\nb"), None).is_none());
    }
}
