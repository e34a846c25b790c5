//! A context cannot be given another actor.
//!
//! error[E0624]: method `with_actor` is private

use kernel_core::Ctx;

pub fn forge() {
    let _ = Ctx::actor /* not: with_actor */;
}
