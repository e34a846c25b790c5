//! A permission's name is no permission.
//!
//! error[E0308]: expected `Permission`, found `&str`

use kernel_core::Ctx;

pub const NAME: &str = "shop.sell";

kernel_core::permissions! {
    /// Sell things.
    pub SELL = "shop.sell" for Member;
}

pub fn guard(ctx: &Ctx) -> bool {
    ctx.can(SELL /* not: NAME */)
}
