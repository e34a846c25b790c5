//! An app on a database that stays: for first steps and for development.

use std::sync::Arc;

use super::database::{DatabaseError, Logins, target_dir};
use super::postgres::{Postgres, Search};
use crate::app::{App, AppBuilder, Config, Problems};
use crate::db::{Db, DbConfig, DbError, RoleNames};
use crate::secret::LocalKeys;

/// The private cluster whose databases stay between runs.
const CLUSTER: &str = "dev";

/// An app under all logins that production uses, on a database that is still there the next time. The server is found
/// as [`Postgres::find`] does; a private one stops when this is dropped.
#[derive(Debug)]
pub struct Development {
    /// The app.
    pub app: App,
    /// The logins of its database.
    pub logins: Logins,
    _server: Arc<Postgres>,
}

/// Why there is no app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevelopmentError {
    /// There is no database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[from] DbError),
    /// The app is not fit to be served.
    #[error(transparent)]
    Problems(#[from] Problems),
}

impl Development {
    /// Brings the database `name` up to date, with roles of the same name, and builds the app of the pillars that
    /// `register` adds.
    ///
    /// # Errors
    /// [`DevelopmentError`].
    pub async fn start(
        name: &str,
        register: impl Fn(AppBuilder) -> AppBuilder,
    ) -> Result<Self, DevelopmentError> {
        let mut search = Search::from_env(target_dir());
        CLUSTER.clone_into(&mut search.cluster);
        let server = Postgres::find(&search, &mut |line| eprintln!("{line}")).await;
        let server = Arc::new(server.map_err(DatabaseError::from)?);
        let roles = RoleNames::prefixed(name);
        let logins = Logins::new(server.options(), name, &roles);
        let config = Config::new(logins.keys());
        // The plan needs no connection; the address is only there to be replaced.
        let mut nowhere = DbConfig::new("postgres://localhost/nowhere");
        nowhere.roles = roles;
        let plan = register(App::builder(Db::new(&nowhere)?, config.clone())).plan();
        logins.prepare(&plan).await?;
        let app = register(App::builder(Db::new(&logins.config())?, config)).build().await?;
        Ok(Self { app, logins, _server: server })
    }
}

impl Logins {
    /// A key for the app on this database, as good as the logins' passwords: for development, where it must be the
    /// same at each start.
    ///
    /// # Panics
    /// Never: a hash in base64 is a key.
    #[must_use]
    pub fn keys(&self) -> LocalKeys {
        LocalKeys::new("development", &self.app_key()).expect("a hash in base64 is a key")
    }
}
