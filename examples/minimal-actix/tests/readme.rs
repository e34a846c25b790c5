//! What the README shows does what it says.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

#[path = "../../minimal-axum/tests/readme/snippet.rs"]
mod snippet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_minimal-actix");
const SOURCE: &str = include_str!("../src/main.rs");
