//! The audit log of a workspace, as its members read it and take it out.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use garde::Validate;
use kernel_core::actor::ApiKeyId;
use kernel_core::audit::{AuditFilter, AuditNoun, AuditRecord};
use kernel_core::http::Items;
use kernel_core::seam::Person;
use kernel_core::{Id, RequestId, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Which events a list of the audit log shows. Those that are given must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAudit {
    /// Those of this user.
    pub actor: Option<UserId>,
    /// Those with this dotted name.
    #[serde(default, deserialize_with = "name")]
    #[schemars(with = "Option<Name>")]
    pub action: Option<String>,
    /// Those that were done to a thing of this noun.
    #[serde(default, deserialize_with = "name")]
    #[schemars(with = "Option<Name>")]
    pub target_type: Option<String>,
    /// Those that were done to the thing with this id.
    pub target_id: Option<TargetId>,
    /// From this moment on.
    pub since: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl ListAudit {
    pub(crate) fn filter(self) -> AuditFilter {
        AuditFilter {
            actor: self.actor.map(Id::uuid),
            action: self.action,
            target_type: self.target_type,
            target_id: self.target_id.map(|id| id.0),
            since: self.since,
            until: self.until,
        }
    }
}

/// Which events are taken out, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportAudit {
    /// As what.
    pub(crate) format: ExportFormat,
    /// Those of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<UserId>,
    /// Those with this dotted name.
    #[serde(default, deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Name>")]
    pub(crate) action: Option<String>,
    /// From this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<DateTime<Utc>>,
    /// Before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<DateTime<Utc>>,
}

impl ExportAudit {
    pub(crate) fn filter(self) -> AuditFilter {
        let Self { actor, action, since, until, .. } = self;
        ListAudit { actor, action, since, until, ..ListAudit::default() }.filter()
    }
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A table for spreadsheets. A cell that one might take for a formula begins with an apostrophe.
    Csv,
    /// One JSON object per line, as the list shows them.
    Json,
    /// One event per line for the HTTP Event Collector of Splunk.
    Splunk,
}

/// The id of whatever something was done to: 32 hexadecimal digits, with or without the prefix of its noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetId(pub(crate) Uuid);

impl<'de> Deserialize<'de> for TargetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let digits = text.rsplit_once('_').map_or(text.as_ref(), |(_, digits)| digits);
        let id = Uuid::try_parse(digits).ok().filter(|id| id.as_simple().to_string() == digits);
        id.map(Self).ok_or_else(|| serde::de::Error::custom("expected 32 lower-case hexadecimal digits"))
    }
}

/// Reads the name of an action or of a noun; others are nobody's, and some no database could look for.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte);
    let sound = (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(plain);
    if sound { Ok(Some(text)) } else { Err(serde::de::Error::custom("expected a dotted name")) }
}

/// Longer than any name that a pillar gives.
const NAME_MAX: usize = 100;

/// In schemas, what [`name`] reads.
struct Name;

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "AuditName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^[a-z0-9._]{{1,{NAME_MAX}}}$") })
    }
}

impl JsonSchema for TargetId {
    fn schema_name() -> Cow<'static, str> {
        "TargetId".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([a-z]+_)?[0-9a-f]{32}$" })
    }
}

/// Whoever did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Doer {
    /// `anonymous`, `api_key`, `staff`, `system` or `user`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who; `null` for `anonymous` and `system`.
    pub id: Option<String>,
    /// Their name today; `null` when the account is gone, and in an export.
    pub name: Option<String>,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Target {
    /// The noun.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id, without the noun's prefix.
    pub id: String,
}

/// One event of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The event.
    pub id: Id<AuditNoun>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Doer,
    /// The user whose view a member of staff had.
    pub acting_as: Option<UserId>,
    /// What: a dotted name.
    pub action: String,
    /// To what.
    pub target: Option<Target>,
    /// More about it, by name.
    pub details: Map<String, Value>,
    /// From which address, for those who may see that.
    pub ip_address: Option<String>,
    /// From which browser, for those who may see that.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: RequestId,
}

impl AuditEvent {
    /// `shows_personal`: whether addresses and browsers are for the reader.
    pub(crate) fn new(record: AuditRecord, people: &[Person], shows_personal: bool) -> Self {
        let record = if shows_personal { record } else { record.redacted() };
        let user = user_of(&record);
        let name = people.iter().find(|person| Some(person.id) == user).map(|person| person.name.clone());
        let id = match (record.actor_type.as_str(), record.actor_id) {
            (_, None) => None,
            ("api_key", Some(id)) => Some(ApiKeyId::from_uuid(id).to_string()),
            (_, Some(id)) => Some(UserId::from_uuid(id).to_string()),
        };
        let target = record.target_type.zip(record.target_id);
        Self {
            id: record.id,
            at: record.created_at,
            actor: Doer { kind: record.actor_type, id, name },
            acting_as: record.acting_as,
            action: record.action,
            target: target.map(|(kind, id)| Target { kind, id: id.as_simple().to_string() }),
            details: record.metadata.as_object().cloned().unwrap_or_default(),
            ip_address: record.ip_address,
            user_agent: record.user_agent,
            request_id: record.request_id,
        }
    }
}

fn user_of(record: &AuditRecord) -> Option<UserId> {
    let is_person = matches!(record.actor_type.as_str(), "user" | "staff");
    record.actor_id.filter(|_| is_person).map(UserId::from_uuid)
}

/// The people behind a page of records, each once.
pub(crate) fn users(page: &Items<AuditRecord>) -> Vec<UserId> {
    let mut users: Vec<_> = page.items.iter().filter_map(user_of).collect();
    users.sort_unstable();
    users.dedup();
    users
}

impl ExportFormat {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json | Self::Splunk => "application/x-ndjson",
        }
    }

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"audit-log.csv\"",
            Self::Json | Self::Splunk => "attachment; filename=\"audit-log.jsonl\"",
        }
    }

    /// What stands before the first event.
    pub(crate) fn header(self) -> Vec<u8> {
        match self {
            Self::Csv => (COLUMNS.join(",") + "\r\n").into_bytes(),
            Self::Json | Self::Splunk => Vec::new(),
        }
    }

    /// Events, one line each.
    pub(crate) fn lines(self, events: &[AuditEvent]) -> Result<Vec<u8>, std::io::Error> {
        if self == Self::Csv {
            return table(events);
        }
        let mut lines = Vec::new();
        for event in events {
            match self {
                Self::Splunk => serde_json::to_writer(&mut lines, &collected(event))?,
                Self::Csv | Self::Json => serde_json::to_writer(&mut lines, event)?,
            }
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

/// An event as Splunk's collector takes it: seconds since 1970 with three decimals, and the event itself.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds fit into 52 bits for the next hundred thousand years"
)]
fn collected(event: &AuditEvent) -> Value {
    let seconds = event.at.timestamp_millis() as f64 / 1000.0;
    json!({ "time": seconds, "source": "kernel", "sourcetype": "kernel:audit", "event": event })
}

const COLUMNS: [&str; 12] = [
    "id",
    "at",
    "actor_type",
    "actor_id",
    "acting_as",
    "action",
    "target_type",
    "target_id",
    "details",
    "ip_address",
    "user_agent",
    "request_id",
];

fn table(events: &[AuditEvent]) -> Result<Vec<u8>, std::io::Error> {
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for event in events {
        let target = event.target.as_ref();
        let cells: [String; COLUMNS.len()] = [
            event.id.to_string(),
            event.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
            event.actor.kind.clone(),
            event.actor.id.clone().unwrap_or_default(),
            event.acting_as.map(|id| id.to_string()).unwrap_or_default(),
            event.action.clone(),
            target.map(|target| target.kind.clone()).unwrap_or_default(),
            target.map(|target| target.id.clone()).unwrap_or_default(),
            serde_json::to_string(&event.details)?,
            event.ip_address.clone().unwrap_or_default(),
            event.user_agent.clone().unwrap_or_default(),
            event.request_id.to_string(),
        ];
        table.write_record(cells.map(harmless)).map_err(std::io::Error::other)?;
    }
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// A spreadsheet runs what begins like this.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_is_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(bad.to_owned()), format!("'{bad}"));
        }
        assert_eq!(harmless("Mozilla/5.0 (=)".to_owned()), "Mozilla/5.0 (=)");
    }

    #[test]
    fn only_names_are_looked_for() {
        let read = |action: &str| serde_json::from_value::<ListAudit>(json!({ "action": action })).ok();
        assert_eq!(read("tracker.issue.delete").unwrap().action.as_deref(), Some("tracker.issue.delete"));
        for bad in ["", "a\0b", "Auth", "auth log", &"a".repeat(NAME_MAX + 1)] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(serde_json::from_value::<ListAudit>(json!({})).unwrap(), ListAudit::default());
    }

    #[test]
    fn a_targets_id_may_carry_its_prefix() {
        let digits = "0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
        let read = |text: &str| serde_json::from_value::<TargetId>(json!(text)).ok();
        assert!(read(digits).is_some() && read(digits) == read(&format!("iss_{digits}")));
        for bad in ["", "iss_", "0192E0C17A2B7C3D8E4F5A6B7C8D9E0F", "0192e0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
