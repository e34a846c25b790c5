//! Where one can go: a page for browsers without scripts, and what the palette offers.

use http::Method;
use kernel_core::http::{Html, Query, Route};
use kernel_core::{Error, Permission, TenantTx, Tx};
use kernel_tenancy::permission::MEMBER_READ;
use minijinja::{Value, context};
use schemars::JsonSchema;
use serde::Deserialize;

use super::frame::{Asked, may};
use super::{issue, project};
use crate::issue::SearchText;
use crate::permission::{ISSUE_CREATE, ISSUE_IMPORT, LABEL_READ, PROJECT_CREATE, PROJECT_READ};
use crate::text::blank_as_none;
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (at, operation) = ("/jump", "tracker.page.jump");
    vec![Route::tenant(Method::GET, at, operation, PROJECT_READ, tracker.clone(), show).page()]
}

/// What somebody has typed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[serde(default, deserialize_with = "blank_as_none")]
    q: Option<SearchText>,
}

/// The pages that every workspace has: the key of their text, their place, and what looking at them takes.
const PAGES: [(&str, &str, Permission); 4] = [
    ("nav.projects", "/projects", PROJECT_READ),
    ("nav.labels", "/labels", LABEL_READ),
    ("nav.members", "/members", MEMBER_READ),
    ("project_new.link", "/projects/new", PROJECT_CREATE),
];

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Query(Typed { q })): (Asked, Query<Typed>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let text = q.as_ref().map_or("", SearchText::as_str).trim();
    let projects = tracker.projects_meant(tx, text).await?;
    let all_projects = tracker.projects_meant(tx, "").await?;
    let issues = tracker.issues_meant(tx, text).await?;
    let (ctx, base) = (tx.ctx(), frame.base());
    let meant = |label: &str| label.to_lowercase().contains(&text.to_lowercase());
    let mut places: Vec<Value> = Vec::new();
    for (key, path, need) in PAGES {
        let label = tracker.pages.text(frame.language(), key);
        if may(ctx, need) && meant(&label) {
            places.push(context! { label, url => format!("{base}{path}") });
        }
    }
    for (key, path, need) in
        [("issue_new.link", "new", ISSUE_CREATE), ("import.link", "import", ISSUE_IMPORT)]
    {
        let label = tracker.pages.text(frame.language(), key);
        // Either the action is meant, wherever, or the project, and what can be done there.
        let meant = if meant(&label) { &all_projects } else { &projects };
        for project in meant.iter().filter(|_| may(ctx, need)) {
            let url = format!("{}/issues/{path}", project::url(project.id, base));
            places.push(context! { label => label.as_str(), note => project.name.as_str(), url });
        }
    }
    let projects: Vec<_> = projects
        .iter()
        .map(|found| {
            context! { key => found.key.as_str(), label => found.name.as_str(), url => project::url(found.id, base) }
        })
        .collect();
    let issues: Vec<_> = issues
        .iter()
        .map(|found| {
            context! {
                key => format!("{}-{}", found.key, found.number),
                label => found.title.as_str(),
                status => found.status.name(),
                url => issue::url(found.id, base),
            }
        })
        .collect();
    tracker.pages.html("jump.html", &frame, context! { q => text, projects, issues, places })
}
