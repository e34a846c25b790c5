//! What has happened: to an issue, as its page tells it, and in the workspace.

use std::collections::BTreeMap;

use http::Method;
use kernel_core::activity::{ActivityFilter, ActivityRecord};
use kernel_core::http::{Html, Items, Paged, Route, Unfiltered};
use kernel_core::{Error, TenantTx, Tx, UserId};
use kernel_tenancy::Activity;
use kernel_tenancy::permission::ACTIVITY_READ;
use minijinja::{Value, context};

use super::frame::Asked;
use super::person::Names;
use super::{label, next_url, time};
use crate::activity::{COMMENT_CREATED, ISSUE_CREATED};
use crate::issue::Issue;
use crate::label::{Label, LabelId};
use crate::tracker::Tracker;

/// How many entries the page shows: the latest.
const ENTRIES_MAX: usize = 100;
/// How many the workspace's first page shows.
const LATEST: i64 = 10;

/// The entries of one issue, the earliest first.
#[derive(Debug)]
pub(super) struct History {
    begun: Value,
    entries: Vec<ActivityRecord>,
    labels: BTreeMap<LabelId, Label>,
    earlier: bool,
    author: Option<UserId>,
}

impl History {
    pub(super) async fn of(tracker: &Tracker, tx: &mut TenantTx, issue: &Issue) -> Result<Self, Error> {
        let limit = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let mut entries = tracker.latest_activity(tx, issue.listed.id, limit).await?;
        let earlier = entries.len() > ENTRIES_MAX;
        entries.truncate(ENTRIES_MAX);
        entries.reverse();
        // The issue itself tells of its beginning, also where it came with many others.
        entries.retain(|entry| entry.kind != ISSUE_CREATED.name());
        let labels = tracker.labels_of(tx, entries.iter().filter_map(label_of).collect()).await?;
        let begun = context! { kind => "created", created_at => time(issue.listed.created_at) };
        Ok(Self { begun, entries, labels, earlier, author: issue.listed.created_by })
    }

    /// Who is mentioned.
    pub(super) fn people(&self) -> impl Iterator<Item = UserId> + '_ {
        let mentioned = self.entries.iter().flat_map(|entry| [entry.user(), assignee_of(entry)]);
        mentioned.chain([self.author]).flatten()
    }

    /// Whether there are entries before the first one here.
    pub(super) fn has_earlier(&self) -> bool {
        self.earlier
    }

    /// The entries as the templates know them.
    pub(super) fn shown(&self, names: &Names) -> Vec<Value> {
        let begun = context! { user => names.author(self.author), ..self.begun.clone() };
        let entries = self.entries.iter().map(|entry| {
            context! {
                kind => word(&entry.kind),
                status => entry.param_word("status"),
                user => names.author(entry.user()),
                assignee => assignee_of(entry).map(|user| names.shown(user)),
                label => label_of(entry).and_then(|id| self.labels.get(&id)).map(label::shown),
                created_at => time(entry.created_at),
            }
        });
        std::iter::once(begun).chain(entries).collect()
    }
}

/// What the text of an entry on the issue's own page is called by.
fn word(kind: &str) -> &str {
    if kind == COMMENT_CREATED.name() { "commented" } else { kind.rsplit('.').next().unwrap_or(kind) }
}

fn assignee_of(entry: &ActivityRecord) -> Option<UserId> {
    entry.param_id("assignee", "user").map(UserId::from_uuid)
}

fn label_of(entry: &ActivityRecord) -> Option<LabelId> {
    entry.param_id("label", "label").map(LabelId::from_uuid)
}

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (at, operation) = ("/activity", "tracker.page.activity");
    vec![Route::tenant(Method::GET, at, operation, ACTIVITY_READ, tracker.clone(), show).page()]
}

async fn show(
    tracker: Tracker,
    tx: &mut TenantTx,
    (asked, Paged { page, .. }): (Asked, Paged<Unfiltered>),
) -> Result<Html, Error> {
    let frame = tracker.frame_inside(tx, &asked).await?;
    let all = ActivityFilter::default();
    let Items { items, next_cursor, .. } = tracker.tenancy.activity(tx, &all, &page).await?;
    let items: Vec<_> = items.iter().map(|entry| shown(entry, frame.base())).collect();
    let next_url = next_url(&asked.path, &[], next_cursor);
    tracker.pages.html("activity.html", &frame, context! { items, next_url })
}

/// An entry as the templates know it.
pub(super) fn shown(entry: &Activity, base: &str) -> Value {
    context! {
        text => entry.text.as_str(),
        url => entry.target.path.as_ref().map(|path| format!("{base}{path}")),
        created_at => time(entry.at),
    }
}

/// The latest entries of the workspace, as far as the caller may see them.
pub(super) async fn latest(tracker: &Tracker, tx: &mut TenantTx, base: &str) -> Result<Vec<Value>, Error> {
    if !tx.ctx().can(ACTIVITY_READ) {
        return Ok(Vec::new());
    }
    let latest = tracker.tenancy.latest_activity(tx, LATEST).await?;
    Ok(latest.iter().map(|entry| shown(entry, base)).collect())
}
