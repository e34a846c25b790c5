//! A handler does not turn into the system itself.
//!
//! error[E0624]: associated function `system` is private

use kernel_core::Ctx;

pub fn forge() {
    let _ = Ctx::reading /* not: system */;
}
