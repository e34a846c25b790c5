//! What a request brings has rules before a handler reads it.
//!
//! error[E0277]: the trait bound `NewItem: Validate` is not satisfied

use garde::Validate;
use kernel_core::http::{Body, NoContent, Route};
use kernel_core::{Error, TenantTx};
use schemars::JsonSchema;
use serde::Deserialize;

kernel_core::permissions! {
    /// Write.
    pub WRITE = "shop.write" for Member;
}

#[derive(Deserialize, JsonSchema)]
pub struct NewItem {
    pub name: String,
}

#[derive(Deserialize, JsonSchema, Validate)]
pub struct CheckedItem {
    #[garde(length(min = 1, max = 100))]
    pub name: String,
}

async fn create(
    _: (),
    _: &mut TenantTx,
    Body(_): Body<CheckedItem /* not: NewItem */>,
) -> Result<NoContent, Error> {
    Ok(NoContent)
}

pub fn route() -> Route {
    Route::tenant(http::Method::POST, "/items", "shop.item.create", WRITE, (), create)
}
