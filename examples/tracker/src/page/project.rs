//! Projects and their issues.

use std::collections::BTreeMap;

use http::Method;
use kernel_core::http::{Either, Html, Items, Paged, Path, Route, SeeOther, Unfiltered};
use kernel_core::{Error, TenantTx};
use minijinja::value::Serde;
use minijinja::{Value, context};

use super::form::Form;
use super::frame::Asked;
use super::person::Names;
use super::{activity, base_of, label, next_url, time};
use crate::issue::{Assignee, IssueFilter, ListedIssue, SearchText, sort_name};
use crate::label::{Label, LabelId};
use crate::permission::{ISSUE_READ, PROJECT_CREATE, PROJECT_READ};
use crate::project::{NewProject, Project, ProjectId};
use crate::tracker::Tracker;

/// The orders on offer beside the usual one.
const SORTS: [&str; 6] = ["-relevance", "-created_at", "created_at", "-updated_at", "-priority", "title"];

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    let t = || tracker.clone();
    let new = "/projects/new";
    vec![
        Route::tenant(get.clone(), "/projects", "tracker.page.projects", PROJECT_READ, t(), list).page(),
        Route::tenant(get.clone(), new, "tracker.page.project_new", PROJECT_CREATE, t(), new_form).page(),
        Route::tenant(post, new, "tracker.page.project_new.send", PROJECT_CREATE, t(), create).page(),
        Route::tenant(get, "/projects/{project}", "tracker.page.project", ISSUE_READ, t(), issues).page(),
    ]
}

/// A project as the templates know it; `base` is where its workspace's pages are.
pub(super) fn shown(project: &Project, base: &str) -> Value {
    context! {
        id => project.id.to_string(),
        name => project.name.as_str(),
        key => project.key.as_str(),
        description => project.description.as_str(),
        open_issue_count => project.open_issue_count,
        url => url(project.id, base),
    }
}

pub(super) fn url(id: ProjectId, base: &str) -> String {
    format!("{base}/projects/{id}")
}

async fn list(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Paged { page, .. }): (Asked, Paged<Unfiltered>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let Items { items, next_cursor, .. } = tracker.projects(tx, &page).await?;
    let items: Vec<_> = items.iter().map(|project| shown(project, frame.base())).collect();
    let next_url = next_url(&asked.path, &[], next_cursor);
    let activity = activity::latest(&tracker, tx, frame.base()).await?;
    tracker.pages.html("projects.html", &frame, context! { items, next_url, activity })
}

async fn new_form(tracker: Tracker, tx: &mut TenantTx, asked: Asked) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    tracker.pages.html("project_new.html", &frame, context! {})
}

async fn create(
    tracker: Tracker,
    tx: &mut TenantTx,
    form: Form<NewProject>,
) -> Result<Either<SeeOther, Html>, Error> {
    let done =
        form.carry_out(tx, async |tx: &mut TenantTx, new| tracker.create_project(tx, new).await).await?;
    match done {
        Ok(project) => Ok(Either::Left(SeeOther::to(url(project.id, &base_of(tx)?)))),
        Err(refused) => {
            let frame = tracker.frame_inside(tx, &refused.asked).await?;
            Ok(Either::Right(tracker.pages.again("project_new.html", &frame, &refused, context! {})?))
        }
    }
}

async fn issues(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Path(id), Paged { filter, page }): (Asked, Path<ProjectId>, Paged<IssueFilter>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let project = tracker.project(tx, id).await?;
    let Items { items, next_cursor, has_more } = tracker.issues(tx, id, &filter, &page).await?;
    let names = Names::of(&tracker, tx, items.iter().filter_map(|issue| issue.assignee)).await?;
    let labels = items.iter().flat_map(|issue| issue.labels.iter().copied()).collect();
    let labels = tracker.labels_of(tx, labels).await?;
    let items: Vec<_> = items.into_iter().map(|issue| row(issue, &names, &labels, frame.base())).collect();
    let filters = words(&filter);
    let next_url = next_url(&asked.path, &filters, next_cursor);
    let filters = Value::from(Serde(BTreeMap::from(filters)));
    let (project, labels) = (shown(&project, frame.base()), label::choice(&tracker, tx).await?);
    let content = context! { project, items, filters, labels, sorts => SORTS, next_url, has_more };
    tracker.pages.html("issues.html", &frame, content)
}

fn row(issue: ListedIssue, names: &Names, labels: &BTreeMap<LabelId, Label>, base: &str) -> Value {
    let own = issue.labels.iter().filter_map(|id| labels.get(id));
    let own: Vec<_> = own.map(label::shown).collect();
    let ListedIssue { id, number, title, status, priority, assignee, comment_count, created_at, .. } = issue;
    context! {
        number,
        title,
        status => status.name(),
        priority => priority.name(),
        assignee => assignee.map(|user| names.shown(user)),
        labels => own,
        comment_count,
        created_at => time(created_at),
        url => format!("{base}/issues/{id}"),
    }
}

/// The filter as the parameters of an address; what is not set is empty.
fn words(filter: &IssueFilter) -> [(&'static str, String); 6] {
    let assignee = filter.assignee.map(|assignee| match assignee {
        Assignee::Me => "me".to_owned(),
        Assignee::User(user) => user.to_string(),
    });
    [
        ("status", filter.status.map(|status| status.name().to_owned()).unwrap_or_default()),
        ("priority", filter.priority.map(|priority| priority.name().to_owned()).unwrap_or_default()),
        ("assignee", assignee.unwrap_or_default()),
        ("label", filter.label.map(|label| label.to_string()).unwrap_or_default()),
        ("q", filter.q.as_ref().map(SearchText::as_str).unwrap_or_default().to_owned()),
        ("sort", filter.sort.map(sort_name).unwrap_or_default()),
    ]
}
