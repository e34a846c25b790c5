//! What holds of the seals of the audit log whatever stands in the database.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Checkpoint;
use super::canon::{GENESIS, Scheme, digest, personal};
use crate::clock::Clock;
use crate::id::WorkspaceId;
use crate::secret::Keyring;
use crate::store::audit_seal::{Head, Row};

/// The input is a checkpoint, and two rows that differ in where a text is cut.
pub(crate) fn audit(data: &[u8]) {
    if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(data) {
        let line = serde_json::to_vec(&checkpoint).expect("a checkpoint always serializes");
        assert_eq!(serde_json::from_slice::<Checkpoint>(&line).ok(), Some(checkpoint));
    }
    let Some((cuts, data)) = data.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(data);
    let [one, other] = cuts.map(|cut| row(&text, cut));
    let hash = |row: &Row| digest(row, &personal(row, &[0; 16]));
    assert_eq!(hash(&one) == hash(&other), parts(&one) == parts(&other), "two rows have one hash");

    let epoch = DateTime::UNIX_EPOCH;
    let ring = Keyring::fixed(Clock::manual(epoch), &[(1, [1; 32], epoch)]);
    let scheme = Scheme::new(&ring, None);
    let workspace = WorkspaceId::from_uuid(Uuid::from_u128(7));
    let link = |seq, hash| scheme.link(&GENESIS, workspace, seq, one.id, hash);
    assert_ne!(link(1, &hash(&one)), link(2, &hash(&one)));
    signed(&scheme, workspace, data, epoch);
}

/// A head is known when it was signed, for its workspace, as it was.
fn signed(scheme: &Scheme, workspace: WorkspaceId, data: &[u8], at: DateTime<Utc>) {
    let mut head = Head {
        seq: 3,
        hash: data.iter().copied().take(32).collect(),
        floor_seq: 0,
        floor_hash: GENESIS.to_vec(),
        floor_id: Uuid::nil(),
        sealed_at: at,
        code: data.to_vec(),
    };
    assert!(!scheme.knows_head(workspace, &head), "a head is known that nobody signed");
    head.code = scheme.sign_head(workspace, &head).to_vec();
    assert!(scheme.knows_head(workspace, &head) && !scheme.knows_head(WorkspaceId::SYSTEM, &head));
    head.seq += 1;
    assert!(!scheme.knows_head(workspace, &head), "a head is known that was changed");
}

/// The text over the columns of a row, cut by the bits of `cut`.
fn row(text: &str, cut: u8) -> Row {
    let mut parts = [""; 4];
    let mut rest = text;
    for (index, part) in parts.iter_mut().enumerate() {
        let wanted = usize::from(cut >> (2 * index) & 3) * 3;
        let at = rest.char_indices().nth(wanted).map_or(rest.len(), |(at, _)| at);
        (*part, rest) = rest.split_at(at);
    }
    let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
    Row {
        workspace_id: WorkspaceId::SYSTEM,
        id: Uuid::from_u128(1),
        actor_type: "user".to_owned(),
        actor_id: None,
        acting_as: None,
        action: parts[0].to_owned(),
        target_type: some(parts[1]),
        target_id: None,
        metadata: rest.to_owned(),
        ip_address: some(parts[2]),
        user_agent: some(parts[3]),
        request_id: Uuid::from_u128(3),
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn parts(row: &Row) -> [Option<&str>; 5] {
    let Row { action, metadata, target_type, ip_address, user_agent, .. } = row;
    [Some(action), target_type.as_deref(), Some(metadata), ip_address.as_deref(), user_agent.as_deref()]
}
