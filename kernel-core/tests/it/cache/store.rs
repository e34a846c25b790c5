//! A store that fails, is slow or lies costs no request.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use kernel_core::cache::CacheStore;
use kernel_core::seam::Cache;
use kernel_core::{Error, ErrorKind};

use super::Scene;

/// What a store does when it is asked.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Fails,
    Hangs,
    /// Gives back what it was given first, whatever it is asked.
    Lies,
}

struct Bad {
    manner: Manner,
    asked: AtomicU32,
    first: Mutex<Option<Bytes>>,
}

impl Bad {
    fn new(manner: Manner) -> Arc<Self> {
        Arc::new(Self { manner, asked: AtomicU32::new(0), first: Mutex::new(None) })
    }

    async fn behave(&self) -> Result<(), Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.manner {
            Manner::Fails => Err(Error::new(ErrorKind::Unavailable, "unavailable")),
            Manner::Hangs => std::future::pending().await,
            Manner::Lies => Ok(()),
        }
    }
}

#[async_trait]
impl Cache for Bad {
    async fn get(&self, _: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        self.behave().await?;
        Ok(self.first.lock().unwrap().clone())
    }

    async fn set(&self, _: &[u8; 32], value: Bytes, _: Duration) -> Result<(), Error> {
        self.behave().await?;
        self.first.lock().unwrap().get_or_insert(value);
        Ok(())
    }
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_is_done_without_and_left_alone_for_a_while() {
    for manner in [Manner::Fails, Manner::Hangs] {
        let store = Bad::new(manner);
        let scene = Scene::open(CacheStore::Other(store.clone())).await;
        let began = Instant::now();
        for count in 1..=3 {
            assert!(scene.names().await.is_empty());
            assert_eq!(scene.computed(), 1, "{manner:?} {count}");
        }
        assert_eq!(store.asked.load(Ordering::Relaxed), 1, "{manner:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{manner:?}: {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        scene.names().await;
        assert!(store.asked.load(Ordering::Relaxed) > 1, "{manner:?}: it is asked again");
    }
}

#[tokio::test]
async fn a_store_that_lies_is_not_believed() {
    let scene = Scene::open(CacheStore::Other(Bad::new(Manner::Lies))).await;
    assert!(scene.names().await.is_empty());
    assert!(scene.names().await.is_empty());
    assert_eq!(scene.computed(), 1);
    // The store answers with the empty list of this workspace, under older versions or for another workspace.
    scene.add("bread").await;
    assert_eq!(scene.names().await, ["bread"]);
    scene.computed();
    scene.names_by(&scene.kernel.app, &scene.ctx, &scene.other).await;
    assert_eq!(scene.computed(), 1);
}
