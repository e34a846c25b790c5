//! Labels: words that a workspace sorts its issues by.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use garde::Validate;
use kernel_core::http::{Items, PageRequest};
use kernel_core::{AuditEntry, Id, Noun, TenantTx, Tx, UserId, audit, publish, violates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{ISSUE_LABELLED, ISSUE_UNLABELLED, about, record};
use crate::error::Error;
use crate::event::{IssueLabelled, IssueUnlabelled};
use crate::issue::Issue;
use crate::store;
use crate::text::{SAYING_SOMETHING, present, saying_something};
use crate::tracker::Tracker;

/// How many labels a choice offers: those whose names come first.
pub(crate) const CHOICE_MAX: i64 = 200;

/// Names labels.
#[derive(Debug)]
pub enum LabelNoun {}

impl Noun for LabelNoun {
    const PREFIX: &'static str = "lab";
}

/// The id of a label.
pub type LabelId = Id<LabelNoun>;

/// The colours there are. The pages give each a tone for light and for dark, with enough contrast on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Gray.
    Gray,
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Green.
    Green,
    /// Teal.
    Teal,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// Pink.
    Pink,
}

impl Colour {
    /// All of them, in the order of a choice.
    pub const ALL: [Self; 8] =
        [Self::Gray, Self::Red, Self::Orange, Self::Green, Self::Teal, Self::Blue, Self::Purple, Self::Pink];

    /// The text that the database and the API hold.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gray => "gray",
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Green => "green",
            Self::Teal => "teal",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
        }
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::ALL.into_iter().find(|colour| colour.name() == text).ok_or(text)
    }
}

/// A label, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Label {
    /// Its id.
    pub id: LabelId,
    /// What it says.
    pub name: String,
    /// Its colour.
    #[sqlx(try_from = "String")]
    pub colour: Colour,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What making a label takes.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewLabel {
    /// What it says: unique in the workspace, in capitals or not.
    #[garde(length(chars, min = 1, max = 40), custom(saying_something))]
    #[schemars(length(min = 1, max = 40), regex(pattern = SAYING_SOMETHING))]
    pub name: String,
    /// Its colour.
    #[garde(skip)]
    pub colour: Colour,
}

/// What can be changed about a label.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EditLabel {
    /// What it says.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, min = 1, max = 40), custom(saying_something)))]
    #[schemars(with = "String", length(min = 1, max = 40), regex(pattern = SAYING_SOMETHING))]
    pub name: Option<String>,
    /// Its colour.
    #[serde(default, deserialize_with = "present")]
    #[garde(skip)]
    #[schemars(with = "Colour")]
    pub colour: Option<Colour>,
}

fn name_taken(error: sqlx::Error, name: &str) -> kernel_core::Error {
    let taken = violates(&error, "label_name");
    if taken { Error::LabelTaken { name: name.to_owned() }.into() } else { error.into() }
}

impl Tracker {
    /// Makes a label.
    ///
    /// # Errors
    /// [`Error::LabelTaken`].
    pub async fn create_label(&self, tx: &mut TenantTx, new: NewLabel) -> Result<Label, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let NewLabel { name, colour } = new;
        let label = Label { id: tx.ctx().new_id(), name, colour, created_at: now, updated_at: now };
        let made = store::label::insert(tx.conn(), workspace, &label).await;
        made.map_err(|error| name_taken(error, &label.name))?;
        Ok(label)
    }

    /// The labels of the workspace, by name.
    ///
    /// # Errors
    /// When the cursor is not one of this list.
    pub async fn labels(
        &self,
        tx: &mut TenantTx,
        page: &PageRequest,
    ) -> Result<Items<Label>, kernel_core::Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        let rows = store::label::list(tx.conn(), workspace, after, page.fetch()).await?;
        Ok(page.items(rows, |label| (label.name.clone(), label.id)))
    }

    /// Renames or recolours a label.
    ///
    /// # Errors
    /// `not_found`, [`Error::LabelTaken`].
    pub async fn update_label(
        &self,
        tx: &mut TenantTx,
        id: LabelId,
        edit: EditLabel,
    ) -> Result<Label, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let mut label = self.lock_label(tx, id).await?;
        let old = label.clone();
        label.name = edit.name.unwrap_or(label.name);
        label.colour = edit.colour.unwrap_or(label.colour);
        if label == old {
            return Ok(old);
        }
        label.updated_at = now;
        let changed = store::label::update(tx.conn(), workspace, &label).await;
        changed.map_err(|error| name_taken(error, &label.name))?;
        Ok(label)
    }

    /// Deletes a label, and takes it off every issue.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete_label(&self, tx: &mut TenantTx, id: LabelId) -> Result<(), kernel_core::Error> {
        let workspace = tx.workspace_id();
        self.lock_label(tx, id).await?;
        store::label::delete(tx.conn(), workspace, id).await?;
        audit(tx, AuditEntry::new(action::LABEL_DELETE).target("label", id)).await?;
        Ok(())
    }

    async fn lock_label(&self, tx: &mut TenantTx, id: LabelId) -> Result<Label, kernel_core::Error> {
        let workspace = tx.workspace_id();
        store::label::lock(tx.conn(), workspace, id).await?.ok_or_else(kernel_core::Error::not_found)
    }

    /// The first labels by name, for a choice among them.
    pub(crate) async fn first_labels(&self, tx: &mut TenantTx) -> Result<Vec<Label>, kernel_core::Error> {
        let workspace = tx.workspace_id();
        Ok(store::label::list(tx.conn(), workspace, None, CHOICE_MAX).await?)
    }

    /// Those of these labels that there are.
    pub(crate) async fn labels_of(
        &self,
        tx: &mut TenantTx,
        ids: BTreeSet<LabelId>,
    ) -> Result<BTreeMap<LabelId, Label>, kernel_core::Error> {
        let (workspace, ids) = (tx.workspace_id(), Vec::from_iter(ids));
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let labels = store::label::find_all(tx.conn(), workspace, &ids).await?;
        Ok(labels.into_iter().map(|label| (label.id, label)).collect())
    }

    /// Makes these the labels of an issue, and tells what has changed. All of them are labels of the workspace.
    pub(crate) async fn relabel(
        &self,
        tx: &mut TenantTx,
        author: Option<UserId>,
        issue: &Issue,
        wanted: &[LabelId],
    ) -> Result<(), kernel_core::Error> {
        let (workspace, id) = (tx.workspace_id(), issue.listed.id);
        let old: BTreeSet<_> = issue.listed.labels.iter().copied().collect();
        let new: BTreeSet<_> = wanted.iter().copied().collect();
        let added: Vec<_> = new.difference(&old).copied().collect();
        let removed: Vec<_> = old.difference(&new).copied().collect();
        let known = self.labels_of(tx, added.iter().copied().collect()).await?;
        if known.len() < added.len() {
            return Err(Error::LabelUnknown.into());
        }
        if !added.is_empty() {
            store::label::put_on(tx.conn(), workspace, id, &added).await.map_err(
                |error| -> kernel_core::Error {
                    // The label was deleted a moment ago.
                    let gone = violates(&error, "issue_label_label");
                    if gone { Error::LabelUnknown.into() } else { error.into() }
                },
            )?;
        }
        if !removed.is_empty() {
            store::label::take_off(tx.conn(), workspace, id, &removed).await?;
        }
        for label_id in added {
            publish(tx, &IssueLabelled { issue: issue.subject(author), label_id }).await?;
            record(tx, author, about(ISSUE_LABELLED, issue).thing("label", "label", label_id)).await?;
        }
        for label_id in removed {
            publish(tx, &IssueUnlabelled { issue: issue.subject(author), label_id }).await?;
            record(tx, author, about(ISSUE_UNLABELLED, issue).thing("label", "label", label_id)).await?;
        }
        Ok(())
    }
}
