//! Bodies that the host's own handlers read, as strictly as the app's routes do.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::Stream;
use http::request::Parts;

use super::Visit;
use crate::error::Error;
use crate::http::adapter::receive_own;
use crate::http::input::{Body, Incoming, Input};
use crate::http::page::CursorSeal;
use crate::http::schema::Reading;

/// What bodies of the host's own handlers are checked against, by their types: looked at when the first one comes.
#[derive(Debug, Default)]
pub(crate) struct Readings(Mutex<HashMap<TypeId, Arc<Reading>>>);

impl Readings {
    fn of<I: Input>(&self) -> Result<Arc<Reading>, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = known.entry(TypeId::of::<I>()).or_insert_with(|| Arc::new(Reading::of(I::describe)));
        if reading.problems.is_empty() {
            Ok(reading.clone())
        } else {
            Err(Error::internal(reading.problems.join("; ")))
        }
    }
}

impl Visit {
    /// The JSON body of the request as a `T`: as far as [`body_limit`](crate::http::HttpConfig::body_limit), within the time
    /// that clients have for bodies, and by the rules of [`Body`]. Waits for an admission that is under way, so that whoever
    /// may not call the handler hears of nothing else.
    ///
    /// # Errors
    /// What a caller of one of the app's routes would hear, for [`Visit::refuse`]. `internal` when the type takes unknown
    /// fields, which `build` cannot refuse for a handler that it does not know.
    pub async fn body<T, E: Display>(
        &self,
        head: &Parts,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<T, Error>
    where
        Body<T>: Input,
    {
        drop(self.turn.lock().await);
        let shared = &self.app.shared;
        let http = &shared.config.http;
        let reading = shared.readings.of::<Body<T>>()?;
        let body = receive_own(head, body, http.body_limit, http.timeouts.body).await?;
        let incoming = Incoming {
            head: Arc::new(head.clone()),
            params: Vec::new(),
            body,
            file: None,
            takes_forms: false,
            reading,
            seal: CursorSeal::new(shared.keyring.clone(), String::new()),
        };
        Body::read(&incoming).map(|Body(value)| value)
    }
}
