//! Rules about texts that people write, and how forms say that a field is empty.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// Refuses control characters; a NUL is one that the database cannot hold. `garde` hands texts over by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde passes its context by reference")]
pub(crate) fn printable(text: &str, (): &()) -> garde::Result {
    let forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(forbidden) { Err(garde::Error::new("tracker.field.unprintable")) } else { Ok(()) }
}

/// Refuses a text of spaces only, and everything that is not [`printable`].
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde passes its context by reference")]
pub(crate) fn saying_something(text: &str, ctx: &()) -> garde::Result {
    if text.trim().is_empty() { Err(garde::Error::new("field.required")) } else { printable(text, ctx) }
}

/// Reads an optional value. A form cannot leave out a field or send `null`; it sends nothing between two signs.
pub(crate) fn blank_as_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| T::deserialize(StrDeserializer::<D::Error>::new(&text)).map_err(D::Error::custom))
        .transpose()
}

/// Reads a field of a partial update that can be left out but not cleared: `null` is refused.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
