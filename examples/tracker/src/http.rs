//! The tracker's API: its table of contents, and the handlers, which only translate.

mod csv;

use http::Method;
use kernel_core::http::{
    Body, Created, Items, Json, NoContent, Paged, Path, Query, RateClass, Route, Unfiltered,
};
use kernel_core::{Error, TenantTx};
use kernel_tenancy::Activity;

use crate::comment::{Comment, CommentId, CommentText};
use crate::import::{self, Imported};
use crate::issue::{EditIssue, Issue, IssueFilter, IssueId, ListedIssue, NewIssue};
use crate::label::{EditLabel, Label, LabelId, NewLabel};
use crate::permission::{
    COMMENT_CREATE, COMMENT_DELETE, COMMENT_READ, COMMENT_UPDATE, ISSUE_CREATE, ISSUE_DELETE, ISSUE_IMPORT,
    ISSUE_READ, ISSUE_UPDATE, LABEL_CREATE, LABEL_DELETE, LABEL_READ, LABEL_UPDATE, PROJECT_CREATE,
    PROJECT_DELETE, PROJECT_READ, PROJECT_UPDATE,
};
use crate::project::{EditProject, NewProject, Project, ProjectId};
use crate::search::{Found, Wanted};
use crate::tracker::Tracker;

pub(crate) use csv::{Csv, CsvText};

pub(crate) fn routes(tracker: &Tracker) -> Vec<Route> {
    let mut routes = project_routes(tracker);
    routes.extend(issue_routes(tracker));
    routes.extend(comment_routes(tracker));
    routes.extend(label_routes(tracker));
    let (at, operation) = ("/search", "tracker.search.show");
    routes.push(
        Route::tenant(Method::GET, at, operation, ISSUE_READ, tracker.clone(), search)
            .summary("What typed words may mean, anywhere in the workspace"),
    );
    routes
}

fn project_routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let t = || tracker.clone();
    let (all, one, activity) = ("/projects", "/projects/{project}", "/projects/{project}/activity");
    vec![
        Route::tenant(get.clone(), all, "tracker.project.list", PROJECT_READ, t(), projects)
            .summary("The projects of the workspace"),
        Route::tenant(post, all, "tracker.project.create", PROJECT_CREATE, t(), create_project)
            .summary("Starts a project"),
        Route::tenant(get.clone(), one, "tracker.project.show", PROJECT_READ, t(), project)
            .summary("A project"),
        Route::tenant(patch, one, "tracker.project.update", PROJECT_UPDATE, t(), update_project)
            .summary("Renames or describes a project"),
        Route::tenant(delete, one, "tracker.project.delete", PROJECT_DELETE, t(), delete_project)
            .summary("Deletes a project with all its issues"),
        Route::tenant(get, activity, "tracker.activity.list", ISSUE_READ, t(), project_activity)
            .summary("What has happened in a project, the latest first"),
    ]
}

fn issue_routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let t = || tracker.clone();
    let (all, one, activity) = ("/projects/{project}/issues", "/issues/{issue}", "/issues/{issue}/activity");
    let import = "/projects/{project}/issues/import";
    vec![
        Route::tenant(get.clone(), all, "tracker.issue.list", ISSUE_READ, t(), list_issues)
            .summary("The issues of a project, filtered and sorted"),
        Route::tenant(post.clone(), import, "tracker.issue.import", ISSUE_IMPORT, t(), import_issues)
            .rate(RateClass::Heavy)
            .body_limit(import::BYTES_MAX)
            .summary("Writes down every issue of a CSV file, or none"),
        Route::tenant(post, all, "tracker.issue.create", ISSUE_CREATE, t(), create_issue)
            .summary("Writes an issue down"),
        Route::tenant(get.clone(), one, "tracker.issue.show", ISSUE_READ, t(), show_issue)
            .summary("An issue"),
        Route::tenant(patch, one, "tracker.issue.update", ISSUE_UPDATE, t(), update_issue)
            .summary("Changes an issue"),
        Route::tenant(delete, one, "tracker.issue.delete", ISSUE_DELETE, t(), delete_issue)
            .summary("Deletes an issue with its comments"),
        Route::tenant(get, activity, "tracker.issue.activity", ISSUE_READ, t(), issue_activity)
            .summary("What has happened to an issue, the latest first"),
    ]
}

fn comment_routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let t = || tracker.clone();
    let (all, one) = ("/issues/{issue}/comments", "/comments/{comment}");
    vec![
        Route::tenant(get.clone(), all, "tracker.comment.list", COMMENT_READ, t(), comments)
            .summary("The comments on an issue, the latest first"),
        Route::tenant(post, all, "tracker.comment.create", COMMENT_CREATE, t(), create_comment)
            .summary("Says something about an issue"),
        Route::tenant(get, one, "tracker.comment.show", COMMENT_READ, t(), comment).summary("A comment"),
        Route::tenant(patch, one, "tracker.comment.update", COMMENT_UPDATE, t(), update_comment)
            .summary("Changes one's own comment"),
        Route::tenant(delete, one, "tracker.comment.delete", COMMENT_DELETE, t(), delete_comment)
            .summary("Deletes one's own comment, or any for whoever may moderate"),
    ]
}

fn label_routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let t = || tracker.clone();
    let (all, one) = ("/labels", "/labels/{label}");
    vec![
        Route::tenant(get, all, "tracker.label.list", LABEL_READ, t(), labels)
            .summary("The labels of the workspace, by name"),
        Route::tenant(post, all, "tracker.label.create", LABEL_CREATE, t(), create_label)
            .summary("Makes a label"),
        Route::tenant(patch, one, "tracker.label.update", LABEL_UPDATE, t(), update_label)
            .summary("Renames or recolours a label"),
        Route::tenant(delete, one, "tracker.label.delete", LABEL_DELETE, t(), delete_label)
            .summary("Deletes a label, and takes it off every issue"),
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

async fn import_issues(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(project), Csv(file)): (Path<ProjectId>, Csv),
) -> Result<Created<Imported>, Error> {
    Ok(Created(tracker.import_issues(tx, project, file).await?))
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

async fn issue_activity(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Paged { page, .. }): (Path<IssueId>, Paged<Unfiltered>),
) -> Result<Items<Activity>, Error> {
    tracker.issue_activity(tx, id, &page).await
}

async fn comments(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(issue), Paged { page, .. }): (Path<IssueId>, Paged<Unfiltered>),
) -> Result<Items<Comment>, Error> {
    tracker.comments(tx, issue, &page).await
}

async fn create_comment(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(issue), Body(text)): (Path<IssueId>, Body<CommentText>),
) -> Result<Created<Comment>, Error> {
    Ok(Created(tracker.create_comment(tx, issue, text).await?))
}

async fn comment(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>, Error> {
    Ok(Json(tracker.comment(tx, id).await?))
}

async fn update_comment(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Body(text)): (Path<CommentId>, Body<CommentText>),
) -> Result<Json<Comment>, Error> {
    Ok(Json(tracker.update_comment(tx, id, text).await?))
}

async fn delete_comment(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<CommentId>,
) -> Result<NoContent, Error> {
    tracker.delete_comment(tx, id).await?;
    Ok(NoContent)
}

async fn labels(
    tracker: Tracker,
    tx: &mut TenantTx,
    Paged { page, .. }: Paged<Unfiltered>,
) -> Result<Items<Label>, Error> {
    tracker.labels(tx, &page).await
}

async fn create_label(
    tracker: Tracker,
    tx: &mut TenantTx,
    Body(new): Body<NewLabel>,
) -> Result<Created<Label>, Error> {
    Ok(Created(tracker.create_label(tx, new).await?))
}

async fn update_label(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), Body(edit)): (Path<LabelId>, Body<EditLabel>),
) -> Result<Json<Label>, Error> {
    Ok(Json(tracker.update_label(tx, id, edit).await?))
}

async fn delete_label(
    tracker: Tracker,
    tx: &mut TenantTx,
    Path(id): Path<LabelId>,
) -> Result<NoContent, Error> {
    tracker.delete_label(tx, id).await?;
    Ok(NoContent)
}

async fn search(
    tracker: Tracker,
    tx: &mut TenantTx,
    Query(Wanted { q }): Query<Wanted>,
) -> Result<Json<Found>, Error> {
    Ok(Json(tracker.search(tx, &q).await?))
}
