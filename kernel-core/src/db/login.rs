//! The database's roles, and the check that a login cannot see past its tenant.

use sqlx::PgConnection;

use super::DbError;
use crate::store;

/// The names of the database's roles. The first four log in; the last three own things and never do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the role of that name")]
pub struct RoleNames {
    pub app: String,
    pub worker: String,
    pub operator: String,
    pub migrate: String,
    pub owner: String,
    pub resolver: String,
    pub search: String,
}

impl Default for RoleNames {
    fn default() -> Self {
        Self::prefixed("kernel")
    }
}

impl RoleNames {
    /// `<prefix>_app`, `<prefix>_worker` and so on: for two products in one cluster.
    #[must_use]
    pub fn prefixed(prefix: &str) -> Self {
        let name = |role: &str| format!("{prefix}_{role}");
        Self {
            app: name("app"),
            worker: name("worker"),
            operator: name("operator"),
            migrate: name("migrate"),
            owner: name("owner"),
            resolver: name("resolver"),
            search: name("search"),
        }
    }
}

/// A login that a running process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    App,
    Operator,
    Worker,
}

impl Login {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Operator => "operator",
            Self::Worker => "worker",
        }
    }
}

/// Refuses a login whose sight row-level security does not limit. An inherited membership counts: a member of the
/// owner sees what the owner's policies let it see.
pub(crate) async fn unsafe_login(conn: &mut PgConnection, roles: &RoleNames) -> Result<(), DbError> {
    let powers = store::role::powers(conn, roles).await?;
    let reason = if powers.superuser {
        "is a superuser, whom row-level security does not limit"
    } else if powers.bypass_rls {
        "has BYPASSRLS, so row-level security does not limit it"
    } else if powers.owner {
        "owns tables, or is a member of a role that does"
    } else {
        return Ok(());
    };
    Err(DbError::UnsafeLogin { login: powers.login, reason })
}
