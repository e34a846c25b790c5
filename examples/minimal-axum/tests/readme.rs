//! What the README shows does what it says.

#[path = "readme/snippet.rs"]
mod snippet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_minimal-axum");
const SOURCE: &str = include_str!("../src/main.rs");
