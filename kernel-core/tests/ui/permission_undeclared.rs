//! A permission that nobody declared has no name.
//!
//! error[E0425]: cannot find value `ITEM_BURN` in module `permission`

use kernel_core::Ctx;

pub mod permission {
    kernel_core::permissions! {
        /// Sell things.
        pub ITEM_SELL = "shop.item.sell" for Member;
    }
}

pub fn guard(ctx: &Ctx) -> Result<(), kernel_core::Error> {
    ctx.require(permission::ITEM_SELL /* not: ITEM_BURN */)
}
