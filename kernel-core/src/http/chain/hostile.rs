//! What holds of the head of a request whatever it says.

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};

use super::arrival::{Arrival, normal_host};
use super::identity::Shown;
use super::{idempotency, tenant};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::http::accept::{Form, language, preferred};
use crate::http::adapter::opens_socket;
use crate::http::config::HttpConfig;
use crate::message::Language;
use crate::telemetry::hex;

/// A line of input is a header: one letter for its name, then its value.
const HEADERS: [(u8, &str); 17] = [
    (b'a', "accept"),
    (b'b', "authorization"),
    (b'c', "cookie"),
    (b'd', "connection"),
    (b'f', "x-forwarded-for"),
    (b'g', "accept-language"),
    (b'h', "host"),
    (b'i', "x-request-id"),
    (b'k', "idempotency-key"),
    (b'n', "sec-websocket-version"),
    (b'o', "origin"),
    (b'p', "x-forwarded-proto"),
    (b't', "traceparent"),
    (b'u', "user-agent"),
    (b'v', "upgrade"),
    (b'w', "sec-websocket-key"),
    (b'x', "x-forwarded-host"),
];

const BASE: &str = "example.com";

/// The first byte says who sends the request: an odd one is a proxy of ours.
pub(crate) fn head(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let trusted = first % 2 == 1;
    let peer: IpAddr = if trusted { [10, 0, 0, 1].into() } else { [203, 0, 113, 9].into() };
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::GET;
    parts.headers = headers(data);
    let config =
        HttpConfig { trusted_proxies: "10.0.0.0/8".parse().into_iter().collect(), ..HttpConfig::default() };
    let (clock, entropy) = (Clock::manual(chrono::DateTime::UNIX_EPOCH), Entropy::seeded(1));
    let arrival = Arrival::new(&parts, peer, &config, 1.0, &clock, &entropy);
    let headers = &parts.headers;
    came_from(&arrival, headers, peer, trusted);
    asked_for(&arrival, headers);
    traced(&arrival, headers, trusted);
    said(headers);
    let agent = arrival.client(headers).user_agent;
    assert!(agent.is_none_or(|agent| agent.len() <= 256));
    let _ = arrival.span(&parts);
    if opens_socket(&parts) {
        assert!(headers.contains_key("upgrade") && headers.contains_key("connection"));
    }
}

fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(32) {
        let Some((letter, value)) = line.split_first() else { continue };
        let name = HEADERS.iter().find(|(known, _)| known == letter).map(|(_, name)| *name);
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Only a proxy's word counts about where a request came from, and it names nobody who is not in it.
fn came_from(arrival: &Arrival, headers: &HeaderMap, peer: IpAddr, trusted: bool) {
    let drawn = Entropy::seeded(1).uuid(chrono::DateTime::UNIX_EPOCH);
    if !trusted {
        assert_eq!((arrival.ip, arrival.id.uuid(), arrival.https), (peer, drawn, false));
        return;
    }
    let given = arrival.id.uuid();
    let ids = headers.get_all("x-request-id").iter();
    let digits = |value: &HeaderValue| {
        let text: Vec<_> = value.as_bytes().iter().filter(|byte| byte.is_ascii_hexdigit()).copied().collect();
        String::from_utf8(text).expect("digits").to_lowercase()
    };
    // An `e` of `req` is a digit too.
    assert!(
        given == drawn || ids.map(digits).any(|text| text.ends_with(&given.as_simple().to_string())),
        "a request got an id that nobody gave"
    );
    if arrival.ip != peer {
        let lines = headers.get_all("x-forwarded-for").iter();
        let hops: Vec<_> = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
        let named = |hop: &[u8]| {
            let hop = String::from_utf8_lossy(hop);
            let hop = hop.trim();
            let bare = hop.trim_start_matches('[').split([']', '%']).next().unwrap_or(hop);
            let host = hop.rsplit_once(':').map_or(hop, |(host, _)| host);
            [hop, bare, host]
                .iter()
                .any(|text| text.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == arrival.ip))
        };
        assert!(hops.iter().any(|hop| named(hop)), "a client that no proxy named");
    }
}

/// The host has one spelling, and a label in it is exactly one.
fn asked_for(arrival: &Arrival, headers: &HeaderMap) {
    let Some(host) = &arrival.host else { return };
    assert_eq!(host, &host.trim().to_ascii_lowercase());
    assert!(["host", "x-forwarded-host"].iter().any(|name| {
        headers.get_all(*name).iter().any(|value| value.to_str().is_ok_and(|text| normal_host(text) == *host))
    }));
    let hostname = arrival.hostname().expect("a host has a name");
    assert!(host.starts_with(hostname));
    if let Some(label) =
        tenant::label(hostname, BASE, &["www".to_owned()]).filter(|label| tenant::is_slug(label))
    {
        assert_eq!(format!("{label}.{BASE}"), hostname);
        assert!(label != "www" && !label.contains('.') && label.len() <= 63);
    }
}

/// A trace that is continued was given by a proxy, in the form that the standard asks for.
fn traced(arrival: &Arrival, headers: &HeaderMap, trusted: bool) {
    let trace = arrival.trace.expect("every request is traced");
    let Some(upstream) = &arrival.upstream else {
        assert_eq!(trace.trace_id(), arrival.id.uuid());
        return;
    };
    assert!(trusted, "a stranger's trace");
    let given = headers["traceparent"].to_str().expect("only text is read");
    assert_eq!(given[3..35], trace.trace_hex());
    assert_eq!(given[36..52], hex(upstream.parent_id));
}

/// What the caller shows and asks for is read or left alone, never half of it.
fn said(headers: &HeaderMap) {
    match Shown::of(headers, Some("__Host-session")) {
        Shown::Bearer(token) => {
            assert!((1..=4096).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Shown::Cookie(value) => assert!(!value.is_empty() && value.len() <= 4096 && value.is_ascii()),
        Shown::Nothing | Shown::Garbled => {}
    }
    if let Ok(Some(key)) = idempotency::sent(headers) {
        assert!((1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic));
        assert_eq!(headers.get_all("idempotency-key").iter().count(), 1);
    }
    for offers in [&[Form::Json, Form::ProblemJson][..], &[Form::Html, Form::Json, Form::ProblemJson]] {
        assert!(offers.contains(&preferred(headers, offers)));
    }
    let offered =
        ["de", "pt-BR", "zh-Hant"].map(|tag| Language::new(tag).expect("a tag in its usual spelling"));
    let chosen = language(headers, &offered);
    let named = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|text| text.to_ascii_lowercase().contains(&chosen.tag().to_ascii_lowercase()))
    };
    assert!(
        chosen == Language::ENGLISH
            || offered.contains(&chosen) && headers.get_all("accept-language").iter().any(named),
        "a language that nobody asked for"
    );
}
