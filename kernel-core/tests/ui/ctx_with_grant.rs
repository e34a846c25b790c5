//! A context cannot be given another grant.
//!
//! error[E0624]: method `with_grant` is private

use kernel_core::Ctx;

pub fn forge() {
    let _ = Ctx::grant /* not: with_grant */;
}
