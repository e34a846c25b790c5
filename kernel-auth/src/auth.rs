//! The pillar itself.

use std::sync::Arc;

use chrono::TimeDelta;
use kernel_core::table::Function;
use kernel_core::{Migrations, Pillar, Table};

use crate::password::{HashCost, Passwords};
use crate::{action, http};

/// How long sessions last, and how passwords are hashed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// A session ends when it has not been used for this long. 14 days.
    pub session_idle: TimeDelta,
    /// A session ends after this long however much it is used. 90 days.
    pub session_end: TimeDelta,
    /// Passwords hashed at the same time; each takes a core and 19 MiB. 2.
    pub hashing: usize,
    /// Passwords that may wait for their turn; more are refused with `Retry-After`. 64.
    pub waiting: usize,
    pub(crate) hash_cost: HashCost,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_idle: TimeDelta::days(14),
            session_end: TimeDelta::days(90),
            hashing: 2,
            waiting: 64,
            hash_cost: HashCost::default(),
        }
    }
}

#[cfg(feature = "testkit")]
impl Settings {
    /// Hashes that cost next to nothing: for tests that sign up thousands of people, and for nothing else.
    #[must_use]
    pub fn cheap_hashes(mut self) -> Self {
        self.hash_cost = HashCost::LEAST;
        self
    }
}

/// Sign-up, log-in and sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    pub(crate) settings: Arc<Settings>,
    pub(crate) passwords: Passwords,
}

impl Default for Auth {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Auth {
    /// The pillar with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let passwords = Passwords::new(settings.hashing.max(1), settings.waiting, settings.hash_cost.clone());
        Self { settings: Arc::new(settings), passwords }
    }
}

impl From<Auth> for Pillar {
    fn from(auth: Auth) -> Self {
        Self::new("auth")
            .migrations(Migrations::new("kernel_auth", sqlx::migrate!("./migrations")))
            .tables([
                Table::global("kernel_auth", "user")
                    .public(&["id", "email_verified_at", "created_at", "updated_at"])
                    .private(&["email", "email_key", "name"])
                    .sensitive(&["password_hash"])
                    .resolved(),
                Table::global("kernel_auth", "session")
                    .public(&["id", "user_id", "created_at", "updated_at", "expires_at", "ends_at"])
                    .private(&["ip_address", "user_agent"])
                    .sensitive(&["token_hash"])
                    .resolved(),
            ])
            .functions([
                Function::lookup("kernel_auth", "find_session(bytea, timestamptz)"),
                Function::lookup("kernel_auth", "people(uuid[])"),
            ])
            .audits(action::ALL)
            .messages(include_str!("../locales/en.json"))
            .translation("de", include_str!("../locales/de.json"))
            .routes(http::routes(&auth))
            .provides_people(Arc::new(auth.clone()))
            .provides_auth(Arc::new(auth))
    }
}

impl From<&Auth> for Pillar {
    fn from(auth: &Auth) -> Self {
        auth.clone().into()
    }
}
