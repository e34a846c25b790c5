//! Who sends the request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Gate;
use super::arrival::single;
use crate::actor::Actor;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::http::cookie;
use crate::seam::Credential;

/// Longer than any credential that the kernel hands out; a longer one is not looked up.
const CREDENTIAL_MAX: usize = 4096;

/// What the request shows to prove who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    Nothing,
    Cookie(&'a str),
    Bearer(&'a str),
    /// A bearer credential that cannot be one.
    Garbled,
}

impl<'a> Shown<'a> {
    /// A bearer credential counts before the cookie. Schemes other than `Bearer` belong to somebody else.
    pub(super) fn of(headers: &'a HeaderMap, cookie_name: Option<&str>) -> Self {
        if headers.contains_key(AUTHORIZATION) {
            let Some(value) = single(headers, AUTHORIZATION.as_str()) else { return Self::Garbled };
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let sound = (1..=CREDENTIAL_MAX).contains(&token.len())
                    && token.bytes().all(|c| c.is_ascii_graphic());
                return if sound { Self::Bearer(token) } else { Self::Garbled };
            }
        }
        let value = cookie_name.and_then(|name| cookie::value(headers, name));
        value.filter(|value| value.len() <= CREDENTIAL_MAX).map_or(Self::Nothing, Self::Cookie)
    }
}

impl Gate<'_> {
    /// The context with the actor in it, and whether the cookie proved it.
    ///
    /// A cookie that proves nobody is an old one: its sender goes on as nobody. A bearer credential that proves nobody
    /// is an error, because a program sends it on purpose.
    pub(super) async fn identify(&self, ctx: Ctx, shown: Shown<'_>) -> Result<(Ctx, bool), Error> {
        let (credential, by_cookie) = match shown {
            Shown::Nothing => return Ok((ctx, false)),
            Shown::Garbled => return Err(Error::unauthenticated()),
            Shown::Bearer(token) => (Credential::Bearer(token), false),
            Shown::Cookie(value) => (Credential::Cookie(value), true),
        };
        let Some(auth) = &self.app.auth else { return Ok((ctx, false)) };
        match auth.authenticate(&ctx, &self.app.db, credential).await? {
            Some(principal) if principal.actor != Actor::Anonymous => {
                let csrf = if by_cookie { principal.csrf } else { None };
                Ok((ctx.with_actor(principal.actor, csrf), by_cookie))
            }
            _ if by_cookie => Ok((ctx, false)),
            _ => Err(Error::unauthenticated()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::*;

    fn shown(authorization: Option<&'static str>, cookie: &'static str) -> String {
        let mut headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookie))]);
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        format!("{:?}", Shown::of(&headers, Some("__Host-s")))
    }

    #[test]
    fn a_bearer_credential_counts_before_the_cookie() {
        assert_eq!(shown(Some("Bearer abc"), "__Host-s=v"), "Bearer(\"abc\")");
        assert_eq!(shown(Some("bearer abc"), ""), "Bearer(\"abc\")");
        assert_eq!(shown(Some("Bearer a b"), "__Host-s=v"), "Garbled");
        assert_eq!(shown(Some("Bearer"), "__Host-s=v"), "Garbled");
        assert_eq!(shown(Some("Basic abc"), "__Host-s=v"), "Cookie(\"v\")");
        assert_eq!(shown(None, "__Host-s=v"), "Cookie(\"v\")");
        assert_eq!(shown(None, "other=v"), "Nothing");
    }
}
