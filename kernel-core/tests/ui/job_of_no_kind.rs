//! Only what has a kind can be enqueued.
//!
//! error[E0277]: the trait bound `Leaflet: Job` is not satisfied

use kernel_core::{DbError, Job, JobId, TenantTx};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Restock;

#[derive(Serialize, Deserialize)]
pub struct Leaflet;

impl Job for Restock {
    const KIND: &'static str = "shop.restock";
}

pub async fn plan(tx: &mut TenantTx) -> Result<JobId, DbError> {
    kernel_jobs::enqueue(tx, &Restock /* not: Leaflet */).await
}
