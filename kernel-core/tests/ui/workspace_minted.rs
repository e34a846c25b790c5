//! Only the kernel mints the evidence.
//!
//! error[E0624]: associated function `minted` is private

use kernel_core::Workspace;

pub fn mint() {
    let _ = Workspace::slug /* not: minted */;
}
