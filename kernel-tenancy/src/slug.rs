//! The names that URLs and host names use for workspaces.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Names that no workspace gets: they mean something to visitors, to mail servers or to the product itself.
pub const RESERVED: &[&str] = &[
    "account",
    "admin",
    "api",
    "app",
    "assets",
    "auth",
    "autoconfig",
    "autodiscover",
    "billing",
    "blog",
    "cdn",
    "dashboard",
    "dev",
    "docs",
    "ftp",
    "help",
    "imap",
    "localhost",
    "login",
    "logout",
    "mail",
    "mta-sts",
    "new",
    "ns1",
    "ns2",
    "pop",
    "postmaster",
    "root",
    "security",
    "settings",
    "signup",
    "smtp",
    "staging",
    "static",
    "status",
    "support",
    "system",
    "test",
    "webmail",
    "workspaces",
    "www",
];

/// A name fit for a URL and a host name: 3 to 40 lower-case letters, digits and hyphens, no hyphen at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Slug(String);

/// The text is no slug, or a reserved one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableSlug {
    /// Something else than letters, digits and hyphens, too short or too long.
    #[error("use 3 to 40 lower-case letters, digits and hyphens, and no hyphen at either end")]
    Form,
    /// A name with a meaning of its own.
    #[error("this name is reserved")]
    Reserved,
}

impl FromStr for Slug {
    type Err = UnusableSlug;

    fn from_str(text: &str) -> Result<Self, UnusableSlug> {
        let letters = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let ends = text.starts_with('-') || text.ends_with('-');
        // Two hyphens after two letters announce an encoded host name (xn--), which could imitate another one.
        let encoded = text.get(2..4) == Some("--");
        if !letters || ends || encoded || !(3..=40).contains(&text.len()) {
            return Err(UnusableSlug::Form);
        }
        if RESERVED.contains(&text) {
            return Err(UnusableSlug::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Slug {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Slug {
    fn schema_name() -> Cow<'static, str> {
        "Slug".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$",
            "not": { "anyOf": [{ "enum": RESERVED }, { "pattern": "^..--" }] },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_safe_in_a_host_name_pass() {
        for good in ["abc", "acme-2", "a1b", &"a".repeat(40)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Acme",
            "A!!acme!!",
            "-acme",
            "acme-",
            "---",
            "xn--80ak6aa92e",
            "a b",
            "acmé",
            &"a".repeat(41),
        ] {
            assert_eq!(bad.parse::<Slug>(), Err(UnusableSlug::Form), "{bad}");
        }
        assert_eq!("www".parse::<Slug>(), Err(UnusableSlug::Reserved));
        assert!(RESERVED.is_sorted());
    }
}
