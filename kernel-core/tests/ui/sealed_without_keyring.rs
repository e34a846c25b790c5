//! A sealed value opens with a keyring only.
//!
//! error[E0308]: expected `&Keyring`, found `&Entropy`

use kernel_core::{Entropy, Keyring, Sealed};

pub fn open(sealed: &Sealed<String>, keyring: &Keyring, entropy: &Entropy) {
    let _ = entropy;
    let _ = sealed.open(keyring /* not: entropy */, "mail");
}
