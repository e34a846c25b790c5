//! The pillar's routes.

mod audit_log;

use http::Method;
use kernel_core::http::{
    Access, Body, Created, Items, Json, NoContent, Paged, Path, RateClass, Route, Unfiltered,
};
use kernel_core::{Error, GlobalTx, TenantTx, Tx, UserId};

use crate::activity::{Activity, ListActivity};
use crate::feature;
use crate::membership::{ChangeRole, Member};
use crate::permission::{
    ACTIVITY_READ, AUDIT_LOG_EXPORT, AUDIT_LOG_READ, MEMBER_READ, MEMBER_UPDATE, WORKSPACE_READ,
    WORKSPACE_UPDATE,
};
use crate::tenancy::Tenancy;
use crate::workspace::{EditWorkspace, MyWorkspace, NewWorkspace, Workspace};

pub(crate) fn routes(tenancy: Tenancy) -> Vec<Route> {
    let signed_in = Access::SignedIn;
    vec![
        Route::global(Method::GET, "/workspaces", "tenancy.workspace.list", signed_in, tenancy, list)
            .summary("The workspaces that I belong to"),
        Route::global(Method::POST, "/workspaces", "tenancy.workspace.create", signed_in, tenancy, create)
            .summary("Founds a workspace"),
        Route::tenant(Method::GET, "/workspace", "tenancy.workspace.show", WORKSPACE_READ, tenancy, show)
            .summary("The workspace"),
        Route::tenant(
            Method::PATCH,
            "/workspace",
            "tenancy.workspace.update",
            WORKSPACE_UPDATE,
            tenancy,
            rename,
        )
        .summary("Renames the workspace"),
        Route::tenant(Method::GET, "/members", "tenancy.member.list", MEMBER_READ, tenancy, members)
            .summary("Who belongs to the workspace"),
        Route::tenant(
            Method::PATCH,
            "/members/{user}",
            "tenancy.member.update",
            MEMBER_UPDATE,
            tenancy,
            change_role,
        )
        .summary("Gives a member another role"),
        Route::tenant(Method::GET, "/activity", "tenancy.activity.list", ACTIVITY_READ, tenancy, activity)
            .summary("What has happened in the workspace, the latest first"),
        Route::tenant(
            Method::GET,
            "/audit-log",
            "tenancy.audit_log.list",
            AUDIT_LOG_READ,
            tenancy,
            audit_log::list,
        )
        .summary("Who did what in the workspace, the latest first"),
        // It is noted in the log itself, so it is no GET.
        Route::free(
            Method::POST,
            "/audit-log/export",
            "tenancy.audit_log.export",
            Access::Member(AUDIT_LOG_EXPORT),
            tenancy,
            audit_log::export,
        )
        .feature(feature::AUDIT_LOG_EXPORT)
        .rate(RateClass::Heavy)
        .summary("The audit log as a file: CSV, JSON lines, or events for Splunk's HTTP collector"),
    ]
}

async fn list(
    tenancy: Tenancy,
    tx: &mut GlobalTx,
    Paged { page, .. }: Paged<Unfiltered>,
) -> Result<Items<MyWorkspace>, Error> {
    tenancy.page_of_mine(tx, &page).await
}

async fn create(
    tenancy: Tenancy,
    tx: &mut GlobalTx,
    Body(new): Body<NewWorkspace>,
) -> Result<Created<Workspace>, Error> {
    let user = tx.ctx().actor().user().ok_or_else(Error::unauthenticated)?;
    Ok(Created(tenancy.create(tx, user, new).await?))
}

async fn show(tenancy: Tenancy, tx: &mut TenantTx, (): ()) -> Result<Json<Workspace>, Error> {
    Ok(Json(tenancy.show(tx).await?))
}

async fn rename(
    tenancy: Tenancy,
    tx: &mut TenantTx,
    Body(edit): Body<EditWorkspace>,
) -> Result<Json<Workspace>, Error> {
    Ok(Json(tenancy.rename(tx, edit).await?))
}

async fn members(
    tenancy: Tenancy,
    tx: &mut TenantTx,
    Paged { page, .. }: Paged<Unfiltered>,
) -> Result<Items<Member>, Error> {
    tenancy.members(tx, &page).await
}

async fn change_role(
    tenancy: Tenancy,
    tx: &mut TenantTx,
    (Path(user), Body(change)): (Path<UserId>, Body<ChangeRole>),
) -> Result<NoContent, Error> {
    tenancy.change_role(tx, user, change).await?;
    Ok(NoContent)
}

async fn activity(
    tenancy: Tenancy,
    tx: &mut TenantTx,
    Paged { page, filter }: Paged<ListActivity>,
) -> Result<Items<Activity>, Error> {
    tenancy.activity(tx, &filter.into(), &page).await
}
