//! What a request brings is in the OpenAPI document.
//!
//! error[E0277]: the trait bound `NewItem: JsonSchema` is not satisfied

use garde::Validate;
use kernel_core::http::{Body, NoContent, Route};
use kernel_core::{Error, TenantTx};
use schemars::JsonSchema;
use serde::Deserialize;

kernel_core::permissions! {
    /// Write.
    pub WRITE = "shop.write" for Member;
}

#[derive(Deserialize, Validate, JsonSchema /* not: Debug */)]
pub struct NewItem {
    #[garde(length(min = 1, max = 100))]
    pub name: String,
}

pub fn known<T: JsonSchema>() {}

async fn create(_: (), _: &mut TenantTx, Body(_): Body<NewItem>) -> Result<NoContent, Error> {
    Ok(NoContent)
}

pub fn route() -> Route {
    Route::tenant(http::Method::POST, "/items", "shop.item.create", WRITE, (), create)
}
