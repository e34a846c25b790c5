//! What words mean, on a page of its own.

use http::Method;
use kernel_core::http::{Html, Query, Route};
use kernel_core::{Error, TenantTx};
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::Deserialize;

use super::frame::Asked;
use super::person::Names;
use super::{issue, project, time};
use crate::issue::SearchText;
use crate::permission::ISSUE_READ;
use crate::search::{CommentFound, FOUND_MAX, Found, IssueFound, ProjectFound};
use crate::text::blank_as_none;
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (at, operation) = ("/search", "tracker.page.search");
    vec![Route::tenant(Method::GET, at, operation, ISSUE_READ, tracker.clone(), show).page()]
}

/// What somebody looks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asking {
    #[serde(default, deserialize_with = "blank_as_none")]
    q: Option<SearchText>,
}

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Query(Asking { q })): (Asked, Query<Asking>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let text = q.as_ref().map_or("", SearchText::as_str).trim();
    let found = match &q {
        Some(wanted) if !text.is_empty() => tracker.search(tx, wanted).await?,
        _ => Found::default(),
    };
    let names =
        Names::of(&tracker, tx, found.comments.iter().filter_map(|comment| comment.created_by)).await?;
    let Found { issues, comments, projects } = found;
    let base = frame.base();
    let issues: Vec<_> = issues.iter().map(|found| of_issue(found, base)).collect();
    let comments: Vec<_> = comments.iter().map(|found| of_comment(found, &names, base)).collect();
    let projects: Vec<_> = projects.iter().map(|found| of_project(found, base)).collect();
    let content = context! { q => text, issues, comments, projects, most => FOUND_MAX };
    tracker.pages.html("search.html", &frame, content)
}

fn of_issue(found: &IssueFound, base: &str) -> Value {
    context! {
        key => format!("{}-{}", found.key, found.number),
        title => found.title.as_str(),
        status => found.status.name(),
        url => issue::url(found.id, base),
    }
}

fn of_comment(found: &CommentFound, names: &Names, base: &str) -> Value {
    context! {
        key => format!("{}-{}", found.key, found.number),
        title => found.title.as_str(),
        excerpt => found.excerpt.as_str(),
        author => names.author(found.created_by),
        created_at => time(found.created_at),
        url => issue::url(found.issue_id, base),
    }
}

fn of_project(found: &ProjectFound, base: &str) -> Value {
    context! { key => found.key.as_str(), name => found.name.as_str(), url => project::url(found.id, base) }
}
