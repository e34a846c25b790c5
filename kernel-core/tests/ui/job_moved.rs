//! A job is not moved to another workspace.
//!
//! error[E0616]: field `claim` of struct `Run` is private

use kernel_core::WorkspaceId;
use kernel_core::job::{Claim, Run};

pub struct Note {
    pub claim: Claim,
}

pub fn move_to(note: &mut Note, run: &mut Run, workspace: WorkspaceId) {
    let _ = run.workspace_id();
    note /* not: run */ .claim.workspace_id = workspace;
}
