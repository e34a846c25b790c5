//! A job says nowhere in which workspace it works.
//!
//! error[E0599]: no method named `enter` found for reference `&Run`

use kernel_core::job::Run;
use kernel_core::{Error, TenantTx};

pub async fn work(run: &Run) -> Result<(), Error> {
    run.tenant /* not: enter */ (async |_: &mut TenantTx| Ok(())).await
}
