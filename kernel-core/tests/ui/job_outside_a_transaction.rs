//! A job is enqueued in a transaction or not at all.
//!
//! error[E0277]: the trait bound `Db: Tx` is not satisfied

use kernel_core::{Db, DbError, Job, JobId, TenantTx};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Restock;

impl Job for Restock {
    const KIND: &'static str = "shop.restock";
}

pub async fn plan(tx: &mut TenantTx, db: &mut Db) -> Result<JobId, DbError> {
    let _ = db.roles();
    kernel_jobs::enqueue(tx /* not: db */, &Restock).await
}
