//! What has happened to an issue, as its page tells it.

use std::collections::BTreeMap;

use kernel_core::{Error, TenantTx, UserId};
use minijinja::{Value, context};

use super::person::Names;
use super::{label, time};
use crate::activity::Activity;
use crate::issue::Issue;
use crate::label::{Label, LabelId};
use crate::tracker::Tracker;

/// How many entries the page shows: the latest.
const ENTRIES_MAX: usize = 100;

/// The entries of one issue, the earliest first.
#[derive(Debug)]
pub(super) struct History {
    begun: Value,
    entries: Vec<Activity>,
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
        entries.retain(|entry| entry.kind != "created");
        let labels =
            tracker.labels_of(tx, entries.iter().filter_map(|entry| entry.label_id).collect()).await?;
        let begun = context! { kind => "created", created_at => time(issue.listed.created_at) };
        Ok(Self { begun, entries, labels, earlier, author: issue.listed.created_by })
    }

    /// Who is mentioned.
    pub(super) fn people(&self) -> impl Iterator<Item = UserId> + '_ {
        let mentioned = self.entries.iter().flat_map(|entry| [entry.user_id, entry.assignee_id]);
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
                kind => entry.kind.as_str(),
                status => entry.status.as_deref(),
                user => names.author(entry.user_id),
                assignee => entry.assignee_id.map(|user| names.shown(user)),
                label => entry.label_id.and_then(|id| self.labels.get(&id)).map(label::shown),
                comment_id => entry.comment_id.map(|id| id.to_string()),
                created_at => time(entry.created_at),
            }
        });
        std::iter::once(begun).chain(entries).collect()
    }
}
