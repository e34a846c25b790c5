//! A repeated request has its effect once: the answer is stored in the transaction of the effect.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Gate;
use crate::actor::Actor;
use crate::ctx::Ctx;
use crate::db::{DbError, Tx};
use crate::error::{Error, ErrorKind};
use crate::http::handler::TxStep;
use crate::http::input::Incoming;
use crate::http::reply::Reply;
use crate::http::route::{Idempotency, Route};
use crate::id::{Id, Noun};
use crate::secret::{ExposeSecret, SealError, SealedColumn, open, seal, sha256};
use crate::store::idempotency::{self, Lifetime, StoredAnswer};

const HEADER: &str = "idempotency-key";
const KEY_MAX: usize = 255;
const ANSWER: SealedColumn = SealedColumn::new("kernel_core", "idempotency_key", "answer");

/// Names stored answers.
enum AnswerNoun {}

impl Noun for AnswerNoun {
    const PREFIX: &'static str = "ans";
}

/// What makes two requests the same one, and what must then be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    scope: [u8; 32],
    fingerprint: [u8; 32],
}

/// What is stored sealed: a cookie, a token in a header or in the body may be shown only once.
#[derive(Debug, Serialize, Deserialize)]
struct Secret {
    /// Whose answer to what it is. The columns beside it say the same, and whoever can write to them could give it to another.
    scope: [u8; 32],
    fingerprint: [u8; 32],
    /// Names, and values in base64: they need not be text.
    headers: Vec<(String, String)>,
    body: String,
}

impl Key {
    /// The key of a request to a route that takes one.
    pub(super) async fn of(route: &Route, ctx: &Ctx, incoming: &Incoming) -> Result<Option<Self>, Error> {
        let head: &Parts = &incoming.head;
        if route.idempotency == Idempotency::Off {
            return Ok(None);
        }
        let Some(key) = sent(&head.headers)? else {
            return match route.idempotency {
                Idempotency::Required => Err(Error::new(ErrorKind::Malformed, "idempotency_key_required")),
                _ => Ok(None),
            };
        };
        let content_type = head.headers.get(http::header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let body = incoming.file().digest().await?;
        let fingerprint = digest(&(head.method.as_str(), head.uri.to_string(), content_type, body));
        let actor = ctx.actor();
        let acting_as = if let Actor::Staff { acting_as, .. } = actor { acting_as.as_ref() } else { None };
        // Nobody in particular shares a scope with everybody else who is nobody: then only the very same request,
        // secrets and all, is a repetition.
        let stranger = (*actor == Actor::Anonymous).then_some(fingerprint);
        let workspace = ctx.grant().map(|grant| grant.workspace().id());
        let scope = digest(&(
            workspace,
            actor.kind(),
            actor.id(),
            acting_as,
            stranger,
            route.method.as_str(),
            route.operation,
            key,
        ));
        Ok(Some(Self { scope, fingerprint }))
    }

    fn lock(&self) -> i64 {
        let (first, _) = self.scope.split_at(8);
        i64::from_be_bytes(first.try_into().expect("eight bytes"))
    }
}

/// The text that the caller gave.
pub(super) fn sent(headers: &HeaderMap) -> Result<Option<&[u8]>, Error> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(key) = values.next().map(HeaderValue::as_bytes) else { return Ok(None) };
    let sound = (1..=KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if sound && values.next().is_none() {
        Ok(Some(key))
    } else {
        Err(Error::new(ErrorKind::Malformed, "malformed_idempotency_key"))
    }
}

fn digest(parts: &impl Serialize) -> [u8; 32] {
    sha256(&serde_json::to_vec(parts).expect("strings, ids and bytes always serialize"))
}

impl Gate<'_> {
    /// Runs the handler once per key: repeats the stored answer, or runs and stores.
    pub(super) async fn once<X: Tx>(&self, key: &Key, tx: &mut X, step: TxStep<X>) -> Result<Reply, Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let db = |error: sqlx::Error| Error::from(DbError::from(error));
        if !idempotency::try_lock(tx.conn(), key.lock()).await.map_err(db)? {
            let wait = std::time::Duration::from_secs(1);
            return Err(Error::new(ErrorKind::Conflict, "idempotency_in_flight").retry_after(wait));
        }
        if let Some(stored) = idempotency::find(tx.conn(), workspace, &key.scope, now).await.map_err(db)? {
            if stored.fingerprint != key.fingerprint {
                return Err(Error::new(ErrorKind::Invalid, "idempotency_mismatch"));
            }
            return replay(key, tx, &stored);
        }
        let reply = step(tx).await?;
        let Reply::Full(response) = &reply else {
            return Err(Error::internal("a stream or socket cannot be repeated, so its route takes no key"));
        };
        let mut headers = response.headers().clone();
        // A repetition speaks the language of the first answer, whatever its own header says.
        if tx.ctx().has_spoken() {
            self.speak(&mut headers);
        }
        let answer = stored(key, tx, response, &headers)?;
        let ttl = TimeDelta::from_std(self.app.config.http.idempotency_ttl).map_err(Error::internal)?;
        let lifetime = Lifetime { created_at: now, expires_at: now + ttl };
        idempotency::insert(tx.conn(), workspace, &key.scope, &answer, lifetime).await.map_err(db)?;
        Ok(reply)
    }
}

fn stored(
    key: &Key,
    tx: &mut impl Tx,
    response: &Response<Bytes>,
    headers: &HeaderMap,
) -> Result<StoredAnswer, Error> {
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), STANDARD.encode(value)));
    let Key { scope, fingerprint } = *key;
    let body = STANDARD.encode(response.body());
    let secret = Secret { scope, fingerprint, headers: headers.collect(), body };
    let secret = Zeroizing::new(serde_json::to_vec(&secret).map_err(Error::internal)?);
    let id: Id<AnswerNoun> = tx.ctx().new_id();
    Ok(StoredAnswer {
        id: id.uuid(),
        fingerprint: key.fingerprint.to_vec(),
        status: response.status().as_u16().try_into().map_err(Error::internal)?,
        answer: seal(tx, ANSWER, id, &secret)?,
    })
}

fn replay(key: &Key, tx: &mut impl Tx, stored: &StoredAnswer) -> Result<Reply, Error> {
    let secret = open(tx, ANSWER, Id::<AnswerNoun>::from_uuid(stored.id), &stored.answer)?;
    let secret: Secret = serde_json::from_slice(secret.expose_secret()).map_err(Error::internal)?;
    if (secret.scope, secret.fingerprint) != (key.scope, key.fingerprint) {
        return Err(SealError::Closed.into());
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(Error::internal);
    let mut headers = HeaderMap::new();
    for (name, value) in secret.headers {
        let name: HeaderName = name.parse().map_err(Error::internal)?;
        headers.append(name, HeaderValue::try_from(decoded(&value)?).map_err(Error::internal)?);
    }
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    let mut response = Response::new(Bytes::from(decoded(&secret.body)?));
    let status = u16::try_from(stored.status).map_err(Error::internal)?;
    *response.status_mut() = StatusCode::from_u16(status).map_err(Error::internal)?;
    *response.headers_mut() = headers;
    Ok(Reply::Full(response))
}
