//! Only the kernel says what an actor may do.
//!
//! error[E0624]: associated function `minted` is private

use kernel_core::Grant;

pub fn mint() {
    let _ = Grant::role /* not: minted */;
}
