//! Values that are kept for a while, wherever they are kept.

mod database;
mod store;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use kernel_core::cache::{CacheKey, CacheStore, LongTtl, Tagged, Ttl, bump, cached};
use kernel_core::testkit::{TestKernel, cache_contract, config};
use kernel_core::{App, Config, Ctx, Db, Error, TenantTx, UserId, Workspace};

use crate::shop;

const HOUR: Ttl = Ttl::new(Duration::from_hours(1));
const MONTH: LongTtl = LongTtl::new(Duration::from_hours(30 * 24));

fn items() -> CacheKey<Tagged> {
    CacheKey::new("shop.item.names").tag("items")
}

/// A shop with two customers.
struct Scene {
    kernel: TestKernel,
    ctx: Ctx,
    one: Workspace,
    other: Workspace,
    computed: AtomicU32,
}

fn configured(store: CacheStore) -> Config {
    let mut config = config();
    config.cache = store;
    config
}

impl Scene {
    async fn open(store: CacheStore) -> Self {
        let kernel = TestKernel::with(configured(store), |app| app.with(shop::pillar())).await;
        let (one, other) = (kernel.found_workspace().await, kernel.found_workspace().await);
        let ctx = kernel.app.system("test");
        Self { kernel, ctx, one, other, computed: AtomicU32::new(0) }
    }

    fn db(&self) -> &Db {
        self.kernel.app.db()
    }

    /// The names of items, perhaps of a while ago, in a transaction of this app.
    async fn names_by(&self, app: &App, ctx: &Ctx, workspace: &Workspace) -> Vec<String> {
        let names = app.db().tenant(ctx, workspace, async |tx: &mut TenantTx| self.names_in(tx).await);
        names.await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        self.names_by(&self.kernel.app, &self.ctx, &self.one).await
    }

    async fn names_in(&self, tx: &mut TenantTx) -> Result<Vec<String>, Error> {
        cached(tx, &items(), MONTH, async |tx: &mut TenantTx| self.compute(tx).await).await
    }

    async fn compute(&self, tx: &mut TenantTx) -> Result<Vec<String>, Error> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok(shop::names(tx).await?)
    }

    /// Adds an item as a well-behaved writer does.
    async fn add(&self, name: &str) {
        let added = self.db().tenant(&self.ctx, &self.one, async |tx: &mut TenantTx| {
            shop::insert(tx, name).await?;
            bump(tx, ["items"]).await
        });
        added.await.unwrap();
    }

    fn computed(&self) -> u32 {
        self.computed.swap(0, Ordering::Relaxed)
    }
}

/// What holds wherever values are kept.
macro_rules! everywhere {
    ($($name:ident),* $(,)?) => {
        mod process {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::CacheStore::default()).await;
            })*
        }
        mod shared {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::CacheStore::Database).await;
            })*
        }
    };
}

everywhere!(
    the_contract_of_the_seam_is_kept,
    a_value_is_computed_once_until_its_tag_is_bumped_or_its_time_is_over,
    what_is_rolled_back_hides_nothing,
    a_bump_hides_what_every_node_has_kept,
    what_was_computed_while_a_writer_committed_is_not_found_after_it,
    what_was_computed_before_a_writer_commits_is_not_found_after_it,
    a_transaction_that_has_written_sees_its_writes_and_keeps_them_for_nobody,
    what_writes_while_it_computes_is_not_kept,
    a_version_never_comes_again,
    workspaces_never_meet,
    what_is_one_actors_own_is_shown_to_no_other,
    errors_are_not_kept,
    a_context_that_only_reads_keeps_values_too,
);

async fn the_contract_of_the_seam_is_kept(store: CacheStore) {
    let kernel = TestKernel::start(|app| app).await;
    let cache = store.open(kernel.app.db(), &kernel.clock);
    cache_contract(&*cache, &|time| kernel.clock.advance(TimeDelta::from_std(time).unwrap())).await;
}

async fn a_value_is_computed_once_until_its_tag_is_bumped_or_its_time_is_over(store: CacheStore) {
    let scene = Scene::open(store).await;
    scene.add("bread").await;
    for _ in 0..3 {
        assert_eq!(scene.names().await, ["bread"]);
    }
    assert_eq!(scene.computed(), 1);
    scene.add("cheese").await;
    assert_eq!((scene.names().await.len(), scene.names().await.len(), scene.computed()), (2, 2, 1));

    let aside =
        scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| bump(tx, ["shelves"]).await);
    aside.await.unwrap();
    scene.kernel.clock.advance(TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!((scene.names().await.len(), scene.computed()), (2, 0), "another tag, and time left");
    scene.kernel.clock.advance(TimeDelta::seconds(1));
    assert_eq!((scene.names().await.len(), scene.computed()), (2, 1));
}

async fn what_is_rolled_back_hides_nothing(store: CacheStore) {
    let scene = Scene::open(store).await;
    scene.names().await;
    let undone = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        bump(tx, ["items"]).await?;
        Err::<(), _>(Error::not_found())
    });
    undone.await.unwrap_err();
    let piece = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        let undone = tx.nested(async |tx: &mut TenantTx| {
            bump(tx, ["items"]).await?;
            Err::<(), _>(Error::not_found())
        });
        undone.await.unwrap_err();
        Ok::<_, Error>(())
    });
    piece.await.unwrap();
    scene.computed();
    scene.names().await;
    assert_eq!(scene.computed(), 0);
}

async fn a_bump_hides_what_every_node_has_kept(store: CacheStore) {
    let scene = Scene::open(store.clone()).await;
    let db = Db::new(&scene.kernel.database.logins().config()).unwrap();
    let mut config = configured(store);
    config.clock = scene.kernel.clock.clone();
    let node = App::builder(db, config).with(shop::pillar()).build().await.unwrap();
    for app in [&scene.kernel.app, &node] {
        assert!(scene.names_by(app, &scene.ctx, &scene.one).await.is_empty());
    }
    scene.add("bread").await;
    for app in [&node, &scene.kernel.app] {
        assert_eq!(scene.names_by(app, &scene.ctx, &scene.one).await, ["bread"]);
    }
}

/// The reader has read the old data; the writer commits; only then the reader stores.
async fn what_was_computed_while_a_writer_committed_is_not_found_after_it(store: CacheStore) {
    let scene = Scene::open(store).await;
    let late = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        cached(tx, &items(), MONTH, async |tx: &mut TenantTx| {
            let names = scene.compute(tx).await?;
            scene.add("bread").await;
            Ok(names)
        })
        .await
    });
    assert!(late.await.unwrap().is_empty());
    assert_eq!(scene.names().await, ["bread"]);
}

/// The writer has written and bumped; a reader that cannot see that yet stores; only then the writer commits.
async fn what_was_computed_before_a_writer_commits_is_not_found_after_it(store: CacheStore) {
    let scene = Scene::open(store).await;
    let written = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        shop::insert(tx, "bread").await?;
        bump(tx, ["items"]).await?;
        assert!(scene.names().await.is_empty());
        scene.computed();
        assert!(scene.names().await.is_empty());
        assert_eq!(scene.computed(), 0, "until the commit the old value is the right one");
        Ok::<_, Error>(())
    });
    written.await.unwrap();
    assert_eq!(scene.names().await, ["bread"]);
}

async fn a_transaction_that_has_written_sees_its_writes_and_keeps_them_for_nobody(store: CacheStore) {
    for bumps_first in [true, false] {
        let scene = Scene::open(store.clone()).await;
        scene.names().await;
        let undone = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
            if bumps_first {
                bump(tx, ["items"]).await?;
            }
            shop::insert(tx, "bread").await?;
            assert_eq!(scene.names_in(tx).await?, ["bread"]);
            assert_eq!(scene.names_in(tx).await?, ["bread"]);
            Err::<(), _>(Error::not_found())
        });
        undone.await.unwrap_err();
        assert!(scene.names().await.is_empty());
    }
}

async fn what_writes_while_it_computes_is_not_kept(store: CacheStore) {
    let scene = Scene::open(store).await;
    let undone = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        let key = items();
        let names = cached(tx, &key, MONTH, async |tx: &mut TenantTx| {
            shop::insert(tx, "bread").await?;
            scene.compute(tx).await
        });
        assert_eq!(names.await?, ["bread"]);
        Err::<(), _>(Error::not_found())
    });
    undone.await.unwrap_err();
    assert!(scene.names().await.is_empty());
}

/// Somebody has deleted the row of a tag. What was kept under any version that it had is not found under a later one.
async fn a_version_never_comes_again(store: CacheStore) {
    let scene = Scene::open(store).await;
    for (count, name) in ["bread", "cheese", "eggs"].into_iter().enumerate() {
        scene.add(name).await;
        assert_eq!(scene.names().await.len(), count + 1);
        let delete = sqlx::query("DELETE FROM kernel_core.cache_tag");
        delete.execute(&mut scene.kernel.admin().await).await.unwrap();
    }
}

async fn workspaces_never_meet(store: CacheStore) {
    let scene = Scene::open(store).await;
    let ask = async |workspace: &Workspace, parts: [&str; 2], answer: &str| {
        let [first, second] = parts;
        let key = CacheKey::new("shop.part").part(first).part(second).tag("items");
        let asked = scene.db().tenant(&scene.ctx, workspace, async |tx: &mut TenantTx| {
            cached(tx, &key, HOUR, async |_: &mut TenantTx| Ok(answer.to_owned())).await
        });
        asked.await.unwrap()
    };
    assert_eq!(ask(&scene.one, ["a", "bc"], "first").await, "first");
    assert_eq!(ask(&scene.one, ["ab", "c"], "second").await, "second");
    assert_eq!(ask(&scene.other, ["a", "bc"], "third").await, "third");
    assert_eq!(ask(&scene.one, ["a", "bc"], "none").await, "first");
    let bumped =
        scene.db().tenant(&scene.ctx, &scene.other, async |tx: &mut TenantTx| bump(tx, ["items"]).await);
    bumped.await.unwrap();
    assert_eq!(ask(&scene.other, ["a", "bc"], "fourth").await, "fourth");
    assert_eq!(ask(&scene.one, ["a", "bc"], "none").await, "first", "a bump stays in its workspace");
}

async fn what_is_one_actors_own_is_shown_to_no_other(store: CacheStore) {
    let scene = Scene::open(store).await;
    let ask = async |ctx: &Ctx, answer: &str| {
        let key = CacheKey::new("shop.mine").of_actor().tag("items");
        let asked = scene.db().tenant(ctx, &scene.one, async |tx: &mut TenantTx| {
            cached(tx, &key, HOUR, async |_: &mut TenantTx| Ok(answer.to_owned())).await
        });
        asked.await.unwrap()
    };
    let [alice, bob]: [UserId; 2] = [scene.ctx.new_id(), scene.ctx.new_id()];
    let [alice, bob] = [alice, bob].map(|id| scene.kernel.user(id));
    assert_eq!((ask(&alice, "hers").await, ask(&bob, "his").await), ("hers".to_owned(), "his".to_owned()));
    assert_eq!(ask(&alice, "later").await, "hers");
    assert_eq!(ask(&scene.ctx, "the system's").await, "the system's");
}

async fn errors_are_not_kept(store: CacheStore) {
    let scene = Scene::open(store).await;
    let ask = async |answer: Option<u32>| {
        let asked = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
            let key = CacheKey::new("shop.answer");
            cached(tx, &key, HOUR, async |_: &mut TenantTx| answer.ok_or_else(Error::not_found)).await
        });
        asked.await
    };
    assert_eq!(ask(None).await.unwrap_err().code(), "not_found");
    assert_eq!(ask(Some(1)).await.unwrap(), 1);
    assert_eq!(ask(None).await.unwrap(), 1);
}

async fn a_context_that_only_reads_keeps_values_too(store: CacheStore) {
    let scene = Scene::open(store).await;
    let reading = scene.ctx.reading();
    for _ in 0..2 {
        scene.names_by(&scene.kernel.app, &reading, &scene.one).await;
    }
    assert_eq!(scene.computed(), 1);
    let refused =
        scene.db().tenant(&reading, &scene.one, async |tx: &mut TenantTx| bump(tx, ["items"]).await);
    assert_eq!(refused.await.unwrap_err().code(), "read_only");
}

#[tokio::test]
async fn a_tag_that_is_no_tag_is_refused_where_it_is_bumped() {
    let scene = Scene::open(CacheStore::default()).await;
    for tag in [String::new(), "x".repeat(101)] {
        let refused =
            scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| bump(tx, [tag]).await);
        assert_eq!(refused.await.unwrap_err().code(), "internal");
    }
}

/// Handlers run in futures that are `Send`, and their closures borrow.
#[tokio::test]
async fn a_handler_can_ask() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    async fn handler(tx: &mut TenantTx, names: &[String]) -> Result<usize, Error> {
        let key = CacheKey::new("shop.item.sum").part(names.len());
        cached(tx, &key, HOUR, async |tx: &mut TenantTx| Ok(shop::names(tx).await?.len() + names.len())).await
    }
    let scene = Scene::open(CacheStore::default()).await;
    let names = vec![String::new()];
    let asked =
        scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| sent(handler(tx, &names)).await);
    assert_eq!(asked.await.unwrap(), 1);
}
