//! Who belongs to a workspace, and as what.

use chrono::{DateTime, Utc};
use garde::Validate;
use kernel_core::activity::record;
use kernel_core::http::{Items, PageRequest};
use kernel_core::seam::Person;
use kernel_core::{ActivityEntry, AuditEntry, Id, Noun, Role, TenantTx, Tx, UserId, audit, people, publish};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action;
use crate::activity::{MEMBER_JOINED, ROLE_CHANGED};
use crate::error::Error;
use crate::event::RoleChanged;
use crate::permission::MEMBER_UPDATE;
use crate::store;
use crate::tenancy::Tenancy;

/// Names memberships.
#[derive(Debug)]
pub(crate) enum MembershipNoun {}

impl Noun for MembershipNoun {
    const PREFIX: &'static str = "mem";
}

pub(crate) type MembershipId = Id<MembershipNoun>;

/// Someone who belongs to a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Their name; `null` when the account is gone.
    pub name: Option<String>,
    /// Their address, for those who may change members only.
    pub email: Option<String>,
    /// Their role.
    pub role: Role,
    /// Since when.
    pub joined_at: DateTime<Utc>,
}

/// What changing a role takes.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// The role to have from now on.
    #[garde(skip)]
    pub role: Role,
}

impl Tenancy {
    /// Makes `user` a member of the transaction's workspace. It asks for no permission: founding, invitations and seeds
    /// decide who joins. One who is a member already stays what they are.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn join(&self, tx: &mut TenantTx, user: UserId, role: Role) -> Result<(), kernel_core::Error> {
        let (workspace, id, now) = (tx.workspace_id(), tx.ctx().new_id(), tx.ctx().now());
        if store::membership::insert(tx.conn(), workspace, id, user, role, now).await? {
            let entry = AuditEntry::new(action::MEMBER_JOIN).target("user", user).detail("role", role.name());
            audit(tx, entry).await?;
            let joined = ActivityEntry::new(MEMBER_JOINED, "user", user).by(Some(user));
            record(tx, joined.word("role", role.name())).await?;
            publish(tx, &RoleChanged { user_id: user, role }).await?;
        }
        Ok(())
    }

    /// The members of the transaction's workspace, those who joined first at the top.
    ///
    /// # Errors
    /// When the cursor is not one of this list, or the database refuses.
    pub async fn members(
        &self,
        tx: &mut TenantTx,
        page: &PageRequest,
    ) -> Result<Items<Member>, kernel_core::Error> {
        let (workspace, after) = (tx.workspace_id(), page.after()?);
        let rows = store::membership::list(tx.conn(), workspace, after, page.fetch()).await?;
        let rows = page.items(rows, |row| (row.created_at, row.id));
        let people = people(tx, &rows.items.iter().map(|row| row.user_id).collect::<Vec<_>>()).await?;
        let shows_email = tx.ctx().can(MEMBER_UPDATE);
        Ok(rows.map(|row| member(&row, &people, shows_email)))
    }

    /// The members who joined first, for a choice among them: at most `limit`, and never more than 500.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn first_members(
        &self,
        tx: &mut TenantTx,
        limit: u16,
    ) -> Result<Vec<Member>, kernel_core::Error> {
        let workspace = tx.workspace_id();
        let rows = store::membership::list(tx.conn(), workspace, None, limit.min(500).into()).await?;
        let people = people(tx, &rows.iter().map(|row| row.user_id).collect::<Vec<_>>()).await?;
        let shows_email = tx.ctx().can(MEMBER_UPDATE);
        Ok(rows.iter().map(|row| member(row, &people, shows_email)).collect())
    }

    /// Whether `user` belongs to the transaction's workspace.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn is_member(&self, tx: &mut TenantTx, user: UserId) -> Result<bool, kernel_core::Error> {
        let workspace = tx.workspace_id();
        Ok(store::membership::exists(tx.conn(), workspace, user).await?)
    }

    /// Gives a member another role. Nobody grants or takes a role above their own.
    ///
    /// # Errors
    /// `not_found`, [`Error::RoleAboveOwn`], [`Error::LastOwner`].
    pub async fn change_role(
        &self,
        tx: &mut TenantTx,
        user: UserId,
        change: ChangeRole,
    ) -> Result<(), kernel_core::Error> {
        tx.ctx().require(MEMBER_UPDATE)?;
        let (workspace, now) = (tx.workspace_id(), tx.ctx().now());
        // One change of owners at a time: two owners who demote each other must not both succeed.
        let owners = store::membership::lock_owners(tx.conn(), workspace).await?;
        let old = store::membership::find_role(tx.conn(), workspace, user).await?;
        let old = old.ok_or_else(kernel_core::Error::not_found)?;
        if let Some(own) = tx.ctx().grant().map(kernel_core::Grant::role) {
            let role = old.max(change.role);
            if role > own {
                return Err(Error::RoleAboveOwn { role }.into());
            }
        }
        if old == change.role {
            return Ok(());
        }
        if old == Role::Owner && owners == [user] {
            return Err(Error::LastOwner.into());
        }
        store::membership::update_role(tx.conn(), workspace, user, change.role, now).await?;
        let entry = AuditEntry::new(action::MEMBER_ROLE).target("user", user);
        audit(tx, entry.detail("from", old.name()).detail("to", change.role.name())).await?;
        let changed = ActivityEntry::new(ROLE_CHANGED, "user", user);
        record(tx, changed.word("role", change.role.name())).await?;
        publish(tx, &RoleChanged { user_id: user, role: change.role }).await?;
        Ok(())
    }
}

fn member(row: &store::membership::Row, people: &[Person], shows_email: bool) -> Member {
    let person = people.iter().find(|person| person.id == row.user_id);
    Member {
        user_id: row.user_id,
        name: person.map(|person| person.name.clone()),
        email: person.filter(|_| shows_email).map(|person| person.email.clone()),
        role: row.role,
        joined_at: row.created_at,
    }
}
