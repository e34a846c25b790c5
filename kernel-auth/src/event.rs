//! What this pillar announces.

use kernel_core::{Event, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Someone has signed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedUp {
    /// The new user.
    pub user_id: UserId,
}

impl Event for SignedUp {
    const NAME: &'static str = "auth.signed_up";

    fn aggregate(&self) -> Uuid {
        self.user_id.uuid()
    }
}
