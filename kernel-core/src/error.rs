//! The one error that crosses the HTTP boundary, and the trait by which a pillar's own errors become it.

mod flaw;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use crate::role::{Feature, Permission};

pub use flaw::Flaw;

/// What a caller can do about an error. HTTP status codes follow from it, in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be read: bad syntax, an unknown parameter.
    Malformed,
    /// Prove who you are first.
    Unauthenticated,
    /// The plan does not include it.
    PaymentRequired,
    /// You may not.
    Forbidden,
    /// There is no such thing, or not for you.
    NotFound,
    /// The thing exists, but not with this method.
    MethodNotAllowed,
    /// It contradicts the present state.
    Conflict,
    /// The body is larger than the route takes.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is of a type that the route does not read.
    UnsupportedMediaType,
    /// It can be read, but breaks a rule; `fields` says which.
    Invalid,
    /// Too many requests; wait.
    RateLimited,
    /// It did not finish in time.
    Timeout,
    /// Try again later.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 15] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::PaymentRequired,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::TooLarge,
        Self::TooSlow,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];
}

const _: () = assert!(ErrorKind::ALL.len() == ErrorKind::Internal as usize + 1, "every kind is in ALL");

/// An error on its way to a caller: kind, stable code, message parameters, flaws of fields.
///
/// The text comes from the message catalogue under `error.<code>`; the source is logged and never sent.
#[derive(Debug, thiserror::Error)]
#[error("{code}")]
pub struct Error {
    kind: ErrorKind,
    code: Cow<'static, str>,
    args: BTreeMap<&'static str, String>,
    fields: BTreeMap<String, Flaw>,
    retry_after: Option<Duration>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An error of a pillar or product that knows its place in the envelope.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// What the caller can do about it.
    fn kind(&self) -> ErrorKind;

    /// The stable machine-readable code, dotted under the pillar: `tracker.key_taken`.
    fn code(&self) -> &'static str;

    /// The parameters of the message.
    fn args(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::new()
    }

    /// Why each offending input field is refused.
    fn fields(&self) -> BTreeMap<String, Flaw> {
        BTreeMap::new()
    }
}

/// An error and what caused it, on one line, for a log. Where PostgreSQL quotes the value that it could not read, its
/// message is left out and its code stays: the value may be a secret. E-mail addresses are blotted out.
#[must_use]
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut text, mut cause, mut quoting) = (error.to_string(), Some(error), None);
    while let Some(error) = cause {
        quoting = quoting.or_else(|| quoted(error));
        cause = error.source();
        if let Some(error) = cause {
            text = format!("{text}: {error}");
        }
    }
    if let Some((message, code)) = quoting {
        // In whichever link of the chain it stands: transparent ones repeat what is below them.
        text = text.replace(&message, &format!("a value cannot be read ({code})"));
    }
    without_addresses(text)
}

/// The text with `…` for every word that holds an address.
pub(crate) fn without_addresses(text: String) -> String {
    if !text.contains('@') {
        return text;
    }
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_end();
        if bare.contains('@') { format!("…{}", &word[bare.len()..]) } else { word.to_owned() }
    });
    words.collect()
}

/// The message and the code of an error of the database about a value: the class 22 of SQLSTATE.
fn quoted(error: &(dyn std::error::Error + 'static)) -> Option<(String, String)> {
    let inner = || error.downcast_ref::<sqlx::Error>()?.as_database_error();
    let boxed = || error.downcast_ref::<Box<dyn DatabaseError>>().map(|error| &**error);
    let own = || error.downcast_ref::<PgDatabaseError>().map(|error| error as &dyn DatabaseError);
    let error = inner().or_else(boxed).or_else(own)?;
    let code = error.code().filter(|code| code.starts_with("22"))?;
    Some((error.message().to_owned(), code.into_owned()))
}

/// A handler panicked. The message is for the log, without what it quotes: an `unwrap` prints an error with all that is in
/// it, and one of the database holds the row.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(crate) struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(panic: Box<dyn Any + Send>) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.map_or_else(|| "no message".to_owned(), |text| without_quotes(&text)))
    }
}

/// The text with `"…"` for what stands between double quotes.
fn without_quotes(text: &str) -> String {
    // Quotes inside a quotation are escaped.
    let escaped = text.replace("\\\"", "");
    let parts = escaped.split('"').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { part } else { "\"…\"" }).collect()
}

impl<F: Fault> From<F> for Error {
    fn from(fault: F) -> Self {
        Self {
            kind: fault.kind(),
            code: Cow::Borrowed(fault.code()),
            args: fault.args(),
            fields: fault.fields(),
            retry_after: None,
            source: Some(Box::new(fault)),
        }
    }
}

impl Error {
    /// The error and what caused it, for the log only.
    pub(crate) fn with_causes(&self) -> String {
        causes(self)
    }

    /// The same error for one more who asks. Of its causes the text remains.
    pub(crate) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            code: self.code.clone(),
            args: self.args.clone(),
            fields: self.fields.clone(),
            retry_after: self.retry_after,
            source: self.source.as_deref().map(|source| causes(source).into()),
        }
    }

    /// An error with a code of the kernel's own vocabulary.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str) -> Self {
        Self {
            kind,
            code: Cow::Borrowed(code),
            args: BTreeMap::new(),
            fields: BTreeMap::new(),
            retry_after: None,
            source: None,
        }
    }

    /// `not_found`: there is no such thing, or not for this actor; the two are never told apart.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "not_found")
    }

    /// `unauthenticated`.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(ErrorKind::Unauthenticated, "unauthenticated")
    }

    /// `forbidden`, naming the permission that is missing.
    #[must_use]
    pub fn forbidden(permission: Permission) -> Self {
        Self::new(ErrorKind::Forbidden, "forbidden").arg("permission", permission.name())
    }

    /// `feature_not_in_plan`, naming the feature; a route that asks for one also names the `plans` that have it.
    #[must_use]
    pub fn not_in_plan(feature: Feature) -> Self {
        Self::new(ErrorKind::PaymentRequired, "feature_not_in_plan").arg("feature", feature.name())
    }

    /// `invalid`, with a reason per field.
    #[must_use]
    pub fn invalid(fields: BTreeMap<String, Flaw>) -> Self {
        Self { fields, ..Self::new(ErrorKind::Invalid, "invalid") }
    }

    /// `internal`: a fault of ours. The source is logged; the caller sees none of it.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal").because(source)
    }

    /// Adds a parameter of the message.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and literals read better without an ampersand"
    )]
    pub fn arg(mut self, name: &'static str, value: impl ToString) -> Self {
        self.args.insert(name, value.to_string());
        self
    }

    /// Adds why an input field is refused: a [`Flaw`], or the key of a message that needs no arguments.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, flaw: impl Into<Flaw>) -> Self {
        self.fields.insert(name.into(), flaw.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps what caused it, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable machine-readable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The parameters of the message.
    #[must_use]
    pub fn args(&self) -> &BTreeMap<&'static str, String> {
        &self.args
    }

    /// Why each input field is refused.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, Flaw> {
        &self.fields
    }

    /// How long the caller should wait.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether it stands for a panic.
    pub(crate) fn is_panic(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is::<Panicked>())
    }

    /// Whether the transaction failed only because of its neighbours and may be run again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(db) = error.downcast_ref::<crate::db::DbError>() {
                return db.is_retryable();
            }
            if let Some(error) = error.downcast_ref::<sqlx::Error>() {
                return crate::db::is_retryable(error);
            }
            cause = error.source();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_a_panic_quotes_leave_the_text() {
        let refused =
            std::io::Error::other("no letter to ada@example.com, (bob@example.com) or <c@example.com>");
        let error = Error::internal(refused).with_causes();
        assert_eq!(error, "internal: no letter to … … or …");
        // As an `unwrap` prints what the database says of a row.
        let row = "called `Result::unwrap()` on an `Err` value: PgError { detail: Some(\"Key (name)=(Ada \\\"the\\\" Smith) \
                   exists.\"), table: \"account\" }";
        let panic = Box::new(row.to_owned()) as Box<dyn Any + Send>;
        let error = Error::internal(Panicked::from(panic)).with_causes();
        let left = "internal: panicked: called `Result::unwrap()` on an `Err` value: PgError { detail: Some(\"…\"), table: \"…\" }";
        assert_eq!(error, left);
    }
}
