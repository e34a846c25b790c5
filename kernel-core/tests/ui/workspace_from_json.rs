//! The evidence cannot be read out of a request.
//!
//! error[E0277]: the trait bound `Workspace: serde::Deserialize<'de>` is not satisfied

use kernel_core::{Workspace, WorkspaceId};

pub type Evidence = Workspace;

pub fn read(text: &str) {
    let _ = serde_json::from_str::<WorkspaceId /* not: Evidence */>(text);
}
