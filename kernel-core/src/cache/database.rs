//! Values in a table of the database, for all nodes together.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use sqlx::PgConnection;

use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::error::Error;
use crate::seam::Cache;
use crate::store;

/// It asks beside the caller's transaction: that one may be read-only, may fail later, and would fail with any statement here.
pub(super) struct DatabaseCache {
    db: Db,
    clock: Clock,
}

impl DatabaseCache {
    pub(super) fn new(db: &Db, clock: &Clock) -> Self {
        Self { db: db.clone(), clock: clock.clone() }
    }
}

#[async_trait]
impl Cache for DatabaseCache {
    async fn get(&self, key: &[u8; 32]) -> Result<Option<Bytes>, Error> {
        let clock = self.clock.manual_now();
        let found = self.db.beside(async |conn: &mut PgConnection| {
            store::cache::find(conn, key, clock).await.map_err(DbError::from)
        });
        Ok(found.boxed().await?.map(Bytes::from))
    }

    async fn set(&self, key: &[u8; 32], value: Bytes, ttl: Duration) -> Result<(), Error> {
        let (clock, ttl) = (self.clock.manual_now(), i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let kept = self.db.beside(async |conn: &mut PgConnection| {
            store::cache::keep(conn, key, &value, ttl, clock).await.map_err(DbError::from)
        });
        Ok(kept.boxed().await?)
    }
}
