//! What goes wrong in the database, and of which kind it is.

use crate::error::{ErrorKind, Fault};
use crate::id::WorkspaceId;

/// What went wrong with a transaction, as opposed to what a statement in it said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A nested piece of the transaction was abandoned half-way, so the whole cannot be committed.
    #[error("the transaction was abandoned half-way and cannot be committed")]
    Abandoned,
    /// A pooler stands between, and takes away the time limits that a connection is made with.
    #[error("the {0} login has not its time limits: behind a pooler, set `DbConfig::statement_cache` to 0")]
    LimitsLost(&'static str),
    /// The process was not given the login that the work needs.
    #[error("no database login for the {0} role is configured")]
    NoLogin(&'static str),
    /// Somebody who is not staff asked for sight of all workspaces.
    #[error("only staff and the system itself see across workspaces")]
    NotStaff,
    /// A statement failed, or the connection did.
    #[error("the database refused")]
    Sql(#[from] sqlx::Error),
    /// The login would see every tenant's rows.
    #[error("the login {login:?} {reason}")]
    UnsafeLogin {
        /// The login.
        login: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// The placement that a workspace names is not configured.
    #[error("no placement {0:?} is configured")]
    UnknownPlacement(String),
    /// A workspace with this id has been founded before.
    #[error("workspace {0} exists")]
    WorkspaceExists(WorkspaceId),
}

impl DbError {
    /// Whether the same transaction may succeed when it is run again: a serialization failure or a deadlock.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Sql(error) if is_retryable(error))
    }
}

pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

impl Fault for DbError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotStaff => ErrorKind::Forbidden,
            Self::Sql(error) => Fault::kind(error),
            _ => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotStaff => "forbidden",
            Self::Sql(error) => Fault::code(error),
            _ => "internal",
        }
    }
}

impl Fault for sqlx::Error {
    fn kind(&self) -> ErrorKind {
        let code = self.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match (self, code.as_deref()) {
            (Self::PoolTimedOut | Self::PoolClosed | Self::Io(_), _)
            | (_, Some("57P01" | "57P02" | "57P03" | "53300")) => ErrorKind::Unavailable,
            // A write in a READ ONLY transaction: the workspace, or the session, may only read.
            (_, Some("25006")) => ErrorKind::Forbidden,
            (_, Some("40001" | "40P01" | "55P03")) => ErrorKind::Conflict,
            (_, Some("57014")) => ErrorKind::Timeout,
            // A text with U+0000, which PostgreSQL does not store.
            (_, Some("22021" | "22P05")) => ErrorKind::Invalid,
            _ => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match Fault::kind(self) {
            ErrorKind::Conflict => "contended",
            ErrorKind::Forbidden => "read_only",
            ErrorKind::Invalid => "unusable_text",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Unavailable => "unavailable",
            _ => "internal",
        }
    }
}

/// Whether `error` is a violation of the constraint of this name.
#[must_use]
pub fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint) == Some(constraint)
}
