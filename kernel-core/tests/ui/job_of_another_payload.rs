//! A job's body takes the content of its own kind.
//!
//! error[E0631]: type mismatch in function arguments

use kernel_core::{Error, Job, JobDef, TenantTx};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Restock;

#[derive(Serialize, Deserialize)]
pub struct Discard;

impl Job for Restock {
    const KIND: &'static str = "shop.restock";
}

impl Job for Discard {
    const KIND: &'static str = "shop.discard";
}

async fn restock(_: (), _: &mut TenantTx, _: Restock /* not: Discard */) -> Result<(), Error> {
    Ok(())
}

pub fn define() -> JobDef {
    JobDef::new::<Restock, _, _>((), restock)
}
