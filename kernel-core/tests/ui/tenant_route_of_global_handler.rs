//! A route inside a workspace takes a handler of a workspace's transaction.
//!
//! error[E0631]: type mismatch in function arguments

use kernel_core::http::{Json, Route};
use kernel_core::{Error, GlobalTx, TenantTx};

kernel_core::permissions! {
    /// Read.
    pub READ = "shop.read" for Viewer;
}

async fn show(_: (), _: &mut TenantTx /* not: GlobalTx */, (): ()) -> Result<Json<u32>, Error> {
    Ok(Json(1))
}

pub fn route() -> Route {
    Route::tenant(http::Method::GET, "/items", "shop.item.list", READ, (), show)
}

pub fn known(_: &GlobalTx) {}
