//! The pillar itself.

use std::sync::Arc;

use kernel_core::seam::{FoundWorkspace, TenantResolver, WorkspaceName};
use kernel_core::table::Function;
use kernel_core::{Ctx, Db, DbError, Error, Migrations, Pillar, Table};
use sqlx::PgConnection;

use crate::{action, activity, feature, http, permission, store};

/// Workspaces and memberships.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tenancy;

impl From<Tenancy> for Pillar {
    fn from(tenancy: Tenancy) -> Self {
        Self::new("tenancy")
            .migrations(Migrations::new("kernel_tenancy", sqlx::migrate!("./migrations")))
            .tables([
                Table::tenant("kernel_tenancy", "workspace")
                    .public(&["slug", "name", "status", "created_at", "updated_at"])
                    .unique_across("workspace_slug", "slugs are part of public URLs")
                    .resolved(),
                Table::tenant("kernel_tenancy", "membership")
                    .public(&["id", "user_id", "role", "created_at", "updated_at"])
                    .resolved(),
            ])
            .functions([
                Function::lookup("kernel_tenancy", "find_workspace(text, uuid, uuid)"),
                Function::lookup("kernel_tenancy", "workspaces_of(uuid, text, text, bigint)"),
            ])
            .permissions(permission::ALL)
            .features(feature::ALL)
            .audits(action::ALL)
            .activities(activity::ALL)
            .names("workspace", activity::WorkspaceName)
            .messages(include_str!("../locales/en.json"))
            .translation("de", include_str!("../locales/de.json"))
            .routes(http::routes(tenancy))
            .provides_tenants(Arc::new(tenancy))
    }
}

#[async_trait::async_trait]
impl TenantResolver for Tenancy {
    async fn resolve(
        &self,
        ctx: &Ctx,
        db: &Db,
        name: &WorkspaceName,
    ) -> Result<Option<FoundWorkspace>, Error> {
        let Some(user) = ctx.actor().user() else { return Ok(None) };
        let found = db.lookup(async |conn: &mut PgConnection| {
            store::workspace::resolve(conn, name, user).await.map_err(DbError::from)
        });
        Ok(found.await?)
    }
}
