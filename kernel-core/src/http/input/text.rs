//! Typed values out of the text of paths, queries and forms.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// A query or form may hold this many parameters; more is a mistake or an attack.
const PAIRS_MAX: usize = 256;

pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The decoded pairs of a query or a form, in order.
pub(crate) fn pairs(encoded: &[u8]) -> Result<Vec<Pair<'_>>, Error> {
    let malformed = || Error::new(ErrorKind::Malformed, "malformed");
    // `%FF` decodes to a replacement character, which would let two spellings mean one name.
    let text = std::str::from_utf8(encoded).map_err(|error| malformed().because(error))?;
    if percent_encoding::percent_decode_str(text).decode_utf8().is_err() {
        return Err(malformed());
    }
    let pairs: Vec<Pair<'_>> = serde_html_form::from_str(text).map_err(|error| malformed().because(error))?;
    if pairs.len() > PAIRS_MAX { Err(malformed()) } else { Ok(pairs) }
}

/// One value as a `T`: a number, an id, an enum.
pub(super) fn one<T: DeserializeOwned>(value: &str) -> Result<T, serde_html_form::de::Error> {
    #[derive(Deserialize)]
    struct One<T> {
        value: T,
    }
    let encoded = encode([("value", value)]);
    serde_html_form::from_str::<One<T>>(&encoded).map(|one| one.value)
}

/// All values as a struct.
pub(super) fn all<T: DeserializeOwned>(params: &[(String, String)]) -> Result<T, serde_html_form::de::Error> {
    serde_html_form::from_str(&encode(params.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// A query as a struct; a value that cannot be read is named.
pub(crate) fn parameters<T: DeserializeOwned>(pairs: &[Pair<'_>]) -> Result<T, Error> {
    let encoded = encode(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    let deserializer = serde_html_form::Deserializer::from_bytes(encoded.as_bytes());
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let (field, reason) = super::body::reason(&error.path().to_string(), &error.inner().to_string());
        Error::new(ErrorKind::Malformed, "malformed_parameter")
            .arg("parameter", &field)
            .field(field, reason)
            .because(error.into_inner())
    })
}

fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    serde_html_form::to_string(pairs).expect("pairs of strings always serialize")
}
