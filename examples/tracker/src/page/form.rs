//! Forms: what was sent, what became of it, and how to ask again.

use std::collections::BTreeMap;

use kernel_core::http::{Body, Incoming, Input, InputShape};
use kernel_core::{Error, ErrorKind, TenantTx};

use super::frame::Asked;

/// What a form sends, read as a `T`, and kept as it came for asking again.
#[derive(Debug)]
pub(crate) struct Form<T> {
    pub(super) asked: Asked,
    pub(super) sent: BTreeMap<String, String>,
    pub(super) input: Result<T, Error>,
}

/// Why a form is shown again, and what was sent.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) asked: Asked,
    pub(super) sent: BTreeMap<String, String>,
    pub(super) error: Error,
}

/// What is never shown again.
const KEPT_SECRET: [&str; 2] = ["_csrf", "password"];

/// What was sent by name. Where several values have one name, spaces part them; those are ids, which have none.
fn kept(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut sent = BTreeMap::<String, String>::new();
    for (name, value) in pairs.into_iter().filter(|(name, _)| !KEPT_SECRET.contains(&name.as_str())) {
        match sent.get_mut(&name) {
            Some(before) => {
                before.push(' ');
                before.push_str(&value);
            }
            None => drop(sent.insert(name, value)),
        }
    }
    sent
}

impl<T: Send + 'static> Input for Form<T>
where
    Body<T>: Input,
{
    fn read(from: &Incoming) -> Result<Self, Error> {
        let pairs: Vec<(String, String)> = serde_html_form::from_bytes(from.body()).unwrap_or_default();
        let input = Body::read(from).map(|Body(input)| input);
        Ok(Self { asked: Asked::read(from)?, sent: kept(pairs), input })
    }

    fn describe(shape: &mut InputShape<'_>) {
        Body::<T>::describe(shape);
    }
}

impl<T> Form<T> {
    /// Does what the form is for. What a person can correct comes back as [`Refused`], with nothing done.
    pub(super) async fn carry_out<O>(
        self,
        tx: &mut TenantTx,
        work: impl AsyncFnOnce(&mut TenantTx, T) -> Result<O, Error>,
    ) -> Result<Result<O, Refused>, Error> {
        let Self { asked, sent, input } = self;
        let outcome = match input {
            Ok(input) => tx.nested(async |tx: &mut TenantTx| work(tx, input).await).await,
            Err(error) => Err(error),
        };
        Refused::or(asked, sent, outcome)
    }
}

impl Refused {
    /// Sorts an outcome: done, to be asked again, or an error for the chain, which tells scripts of all errors.
    pub(super) fn or<O>(
        asked: Asked,
        sent: BTreeMap<String, String>,
        outcome: Result<O, Error>,
    ) -> Result<Result<O, Self>, Error> {
        use ErrorKind::{Conflict, Invalid, Unauthenticated, Unavailable};
        match outcome {
            Ok(done) => Ok(Ok(done)),
            Err(error) => {
                let by_person = matches!(error.kind(), Conflict | Invalid | Unauthenticated | Unavailable);
                let again = by_person && !asked.scripted && !error.is_retryable();
                if again { Ok(Err(Self { asked, sent, error })) } else { Err(error) }
            }
        }
    }
}
