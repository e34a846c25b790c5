//! What handlers read: path, query and body, each as a type of their own.

mod body;
mod patch;
mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::file::BodyFile;
use super::page::CursorSeal;
use super::schema::{InputShape, Reading};
use crate::error::{Error, ErrorKind};

pub use body::Body;
pub(crate) use body::{CSRF_FIELD, is_form};
pub use patch::Patch;
pub(crate) use text::{pairs as form_pairs, parameters as filter_of};

/// A request on its way to a handler: head, path parameters, body.
pub struct Incoming {
    pub(crate) head: Arc<Parts>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// The body of a route that reads a file, which is then not in `body`.
    pub(crate) file: Option<BodyFile>,
    pub(crate) takes_forms: bool,
    pub(crate) reading: Arc<Reading>,
    pub(crate) seal: CursorSeal,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("method", &self.head.method).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The request's head.
    #[must_use]
    pub fn head(&self) -> &Parts {
        &self.head
    }

    pub(crate) fn head_arc(&self) -> Arc<Parts> {
        self.head.clone()
    }

    /// The decoded value of a path parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The bytes of the body, at most as many as the route's limit; none where the body is a [file](Self::file).
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as a file. Who reads it says so with [`InputShape::file`], or all of it has been in memory.
    #[must_use]
    pub fn file(&self) -> BodyFile {
        self.file.clone().unwrap_or_else(|| self.body.clone().into())
    }

    /// The query's parameters in order, decoded. A name that the handler does not read is refused, and so is one
    /// given twice. Checked for every request: a parameter that is silently ignored misleads its sender.
    pub(crate) fn query(&self) -> Result<Vec<text::Pair<'_>>, Error> {
        let pairs = text::pairs(self.head.uri.query().unwrap_or_default().as_bytes())?;
        let mut seen = BTreeSet::new();
        for (name, _) in &pairs {
            let Some(many) = self.reading.query.get(name.as_ref()) else {
                return Err(Error::new(ErrorKind::Malformed, "unknown_parameter").arg("parameter", name));
            };
            if !seen.insert(name.clone()) && !many {
                return Err(Error::new(ErrorKind::Malformed, "duplicate_parameter").arg("parameter", name));
            }
        }
        Ok(pairs)
    }
}

/// Something that a handler reads from a request.
pub trait Input: Sized + Send + 'static {
    /// Reads it. Runs before the transaction opens.
    ///
    /// # Errors
    /// What the caller should hear when the request does not hold it.
    fn read(from: &Incoming) -> Result<Self, Error>;

    /// Says what it reads, for the checks at build time and for OpenAPI.
    fn describe(shape: &mut InputShape<'_>);
}

impl Input for () {
    fn read(_: &Incoming) -> Result<Self, Error> {
        Ok(())
    }

    fn describe(_: &mut InputShape<'_>) {}
}

/// The parameters of the path: one of them as its own type, several as a struct with their names.
///
/// A value that cannot be read is the same `not_found` as a thing that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for Path<T> {
    fn read(from: &Incoming) -> Result<Self, Error> {
        let read = match (from.reading.path.is_some(), from.params.as_slice()) {
            (false, [(_, value)]) => text::one(value),
            (_, params) => text::all(params),
        };
        read.map(Self).map_err(|error| Error::not_found().because(error))
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.path::<T>();
    }
}

/// The parameters of the query. Unknown ones are refused, and so is one given twice, unless its field is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for Query<T> {
    fn read(from: &Incoming) -> Result<Self, Error> {
        let pairs = from.query()?;
        text::parameters(&pairs).map(Self)
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.query::<T>();
    }
}

/// The request's head, for a handler that needs a header.
#[derive(Debug, Clone)]
pub struct Head(pub Arc<Parts>);

impl Input for Head {
    fn read(from: &Incoming) -> Result<Self, Error> {
        Ok(Self(from.head.clone()))
    }

    fn describe(_: &mut InputShape<'_>) {}
}

/// Hands a refused input to the handler, so that a page can show the form again.
impl<I: Input> Input for Result<I, Error> {
    fn read(from: &Incoming) -> Result<Self, Error> {
        Ok(I::read(from))
    }

    fn describe(shape: &mut InputShape<'_>) {
        I::describe(shape);
    }
}

macro_rules! tuple {
    ($($part:ident),+) => {
        impl<$($part: Input),+> Input for ($($part,)+) {
            fn read(from: &Incoming) -> Result<Self, Error> {
                Ok(($($part::read(from)?,)+))
            }

            fn describe(shape: &mut InputShape<'_>) {
                $($part::describe(shape);)+
            }
        }
    };
}

tuple!(A, B);
tuple!(A, B, C);

#[cfg(test)]
mod tests;
