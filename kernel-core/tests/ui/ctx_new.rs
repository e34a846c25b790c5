//! A context for any actor at will cannot be made.
//!
//! error[E0624]: associated function `new` is private

use kernel_core::Ctx;

pub fn forge() {
    let _ = Ctx::reading /* not: new */;
}
