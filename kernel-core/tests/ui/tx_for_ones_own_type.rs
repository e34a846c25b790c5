//! Nobody else makes a transaction handle of a type of their own.
//!
//! error[E0277]: the trait bound `Mine: kernel_core::db::sealed::Sealed` is not satisfied

use kernel_core::{Ctx, Tx, WorkspaceId};
use sqlx::PgConnection;

pub trait Handle: Send {
    fn ctx(&self) -> &Ctx;
    fn workspace_id(&self) -> WorkspaceId;
    fn conn(&mut self) -> &mut PgConnection;
}

pub struct Mine(Ctx, PgConnection);

impl Handle /* not: Tx */ for Mine {
    fn ctx(&self) -> &Ctx {
        &self.0
    }

    fn workspace_id(&self) -> WorkspaceId {
        WorkspaceId::SYSTEM
    }

    fn conn(&mut self) -> &mut PgConnection {
        &mut self.1
    }
}

pub fn known(_: &impl Tx) {}
