//! What holds of cookies, cursors and queries whatever comes in.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use serde_json::json;

use super::cookie::{SetCookie, value};
use super::input::form_pairs;
use super::page::{CursorSeal, LIMIT_MAX, parse_limit};
use crate::clock::Clock;
use crate::secret::Keyring;

const NAME: &str = "__Host-session";

/// Cookies: a line of input is a `Cookie` header, or the value of one to be set.
pub(crate) fn cookie(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(8) {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, line);
        }
        set(line);
    }
    let found = value(&headers, NAME);
    // Read a second time, in another way: as one text with all its pairs.
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let all = String::from_utf8_lossy(&lines.join(&b';')).into_owned();
    let ours = format!("{NAME}=");
    let mut values: Vec<_> =
        all.split(';').filter_map(|pair| pair.trim_matches([' ', '\t']).strip_prefix(&ours)).collect();
    values.dedup();
    let wanted = match values.as_slice() {
        [one] if !one.is_empty() && one.is_ascii() => Some(*one),
        _ => None,
    };
    assert_eq!(found, wanted, "of {all:?}");
}

/// Whatever is put into a cookie comes out again as it was, and nothing beside it.
fn set(line: &[u8]) {
    let Ok(text) = std::str::from_utf8(line) else { return };
    let Ok(header) = SetCookie::session(NAME, text).header() else { return };
    let sent = header.to_str().expect("a cookie is ASCII");
    let (pair, attributes) = sent.split_once("; ").expect("a cookie has attributes");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(pair, format!("{NAME}={text}"));
    let echoed = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(pair).expect("it was in a header"))]);
    assert_eq!(value(&echoed, NAME).unwrap_or_default(), text);
}

/// Cursors: the input is the text of a cursor, the key of another, a filter, and where to change something.
pub(crate) fn cursor(data: &[u8]) {
    let Some((change, data)) = data.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(data);
    limit(&text);
    let filter: Vec<_> = text.lines().map(|line| ("f".into(), line.into())).collect();
    let seal = |place: &str| {
        CursorSeal::new(
            Keyring::fixed(Clock::system(), &[(1, [1; 32], chrono::DateTime::UNIX_EPOCH)]),
            place.to_owned(),
        )
    };
    let (list, other) = (seal("list").bound(&filter), seal("other").bound(&filter));
    if let Some(key) = list.open(&text) {
        assert_eq!(list.close(&key), text, "a cursor that this list has not made was taken");
    }

    let key = json!([i64::from(u16::from_be_bytes(*change)), text]);
    let cursor = list.close(&key);
    assert_eq!(list.open(&cursor), fits(&cursor).then_some(key));
    assert_eq!(other.open(&cursor), None, "another list took the cursor");
    let narrower = seal("list").bound(&[&filter[..], &[("f".into(), "more".into())]].concat());
    assert_eq!(narrower.open(&cursor), None, "another filter took the cursor");
    let mut reversed = filter;
    reversed.reverse();
    assert_eq!(
        seal("list").bound(&reversed).open(&cursor).is_some(),
        fits(&cursor),
        "order was of importance"
    );

    let [at, flip] = change.map(usize::from);
    let mut changed = cursor.clone().into_bytes();
    let at = at * 7 % changed.len();
    changed[at] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. "[flip % 69];
    let changed = String::from_utf8(changed).expect("ASCII for ASCII");
    assert_eq!(
        list.open(&changed).is_some(),
        changed == cursor && fits(&cursor),
        "a changed cursor was taken"
    );
    assert_eq!(list.open(&cursor[..at]), None, "half a cursor was taken");
}

fn fits(cursor: &str) -> bool {
    cursor.len() <= super::page::CURSOR_MAX
}

/// A limit is a number of digits, or an error; never more than a page holds.
fn limit(text: &str) {
    let digits = !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let zero = text.trim_start_matches('0').is_empty();
    match parse_limit(text) {
        Some(limit) => {
            assert!(digits && (1..=LIMIT_MAX).contains(&limit));
            let short = text.trim_start_matches('0');
            assert_eq!(short.len() <= 2 || short == "100", limit < LIMIT_MAX || short == "100");
        }
        None => assert!(!digits || zero),
    }
}

/// Queries and forms: what can be read says the same when it is written anew, and is bounded.
pub(crate) fn pairs(data: &[u8]) {
    let Ok(pairs) = form_pairs(data) else { return };
    assert!(pairs.len() <= 256);
    let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= data.len(), "more came out than went in");
    let written = serde_html_form::to_string(&pairs).expect("pairs of strings always serialize");
    let again = form_pairs(written.as_bytes()).expect("what was written can be read");
    assert_eq!(pairs, again);
    // Bytes that are no text never become a replacement character, which would let two spellings mean one name.
    let replaced = |text: &str| text.contains('\u{fffd}');
    if pairs.iter().any(|(name, value)| replaced(name) || replaced(value)) {
        let decoded: Vec<u8> = percent_encoding::percent_decode(data).collect();
        assert!(replaced(&String::from_utf8(decoded).expect("only texts are read")));
    }
}
