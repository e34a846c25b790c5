//! One issue: writing it down, seeing it, changing it.

use garde::Validate;
use http::Method;
use kernel_core::http::{
    Either, Html, Items, LIMIT_DEFAULT, Paged, Patch, Path, Route, SeeOther, Unfiltered,
};
use kernel_core::{Error, TenantTx, Tx, UserId};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::Deserialize;

use super::form::{Form, Refused};
use super::frame::{Asked, Frame};
use super::person::Names;
use super::{activity, base_of, comment, label, next_url, project, time};
use crate::comment::Comment;
use crate::issue::{EditIssue, Issue, IssueId, NewIssue, Priority, Status};
use crate::label::LabelId;
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

/// What the page of an issue sends. All of it is there, so an empty assignee means nobody, and no label means none.
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
    #[serde(default)]
    #[garde(length(max = 20))]
    labels: Vec<LabelId>,
}

impl From<EditForm> for EditIssue {
    fn from(form: EditForm) -> Self {
        let assignee = form.assignee.map_or(Patch::Null, Patch::Set);
        Self {
            status: Some(form.status),
            priority: Some(form.priority),
            assignee,
            labels: Some(form.labels),
            ..Self::default()
        }
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
    let content = new_content(&tracker, tx, id, frame.base()).await?;
    tracker.pages.html("issue_new.html", &frame, content)
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
            let content = new_content(&tracker, tx, id, frame.base()).await?;
            Ok(Either::Right(tracker.pages.again("issue_new.html", &frame, &refused, content)?))
        }
    }
}

async fn new_content(
    tracker: &Tracker,
    tx: &mut TenantTx,
    id: ProjectId,
    base: &str,
) -> Result<Value, Error> {
    let project = project::shown(&tracker.project(tx, id).await?, base);
    let members = choice(tracker, tx, None).await?;
    let labels = label::choice(tracker, tx).await?;
    Ok(context! { project, members, labels })
}

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Path(id), Paged { page, .. }): (Asked, Path<IssueId>, Paged<Unfiltered>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let comments = tracker.comments(tx, id, &page).await?;
    let content = content(&tracker, tx, id, &frame, comments).await?;
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
        Err(refused) => Ok(Either::Right(again(&tracker, tx, id, &refused, "issue").await?)),
    }
}

async fn delete(tracker: Tracker, tx: &mut TenantTx, Path(id): Path<IssueId>) -> Result<SeeOther, Error> {
    let issue = tracker.delete_issue(tx, id).await?;
    Ok(SeeOther::to(project::url(issue.listed.project_id, &base_of(tx)?)))
}

pub(super) fn url(id: IssueId, base: &str) -> String {
    format!("{base}/issues/{id}")
}

/// The page of an issue again, after one of its forms was refused: `issue`, `comment`, or the id of a comment.
pub(super) async fn again(
    tracker: &Tracker,
    tx: &mut TenantTx,
    id: IssueId,
    refused: &Refused,
    form: &str,
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &refused.asked).await?;
    let items = tracker.latest_comments(tx, id, LIMIT_DEFAULT.into()).await?;
    let comments = Items { items, next_cursor: None, has_more: false };
    let content = content(tracker, tx, id, &frame, comments).await?;
    tracker.pages.again("issue.html", &frame, refused, context! { refused_form => form, ..content })
}

async fn content(
    tracker: &Tracker,
    tx: &mut TenantTx,
    id: IssueId,
    frame: &Frame,
    Items { mut items, next_cursor, .. }: Items<Comment>,
) -> Result<Value, Error> {
    let base = frame.base();
    let issue = tracker.issue(tx, id).await?;
    let project = tracker.project(tx, issue.listed.project_id).await?;
    // People read from top to bottom; the list has the latest first, so that the first page holds it.
    items.reverse();
    let history = activity::History::of(tracker, tx, &issue).await?;
    let people = people(&issue, &items).chain(history.people()).collect::<Vec<_>>();
    let names = Names::of(tracker, tx, people).await?;
    let labels = label::choice(tracker, tx).await?;
    let own = tracker.labels_of(tx, issue.listed.labels.iter().copied().collect()).await?;
    let ctx = tx.ctx().clone();
    let comments: Vec<_> = items.iter().map(|item| comment::shown(item, &ctx, &names, base)).collect();
    let members = choice(tracker, tx, issue.listed.assignee).await?;
    Ok(context! {
        project => project::shown(&project, base),
        labels,
        members,
        comments,
        earlier_url => next_url(&url(id, base), &[], next_cursor),
        history => history.shown(&names),
        has_earlier_history => history.has_earlier(),
        issue => context! {
            own_labels => own.values().map(label::shown).collect::<Vec<_>>(),
            ..shown(issue, &names, base)
        },
    })
}

fn people<'a>(issue: &'a Issue, comments: &'a [Comment]) -> impl Iterator<Item = UserId> + 'a {
    let authors = comments.iter().filter_map(|comment| comment.created_by);
    issue.listed.assignee.into_iter().chain(issue.listed.created_by).chain(authors)
}

fn shown(Issue { listed, body }: Issue, names: &Names, base: &str) -> Value {
    context! {
        id => listed.id.to_string(),
        number => listed.number,
        title => listed.title,
        body,
        status => listed.status.name(),
        priority => listed.priority.name(),
        assignee => listed.assignee.map(|user| names.shown(user)),
        labels => listed.labels.iter().map(ToString::to_string).collect::<Vec<_>>(),
        comment_count => listed.comment_count,
        created_by => names.author(listed.created_by),
        created_at => time(listed.created_at),
        updated_at => time(listed.updated_at),
        url => url(listed.id, base),
    }
}
