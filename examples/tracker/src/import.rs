//! Importing issues: a file of them becomes rows, all or none.
//!
//! The body is read three times, row by row, so that no more than one batch of it is held beside the bytes themselves:
//! once for the people that it names, once for its rules, once for the rows. Nothing is written before all of it is
//! known to be right.

#[cfg(feature = "testkit")]
pub(crate) mod hostile;
mod problem;
mod row;

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use bytes::Bytes;
use chrono::TimeDelta;
use kernel_core::{AuditEntry, TenantTx, Tx, UserId, audit, publish};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Error;
use crate::event::IssuesImported;
use crate::issue::{Issue, IssueId, ListedIssue};
use crate::project::ProjectId;
use crate::store;
use crate::tracker::Tracker;
use row::{Row, Rows};

pub(crate) use problem::Place;
pub use problem::Problems;

/// How many bytes a file may have.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many issues a file may hold.
pub const ROWS_MAX: usize = 100_000;
/// How many rows one statement inserts, so that none takes long.
const BATCH: usize = 1000;
/// How many members are known by their names and addresses: those who joined first. Others are known by their ids.
const MEMBERS_MAX: u16 = 500;
/// How many further ids a file may name.
const IDS_MAX: usize = 1000;

/// What an import has led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Imported {
    /// How many issues there are now that were not before.
    pub count: i64,
    /// The number of the first one in its project; the others follow.
    pub first_number: i64,
    /// The number of the last one.
    pub last_number: i64,
}

/// Who a file may name as assignee, by the text that names them.
type People = HashMap<String, UserId>;

impl Tracker {
    /// Writes down every issue of a CSV file, or none.
    ///
    /// The first line names the columns: `title`, which must be there, and `body`, `status`, `priority`, `assignee`, in
    /// any order. An assignee is `me`, or the id, the address or the name of a member.
    ///
    /// # Errors
    /// `not_found` without such a project; [`Error::ImportEmpty`], [`Error::ImportTooLong`], [`Error::ImportRefused`].
    pub async fn import_issues(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        file: Bytes,
    ) -> Result<Imported, kernel_core::Error> {
        let (workspace, author) = (tx.workspace_id(), tx.ctx().actor().user());
        if !store::project::exists(tx.conn(), workspace, project).await? {
            return Err(kernel_core::Error::not_found());
        }
        let people = self.people_named(tx, &file).await?;
        let count = check(&file, &people).await?;
        let last = store::project::take_numbers(tx.conn(), workspace, project, count).await?;
        let last_number = last.ok_or_else(kernel_core::Error::not_found)?;
        let first_number = last_number - count + 1;
        self.insert_rows(tx, project, &file, &people, first_number..=last_number).await?;
        let entry = AuditEntry::new("tracker.issue.import").target("project", project);
        audit(tx, entry.detail("first_number", first_number).detail("count", count)).await?;
        publish(tx, &IssuesImported { project_id: project, first_number, count, user_id: author }).await?;
        Ok(Imported { count, first_number, last_number })
    }

    async fn insert_rows(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        file: &Bytes,
        people: &People,
        numbers: RangeInclusive<i64>,
    ) -> Result<(), kernel_core::Error> {
        let (workspace, now, author) = (tx.workspace_id(), tx.ctx().now(), tx.ctx().actor().user());
        let mut rows = Rows::of(file)?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut number = *numbers.start();
        while let Some(row) = rows.next()? {
            let row = row.read(people, &mut Problems::default());
            let Row { title, body, status, priority, assignee } = row.ok_or_else(changed_meanwhile)?;
            let id: IssueId = tx.ctx().new_id();
            // A microsecond apart, so that lists by age keep the order of the file.
            let created_at = now - TimeDelta::microseconds(numbers.end() - number);
            let listed = ListedIssue {
                id,
                project_id: project,
                number,
                title,
                status,
                priority,
                assignee,
                labels: Vec::new(),
                comment_count: 0,
                created_by: author,
                created_at,
                updated_at: created_at,
            };
            batch.push(Issue { listed, body });
            number += 1;
            if batch.len() == BATCH {
                store::issue::insert_all(tx.conn(), workspace, &batch).await?;
                batch.clear();
            }
        }
        if !batch.is_empty() {
            store::issue::insert_all(tx.conn(), workspace, &batch).await?;
        }
        Ok(())
    }

    /// Those members whom the file names.
    async fn people_named(&self, tx: &mut TenantTx, file: &Bytes) -> Result<People, kernel_core::Error> {
        let named = named(file).await?;
        let mut people = People::new();
        if named.is_empty() {
            return Ok(people);
        }
        let mut by_name = HashMap::<String, Option<UserId>>::new();
        for member in self.tenancy.first_members(tx, MEMBERS_MAX).await? {
            let address = member.email.map(|email| email.to_lowercase());
            let certain = [Some(member.user_id.to_string()), address];
            people.extend(certain.into_iter().flatten().map(|text| (text, member.user_id)));
            // Two people of one name: neither is meant for certain. Nor is who is named like an address.
            if let Some(name) = member.name.filter(|name| !name.contains('@')) {
                let one = by_name.entry(name.to_lowercase()).and_modify(|one| *one = None);
                one.or_insert(Some(member.user_id));
            }
        }
        for (name, one) in by_name {
            if let Some(user) = one {
                people.entry(name).or_insert(user);
            }
        }
        people.extend(tx.ctx().actor().user().map(|me| ("me".to_owned(), me)));
        let ids = named.into_iter().filter(|text| !people.contains_key(text));
        let ids: Vec<UserId> = ids.filter_map(|text| text.parse().ok()).take(IDS_MAX).collect();
        for id in ids {
            if self.tenancy.is_member(tx, id).await? {
                people.insert(id.to_string(), id);
            }
        }
        Ok(people)
    }
}

/// Every text that stands for a person in the file, in small letters.
async fn named(file: &Bytes) -> Result<BTreeSet<String>, kernel_core::Error> {
    let mut rows = Rows::of(file)?;
    let mut named = BTreeSet::new();
    while let Some(row) = rows.next()? {
        // Each is looked up in a map; so many different ones are an attack on the memory.
        if let Some(text) = row.assignee().filter(|_| named.len() < usize::from(MEMBERS_MAX) + IDS_MAX) {
            named.insert(text.to_lowercase());
        }
        breathe(&rows).await;
    }
    Ok(named)
}

/// Checks every row; the number of rows, when all are right.
async fn check(file: &Bytes, people: &People) -> Result<i64, kernel_core::Error> {
    let mut rows = Rows::of(file)?;
    let mut problems = Problems::default();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count > ROWS_MAX {
            return Err(Error::ImportTooLong { max: ROWS_MAX }.into());
        }
        row.read(people, &mut problems);
        breathe(&rows).await;
    }
    if !problems.is_empty() {
        return Err(Error::ImportRefused(problems).into());
    }
    if count == 0 {
        return Err(Error::ImportEmpty.into());
    }
    i64::try_from(count).map_err(kernel_core::Error::internal)
}

/// Lets others run now and then: a large file takes a while.
async fn breathe(rows: &Rows<'_>) {
    if rows.count().is_multiple_of(BATCH) {
        tokio::task::yield_now().await;
    }
}

fn changed_meanwhile() -> kernel_core::Error {
    kernel_core::Error::internal("a row was right a moment ago, and its bytes are the same")
}
