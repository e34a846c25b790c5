//! What the measurements share: the table they read, and how ratios of interleaved blocks are judged.

pub mod cpu;
pub mod ratio;
pub mod ticket;
