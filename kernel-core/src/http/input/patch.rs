//! A field of a partial update: left out, cleared or set.

use std::borrow::Cow;

use garde::error::NoKey;
use garde::rules::inner::Inner;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a `PATCH` says about a field. Put `#[serde(default)]` on it, or leaving it out is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Leave it as it is: the field is not in the request.
    #[default]
    Absent,
    /// Clear it: the field is `null`.
    Null,
    /// Set it.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value, where there is one.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// What the field becomes, given what it is.
    pub fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Absent => current,
            Self::Null => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not through Option: there serde turns a field that is left out into a null, which would clear it.
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::Null),
            value => serde_json::from_value(value).map(Self::Set).map_err(D::Error::custom),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Option::<T>::schema_id()
    }

    fn inline_schema() -> bool {
        Option::<T>::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// `#[garde(inner(length(max = 200)))]` checks the value that is set.
impl<T> Inner<T> for Patch<T> {
    type Key = NoKey;

    fn validate_inner<F>(&self, mut check: F)
    where
        F: FnMut(&T, &Self::Key),
    {
        if let Self::Set(value) = self {
            check(value, &NoKey::default());
        }
    }
}
