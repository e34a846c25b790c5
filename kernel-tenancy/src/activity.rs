//! What has happened in a workspace, as its members read it.

use chrono::{DateTime, Utc};
use kernel_core::activity::{self, ActivityFilter, ActivityId, ActivityKind, Thing, Things, Told};
use kernel_core::actor::ApiKeyId;
use kernel_core::http::{Items, PageRequest};
use kernel_core::{Id, TenantTx, UserId, WorkspaceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit_log::{Doer, TargetId};
use crate::permission::{MEMBER_READ, WORKSPACE_READ};
use crate::store;
use crate::tenancy::Tenancy;

/// Somebody belongs to the workspace from now on.
pub(crate) const MEMBER_JOINED: ActivityKind = ActivityKind::new("tenancy.member.joined", MEMBER_READ);
/// A member has another role.
pub(crate) const ROLE_CHANGED: ActivityKind = ActivityKind::new("tenancy.role.changed", MEMBER_READ);
/// The workspace has been founded.
pub(crate) const WORKSPACE_CREATED: ActivityKind =
    ActivityKind::new("tenancy.workspace.created", WORKSPACE_READ);
/// The workspace has another name.
pub(crate) const WORKSPACE_RENAMED: ActivityKind =
    ActivityKind::new("tenancy.workspace.renamed", WORKSPACE_READ);

pub(crate) const ALL: &[ActivityKind] = &[MEMBER_JOINED, ROLE_CHANGED, WORKSPACE_CREATED, WORKSPACE_RENAMED];

/// Which activity a list shows. Those that are given must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListActivity {
    /// That of this user.
    pub actor: Option<UserId>,
    /// That of this kind: a dotted name.
    pub kind: Option<String>,
    /// What happened to the thing with this id.
    pub target_id: Option<TargetId>,
    /// What happened to anything that belongs to the thing with this id.
    pub within_id: Option<TargetId>,
}

impl From<ListActivity> for ActivityFilter {
    fn from(list: ListActivity) -> Self {
        Self {
            actor: list.actor.map(Id::uuid),
            kind: list.kind,
            target: list.target_id.map(|id| id.0),
            within: list.within_id.map(|id| id.0),
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Activity {
    /// The entry.
    pub id: ActivityId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Doer,
    /// What: a dotted name.
    pub kind: String,
    /// To what.
    pub target: ActivityTarget,
    /// What the target belongs to; `null` for nothing.
    pub within: Option<ActivityPlace>,
    /// Numbers and words by name; people and things as `{"<noun>": "<32 hexadecimal digits>"}`.
    pub params: Map<String, Value>,
    /// All of it as a sentence, with today's names.
    pub text: String,
}

/// What something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ActivityTarget {
    /// The noun.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id, without the noun's prefix.
    pub id: String,
    /// What it is called today; `null` when it is gone.
    pub name: Option<String>,
    /// Where its page is, below the workspace's; `null` when it is gone or has none.
    pub path: Option<String>,
}

/// What a target belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ActivityPlace {
    /// The noun.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id, without the noun's prefix.
    pub id: String,
}

impl From<Told> for Activity {
    fn from(Told { record, text, actor, target, .. }: Told) -> Self {
        let id = record.actor_id.map(|id| match record.actor_type.as_str() {
            "api_key" => ApiKeyId::from_uuid(id).to_string(),
            _ => UserId::from_uuid(id).to_string(),
        });
        let name = actor.filter(|_| id.is_some());
        let digits = |id: Uuid| id.as_simple().to_string();
        let within = record.within_type.zip(record.within_id);
        let (name_of_target, path) = target.map_or((None, None), |thing| (Some(thing.name), thing.path));
        Self {
            id: record.id,
            at: record.created_at,
            actor: Doer { kind: record.actor_type, id, name },
            kind: record.kind,
            target: ActivityTarget {
                kind: record.target_type,
                id: digits(record.target_id),
                name: name_of_target,
                path,
            },
            within: within.map(|(kind, id)| ActivityPlace { kind, id: digits(id) }),
            params: record.params.as_object().cloned().unwrap_or_default(),
            text,
        }
    }
}

impl Tenancy {
    /// What has happened in the transaction's workspace and its actor may see, the latest first.
    ///
    /// # Errors
    /// `malformed_cursor`; what the database says.
    pub async fn activity(
        &self,
        tx: &mut TenantTx,
        filter: &ActivityFilter,
        page: &PageRequest,
    ) -> Result<Items<Activity>, kernel_core::Error> {
        let rows = activity::list(tx, filter, page.after()?, page.fetch()).await?;
        let Items { items, next_cursor, has_more } = page.items(rows, |row| row.id);
        let items = activity::tell(tx, items).await?.into_iter().map(Activity::from).collect();
        Ok(Items { items, next_cursor, has_more })
    }

    /// The latest of it, at most `limit` entries.
    ///
    /// # Errors
    /// What the database says.
    pub async fn latest_activity(
        &self,
        tx: &mut TenantTx,
        limit: i64,
    ) -> Result<Vec<Activity>, kernel_core::Error> {
        let rows = activity::list(tx, &ActivityFilter::default(), None, limit).await?;
        Ok(activity::tell(tx, rows).await?.into_iter().map(Activity::from).collect())
    }
}

/// Tells the feed what the workspace is called.
pub(crate) struct WorkspaceName;

#[async_trait::async_trait]
impl Things for WorkspaceName {
    async fn things(
        &self,
        conn: &mut PgConnection,
        workspace: WorkspaceId,
        ids: &[Uuid],
    ) -> Result<Vec<Thing>, kernel_core::Error> {
        let asked = ids.contains(&workspace.uuid());
        let found = if asked { store::workspace::find(conn, workspace).await? } else { None };
        Ok(found.map(|found| Thing::new(workspace.uuid(), found.name)).into_iter().collect())
    }
}
