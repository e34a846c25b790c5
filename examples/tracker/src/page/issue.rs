//! One issue: writing it down, seeing it, changing it.

use garde::Validate;
use http::Method;
use kernel_core::http::{Either, Html, Patch, Path, Route, SeeOther};
use kernel_core::{Error, TenantTx, UserId};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::Deserialize;

use super::form::Form;
use super::frame::Asked;
use super::person::Names;
use super::{base_of, project, time};
use crate::issue::{EditIssue, Issue, IssueId, NewIssue, Priority, Status};
use crate::permission::{ISSUE_CREATE, ISSUE_DELETE, ISSUE_READ, ISSUE_UPDATE};
use crate::project::ProjectId;
use crate::text::blank_as_none;
use crate::tracker::Tracker;

/// How many members a choice offers.
const MEMBERS_MAX: u16 = 200;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    let t = || tracker.clone();
    let (new, one) = ("/projects/{project}/issues/new", "/issues/{issue}");
    vec![
        Route::tenant(get.clone(), new, "tracker.page.issue_new", ISSUE_CREATE, t(), new_form).page(),
        Route::tenant(post.clone(), new, "tracker.page.issue_new.send", ISSUE_CREATE, t(), create).page(),
        Route::tenant(get, one, "tracker.page.issue", ISSUE_READ, t(), show).page(),
        Route::tenant(post.clone(), one, "tracker.page.issue.send", ISSUE_UPDATE, t(), update).page(),
        Route::tenant(post, "/issues/{issue}/delete", "tracker.page.issue.delete", ISSUE_DELETE, t(), delete)
            .page(),
    ]
}

/// What the page of an issue sends. All of it is there, so an empty assignee means nobody.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct EditForm {
    #[garde(skip)]
    status: Status,
    #[garde(skip)]
    priority: Priority,
    #[serde(default, deserialize_with = "blank_as_none")]
    #[garde(skip)]
    assignee: Option<UserId>,
}

impl From<EditForm> for EditIssue {
    fn from(form: EditForm) -> Self {
        let assignee = form.assignee.map_or(Patch::Null, Patch::Set);
        Self { status: Some(form.status), priority: Some(form.priority), assignee, ..Self::default() }
    }
}

/// Who can be chosen as assignee: the members, and whoever it is already.
async fn choice(tracker: &Tracker, tx: &mut TenantTx, present: Option<UserId>) -> Result<Vec<Value>, Error> {
    let members = tracker.tenancy.first_members(tx, MEMBERS_MAX).await?;
    let absent = present.filter(|user| members.iter().all(|member| member.user_id != *user));
    let ids = members.into_iter().map(|member| member.user_id).chain(absent);
    let ids: Vec<_> = ids.collect();
    let names = Names::of(tracker, tx, ids.iter().copied()).await?;
    Ok(ids.into_iter().map(|user| names.shown(user)).collect())
}

async fn new_form(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Path(id)): (Asked, Path<ProjectId>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let project = project::shown(&tracker.project(tx, id).await?, frame.base());
    let members = choice(&tracker, tx, None).await?;
    tracker.pages.html("issue_new.html", &frame, context! { project, members })
}

async fn create(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), form): (Path<ProjectId>, Form<NewIssue>),
) -> Result<Either<SeeOther, Html>, Error> {
    let done =
        form.carry_out(tx, async |tx: &mut TenantTx, new| tracker.create_issue(tx, id, new).await).await?;
    match done {
        Ok(issue) => Ok(Either::Left(SeeOther::to(url(issue.listed.id, &base_of(tx)?)))),
        Err(refused) => {
            let frame = tracker.frame_inside(tx, &refused.asked).await?;
            let project = project::shown(&tracker.project(tx, id).await?, frame.base());
            let members = choice(&tracker, tx, None).await?;
            let content = context! { project, members };
            Ok(Either::Right(tracker.pages.again("issue_new.html", &frame, &refused, content)?))
        }
    }
}

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Path(id)): (Asked, Path<IssueId>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let content = content(&tracker, tx, id, frame.base()).await?;
    tracker.pages.html("issue.html", &frame, content)
}

async fn update(
    tracker: Tracker,
    tx: &mut TenantTx,
    (Path(id), form): (Path<IssueId>, Form<EditForm>),
) -> Result<Either<SeeOther, Html>, Error> {
    let work = async |tx: &mut TenantTx, edit: EditForm| tracker.update_issue(tx, id, edit.into()).await;
    match form.carry_out(tx, work).await? {
        Ok(_) => Ok(Either::Left(SeeOther::to(url(id, &base_of(tx)?)))),
        Err(refused) => {
            let frame = tracker.frame_inside(tx, &refused.asked).await?;
            let content = content(&tracker, tx, id, frame.base()).await?;
            Ok(Either::Right(tracker.pages.again("issue.html", &frame, &refused, content)?))
        }
    }
}

async fn delete(tracker: Tracker, tx: &mut TenantTx, Path(id): Path<IssueId>) -> Result<SeeOther, Error> {
    let issue = tracker.delete_issue(tx, id).await?;
    Ok(SeeOther::to(project::url(issue.listed.project_id, &base_of(tx)?)))
}

fn url(id: IssueId, base: &str) -> String {
    format!("{base}/issues/{id}")
}

async fn content(tracker: &Tracker, tx: &mut TenantTx, id: IssueId, base: &str) -> Result<Value, Error> {
    let Issue { listed, body } = tracker.issue(tx, id).await?;
    let project = tracker.project(tx, listed.project_id).await?;
    let names = Names::of(tracker, tx, listed.assignee.into_iter().chain(listed.created_by)).await?;
    let author = listed.created_by.map(|user| names.shown(user));
    let issue = context! {
        id => id.to_string(),
        number => listed.number,
        title => listed.title,
        body,
        status => listed.status.name(),
        priority => listed.priority.name(),
        assignee => listed.assignee.map(|user| names.shown(user)),
        created_by => author.unwrap_or_else(|| context! { name => tracker.pages.product().name.clone() }),
        created_at => time(listed.created_at),
        updated_at => time(listed.updated_at),
        url => url(id, base),
    };
    let members = choice(tracker, tx, listed.assignee).await?;
    Ok(context! { project => project::shown(&project, base), issue, members })
}
