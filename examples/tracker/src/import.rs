//! Importing issues: a file of them becomes rows, all or none.
//!
//! The file is there as a whole before a transaction opens, so nobody who sends slowly holds one. It is read three times,
//! row by row, so that no more than one batch of it is in memory: once for the people that it names, once for its rules,
//! once for the rows. Nothing is written before all of it is known to be right.

#[cfg(feature = "testkit")]
pub(crate) mod hostile;
mod problem;
mod row;

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use chrono::TimeDelta;
use kernel_core::http::BodyFile;
use kernel_core::{ActivityEntry, AuditEntry, TenantTx, Tx, UserId, audit, publish};
use schemars::JsonSchema;
use serde::Serialize;

use crate::action;
use crate::activity::{ISSUE_IMPORTED, record};
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
/// How many rows one statement inserts at most, so that none takes long.
const BATCH: usize = 1000;
/// How many bytes of text one statement inserts, and a row more.
const BATCH_BYTES: usize = 512 * 1024;
/// After how many bytes of a file the database is asked again.
const ASK_EVERY: u64 = 1024 * 1024;
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
        file: BodyFile,
    ) -> Result<Imported, kernel_core::Error> {
        let (workspace, author) = (tx.workspace_id(), tx.ctx().actor().user());
        if !store::project::exists(tx.conn(), workspace, project).await? {
            return Err(kernel_core::Error::not_found());
        }
        let people = self.people_named(tx, project, &file).await?;
        let count = check(tx, project, &file, &people).await?;
        let last = store::project::take_numbers(tx.conn(), workspace, project, count).await?;
        let last_number = last.ok_or_else(kernel_core::Error::not_found)?;
        let first_number = last_number - count + 1;
        self.insert_rows(tx, project, &file, &people, first_number..=last_number).await?;
        let entry = AuditEntry::new(action::ISSUE_IMPORT).target("project", project);
        audit(tx, entry.detail("first_number", first_number).detail("count", count)).await?;
        publish(tx, &IssuesImported { project_id: project, first_number, count, user_id: author }).await?;
        let imported = ActivityEntry::new(ISSUE_IMPORTED, "project", project).within("project", project);
        record(tx, author, imported.number("count", count)).await?;
        Ok(Imported { count, first_number, last_number })
    }

    async fn insert_rows(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        file: &BodyFile,
        people: &People,
        numbers: RangeInclusive<i64>,
    ) -> Result<(), kernel_core::Error> {
        let (workspace, now, author) = (tx.workspace_id(), tx.ctx().now(), tx.ctx().actor().user());
        let mut rows = Rows::of(file).await?;
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
        let mut number = *numbers.start();
        while let Some(row) = rows.next().await? {
            let row = row.read(people, &mut Problems::default());
            let row = row.ok_or_else(changed_meanwhile)?;
            bytes += row.weight();
            let Row { title, body, status, priority, assignee } = row;
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
            if batch.len() == BATCH || bytes >= BATCH_BYTES {
                store::issue::insert_all(tx.conn(), workspace, &batch).await?;
                batch.clear();
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            store::issue::insert_all(tx.conn(), workspace, &batch).await?;
        }
        Ok(())
    }

    /// Those members whom the file names.
    async fn people_named(
        &self,
        tx: &mut TenantTx,
        project: ProjectId,
        file: &BodyFile,
    ) -> Result<People, kernel_core::Error> {
        let named = named(tx, project, file).await?;
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
async fn named(
    tx: &mut TenantTx,
    project: ProjectId,
    file: &BodyFile,
) -> Result<BTreeSet<String>, kernel_core::Error> {
    let mut rows = Rows::of(file).await?;
    let (mut named, mut asked) = (BTreeSet::new(), 0);
    while let Some(row) = rows.next().await? {
        // Each is looked up in a map; so many different ones are an attack on the memory.
        if let Some(text) = row.assignee().filter(|_| named.len() < usize::from(MEMBERS_MAX) + IDS_MAX) {
            named.insert(text.to_lowercase());
        }
        ask_again(tx, project, rows.position(), &mut asked).await?;
    }
    Ok(named)
}

/// Checks every row; the number of rows, when all are right.
async fn check(
    tx: &mut TenantTx,
    project: ProjectId,
    file: &BodyFile,
    people: &People,
) -> Result<i64, kernel_core::Error> {
    let mut rows = Rows::of(file).await?;
    let mut problems = Problems::default();
    let (mut count, mut asked) = (0, 0);
    while let Some(row) = rows.next().await? {
        count += 1;
        if count > ROWS_MAX {
            return Err(Error::ImportTooLong { max: ROWS_MAX }.into());
        }
        row.read(people, &mut problems);
        ask_again(tx, project, rows.position(), &mut asked).await?;
    }
    if !problems.is_empty() {
        return Err(Error::ImportRefused(problems).into());
    }
    if count == 0 {
        return Err(Error::ImportEmpty.into());
    }
    i64::try_from(count).map_err(kernel_core::Error::internal)
}

/// Asks after every further mebibyte whether the project is still there: a file for one that is gone need not be read on,
/// and the database ends a transaction that says nothing for long.
async fn ask_again(
    tx: &mut TenantTx,
    project: ProjectId,
    position: u64,
    asked: &mut u64,
) -> Result<(), kernel_core::Error> {
    let workspace = tx.workspace_id();
    if position - *asked < ASK_EVERY {
        return Ok(());
    }
    *asked = position;
    let there = store::project::exists(tx.conn(), workspace, project).await?;
    if there { Ok(()) } else { Err(kernel_core::Error::not_found()) }
}

fn changed_meanwhile() -> kernel_core::Error {
    kernel_core::Error::internal("a row was right a moment ago, and its bytes are the same")
}
