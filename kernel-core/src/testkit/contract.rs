//! What every implementation of a seam does, as functions that a host's tests call with its own.

use secrecy::{ExposeSecret, SecretBox};

use crate::entropy::Entropy;
use crate::secret::{KeyProvider, SecretSource, Wrapped};

/// A key provider gives back what it wrapped, in its context and unchanged only, and shows none of it.
///
/// # Panics
/// When it does something else.
pub async fn key_provider_contract(provider: &dyn KeyProvider) {
    let key = SecretBox::new(Box::new(Entropy::system().bytes::<32>()));
    let wrapped = provider.wrap(b"one", &key).await.expect("a key can be wrapped");
    let again = provider.wrap(b"one", &key).await.expect("a key can be wrapped");
    assert_eq!(wrapped.key_id, again.key_id, "the present key has one id");
    assert!(!wrapped.key_id.is_empty(), "the key has an id");
    let shows = wrapped.bytes.windows(8).any(|part| key.expose_secret().windows(8).any(|own| own == part));
    assert!(!shows, "a part of the key stands in what wraps it");

    for wrapped in [&wrapped, &again] {
        let opened = provider.unwrap(b"one", wrapped).await.expect("what was wrapped unwraps");
        assert_eq!(opened.expose_secret(), key.expose_secret(), "it is the same key");
        for context in [b"two".as_slice(), b"", b"one "] {
            assert!(provider.unwrap(context, wrapped).await.is_err(), "it unwraps in another context");
        }
    }
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = wrapped.bytes.clone();
        change(&mut bytes);
        Wrapped { bytes, ..wrapped.clone() }
    };
    let first = with(|bytes| bytes[0] ^= 1);
    let last = with(|bytes| *bytes.last_mut().expect("it has bytes") ^= 1);
    let cut = with(|bytes| bytes.truncate(bytes.len() - 1));
    let longer = with(|bytes| bytes.push(0));
    let nothing = with(Vec::clear);
    let stranger = Wrapped { key_id: format!("{}-other", wrapped.key_id), ..wrapped.clone() };
    for (what, changed) in [
        ("first", first),
        ("last", last),
        ("cut", cut),
        ("longer", longer),
        ("nothing", nothing),
        ("id", stranger),
    ] {
        let error = provider.unwrap(b"one", &changed).await.expect_err(what);
        let _: &dyn std::error::Error = &error;
    }
}

/// A source of secrets has the secret `name`, which is `value`; has none of another name; and is not led elsewhere.
///
/// # Panics
/// When it does something else.
pub async fn secret_source_contract(source: &dyn SecretSource, name: &str, value: &str) {
    for _ in 0..2 {
        let secret = source.get(name).await.expect("the source answers").expect("it has the secret");
        assert_eq!(secret.expose_secret(), value);
        assert!(!format!("{secret:?}").contains(value), "it shows");
    }
    let none = source.get("NO_SUCH_SECRET").await.expect("the source answers");
    assert!(none.is_none(), "there is none of that name");
    for bad in ["", "..", "../NAME", "/etc/hostname", "a/b", "a\0b", ".hidden"] {
        assert!(source.get(bad).await.is_err(), "{bad:?} is no name");
    }
}
