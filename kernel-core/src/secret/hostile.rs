//! What holds of sealed values whatever is put in their place.

use futures_util::FutureExt;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::keyring::{Keyring, header, number};
use super::{KeyProvider, LocalKeys, Place, Sealed, SealedColumn, Wrapped};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::id::WorkspaceId;

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// The input stands where a sealed value should; then it is sealed itself, and changed in one place.
pub(crate) fn sealed(data: &[u8]) {
    let Some((change, data)) = data.split_first_chunk::<2>() else { return };
    let epoch = chrono::DateTime::UNIX_EPOCH;
    // The same bytes under two numbers: a value does not open under a number that it was not sealed with.
    let ring = Keyring::fixed(Clock::manual(epoch), &[(1, [1; 32], epoch), (2, [1; 32], epoch)]);
    let purpose = String::from_utf8_lossy(data);
    let workspace = WorkspaceId::from_uuid(Uuid::from_u128(7));
    let column = SealedColumn::new("shop", "item", "secret");
    let places = [
        Place::Cell { column, workspace, id: Uuid::from_u128(1) },
        Place::Cell { column, workspace, id: Uuid::from_u128(2) },
        Place::Cell { column, workspace: WorkspaceId::SYSTEM, id: Uuid::from_u128(1) },
        Place::Payload { purpose: "mail", workspace },
        Place::Payload { purpose: &purpose, workspace: WorkspaceId::SYSTEM },
        Place::DataKey { number: 1 },
    ];
    for place in &places {
        assert!(ring.open(place, data).is_err(), "what nobody sealed was opened");
    }
    let [at, flip] = *change;
    let own = &places[usize::from(at) % places.len()];
    let value = ring.seal(&Entropy::seeded(u64::from(at)), own, data);
    assert_eq!(ring.open(own, &value).expect("it opens where it was sealed").expose_secret(), data);
    for place in places.iter().filter(|place| *place != own) {
        assert!(ring.open(place, &value).is_err(), "a value opened in another place");
    }
    let at = usize::from(at) * 31 % value.len();
    let mut changed = value.clone();
    changed[at] ^= flip;
    assert_eq!(ring.open(own, &changed).is_ok(), flip == 0, "a changed value was opened");
    assert!(ring.open(own, &value[..at]).is_err(), "half a value was opened");
    assert!(ring.open(own, &[&value[..], &[flip]].concat()).is_err(), "a longer value was opened");
    coded(&ring, data, flip);
    configured(data, &purpose);
    if let Some(number) = number(data) {
        assert!(number > 0 && data.starts_with(&header(number)));
    }
}

/// Codes over texts that go out and come back.
fn coded(ring: &Keyring, data: &[u8], flip: u8) {
    assert!(!ring.mac_matches("cursor", data, data), "a text is no code of itself");
    let mut code = ring.mac("cursor", data);
    assert!(ring.mac_matches("cursor", data, &code) && !ring.mac_matches("head", data, &code));
    assert!(!ring.mac_matches("cursor", data, &code[..31]));
    code[usize::from(flip) % 32] ^= 1;
    assert!(!ring.mac_matches("cursor", data, &code));
}

/// Values out of the database and out of the configuration.
fn configured(data: &[u8], text: &str) {
    let epoch = chrono::DateTime::UNIX_EPOCH;
    let ring = Keyring::fixed(Clock::manual(epoch), &[(1, [1; 32], epoch)]);
    if let Ok(payload) = serde_json::from_slice::<Sealed<String>>(data) {
        assert!(payload.open_in(&ring, "mail", WorkspaceId::SYSTEM).is_err());
        let again = serde_json::to_vec(&payload).expect("a text always serializes");
        assert_eq!(serde_json::from_slice::<Sealed<String>>(&again).ok(), Some(payload));
    }
    match LocalKeys::new("k", text) {
        // 32 bytes are 44 characters.
        Ok(keys) => assert!(text.trim().len() == 44 && !format!("{keys:?}").contains(text.trim())),
        Err(error) => assert!(text.len() < 40 || !error.to_string().contains(text)),
    }
    let keys = LocalKeys::new("k", KEY).expect("32 bytes in base64");
    let wrapped = Wrapped { key_id: "k".to_owned(), bytes: data.to_vec() };
    let unwrapped = keys.unwrap(b"context", &wrapped).now_or_never().expect("nobody is asked");
    assert!(unwrapped.is_err(), "what nobody wrapped was unwrapped");
}
