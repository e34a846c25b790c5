//! What a handler answers is in the OpenAPI document.
//!
//! error[E0277]: the trait bound `Item: JsonSchema` is not satisfied

use kernel_core::http::{Json, Route};
use kernel_core::{Error, TenantTx};
use schemars::JsonSchema;
use serde::Serialize;

kernel_core::permissions! {
    /// Read.
    pub READ = "shop.read" for Viewer;
}

#[derive(Serialize, JsonSchema /* not: Debug */)]
pub struct Item {
    pub name: String,
}

pub fn known<T: JsonSchema>() {}

async fn show(_: (), _: &mut TenantTx, (): ()) -> Result<Json<Item>, Error> {
    Ok(Json(Item { name: String::new() }))
}

pub fn route() -> Route {
    Route::tenant(http::Method::GET, "/items", "shop.item.show", READ, (), show)
}
