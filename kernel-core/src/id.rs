//! Typed identifiers: a UUIDv7 in Rust and in the database, `prefix_<32 hex digits>` on the wire.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use uuid::Uuid;

use crate::workspace::Workspace;

/// A thing that has an id. Its prefix names it on the wire: `proj` gives `proj_018f…`.
///
/// ```
/// use kernel_core::{Id, Noun};
/// struct Project;
/// impl Noun for Project {
///     const PREFIX: &'static str = "proj";
/// }
/// let id: Id<Project> = "proj_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f".parse().unwrap();
/// assert_eq!(id.to_string(), "proj_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f");
/// ```
pub trait Noun: 'static {
    /// Lower-case letters, unique in a product; the build refuses two pillars that share one.
    const PREFIX: &'static str;
}

/// The id of an `N`. Ids of different nouns are different types.
pub struct Id<N>(Uuid, PhantomData<fn() -> N>);

/// Names users, whose table belongs to whichever pillar provides [`crate::seam::Auth`].
#[derive(Debug)]
pub enum UserNoun {}

impl Noun for UserNoun {
    const PREFIX: &'static str = "usr";
}

impl Noun for Workspace {
    const PREFIX: &'static str = "ws";
}

/// The id of a user.
pub type UserId = Id<UserNoun>;
/// The id of a workspace. Holding one proves nothing: the evidence is a [`Workspace`].
pub type WorkspaceId = Id<Workspace>;

impl WorkspaceId {
    /// The system workspace (the nil UUID): identity and platform rows live there, no product row does.
    pub const SYSTEM: Self = Self(Uuid::nil(), PhantomData);
}

impl<N> Id<N> {
    /// Wraps a UUID that is known to name an `N`.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bare UUID, as the database holds it.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ and 32 lower-case hexadecimal digits")]
pub struct MalformedId {
    prefix: &'static str,
}

impl<N: Noun> FromStr for Id<N> {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId { prefix: N::PREFIX };
        let digits =
            text.strip_prefix(N::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(malformed.clone())?;
        let uuid = Uuid::try_parse(digits).map_err(|_| malformed.clone())?;
        // One id has one spelling: the parser also takes hyphens, braces and upper case. Nil is the system's.
        if uuid.is_nil() || uuid.as_simple().to_string() != digits {
            return Err(malformed);
        }
        Ok(Self::from_uuid(uuid))
    }
}

impl<N: Noun> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", N::PREFIX, self.0.as_simple())
    }
}

impl<N: Noun> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<N> Clone for Id<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Id<N> {}
impl<N> PartialEq for Id<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<N> Eq for Id<N> {}
impl<N> PartialOrd for Id<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<N> Ord for Id<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<N> Hash for Id<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<N: Noun> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, N: Noun> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<N: Noun> JsonSchema for Id<N> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("Id_{}", N::PREFIX))
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let nil = Self::from_uuid(Uuid::nil()).to_string();
        let pattern = format!("^{}_[0-9a-f]{{32}}$", N::PREFIX);
        json_schema!({ "type": "string", "pattern": pattern, "not": { "const": nil } })
    }
}

impl<N> Type<Postgres> for Id<N> {
    fn type_info() -> PgTypeInfo {
        <Uuid as Type<Postgres>>::type_info()
    }
}

impl<N> PgHasArrayType for Id<N> {
    fn array_type_info() -> PgTypeInfo {
        <Uuid as PgHasArrayType>::array_type_info()
    }
}

impl<'q, N> Encode<'q, Postgres> for Id<N> {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <Uuid as Encode<'q, Postgres>>::encode_by_ref(&self.0, buf)
    }
}

impl<'r, N> Decode<'r, Postgres> for Id<N> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <Uuid as Decode<'r, Postgres>>::decode(value).map(Self::from_uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let good = "usr_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
        assert_eq!(good.parse::<UserId>().unwrap().to_string(), good);
        for bad in [
            "",
            "usr_",
            "0192e0c17a2b7c3d8e4f5a6b7c8d9e0f",
            "ws_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f",
            "usr_0192E0C17A2B7C3D8E4F5A6B7C8D9E0F",
            "usr_0192e0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f",
            "usr_{0192e0c17a2b7c3d8e4f5a6b7c8d9e0f}",
            "usr_00000000000000000000000000000000",
            "usr_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f ",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?} was taken");
        }
    }
}
