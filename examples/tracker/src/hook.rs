//! What happens inside the kernel's transactions.

use kernel_core::hook::{Hook, WorkspaceCreated};
use kernel_core::{Error, TenantTx, Tx};

use crate::issue::{NewIssue, Priority};
use crate::project::NewProject;
use crate::tracker::Tracker;

/// Gives a new workspace a first project with one issue, so that nobody starts before an empty page.
#[derive(Debug)]
pub(crate) struct GettingStarted(pub(crate) Tracker);

#[async_trait::async_trait]
impl Hook<TenantTx, WorkspaceCreated> for GettingStarted {
    async fn run(&self, tx: &mut TenantTx, created: &WorkspaceCreated) -> Result<(), Error> {
        let Self(tracker) = self;
        // In the language of whoever founds it.
        let language = tx.ctx().language();
        let text = |key| tracker.pages.text(language, key);
        let author = Some(created.owner);
        let name = text("getting_started.name");
        let project =
            NewProject { name, key: "START".to_owned(), description: text("getting_started.description") };
        let project = tracker.start_project(tx, author, project).await?;
        let (title, body) = (text("getting_started.issue"), text("getting_started.issue.body"));
        let issue =
            NewIssue { title, body, priority: Priority::Medium, assignee: author, labels: Vec::new() };
        tracker.open_issue(tx, author, project.id, issue).await?;
        Ok(())
    }
}
