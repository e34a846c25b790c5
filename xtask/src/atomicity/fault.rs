//! What can be planted in the host.

use serde::{Deserialize, Serialize};

/// A mistake that a kernel could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fault {
    /// The answer goes out before the transaction has committed.
    AnswerBeforeCommit,
    /// A repeated request is not recognised.
    NoIdempotency,
    /// The product's row commits before the rest.
    TwoTransactions,
}

pub(super) const NAMES: &[&str] = &["two-transactions", "answer-before-commit", "no-idempotency"];

impl Fault {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "answer-before-commit" => Some(Self::AnswerBeforeCommit),
            "no-idempotency" => Some(Self::NoIdempotency),
            "two-transactions" => Some(Self::TwoTransactions),
            _ => None,
        }
    }
}
