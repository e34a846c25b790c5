//! An app on a database of its own, under the logins that production uses.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::database::TestDatabase;
use crate::actor::Actor;
use crate::app::{App, AppBuilder, Config, Problems};
use crate::clock::Clock;
use crate::ctx::{Client, Ctx, RequestId};
use crate::db::{Db, RoleNames};
use crate::entropy::Entropy;
use crate::id::{UserId, WorkspaceId};
use crate::secret::LocalKeys;
use crate::workspace::{Workspace, WorkspaceStatus};

/// An app for one test: its own database, a clock that stands still, the app, worker and operator logins. It is never
/// the owner, for whom a test would pass without any isolation.
#[derive(Debug)]
pub struct TestKernel {
    /// The app.
    pub app: App,
    /// The clock, to move by hand.
    pub clock: Clock,
    /// The database; dropped with the kernel.
    pub database: TestDatabase,
}

/// The roles of test databases: of their own, because a developer's server may hold a product's too.
#[must_use]
pub fn roles() -> RoleNames {
    RoleNames::prefixed("kernel_test")
}

/// The configuration of tests: a clock that stands at noon on 4 January 2027, and a key that protects nothing.
///
/// # Panics
/// Never: the key in it is one.
#[must_use]
pub fn config() -> Config {
    let noon = DateTime::from_timestamp(1_799_064_000, 0).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let keys = LocalKeys::new("test", "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=");
    let mut config = Config::new(keys.expect("the text is 32 bytes in base64"));
    config.clock = Clock::manual(noon);
    config
}

impl TestKernel {
    /// An app of the pillars that `register` adds.
    ///
    /// # Panics
    /// When there is no PostgreSQL, or the app has problems: the test cannot go on.
    pub async fn start(register: impl Fn(AppBuilder) -> AppBuilder) -> Self {
        Self::with(config(), register).await
    }

    /// The same with a configuration of one's own.
    ///
    /// # Panics
    /// When there is no PostgreSQL, or the app has problems: the test cannot go on.
    pub async fn with(config: Config, register: impl Fn(AppBuilder) -> AppBuilder) -> Self {
        match Self::try_with(config, register).await {
            Ok(kernel) => kernel,
            Err(problems) => panic!("{problems}"),
        }
    }

    /// The same, for tests of what `build` refuses.
    ///
    /// # Errors
    /// The problems of the app.
    ///
    /// # Panics
    /// When there is no PostgreSQL.
    pub async fn try_with(
        config: Config,
        register: impl Fn(AppBuilder) -> AppBuilder,
    ) -> Result<Self, Problems> {
        // The plan needs no connection; the address is only there to be replaced.
        let mut nowhere = crate::DbConfig::new("postgres://localhost/nowhere");
        nowhere.roles = roles();
        let db = Db::new(&nowhere).expect("the URL can be read");
        let plan = register(App::builder(db, config.clone())).plan();
        let database =
            TestDatabase::create(&plan).await.unwrap_or_else(|error| panic!("no test database: {error:?}"));
        let mut db = database.logins().config();
        db.max_connections = 8;
        let db = Db::new(&db).expect("the URL can be read");
        let clock = config.clock.clone();
        let app = register(App::builder(db, config)).build().await?;
        Ok(Self { app, clock, database })
    }

    /// The superuser's connection: sees every row, for looking at what a test did.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.database.logins().admin()).await.expect("the server answers")
    }

    /// A context in which a user acts, outside any workspace.
    #[must_use]
    pub fn user(&self, id: UserId) -> Ctx {
        let entropy = Entropy::system();
        let request = RequestId::from_uuid(entropy.uuid(self.clock.now()));
        let actor = Actor::User { id, verified: true };
        Ctx::new(request, actor, Client::default(), self.clock.clone(), entropy)
    }

    /// The evidence of having entered a workspace, which in production only the request chain gives.
    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Workspace {
        Workspace::minted(id, String::new(), WorkspaceStatus::Active, 0)
    }

    /// A workspace that exists in the core's registry and nowhere else.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn found_workspace(&self) -> Workspace {
        let ctx = self.app.system("test");
        let id = ctx.new_id();
        let founded = self.app.db().global(&ctx, async |tx: &mut crate::GlobalTx| {
            tx.found(id, async |_: &mut crate::TenantTx| Ok::<_, crate::DbError>(())).await
        });
        founded.await.expect("a fresh workspace can be founded");
        self.workspace(id)
    }
}
