//! How full the queue is.

use chrono::{DateTime, Utc};

/// How many jobs of a kind are in a state, over all workspaces.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Depth {
    /// The kind.
    pub kind: String,
    /// The state: `available`, `running` or `dead`.
    pub state: String,
    /// How many there are.
    pub jobs: i64,
    /// When the oldest of them was enqueued.
    pub oldest_at: DateTime<Utc>,
}
