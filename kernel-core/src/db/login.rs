//! The database's roles, and the check that a login cannot see past its tenant.

use sqlx::PgConnection;

use super::DbError;
use crate::store;
use crate::store::role::Powers;

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

/// Refuses a login whose sight row-level security does not limit, and one that is not meant for its place. Any
/// membership counts, however indirect and inherited or not: a member of the owner sees what the owner's policies let
/// it see, and `SET ROLE` makes it one.
pub(crate) async fn unsafe_login(
    conn: &mut PgConnection,
    roles: &RoleNames,
    login: Login,
) -> Result<(), DbError> {
    let powers = powers(conn, roles, login).await?;
    let reason = if let Some(reason) = powers.unsafe_reason() {
        reason
    } else if powers.temporary {
        "may make temporary tables, whose rows the next transaction sees: REVOKE TEMPORARY ON DATABASE … FROM PUBLIC"
    } else if !powers.own {
        "has not the rights of the role that its place in the configuration is for"
    } else {
        return Ok(());
    };
    Err(DbError::UnsafeLogin { login: powers.login, reason })
}

/// Refuses a login of the host's own that would see past its tenant. Which rights it has is the host's affair.
pub(crate) async fn unsafe_host(conn: &mut PgConnection, roles: &RoleNames) -> Result<(), DbError> {
    let powers = powers(conn, roles, Login::App).await?;
    match powers.unsafe_reason() {
        Some(reason) => Err(DbError::UnsafeLogin { login: powers.login, reason }),
        None => Ok(()),
    }
}

/// What the current login may do, measured by what `login` should.
pub(crate) async fn powers(
    conn: &mut PgConnection,
    roles: &RoleNames,
    login: Login,
) -> Result<Powers, sqlx::Error> {
    let RoleNames { app, worker, operator, .. } = roles;
    // What the app may do, the others may too.
    let (own, others): (_, &[&str]) = match login {
        Login::App => (app, &[worker, operator]),
        Login::Worker => (worker, &[operator]),
        Login::Operator => (operator, &[worker]),
    };
    store::role::powers(conn, roles, own, others).await
}

impl Powers {
    /// What no login may have: the doctor's name for it, whether this one has it, and why not.
    pub(crate) fn excesses(&self) -> [(&'static str, bool, &'static str); 7] {
        [
            ("superuser", self.superuser, "is a superuser, whom row-level security does not limit"),
            ("bypass_rls", self.bypass_rls, "has BYPASSRLS, so row-level security does not limit it"),
            ("create_role", self.create_role, "has CREATEROLE, so it may make itself a member of any role"),
            ("replication", self.replication, "has REPLICATION, so it may copy the whole server"),
            ("owner", self.owner, "owns tables, or is a member of a role that does"),
            (
                "past_policies",
                self.past_policies,
                "reads or writes past the policies, as a member of pg_read_all_data or its like",
            ),
            ("other_login", self.other, "is a member of another login's role"),
        ]
    }

    fn unsafe_reason(&self) -> Option<&'static str> {
        self.excesses().into_iter().find_map(|(_, has, reason)| has.then_some(reason))
    }
}
