//! The tracker's API: its table of contents, and the handlers, which only translate.

use http::Method;
use kernel_core::http::{Body, Created, Items, Json, NoContent, Paged, Path, Route, Unfiltered};
use kernel_core::{Error, TenantTx};

use crate::activity::Activity;
use crate::issue::{EditIssue, Issue, IssueFilter, IssueId, ListedIssue, NewIssue};
use crate::permission::{
    ISSUE_CREATE, ISSUE_DELETE, ISSUE_READ, ISSUE_UPDATE, PROJECT_CREATE, PROJECT_DELETE, PROJECT_READ,
    PROJECT_UPDATE,
};
use crate::project::{EditProject, NewProject, Project, ProjectId};
use crate::tracker::Tracker;

pub(crate) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let t = || tracker.clone();
    let (all, one) = ("/projects", "/projects/{project}");
    let (issues, issue) = ("/projects/{project}/issues", "/issues/{issue}");
    let activity = "/projects/{project}/activity";
    vec![
        Route::tenant(get.clone(), all, "tracker.project.list", PROJECT_READ, t(), projects)
            .summary("The projects of the workspace"),
        Route::tenant(post.clone(), all, "tracker.project.create", PROJECT_CREATE, t(), create_project)
            .summary("Starts a project"),
        Route::tenant(get.clone(), one, "tracker.project.show", PROJECT_READ, t(), project)
            .summary("A project"),
        Route::tenant(patch.clone(), one, "tracker.project.update", PROJECT_UPDATE, t(), update_project)
            .summary("Renames or describes a project"),
        Route::tenant(delete.clone(), one, "tracker.project.delete", PROJECT_DELETE, t(), delete_project)
            .summary("Deletes a project with all its issues"),
        Route::tenant(get.clone(), activity, "tracker.activity.list", ISSUE_READ, t(), project_activity)
            .summary("What has happened in a project, the latest first"),
        Route::tenant(get.clone(), issues, "tracker.issue.list", ISSUE_READ, t(), list_issues)
            .summary("The issues of a project, filtered and sorted"),
        Route::tenant(post, issues, "tracker.issue.create", ISSUE_CREATE, t(), create_issue)
            .summary("Writes an issue down"),
        Route::tenant(get, issue, "tracker.issue.show", ISSUE_READ, t(), show_issue).summary("An issue"),
        Route::tenant(patch, issue, "tracker.issue.update", ISSUE_UPDATE, t(), update_issue)
            .summary("Changes an issue"),
        Route::tenant(delete, issue, "tracker.issue.delete", ISSUE_DELETE, t(), delete_issue)
            .summary("Deletes an issue"),
    ]
}

async fn projects(
    tracker: Tracker,
    tx: &mut TenantTx,
    Paged { page, .. }: Paged<Unfiltered>,
) -> Result<Items<Project>, Error> {
    tracker.projects(tx, &page).await
}

async fn create_project(
    tracker: Tracker,
    tx: &mut TenantTx,
    Body(new): Body<NewProject>,
) -> Result<Created<Project>, Error> {
    Ok(Created(tracker.create_project(tx, new).await?))
}

async fn project(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<ProjectId>,
) -> Result<Json<Project>, Error> {
    Ok(Json(tracker.project(tx, id).await?))
}

async fn update_project(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Body(edit)): (Path<ProjectId>, Body<EditProject>),
) -> Result<Json<Project>, Error> {
    Ok(Json(tracker.update_project(tx, id, edit).await?))
}

async fn delete_project(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<ProjectId>,
) -> Result<NoContent, Error> {
    tracker.delete_project(tx, id).await?;
    Ok(NoContent)
}

async fn project_activity(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Paged { page, .. }): (Path<ProjectId>, Paged<Unfiltered>),
) -> Result<Items<Activity>, Error> {
    tracker.activity(tx, id, &page).await
}

async fn list_issues(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(project), Paged { filter, page }): (Path<ProjectId>, Paged<IssueFilter>),
) -> Result<Items<ListedIssue>, Error> {
    tracker.issues(tx, project, &filter, &page).await
}

async fn create_issue(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(project), Body(new)): (Path<ProjectId>, Body<NewIssue>),
) -> Result<Created<Issue>, Error> {
    Ok(Created(tracker.create_issue(tx, project, new).await?))
}

async fn show_issue(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<IssueId>,
) -> Result<Json<Issue>, Error> {
    Ok(Json(tracker.issue(tx, id).await?))
}

async fn update_issue(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Body(edit)): (Path<IssueId>, Body<EditIssue>),
) -> Result<Json<Issue>, Error> {
    Ok(Json(tracker.update_issue(tx, id, edit).await?))
}

async fn delete_issue(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<IssueId>,
) -> Result<NoContent, Error> {
    tracker.delete_issue(tx, id).await?;
    Ok(NoContent)
}
