//! The evidence cannot be put together field by field.
//!
//! error[E0451]: of struct `kernel_core::Workspace` are private

use kernel_core::{WorkspaceId, WorkspaceStatus};

pub struct Workspace {
    pub id: WorkspaceId,
    pub slug: String,
    pub status: WorkspaceStatus,
    pub placement: usize,
}

pub fn forge(id: WorkspaceId) {
    let _ = self /* not: kernel_core */ ::Workspace {
        id,
        slug: String::new(),
        status: WorkspaceStatus::Active,
        placement: 0,
    };
}
