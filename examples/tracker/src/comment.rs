//! Comments: what people say about an issue.

use chrono::{DateTime, Utc};
use garde::Validate;
use kernel_core::http::{Items, PageRequest};
use kernel_core::{AuditEntry, Id, Noun, TenantTx, Tx, UserId, audit, publish, violates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{COMMENT_CREATED, about, record};
use crate::error::Error;
use crate::event::{CommentCreated, CommentDeleted, CommentUpdated};
use crate::issue::{Issue, IssueId};
use crate::permission::COMMENT_MODERATE;
use crate::store;
use crate::text::{SAYING_SOMETHING, saying_something};
use crate::tracker::Tracker;

/// Names comments.
#[derive(Debug)]
pub enum CommentNoun {}

impl Noun for CommentNoun {
    const PREFIX: &'static str = "com";
}

/// The id of a comment.
pub type CommentId = Id<CommentNoun>;

/// A comment, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// What it is about.
    pub issue_id: IssueId,
    /// What it says.
    pub body: String,
    /// Who wrote it; `null` for the system.
    pub created_by: Option<UserId>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a comment says: a new one, or one that is changed.
#[derive(Debug, Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CommentText {
    /// What it says.
    #[garde(length(chars, min = 1, max = 10_000), custom(saying_something))]
    #[schemars(length(min = 1, max = 10_000), regex(pattern = SAYING_SOMETHING))]
    pub body: String,
}

impl Comment {
    /// Whether this person wrote it. What the system wrote is nobody's own.
    pub(crate) fn is_by(&self, user: Option<UserId>) -> bool {
        user.is_some() && self.created_by == user
    }
}

impl Tracker {
    /// Says something about an issue.
    ///
    /// # Errors
    /// `not_found` without such an issue.
    pub async fn create_comment(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        text: CommentText,
    ) -> Result<Comment, kernel_core::Error> {
        let author = tx.ctx().actor().user();
        self.say(tx, author, issue, text).await
    }

    /// The same in the name of somebody else, for seeds.
    pub(crate) async fn say(
        &self,
        tx: &mut TenantTx,
        author: Option<UserId>,
        issue: IssueId,
        CommentText { body }: CommentText,
    ) -> Result<Comment, kernel_core::Error> {
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        let issue = self.issue(tx, issue).await?;
        let comment = Comment {
            id: tx.ctx().new_id(),
            issue_id: issue.listed.id,
            body,
            created_by: author,
            created_at: now,
            updated_at: now,
        };
        store::comment::insert(tx.conn(), workspace, &comment).await.map_err(
            |error| -> kernel_core::Error {
                // The issue was deleted a moment ago.
                let gone = violates(&error, "comment_issue");
                if gone { kernel_core::Error::not_found() } else { error.into() }
            },
        )?;
        publish(tx, &CommentCreated { issue: issue.subject(author), comment_id: comment.id }).await?;
        let said = about(COMMENT_CREATED, &issue).thing("comment", "comment", comment.id);
        record(tx, author, said).await?;
        Ok(comment)
    }

    /// What people say about an issue, the latest first.
    ///
    /// # Errors
    /// `not_found` without such an issue; `malformed_cursor`.
    pub async fn comments(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        page: &PageRequest,
    ) -> Result<Items<Comment>, kernel_core::Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        self.issue(tx, issue).await?;
        let rows = store::comment::list(tx.conn(), workspace, issue, after, page.fetch()).await?;
        Ok(page.items(rows, |comment| (comment.created_at, comment.id)))
    }

    /// The latest comments on an issue that is in sight, at most `limit` of them.
    pub(crate) async fn latest_comments(
        &self,
        tx: &mut TenantTx,
        issue: IssueId,
        limit: i64,
    ) -> Result<Vec<Comment>, kernel_core::Error> {
        let workspace = tx.workspace_id();
        Ok(store::comment::list(tx.conn(), workspace, issue, None, limit).await?)
    }

    /// A comment.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn comment(&self, tx: &mut TenantTx, id: CommentId) -> Result<Comment, kernel_core::Error> {
        let workspace = tx.workspace_id();
        let comment = store::comment::find(tx.conn(), workspace, id).await?;
        let comment = comment.ok_or_else(kernel_core::Error::not_found)?;
        self.issue(tx, comment.issue_id).await?;
        Ok(comment)
    }

    /// Changes what a comment says. Only whoever wrote it may.
    ///
    /// # Errors
    /// `not_found`, [`Error::CommentNotOwn`].
    pub async fn update_comment(
        &self,
        tx: &mut TenantTx,
        id: CommentId,
        CommentText { body }: CommentText,
    ) -> Result<Comment, kernel_core::Error> {
        let (workspace, now, me) = (tx.workspace_id(), tx.ctx().now(), tx.ctx().actor().user());
        let (mut comment, issue) = self.lock_comment(tx, id).await?;
        if !comment.is_by(me) {
            return Err(Error::CommentNotOwn.into());
        }
        if comment.body == body {
            return Ok(comment);
        }
        comment.body = body;
        comment.updated_at = now;
        store::comment::update(tx.conn(), workspace, &comment).await?;
        publish(tx, &CommentUpdated { issue: issue.subject(me), comment_id: id }).await?;
        Ok(comment)
    }

    /// Deletes a comment: one's own, or any for whoever may moderate.
    ///
    /// # Errors
    /// `not_found`, [`Error::CommentNotOwn`].
    pub async fn delete_comment(
        &self,
        tx: &mut TenantTx,
        id: CommentId,
    ) -> Result<Comment, kernel_core::Error> {
        let (workspace, me) = (tx.workspace_id(), tx.ctx().actor().user());
        let (comment, issue) = self.lock_comment(tx, id).await?;
        if !comment.is_by(me) && !tx.ctx().can(COMMENT_MODERATE) {
            return Err(Error::CommentNotOwn.into());
        }
        store::comment::delete(tx.conn(), workspace, id).await?;
        let entry = AuditEntry::new(action::COMMENT_DELETE).target("comment", id);
        audit(tx, entry.detail("issue", issue.listed.id.to_string()).detail("own", comment.is_by(me)))
            .await?;
        publish(tx, &CommentDeleted { issue: issue.subject(me), comment_id: id }).await?;
        Ok(comment)
    }

    /// The comment, locked, and its issue, which is in sight.
    async fn lock_comment(
        &self,
        tx: &mut TenantTx,
        id: CommentId,
    ) -> Result<(Comment, Issue), kernel_core::Error> {
        let workspace = tx.workspace_id();
        let comment = store::comment::lock(tx.conn(), workspace, id).await?;
        let comment = comment.ok_or_else(kernel_core::Error::not_found)?;
        let issue = self.issue(tx, comment.issue_id).await?;
        Ok((comment, issue))
    }
}
