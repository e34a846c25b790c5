//! The store in the database by itself.

use std::sync::Arc;

use kernel_core::cache::{CacheKey, CacheStore, VALUE_MAX, cached};
use kernel_core::{Error, TenantTx, Tx};
use sqlx::{Executor, Row};
use tokio::sync::Barrier;

use super::{HOUR, Scene};

async fn rows(scene: &Scene) -> Vec<Vec<u8>> {
    let rows = sqlx::query("SELECT sealed_value FROM kernel_core.cache_entry ORDER BY key_hash");
    let rows = rows.fetch_all(&mut scene.kernel.admin().await).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn ask(scene: &Scene, part: &str, answer: &str) -> String {
    let key = CacheKey::new("shop.answer").part(part);
    let asked = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        cached(tx, &key, HOUR, async |_: &mut TenantTx| Ok(answer.to_owned())).await
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn values_lie_sealed_and_open_only_where_they_lie() {
    let scene = Scene::open(CacheStore::Database).await;
    ask(&scene, "a", "a dear secret").await;
    ask(&scene, "b", "another one").await;
    let before = rows(&scene).await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|row| !row.windows(6).any(|part| part == b"secret")));
    // Somebody who may write to the table gives each the other's value.
    let swap = "UPDATE kernel_core.cache_entry AS e SET sealed_value = o.sealed_value
                FROM kernel_core.cache_entry AS o WHERE o.key_hash <> e.key_hash";
    scene.kernel.admin().await.execute(swap).await.unwrap();
    assert_eq!(ask(&scene, "a", "computed").await, "computed");
    assert_eq!(ask(&scene, "a", "again").await, "computed", "the wrong value was replaced");
    assert_eq!(ask(&scene, "b", "computed too").await, "computed too");
}

#[tokio::test]
async fn a_newer_value_takes_the_place_of_the_older() {
    let scene = Scene::open(CacheStore::Database).await;
    for name in ["a", "b", "c"] {
        scene.add(name).await;
        scene.names().await;
    }
    assert_eq!((scene.computed(), rows(&scene).await.len()), (3, 1));
}

#[tokio::test]
async fn garbage_and_another_shape_are_misses() {
    let scene = Scene::open(CacheStore::Database).await;
    ask(&scene, "a", "text").await;
    scene
        .kernel
        .admin()
        .await
        .execute("UPDATE kernel_core.cache_entry SET sealed_value = '\\x0102'")
        .await
        .unwrap();
    assert_eq!(ask(&scene, "a", "later").await, "later");
    let number = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        let key = CacheKey::new("shop.answer").part("a");
        cached(tx, &key, HOUR, async |_: &mut TenantTx| Ok(7)).await
    });
    assert_eq!(number.await.unwrap(), 7);
}

#[tokio::test]
async fn a_store_without_its_table_leaves_the_transaction_alone() {
    let scene = Scene::open(CacheStore::Database).await;
    scene.kernel.admin().await.execute("ALTER TABLE kernel_core.cache_entry RENAME TO hidden").await.unwrap();
    let written = scene.db().tenant(&scene.ctx, &scene.one, async |tx: &mut TenantTx| {
        assert!(scene.names_in(tx).await?.is_empty());
        Ok::<_, Error>(crate::shop::insert(tx, "bread").await?)
    });
    written.await.unwrap();
    assert_eq!(scene.names().await, ["bread"]);
}

#[tokio::test]
async fn a_value_that_is_too_long_is_computed_each_time() {
    for store in [CacheStore::Database, CacheStore::default()] {
        let scene = Scene::open(store).await;
        // Two quotation marks are part of the JSON.
        let (fits, long) = ("x".repeat(VALUE_MAX - 2), "y".repeat(VALUE_MAX - 1));
        assert_eq!(ask(&scene, "a", &fits).await.len(), fits.len());
        assert_eq!(ask(&scene, "a", "later").await.len(), fits.len());
        assert_eq!(ask(&scene, "b", &long).await.len(), long.len());
        assert_eq!(ask(&scene, "b", "later").await, "later");
    }
}

/// More transactions than there are connections beside them, all of which hold theirs while they ask.
#[tokio::test]
async fn those_who_hold_a_connection_wait_for_none_of_their_own_pool() {
    let scene = Scene::open(CacheStore::Database).await;
    let all = Arc::new(Barrier::new(8));
    let asked = (0..8).map(|n| {
        let (scene, all) = (&scene, all.clone());
        scene.db().tenant(&scene.ctx, &scene.one, async move |tx: &mut TenantTx| {
            tx.conn().execute("SELECT 1").await?;
            all.wait().await;
            let key = CacheKey::new("shop.number").part(n);
            cached(tx, &key, HOUR, async |_: &mut TenantTx| Ok(n)).await
        })
    });
    let asked = futures_util::future::try_join_all(asked);
    assert_eq!(asked.await.unwrap_or_else(|error: Error| panic!("{error}")), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rows(&scene).await.len(), 8, "all were kept, so nobody waited too long");
}
