//! Events: facts that a transaction announces by writing them beside its rows.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::db::{DbError, Tx};
use crate::id::{Id, Noun, WorkspaceId};
use crate::store;
use crate::telemetry::Trace;

/// Names events.
#[derive(Debug)]
pub enum EventNoun {}

impl Noun for EventNoun {
    const PREFIX: &'static str = "evt";
}

/// The id of an event. A consumer that has seen it before has handled it before.
pub type EventId = Id<EventNoun>;

/// A fact of a pillar or product, with a stable name and content that can be stored.
///
/// Secrets in it are [`Sealed`](crate::Sealed) fields: an outbox row is readable to whoever reads the database.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The dotted name: `tracker.issue.created`.
    const NAME: &'static str;

    /// What the event is about. Events about the same thing are published in the order in which they were written, if
    /// their transactions followed one another, as those do that lock the thing first. The jobs of subscribers run side by
    /// side, in no promised order.
    fn aggregate(&self) -> Uuid;
}

/// An event with its envelope, as subscribers get it.
#[derive(Debug, Clone)]
pub struct Delivered<E> {
    /// The event's id, the same on every delivery.
    pub id: EventId,
    /// The workspace in which it happened.
    pub workspace_id: WorkspaceId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The fact.
    pub event: E,
}

/// Announces `event`: it is delivered if and only if the transaction commits.
///
/// # Errors
/// [`DbError::Sql`] when the row cannot be written, or the event is not representable as JSON.
pub async fn publish<E: Event>(tx: &mut impl Tx, event: &E) -> Result<EventId, DbError> {
    let id = tx.ctx().new_id();
    let row = store::outbox::NewEvent {
        workspace_id: tx.workspace_id(),
        id,
        name: E::NAME,
        aggregate_id: event.aggregate(),
        payload: serde_json::to_value(event)
            .map_err(|error| DbError::Sql(sqlx::Error::Encode(error.into())))?,
        request_id: tx.ctx().request_id(),
        trace_id: tx.ctx().trace().as_ref().map(Trace::trace_id),
        created_at: tx.ctx().now(),
    };
    store::outbox::insert(tx.conn(), &row).await?;
    Ok(id)
}
