//! What every implementation of a seam does, as functions that a host's tests call with its own.

use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretBox};

use crate::entropy::Entropy;
use crate::seam::Cache;
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

/// A cache keeps what it is given, whole, under its key and for its time only. `pass` lets so much time pass for it.
///
/// # Panics
/// When it does something else.
pub async fn cache_contract(cache: &dyn Cache, pass: &(dyn Fn(Duration) + Sync)) {
    let (key, other): ([u8; 32], [u8; 32]) = (Entropy::system().bytes(), Entropy::system().bytes());
    let (short, long) = (Duration::from_secs(2), Duration::from_mins(1));
    let get = async |key: &[u8; 32]| cache.get(key).await.expect("it answers");
    let set = async |key: &[u8; 32], value: &[u8], ttl| {
        cache.set(key, Bytes::copy_from_slice(value), ttl).await.expect("it keeps");
    };
    assert_eq!(get(&key).await, None, "there is nothing at first");
    set(&key, b"one", long).await;
    assert_eq!(get(&key).await.as_deref(), Some(b"one".as_slice()), "it gives back what it was given");
    let mut near = key;
    near[31] ^= 1;
    assert_eq!((get(&other).await, get(&near).await), (None, None), "only under its key");

    set(&other, b"", long).await;
    assert_eq!(get(&other).await.as_deref(), Some(b"".as_slice()), "nothing at all is a value too");
    let all: Vec<u8> = (0..=u8::MAX).cycle().take(crate::cache::VALUE_MAX + 64).collect();
    set(&other, &all, long).await;
    assert_eq!(get(&other).await.as_deref(), Some(all.as_slice()), "any bytes, as long as a value may be");

    set(&key, b"two", short).await;
    assert_eq!(get(&key).await.as_deref(), Some(b"two".as_slice()), "the later value takes the place");
    pass(short / 2);
    assert!(get(&key).await.is_some(), "it has time left");
    pass(short);
    assert_eq!(get(&key).await, None, "its time is over, and that of the value before it counts no more");
    assert!(get(&other).await.is_some(), "the other one has time left");
    set(&key, b"three", long).await;
    assert_eq!(get(&key).await.as_deref(), Some(b"three".as_slice()), "an expired value is replaced");
}
