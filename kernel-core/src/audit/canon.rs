//! What the seals are made of: one sequence of bytes for a row, one hash after the other.

use uuid::Uuid;

use crate::id::WorkspaceId;
use crate::secret::{Keyring, sha256};
use crate::store::audit_seal::{Head, Row, Total};

pub(crate) type Hash = [u8; 32];
pub(crate) type Salt = [u8; 16];

/// What the first row of a chain is chained to.
pub(crate) const GENESIS: Hash = [0; 32];

/// A weakness in the seals, for proofs that must notice it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "testkit"), expect(unreachable_pub, reason = "only the test kit weakens anything"))]
pub enum AuditFault {
    /// A hash does not cover the one before it.
    Unchained,
    /// Nobody looks at the codes of heads.
    Unsigned,
}

/// Hashes and codes, as an installation makes them.
#[derive(Debug, Clone)]
pub(crate) struct Scheme {
    keyring: Keyring,
    fault: Option<AuditFault>,
}

impl Scheme {
    pub(crate) fn new(keyring: &Keyring, fault: Option<AuditFault>) -> Self {
        Self { keyring: keyring.clone(), fault }
    }

    /// The hash of a chain after the row of this digest.
    pub(crate) fn link(
        &self,
        previous: &Hash,
        workspace: WorkspaceId,
        seq: i64,
        id: Uuid,
        digest: &Hash,
    ) -> Hash {
        let previous = if self.fault == Some(AuditFault::Unchained) { &GENESIS } else { previous };
        let mut bytes = b"kernel audit link 1".to_vec();
        bytes.extend(previous);
        bytes.extend(workspace.uuid().as_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(id.as_bytes());
        bytes.extend(digest);
        sha256(&bytes)
    }

    pub(crate) fn sign_head(&self, workspace: WorkspaceId, head: &Head) -> Hash {
        self.keyring.mac(HEAD, &head_bytes(workspace, head))
    }

    pub(crate) fn knows_head(&self, workspace: WorkspaceId, head: &Head) -> bool {
        self.knows(HEAD, &head_bytes(workspace, head), &head.code)
    }

    pub(crate) fn sign_total(&self, total: &Total) -> Hash {
        self.keyring.mac(TOTAL, &total_bytes(total))
    }

    /// Whether the total is ours. That of an installation that has sealed nothing is nobody's.
    pub(crate) fn knows_total(&self, total: &Total) -> bool {
        let is_first = (total.workspaces, total.sealed, total.code.len()) == (0, 0, 0);
        is_first || self.knows(TOTAL, &total_bytes(total), &total.code)
    }

    fn knows(&self, purpose: &str, bytes: &[u8], code: &[u8]) -> bool {
        self.fault == Some(AuditFault::Unsigned) || self.keyring.mac_matches(purpose, bytes, code)
    }
}

const HEAD: &str = "core.audit.head";
const TOTAL: &str = "core.audit.total";

fn head_bytes(workspace: WorkspaceId, head: &Head) -> Vec<u8> {
    let mut bytes = workspace.uuid().as_bytes().to_vec();
    bytes.extend(head.seq.to_be_bytes());
    bytes.extend(&head.hash);
    bytes.extend(head.floor_seq.to_be_bytes());
    bytes.extend(&head.floor_hash);
    bytes.extend(head.floor_id.as_bytes());
    bytes.extend(head.sealed_at.timestamp_micros().to_be_bytes());
    bytes
}

fn total_bytes(total: &Total) -> Vec<u8> {
    let numbers = [total.workspaces, total.sealed, total.sealed_at.timestamp_micros()];
    numbers.into_iter().flat_map(i64::to_be_bytes).collect()
}

/// The hash of what is personal in a row. Salted, because there are few addresses and one could try them all.
pub(crate) fn personal(row: &Row, salt: &Salt) -> Hash {
    let mut bytes = b"kernel audit personal 1".to_vec();
    bytes.extend(salt);
    field(&mut bytes, row.ip_address.as_ref().map(String::as_bytes));
    field(&mut bytes, row.user_agent.as_ref().map(String::as_bytes));
    sha256(&bytes)
}

/// The hash of a whole row: every column, what is personal by its own hash.
pub(crate) fn digest(row: &Row, personal: &Hash) -> Hash {
    let uuid = |id: &Option<Uuid>| id.map(|id| *id.as_bytes());
    let mut bytes = b"kernel audit row 1".to_vec();
    let mut add = |value: Option<&[u8]>| field(&mut bytes, value);
    add(Some(row.workspace_id.uuid().as_bytes()));
    add(Some(row.id.as_bytes()));
    add(Some(row.actor_type.as_bytes()));
    add(uuid(&row.actor_id).as_ref().map(<[u8; 16]>::as_slice));
    add(uuid(&row.acting_as).as_ref().map(<[u8; 16]>::as_slice));
    add(Some(row.action.as_bytes()));
    add(row.target_type.as_ref().map(String::as_bytes));
    add(uuid(&row.target_id).as_ref().map(<[u8; 16]>::as_slice));
    add(Some(row.metadata.as_bytes()));
    add(Some(personal));
    add(Some(row.request_id.as_bytes()));
    add(Some(&row.created_at.timestamp_micros().to_be_bytes()));
    sha256(&bytes)
}

/// Whether there is a value, how long it is, and the value: no two rows give the same bytes.
fn field(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => bytes.push(0),
        Some(value) => {
            bytes.push(1);
            bytes.extend((value.len() as u64).to_be_bytes());
            bytes.extend(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn row() -> Row {
        Row {
            workspace_id: WorkspaceId::SYSTEM,
            id: Uuid::from_u128(1),
            actor_type: "user".to_owned(),
            actor_id: Some(Uuid::from_u128(2)),
            acting_as: None,
            action: "a.b".to_owned(),
            target_type: None,
            target_id: None,
            metadata: "{}".to_owned(),
            ip_address: Some("192.0.2.1/32".to_owned()),
            user_agent: None,
            request_id: Uuid::from_u128(3),
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let personal = personal(&row(), &[7; 16]);
        let digest = digest(&row(), &personal);
        let ring = Keyring::fixed(crate::Clock::system(), &[(1, [0; 32], chrono::DateTime::UNIX_EPOCH)]);
        let link = Scheme::new(&ring, None).link(&GENESIS, WorkspaceId::SYSTEM, 1, row().id, &digest);
        // Computed by hand, apart from this code. What is sealed once must be verified for years: another value here is
        // another format, which needs a name of its own.
        assert_eq!(
            [hex(personal), hex(digest), hex(link)],
            [
                "0f8651cc3c5abcb39af73fc3cd78575408d6c303ecacecfcaefc1856bbd3a003",
                "f349cfe9d6b221b15a1671ce0db9e99168108719b550d63240c3198385141382",
                "2f664e701f9a2ffe1471b540f8d66662a5b96d23df3939faa6d38d4683d145a2"
            ]
            .map(str::to_owned)
        );
    }

    #[test]
    fn a_value_that_moves_to_the_next_column_is_another_row() {
        let moved = Row { acting_as: row().actor_id, actor_id: None, ..row() };
        assert_ne!(digest(&row(), &GENESIS), digest(&moved, &GENESIS));
        let moved = Row { user_agent: row().ip_address, ip_address: None, ..row() };
        assert_ne!(personal(&row(), &[0; 16]), personal(&moved, &[0; 16]));
    }
}
