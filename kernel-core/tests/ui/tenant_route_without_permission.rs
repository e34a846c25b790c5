//! A route inside a workspace names the permission that it needs.
//!
//! error[E0308]: expected `Permission`, found `Access`

use kernel_core::http::{Access, Json, Route};
use kernel_core::{Error, TenantTx};

pub const OPEN: Access = Access::Public;

kernel_core::permissions! {
    /// Read.
    pub READ = "shop.read" for Viewer;
}

async fn show(_: (), _: &mut TenantTx, (): ()) -> Result<Json<u32>, Error> {
    Ok(Json(1))
}

pub fn route() -> Route {
    Route::tenant(http::Method::GET, "/items", "shop.item.list", READ /* not: OPEN */, (), show)
}
