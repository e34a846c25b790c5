//! What tests and development commands need: a PostgreSQL, servers to put in front of it, and a way to say what could
//! not be tested.

mod left_out;
#[cfg(unix)]
pub mod postgres;

pub use left_out::left_out;
