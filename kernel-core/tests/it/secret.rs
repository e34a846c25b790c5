//! Sealed columns, data keys and the sources of secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use kernel_core::job::{JobId, JobNoun};
use kernel_core::secret::{
    EnvSecrets, ExposeSecret, FileSecrets, KeyError, SealError, SecretBox, SecretSources, SourceError,
    Wrapped,
};
use kernel_core::testkit::{TestKernel, config, key_provider_contract, secret_source_contract};
use kernel_core::{
    App, DataKeyError, Db, Error, Id, KeyProvider, LocalKeys, Pillar, SealedColumn, SecretSource, Table,
    TenantTx, Tx, Workspace, open, seal,
};
use sqlx::{Executor, PgConnection};

use crate::shop;

const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TOKEN: SealedColumn = SealedColumn::new("shop", "till", "token");
const SCHEMA: &str = "CREATE TABLE shop.till (
    workspace_id uuid NOT NULL, id uuid NOT NULL, token bytea, PRIMARY KEY (workspace_id, id));";

fn pillar() -> Pillar {
    Pillar::new("shop")
        .migrations(shop::migrations(SCHEMA))
        .tables([Table::tenant("shop", "till").public(&["id"]).sealed(&["token"])])
}

async fn start(keys: impl KeyProvider + 'static) -> TestKernel {
    let mut config = config();
    config.keys = Arc::new(keys);
    TestKernel::with(config, |app| app.with(pillar())).await
}

async fn put(kernel: &TestKernel, workspace: &Workspace, token: &str) -> JobId {
    let ctx = kernel.app.system("test");
    let id: Id<JobNoun> = ctx.new_id();
    let insert = async |tx: &mut TenantTx| {
        let (workspace, sealed) = (tx.workspace_id(), seal(tx, TOKEN, id, token.as_bytes())?);
        let insert = sqlx::query("INSERT INTO shop.till (workspace_id, id, token) VALUES ($1, $2, $3)");
        insert.bind(workspace).bind(id).bind(sealed).execute(tx.conn()).await?;
        Ok::<_, Error>(())
    };
    kernel.app.db().tenant(&ctx, workspace, insert).await.unwrap();
    id
}

async fn get(app: &App, workspace: &Workspace, id: JobId) -> Result<String, Error> {
    let ctx = app.system("test").reading();
    let look = async |tx: &mut TenantTx| {
        let sealed: Vec<u8> = sqlx::query_scalar("SELECT token FROM shop.till WHERE id = $1")
            .bind(id)
            .fetch_one(tx.conn())
            .await?;
        Ok(String::from_utf8(open(tx, TOKEN, id, &sealed)?.expose_secret().to_vec()).unwrap())
    };
    app.db().tenant(&ctx, workspace, look).await
}

/// Another process of the same installation, with the same clock.
async fn another(
    kernel: &TestKernel,
    keys: impl KeyProvider + 'static,
) -> Result<App, kernel_core::Problems> {
    let mut config = config();
    (config.keys, config.clock) = (Arc::new(keys), kernel.clock.clone());
    let db = Db::new(&kernel.database.logins().config()).unwrap();
    App::builder(db, config).with(pillar()).build().await
}

async fn numbers(admin: &mut PgConnection) -> Vec<i32> {
    sqlx::query_scalar("SELECT DISTINCT get_byte(token, 4) FROM shop.till ORDER BY 1")
        .fetch_all(admin)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_sealed_opens_in_its_workspace_and_undeclared_columns_are_refused() {
    let kernel = start(LocalKeys::new("1", OLD).unwrap()).await;
    let (one, other) = (kernel.found_workspace().await, kernel.found_workspace().await);
    let id = put(&kernel, &one, "token").await;
    assert_eq!(get(&kernel.app, &one, id).await.unwrap(), "token");
    let stored: Vec<u8> =
        sqlx::query_scalar("SELECT token FROM shop.till").fetch_one(&mut kernel.admin().await).await.unwrap();
    assert!(!stored.windows(5).any(|part| part == b"token"));
    let ctx = kernel.app.system("test");
    let elsewhere = async |tx: &mut TenantTx| {
        assert_eq!(open(tx, TOKEN, id, &stored).unwrap_err(), SealError::Closed);
        let unknown = SealedColumn::new("shop", "till", "id");
        assert_eq!(seal(tx, unknown, id, b"x").unwrap_err(), SealError::Undeclared(unknown));
        Ok::<_, Error>(())
    };
    kernel.app.db().tenant(&ctx, &other, elsewhere).await.unwrap();
    let unbuilt = Db::new(&kernel.database.logins().config()).unwrap();
    let without = async |tx: &mut TenantTx| Ok::<_, Error>(seal(tx, TOKEN, id, b"x").unwrap_err());
    assert_eq!(unbuilt.tenant(&ctx, &one, without).await.unwrap(), SealError::NoKeys);
}

#[tokio::test]
async fn a_process_without_a_data_key_does_not_start() {
    let kernel = start(LocalKeys::new("1", OLD).unwrap()).await;
    let swallow = "DELETE FROM kernel_core.data_key;
         CREATE FUNCTION shop.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER swallow BEFORE INSERT ON kernel_core.data_key
         FOR EACH ROW EXECUTE FUNCTION shop.swallow()";
    kernel.admin().await.execute(swallow).await.unwrap();
    let refused = another(&kernel, LocalKeys::new("1", OLD).unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("data_key stays empty"), "{refused}");
}

#[tokio::test]
async fn keys_turn_and_what_is_sealed_follows() {
    let kernel = start(LocalKeys::new("1", OLD).unwrap()).await;
    let (one, ctx) = (kernel.found_workspace().await, kernel.app.system("test"));
    let mut admin = kernel.admin().await;
    let early = put(&kernel, &one, "early").await;
    assert_eq!(kernel.app.rotate_data_key(&ctx).await.unwrap(), 2);
    put(&kernel, &one, "soon").await;
    assert_eq!(numbers(&mut admin).await, [1], "the new key is too new to seal");
    kernel.clock.advance(TimeDelta::minutes(10));
    put(&kernel, &one, "late").await;
    assert_eq!(numbers(&mut admin).await, [1, 2]);
    let first = kernel.app.reseal(&ctx, 100).await.unwrap();
    assert_eq!((first.resealed, first.changed, first.unreadable, first.done), (2, 0, 0, false));
    assert!(kernel.app.reseal(&ctx, 100).await.unwrap().done);
    assert_eq!(numbers(&mut admin).await, [2]);
    assert_eq!(get(&kernel.app, &one, early).await.unwrap(), "early");

    let new = || LocalKeys::new("2", NEW).unwrap();
    let problems = another(&kernel, new()).await.unwrap_err().to_string();
    assert!(problems.contains("the data key 1: the key provider has no key \"1\""), "{problems}");
    let both = another(&kernel, new().and_older("1", OLD).unwrap()).await.unwrap();
    assert_eq!(both.rewrap_data_keys(&ctx).await.unwrap(), 2);
    assert_eq!(both.rewrap_data_keys(&ctx).await.unwrap(), 0, "they are");
    let newest = another(&kernel, new()).await.unwrap();
    assert_eq!(get(&newest, &one, early).await.unwrap(), "early");
    let status = newest.data_keys(&ctx).await.unwrap();
    let status: Vec<_> = status.iter().map(|key| (key.number, key.key_id.as_str(), key.sealing)).collect();
    assert_eq!(status, [(1, "2", false), (2, "2", true)]);
}

#[tokio::test]
async fn a_pass_takes_as_many_calls_as_its_limit_needs_and_leaves_what_does_not_open() {
    let kernel = start(LocalKeys::new("1", OLD).unwrap()).await;
    let ctx = kernel.app.system("test");
    let workspaces = [kernel.found_workspace().await, kernel.found_workspace().await];
    for workspace in &workspaces {
        for row in 0..5 {
            put(&kernel, workspace, &format!("{row}")).await;
        }
    }
    let mut admin = kernel.admin().await;
    let broken =
        "UPDATE shop.till SET token = 'clear text' WHERE id = (SELECT min(id::text)::uuid FROM shop.till)";
    admin.execute(broken).await.unwrap();
    kernel.app.rotate_data_key(&ctx).await.unwrap();
    kernel.clock.advance(TimeDelta::minutes(11));
    let mut pieces = Vec::new();
    while pieces.len() < 20 {
        let piece = kernel.app.reseal(&ctx, 3).await.unwrap();
        assert!(piece.seen <= 3);
        pieces.push(piece);
        if piece.done {
            break;
        }
    }
    assert_eq!(pieces.iter().map(|piece| piece.resealed).sum::<u64>(), 9);
    assert!(pieces.iter().any(|piece| piece.unreadable == 1) && pieces.last().unwrap().done, "{pieces:?}");
    let user = kernel.user(ctx.new_id());
    assert_eq!(kernel.app.reseal(&user, 3).await.unwrap_err().code(), "forbidden");
    assert!(matches!(kernel.app.rotate_data_key(&user).await, Err(DataKeyError::Database(_))));
}

#[tokio::test]
async fn a_column_that_cannot_be_sealed_is_refused() {
    let broken = async |sql: &str, table: fn() -> Table| {
        let sql = sql.to_owned();
        let pillar = move || Pillar::new("shop").migrations(shop::migrations(&sql)).tables([table()]);
        TestKernel::try_with(config(), |app| app.with(pillar())).await.unwrap_err().to_string()
    };
    let table = || Table::tenant("shop", "till").public(&["id"]).sealed(&["token"]);
    let text = broken(&SCHEMA.replace("bytea", "text"), table).await;
    assert!(text.contains("shop.till: the sealed column token is not bytea but text"), "{text}");
    let keyless = broken(&SCHEMA.replace("(workspace_id, id)", "(workspace_id, token)"), table).await;
    assert!(
        keyless.contains("shop.till: has sealed columns, and its rows are not known by an id"),
        "{keyless}"
    );
    let append = || Table::tenant("shop", "till").public(&["id"]).sealed(&["token"]).append_only();
    let append = broken(SCHEMA, append).await;
    assert!(append.contains("shop.till.token is sealed, and the table's rows cannot be changed"), "{append}");
}

/// Counts how often it is asked, and refuses from some time on.
struct Counting {
    keys: LocalKeys,
    asked: Arc<AtomicUsize>,
    down_from: usize,
}

#[async_trait::async_trait]
impl KeyProvider for Counting {
    async fn wrap(&self, context: &[u8], key: &SecretBox<[u8; 32]>) -> Result<Wrapped, KeyError> {
        self.keys.wrap(context, key).await
    }

    async fn unwrap(&self, context: &[u8], wrapped: &Wrapped) -> Result<SecretBox<[u8; 32]>, KeyError> {
        if self.asked.fetch_add(1, Ordering::SeqCst) >= self.down_from {
            return Err(KeyError::Unavailable("it is down".into()));
        }
        self.keys.unwrap(context, wrapped).await
    }
}

#[tokio::test]
async fn the_provider_is_asked_about_new_keys_only_and_work_goes_on_without_it() {
    let kernel = start(LocalKeys::new("1", OLD).unwrap()).await;
    let (one, ctx) = (kernel.found_workspace().await, kernel.app.system("test"));
    let id = put(&kernel, &one, "token").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let keys = LocalKeys::new("1", OLD).unwrap();
    let node = another(&kernel, Counting { keys, asked: asked.clone(), down_from: 1 }).await.unwrap();
    for _ in 0..3 {
        kernel.clock.advance(TimeDelta::minutes(6));
        assert_eq!(get(&node, &one, id).await.unwrap(), "token");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "a known key is not asked about again");
    kernel.app.rotate_data_key(&ctx).await.unwrap();
    for _ in 0..3 {
        assert_eq!(get(&node, &one, id).await.unwrap(), "token", "the provider is down, the keys are there");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "known for five minutes more");
    kernel.clock.advance(TimeDelta::minutes(6));
    for _ in 0..3 {
        assert_eq!(get(&node, &one, id).await.unwrap(), "token");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "asked once, and then left alone for a while");
}

#[tokio::test]
async fn shipped_providers_and_sources_pass_their_contracts() {
    key_provider_contract(&LocalKeys::new("2", NEW).unwrap().and_older("1", OLD).unwrap()).await;

    let folder = std::env::temp_dir().join(format!("kernel-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("TOKEN"), "s3cret\n").unwrap();
    let path = folder.join("TOKEN").to_string_lossy().into_owned();
    let plain = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let file = move |name: &str| (name == "TOKEN_FILE").then(|| path.clone());
    secret_source_contract(&FileSecrets::new(&folder), "TOKEN", "s3cret").await;
    secret_source_contract(&EnvSecrets::new(plain), "TOKEN", "s3cret").await;
    secret_source_contract(&EnvSecrets::new(file.clone()).refusing_plain(), "TOKEN", "s3cret").await;
    let both = SecretSources::new().with(EnvSecrets::new(|_| None)).with(FileSecrets::new(&folder));
    secret_source_contract(&both, "TOKEN", "s3cret").await;

    let refused = EnvSecrets::new(plain).refusing_plain().get("TOKEN").await;
    assert!(matches!(refused, Err(SourceError::Plain { .. })), "{refused:?}");
    let twice = EnvSecrets::new(move |name| plain(name).or_else(|| file(name))).get("TOKEN").await;
    assert!(matches!(twice, Err(SourceError::Both { .. })), "{twice:?}");
    let nowhere = EnvSecrets::new(|name| (name == "TOKEN_FILE").then(|| "/no/such/file".to_owned()));
    assert!(matches!(nowhere.get("TOKEN").await, Err(SourceError::Unreadable { .. })));
    std::fs::write(folder.join("LARGE"), vec![b'x'; 65 * 1024]).unwrap();
    std::fs::write(folder.join("BYTES"), [0xff, 0xfe]).unwrap();
    for name in ["LARGE", "BYTES"] {
        let refused = FileSecrets::new(&folder).get(name).await;
        assert!(matches!(refused, Err(SourceError::Unreadable { .. })), "{name}: {refused:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
