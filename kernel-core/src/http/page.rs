//! Lists page by page: keyset cursors that are good for one list, one filter and one workspace only.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::input::{Incoming, Input, filter_of};
use super::output::{Items, Output};
use super::schema::InputShape;
use crate::error::{Error, ErrorKind};
use crate::secret::Keyring;

/// How many items a page holds when the caller does not say.
pub const LIMIT_DEFAULT: u16 = 50;
/// How many items a page holds at most; a larger wish is cut to it.
pub const LIMIT_MAX: u16 = 100;

const MAC_BYTES: usize = 32;
const PURPOSE: &str = "http.cursor";
/// Longer than any cursor that this module makes.
pub(super) const CURSOR_MAX: usize = 2048;

/// A page of a list that `F` filters and sorts: reads `cursor` and `limit` beside the fields of `F`.
#[derive(Debug)]
pub struct Paged<F> {
    /// The filter, from the rest of the query.
    pub filter: F,
    /// Which page.
    pub page: PageRequest,
}

/// The filter of a list that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfiltered {}

impl<F: DeserializeOwned + JsonSchema + Send + 'static> Input for Paged<F> {
    fn read(from: &Incoming) -> Result<Self, Error> {
        let pairs = from.query()?;
        let value = |wanted| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_ref());
        let (cursor, limit) = (value("cursor"), value("limit"));
        let rest: Vec<_> =
            pairs.iter().filter(|(name, _)| name != "cursor" && name != "limit").cloned().collect();
        let filter = filter_of(&rest)?;
        let page = PageRequest::read(limit, cursor, from.seal.bound(&rest))?;
        Ok(Self { filter, page })
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.query::<F>();
        shape.paged();
    }
}

/// Which page of a list: at most how many items, after which one.
///
/// ```
/// # use kernel_core::{DbError, Error, TenantTx, Tx, http::{Items, Paged, Unfiltered}};
/// async fn list(_: (), tx: &mut TenantTx, list: Paged<Unfiltered>) -> Result<Items<String>, Error> {
///     let after: Option<String> = list.page.after()?;
///     let rows = sqlx::query_scalar("SELECT name FROM shop.item WHERE name > $1 ORDER BY name LIMIT $2")
///         .bind(after.unwrap_or_default())
///         .bind(list.page.fetch())
///         .fetch_all(tx.conn())
///         .await
///         .map_err(DbError::from)?;
///     Ok(list.page.items(rows, |name| name.clone()))
/// }
/// ```
#[derive(Debug)]
pub struct PageRequest {
    limit: u16,
    after: Option<Value>,
    seal: CursorSeal,
}

impl PageRequest {
    fn read(limit: Option<&str>, cursor: Option<&str>, seal: CursorSeal) -> Result<Self, Error> {
        let limit = match limit {
            None => LIMIT_DEFAULT,
            Some(text) => {
                parse_limit(text).ok_or_else(|| Error::new(ErrorKind::Malformed, "malformed_limit"))?
            }
        };
        let after = match cursor {
            None => None,
            Some(text) => {
                Some(seal.open(text).ok_or_else(|| Error::new(ErrorKind::Malformed, "malformed_cursor"))?)
            }
        };
        Ok(Self { limit, after, seal })
    }

    /// How many items the page holds at most.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.limit.into()
    }

    /// How many rows to ask the database for: one more than the page holds, which tells whether there is a next one.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.limit() + 1
    }

    /// The sort key of the last item of the page before, as [`PageRequest::items`] was given it; `None` at the start.
    ///
    /// # Errors
    /// `malformed_cursor` when it is not a `K`.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Error> {
        let malformed =
            |error: serde_json::Error| Error::new(ErrorKind::Malformed, "malformed_cursor").because(error);
        self.after.as_ref().map(|key| K::deserialize(key).map_err(malformed)).transpose()
    }

    /// The page, out of the rows that [`PageRequest::fetch`] asked for. `key` gives a row's sort key, its id last, so
    /// that no two rows share one.
    pub fn items<T, K: Serialize>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Items<T> {
        let has_more = rows.len() > usize::from(self.limit);
        rows.truncate(self.limit.into());
        let last = if has_more { rows.last() } else { None };
        let next_cursor = last.map(|row| self.seal.close(&key(row)));
        Items { items: rows, next_cursor, has_more }
    }
}

pub(super) fn parse_limit(text: &str) -> Option<u16> {
    // A number of any length is a number; only what is none, or below one, is an error.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let limit = text.parse().unwrap_or(u64::MAX).min(LIMIT_MAX.into());
    u16::try_from(limit).ok().filter(|limit| *limit > 0)
}

/// Signs cursors, so that one of another list, filter or workspace is not taken. Signed, not secret: the sort key of
/// an item that the caller has just seen can be read out of it.
#[derive(Clone)]
pub(crate) struct CursorSeal {
    keyring: Keyring,
    context: String,
}

impl fmt::Debug for CursorSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorSeal")
    }
}

impl CursorSeal {
    /// `place` names the operation and the workspace.
    pub(crate) fn new(keyring: Keyring, place: String) -> Self {
        Self { keyring, context: place }
    }

    pub(super) fn bound(&self, filter: &[(Cow<'_, str>, Cow<'_, str>)]) -> Self {
        let mut filter: Vec<_> = filter.iter().collect();
        filter.sort();
        let filter = serde_json::to_string(&filter).expect("pairs of strings always serialize");
        Self { keyring: self.keyring.clone(), context: format!("{}\n{filter}", self.context) }
    }

    fn signed(&self, key: &[u8]) -> Vec<u8> {
        [self.context.as_bytes(), b"\n", key].concat()
    }

    pub(super) fn close(&self, key: &impl Serialize) -> String {
        let key = serde_json::to_vec(key).expect("a sort key serializes");
        let mac = self.keyring.mac(PURPOSE, &self.signed(&key));
        URL_SAFE_NO_PAD.encode([&mac[..], &key].concat())
    }

    pub(super) fn open(&self, cursor: &str) -> Option<Value> {
        if cursor.len() > CURSOR_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (mac, key) = bytes.split_at_checked(MAC_BYTES)?;
        let matches = self.keyring.mac_matches(PURPOSE, &self.signed(key), mac);
        if matches { serde_json::from_slice(key).ok() } else { None }
    }
}

/// A sort order: `created_at` ascending, `-created_at` descending. `K` is an enum of the sortable fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort<K> {
    /// The field.
    pub key: K,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Sort<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text.as_ref()),
        };
        let key = K::deserialize(StrDeserializer::<D::Error>::new(name)).map_err(D::Error::custom)?;
        Ok(Self { key, descending })
    }
}

impl<K: JsonSchema> JsonSchema for Sort<K> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("Sort_{}", K::schema_name()))
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = K::json_schema(generator);
        // Variants with docs are constants of their own beside the list of the others.
        let parts =
            fields.get("oneOf").and_then(Value::as_array).into_iter().flatten().chain([fields.as_value()]);
        let names = parts.flat_map(|part| {
            let listed = part.get("enum").and_then(Value::as_array).into_iter().flatten();
            listed.chain(part.get("const")).filter_map(Value::as_str)
        });
        let orders: Vec<String> = names.flat_map(|name| [name.to_owned(), format!("-{name}")]).collect();
        schemars::json_schema!({ "type": "string", "enum": orders })
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Items<T> {
    fn reply(self, head: &http::request::Parts) -> Result<super::Reply, Error> {
        super::output::Json(self).reply(head)
    }

    fn describe(shape: &mut super::OutputShape<'_>) {
        shape.json::<Self>(super::problem::OK);
    }
}

#[cfg(test)]
mod tests;
