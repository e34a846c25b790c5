//! Who acts: a person, a key, a member of staff, or the system itself.

use uuid::Uuid;

use crate::id::{Id, Noun, UserId, WorkspaceId};

/// Names API keys.
#[derive(Debug)]
pub enum ApiKeyNoun {}

impl Noun for ApiKeyNoun {
    const PREFIX: &'static str = "key";
}

/// The id of an API key.
pub type ApiKeyId = Id<ApiKeyNoun>;

/// Who acts. A value: what the actor may do in a workspace is a [`Grant`](crate::Grant) in the context.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// Nobody has proved who they are.
    Anonymous,
    /// A key that a workspace made; it acts in that workspace only.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// The workspace that the key is pinned to.
        workspace: WorkspaceId,
    },
    /// A member of staff, perhaps seeing what a user sees.
    Staff {
        /// The member of staff, whom the audit names.
        id: UserId,
        /// The user whose view is shown; read-only unless the staff session says otherwise.
        acting_as: Option<UserId>,
    },
    /// The system: a schedule, a job, a migration.
    System {
        /// What part of it, for the audit: `jobs`, `seed`.
        name: &'static str,
    },
    /// A person who has signed in.
    User {
        /// The person.
        id: UserId,
        /// Whether they have shown that their address is theirs.
        verified: bool,
    },
}

impl Actor {
    /// The kind as the audit and `created_by_type` columns hold it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::ApiKey { .. } => "api_key",
            Self::Staff { .. } => "staff",
            Self::System { .. } => "system",
            Self::User { .. } => "user",
        }
    }

    /// The id of whoever really acts, for the audit: staff, never the user they act as.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        match self {
            Self::Anonymous | Self::System { .. } => None,
            Self::ApiKey { id, .. } => Some(id.uuid()),
            Self::Staff { id, .. } | Self::User { id, .. } => Some(id.uuid()),
        }
    }

    /// The user in whose name things happen: the one signed in, or the one a member of staff acts as.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Staff { acting_as, .. } => *acting_as,
            _ => None,
        }
    }
}
