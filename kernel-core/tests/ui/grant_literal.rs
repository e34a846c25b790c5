//! A grant cannot be put together field by field.
//!
//! error[E0451]: of struct `kernel_core::Grant` are private

use kernel_core::{Role, Workspace};

pub struct Grant {
    pub workspace: Workspace,
    pub role: Role,
}

pub fn promote(workspace: Workspace) {
    let _ = self /* not: kernel_core */ ::Grant { workspace, role: Role::Owner };
}
