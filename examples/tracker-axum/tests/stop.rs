//! The program on a real socket, told to stop by the system.
#![expect(clippy::unwrap_used, reason = "what a test arranges may fail like the test itself")]

#[path = "stop/told.rs"]
mod told;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tracker-axum");
