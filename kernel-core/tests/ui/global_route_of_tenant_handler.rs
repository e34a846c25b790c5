//! A route outside any workspace takes no handler of a workspace's transaction.
//!
//! error[E0631]: type mismatch in function arguments

use kernel_core::http::{Access, Json, Route};
use kernel_core::{Error, GlobalTx, TenantTx};

async fn show(_: (), _: &mut GlobalTx /* not: TenantTx */, (): ()) -> Result<Json<u32>, Error> {
    Ok(Json(1))
}

pub fn route() -> Route {
    Route::global(http::Method::GET, "/items", "shop.item.list", Access::SignedIn, (), show)
}

pub fn known(_: &TenantTx) {}
