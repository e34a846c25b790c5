//! Values that are dear to compute and may be kept for a while.
//!
//! A value is kept under its workspace, its kind, what it was asked for and its tags, together with the tags' versions.
//! Versions stand in the database, beside the data: [`bump`] writes another one in the caller's transaction, and from its
//! commit on nobody takes what was computed before, on any node. A reader reads the versions before it computes, so what it
//! makes of older data while a writer commits bears the older version.
//!
//! A transaction that has written goes past the cache, so that it sees its own writes, and what it has not yet committed is
//! kept for nobody else. Every store gets hashes and sealed bytes only, bound to each other: it may hold anyone's data.
//!
//! ```
//! # use kernel_core::testkit::TestKernel;
//! use std::time::Duration;
//!
//! use kernel_core::cache::{CacheKey, LongTtl, bump, cached};
//! use kernel_core::{Error, TenantTx, Tx};
//!
//! const WEEK: LongTtl = LongTtl::new(Duration::from_hours(7 * 24));
//!
//! /// How many entries the feed has: dear to count, and asked for often.
//! async fn count(tx: &mut TenantTx) -> Result<i64, Error> {
//!     let key = CacheKey::new("core.activity.count").tag("activity");
//!     cached(tx, &key, WEEK, async |tx: &mut TenantTx| {
//!         let count = sqlx::query_scalar("SELECT count(*) FROM kernel_core.activity WHERE workspace_id = $1");
//!         Ok(count.bind(tx.workspace_id()).fetch_one(tx.conn()).await?)
//!     })
//!     .await
//! }
//!
//! /// Whatever changes the entries says so, in its own transaction and last of all.
//! async fn changed(tx: &mut TenantTx) -> Result<(), Error> {
//!     bump(tx, ["activity"]).await
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! # let kernel = TestKernel::start(|app| app).await;
//! # let (ctx, workspace) = (kernel.app.system("test"), kernel.found_workspace().await);
//! # let db = kernel.app.db();
//! assert_eq!(db.tenant(&ctx, &workspace, count).await.unwrap(), 0);
//! db.tenant(&ctx, &workspace, changed).await.unwrap();
//! # }
//! ```

mod database;
mod front;
mod key;
mod process;
mod ttl;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::clock::Clock;
use crate::db::sealed::Sealed;
use crate::db::{self, Db, TenantTx, Tx};
use crate::error::Error;
use crate::seam::Cache;
use crate::store;

use database::DatabaseCache;
pub(crate) use front::Front;
pub use key::{Brief, CacheKey, OfActor, Tagged};
use process::ProcessCache;
pub use ttl::{Lasts, LongTtl, Ttl, TtlError};

/// How long a value may be, as JSON, in bytes. A longer one is computed each time.
pub const VALUE_MAX: usize = 256 * 1024;

/// Where values are kept.
#[derive(Clone)]
#[non_exhaustive]
pub enum CacheStore {
    /// In the memory of each process, in so many bytes together; 32 MiB unless said. A value is computed once per node.
    Process {
        /// Sealed values, keys and what it takes to find them. A value that is larger than its share is not kept.
        bytes: usize,
    },
    /// In an unlogged table of the database, for all nodes: a round trip more, over up to four connections of their own. For
    /// what takes far longer to compute than a statement.
    Database,
    /// In a store of the host's own.
    Other(Arc<dyn Cache>),
}

impl Default for CacheStore {
    fn default() -> Self {
        Self::Process { bytes: 32 * 1024 * 1024 }
    }
}

impl fmt::Debug for CacheStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { bytes } => f.debug_struct("Process").field("bytes", bytes).finish(),
            Self::Database => f.write_str("Database"),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

impl CacheStore {
    /// The store itself, as `build` makes it: for contract suites and measurements.
    #[must_use]
    pub fn open(&self, db: &Db, clock: &Clock) -> Arc<dyn Cache> {
        match self {
            Self::Process { bytes } => Arc::new(ProcessCache::new(*bytes, clock)),
            Self::Database => Arc::new(DatabaseCache::new(db, clock)),
            Self::Other(store) => store.clone(),
        }
    }

    /// How many connections it takes beside those of the pools.
    pub(crate) fn connections(&self) -> u32 {
        if matches!(self, Self::Database) { db::BESIDE } else { 0 }
    }
}

/// The value kept under `key`, or else what `compute` returns, which is then kept for `ttl`. An error is not kept.
///
/// One statement reads the versions of the tags. Where the transaction has written, `compute` is simply run. A store that
/// fails, is slow or holds garbage counts as empty, with a warning in the log; after a failure, or a second without an
/// answer, it is left alone for a second. Callers that miss at the same time compute at the same time.
///
/// A value is seen by everyone in the workspace who asks for the same key: one that depends on who asks needs
/// [`CacheKey::of_actor`].
///
/// # Errors
/// What `compute` returns; what the database says about the versions.
pub async fn cached<T, R>(
    tx: &mut TenantTx,
    key: &CacheKey<R>,
    ttl: impl Lasts<R>,
    compute: impl AsyncFnOnce(&mut TenantTx) -> Result<T, Error>,
) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    let (workspace, lasting) = (tx.workspace_id(), ttl.duration());
    let seen = store::cache::seen(tx.conn(), workspace, &key.tags()).await?;
    let front = Sealed::hooks(tx).cache.clone().filter(|_| !seen.written);
    let Some(front) = front else { return compute(tx).await };
    let slot = key.slot(workspace, tx.ctx().actor(), &seen.versions);
    if let Some(value) = front.find(&slot).await {
        return Ok(value);
    }
    let value = compute(tx).await?;
    // What was computed may rest on what `compute` wrote, and a newer value may lie there by now. If the transaction can no
    // longer say so, nothing is kept either.
    let now = store::cache::seen(tx.conn(), workspace, &key.tags()).await;
    let kept = now.is_ok_and(|now| !now.written && now.versions == seen.versions);
    if kept && let Some(sealed) = front.seal(&slot, &value, tx.ctx().entropy()) {
        front.keep(&slot, sealed, lasting).await;
    }
    Ok(value)
}

/// Hides everything that is kept under any of these tags in the workspace: from everyone when the transaction commits, from
/// the transaction itself at once.
///
/// Call it in the transaction that changes the data. The tags stay locked until that ends, so that two writers of one tag
/// take turns; call it last, and once for all tags.
///
/// # Errors
/// `read_only` where the context only reads; what the database says: a tag is 1 to 100 bytes.
pub async fn bump<S: Into<String>>(
    tx: &mut TenantTx,
    tags: impl IntoIterator<Item = S>,
) -> Result<(), Error> {
    let tags: BTreeSet<String> = tags.into_iter().map(Into::into).collect();
    let (ctx, workspace) = (tx.ctx().clone(), tx.workspace_id());
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let random = |_: &&str| uuid::Builder::from_random_bytes(ctx.entropy().bytes()).into_uuid();
    let versions: Vec<_> = tags.iter().map(random).collect();
    Ok(store::cache::bump(tx.conn(), workspace, &tags, &versions, ctx.now()).await?)
}
