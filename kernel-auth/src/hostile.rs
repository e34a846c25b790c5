//! What must hold of session cookies whatever they say; `cargo xtask fuzz` looks for one that breaks it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::session::{csrf_of, hash_of};

/// The value of a session cookie: 32 bytes in one spelling, or nobody is asked whose it is.
///
/// # Panics
/// When that does not hold for this input.
pub fn session(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if hash_of(&text).is_some() {
        let token = URL_SAFE_NO_PAD.decode(text.as_bytes()).expect("it was decoded before");
        assert_eq!((token.len(), URL_SAFE_NO_PAD.encode(&token)), (32, text.clone().into_owned()));
    }
    let csrf = csrf_of(&text);
    assert!(csrf.len() == 43 && csrf != text && hash_of(&csrf) != hash_of(&text));
}
