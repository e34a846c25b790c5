//! Rules about texts that people write, and how forms say that a field is empty.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

pub(crate) use kernel_core::rule::{PRINTABLE, SAYING_SOMETHING, printable, saying_something};

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

/// In schemas, what [`blank_as_none`] reads as a `T`: one, or nothing between two signs.
#[derive(Debug)]
pub(crate) struct OrBlank<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OrBlank<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OrBlank_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "string", "maxLength": 0 }] })
    }
}

/// Reads a field of a partial update that can be left out but not cleared: `null` is refused.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
