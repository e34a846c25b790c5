//! A database with two workspaces whose rows mirror each other, and a proxy in front of it.

use std::path::Path;
use std::sync::Arc;

use kernel_core::testkit::postgres::{Postgres, Search};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;
use xtask::wire::{PgTarget, Proxy, Rewrite};

pub(crate) const A: Uuid = Uuid::from_u128(0xA);
pub(crate) const B: Uuid = Uuid::from_u128(0xB);

/// Ids are the same in both workspaces, as composite keys allow: a statement that forgets the workspace
/// finds both rows.
const SCHEMA: &str = "
    CREATE SCHEMA demo;
    CREATE TABLE demo.project (
        workspace_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, PRIMARY KEY (workspace_id, id)
    );
    CREATE TABLE demo.issue (
        workspace_id uuid NOT NULL, id uuid NOT NULL, project_id uuid NOT NULL, title text NOT NULL,
        state text NOT NULL DEFAULT 'open', seq bigint NOT NULL DEFAULT 0, at timestamptz NOT NULL DEFAULT now(),
        slug text,
        PRIMARY KEY (workspace_id, id),
        FOREIGN KEY (workspace_id, project_id) REFERENCES demo.project (workspace_id, id)
    );
    CREATE UNIQUE INDEX ON demo.issue (workspace_id, lower(slug)) WHERE slug IS NOT NULL AND state <> 'done';
    INSERT INTO demo.project
    SELECT w::uuid, ('00000000-0000-0000-0001-00000000000' || p)::uuid, 'project ' || p
    FROM unnest(ARRAY['00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b']) AS w,
        generate_series(1, 2) AS p;
    INSERT INTO demo.issue (workspace_id, id, project_id, title)
    SELECT p.workspace_id, ('00000000-0000-0000-0002-00000000000' || i)::uuid, p.id,
        'issue ' || i || ' of ' || right(p.workspace_id::text, 1)
    FROM demo.project p, generate_series(1, 3) AS i
    WHERE p.name = 'project 1';
";

pub(crate) fn project(n: u128) -> Uuid {
    Uuid::from_u128((0x1 << 48) + n)
}

pub(crate) fn issue(n: u128) -> Uuid {
    Uuid::from_u128((0x2 << 48) + n)
}

/// A database of one test's own.
pub(crate) struct Database {
    name: String,
    postgres: &'static Postgres,
}

impl Database {
    pub(crate) async fn create(test: &str) -> Self {
        let database =
            Self { name: format!("wire_{test}_{}", std::process::id()), postgres: postgres().await };
        database.admin(&format!("CREATE DATABASE {}", database.name)).await;
        let mut conn = database.connect().await;
        sqlx::raw_sql(SCHEMA).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        database
    }

    pub(crate) fn url(&self) -> String {
        self.postgres.url(&self.name)
    }

    /// A connection past the proxy.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub(crate) async fn proxy(&self, rewrite: impl Rewrite + 'static) -> Proxied {
        let proxy = Proxy::start(&PgTarget::from_url(&self.url()).unwrap(), Arc::new(rewrite)).await.unwrap();
        let url = proxy.url(&self.url()).unwrap();
        Proxied { proxy, url }
    }

    pub(crate) async fn drop(self) {
        self.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn admin(&self, sql: &str) {
        let mut conn = PgConnection::connect(&self.postgres.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }
}

/// A proxy in front of a [`Database`].
pub(crate) struct Proxied {
    pub(crate) proxy: Proxy,
    pub(crate) url: String,
}

impl Proxied {
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// How the client that is not sqlx gets here; it refuses parameters that it does not know.
    pub(crate) fn other_client(&self) -> tokio_postgres::Config {
        self.url.split('?').next().unwrap().parse().unwrap()
    }

    /// A client that sends several queries before it reads an answer.
    pub(crate) async fn pipelining(&self) -> tokio_postgres::Client {
        let (client, connection) = self.other_client().connect(tokio_postgres::NoTls).await.unwrap();
        spawn(async move { drop(connection.await) });
        client
    }
}

#[expect(clippy::disallowed_methods, reason = "a test plays several clients at once")]
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

async fn postgres() -> &'static Postgres {
    static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
    let find = || async {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        Postgres::find(&Search::from_env(target), &mut |line| eprintln!("{line}")).await.unwrap()
    };
    POSTGRES.get_or_init(find).await
}
