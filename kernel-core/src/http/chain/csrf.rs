//! Requests that a browser sends although its user did not mean them.

use bytes::Bytes;
use http::Method;
use http::header::{HeaderName, ORIGIN, UPGRADE};
use subtle::ConstantTimeEq;

use super::Gate;
use super::arrival::{normal_host, single};
use crate::ctx::Ctx;
use crate::error::{Error, ErrorKind};
use crate::http::input::{CSRF_FIELD, form_pairs, is_form};

/// Carries the token of a session's write.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

impl Gate<'_> {
    /// Refuses writes, and sockets, that another site's page started; with a session it also asks for its token.
    /// A bearer credential needs no check: no foreign page can send one.
    pub(super) fn guard(&self, ctx: &Ctx, proof: Proof, body: Option<&Bytes>) -> Result<(), Error> {
        let writes = !self.head.method.is_safe();
        let opens_socket = self.head.method == Method::GET && self.head.headers.contains_key(UPGRADE);
        if proof == Proof::Bearer || !(writes || opens_socket) {
            return Ok(());
        }
        if !self.same_site(proof) {
            return Err(Error::new(ErrorKind::Forbidden, "cross_site"));
        }
        if proof == Proof::Nothing || !writes {
            return Ok(());
        }
        let sent = self.sent_token(body);
        let matches = match (ctx.csrf(), sent) {
            (Some(token), Some(sent)) => bool::from(token.as_bytes().ct_eq(sent.as_bytes())),
            _ => false,
        };
        if matches { Ok(()) } else { Err(Error::new(ErrorKind::Forbidden, "csrf")) }
    }

    /// Whether one of our own pages, or no page at all, sent the request. Browsers say where a write comes from.
    fn same_site(&self, proof: Proof) -> bool {
        let headers = &self.head.headers;
        if headers.contains_key(ORIGIN) {
            let Some(origin) = single(headers, ORIGIN.as_str()) else { return false };
            let config = &self.app.config.http;
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let own =
                host.is_some_and(|host| self.arrival.host.as_deref() == Some(normal_host(host).as_str()));
            // A page that came over a plain connection may be anybody's.
            let own = own && (origin.starts_with("https://") || !self.arrival.https);
            let public = config.public_origin.as_deref() == Some(origin);
            // An origin that may send the session was listed by the host; without a session any listed one may write,
            // but not by a form: its answer would set cookies here, such as those of somebody else's session.
            let listed = config.cors.allows(origin)
                && (config.cors.credentials || proof == Proof::Nothing)
                && !is_form(headers)
                && single(headers, "sec-fetch-mode") != Some("navigate");
            return own || public || listed;
        }
        // Without Origin: an old browser, which cannot be told from a program, or a fetch from another site.
        match single(headers, "sec-fetch-site") {
            Some(site) => site == "same-origin" || site == "none",
            None => !headers.contains_key("sec-fetch-site"),
        }
    }

    fn sent_token(&self, body: Option<&Bytes>) -> Option<String> {
        if let Some(token) = single(&self.head.headers, HEADER.as_str()) {
            return Some(token.to_owned());
        }
        let body = body.filter(|_| is_form(&self.head.headers))?;
        let pairs = form_pairs(body).ok()?;
        pairs.into_iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, token)| token.into_owned())
    }
}

/// How the sender proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Nothing,
    Bearer,
    Cookie,
}
