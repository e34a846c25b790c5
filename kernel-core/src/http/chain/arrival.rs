//! What is known of a request before anybody is asked: its id, where it came from, which trace it belongs to.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::request::Parts;
use ipnet::IpNet;
use uuid::Uuid;

use crate::clock::Clock;
use crate::ctx::{Client, RequestId};
use crate::entropy::Entropy;
use crate::http::config::HttpConfig;
use crate::telemetry::{Trace, Upstream};

/// Proxies in a row that are believed; a longer chain is a forgery.
const HOPS_MAX: usize = 32;
const USER_AGENT_MAX: usize = 256;

/// A request as it came in.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) id: RequestId,
    pub(super) ip: IpAddr,
    /// The host that the client asked, in lower case, with its port unless that is the usual one.
    pub(super) host: Option<String>,
    /// Whether the client's own connection is encrypted.
    pub(super) https: bool,
    /// The trace of a trusted proxy, which the request continues.
    pub(super) upstream: Option<Upstream>,
    pub(super) trace: Option<Trace>,
    pub(super) started: Instant,
}

impl Arrival {
    pub(super) fn new(
        head: &Parts,
        peer: IpAddr,
        config: &HttpConfig,
        traced: f64,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Self {
        let headers = &head.headers;
        let peer = peer.to_canonical();
        let trusted = is_trusted(peer, &config.trusted_proxies);
        // Headers about the client are the proxy's word; from anybody else they are the client's own invention.
        let forwarded = |name: &str| if trusted { single(headers, name) } else { None };
        let id = forwarded("x-request-id").and_then(request_id);
        let public_https = config.public_origin.as_ref().is_some_and(|origin| origin.starts_with("https://"));
        let asked =
            single(headers, HOST.as_str()).or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
        let id = id.unwrap_or_else(|| RequestId::from_uuid(entropy.uuid(clock.now())));
        // A stranger's trace is not continued: it could fill ours with its own, or make us keep every request.
        let upstream = forwarded("traceparent").and_then(Upstream::parse);
        Self {
            id,
            ip: if trusted { client_ip(headers, peer, &config.trusted_proxies) } else { peer },
            host: forwarded("x-forwarded-host").or(asked).map(normal_host),
            https: public_https || forwarded("x-forwarded-proto").is_some_and(|scheme| scheme == "https"),
            trace: Trace::of_request(id, upstream.as_ref(), traced),
            upstream,
            started: Instant::now(),
        }
    }

    pub(super) fn client(&self, headers: &HeaderMap) -> Client {
        let user_agent = single(headers, USER_AGENT.as_str());
        let user_agent = user_agent.map(|agent| agent.chars().take(USER_AGENT_MAX).collect());
        Client { ip: Some(self.ip), user_agent }
    }

    /// The host without its port.
    pub(super) fn hostname(&self) -> Option<&str> {
        let host = self.host.as_deref()?;
        // In `[::1]:80` the port follows the bracket; `::1` alone is no host.
        let port = host
            .rfind(':')
            .filter(|colon| host[*colon..].bytes().skip(1).all(|digit| digit.is_ascii_digit()));
        Some(port.map_or(host, |colon| &host[..colon]))
    }
}

/// The value of a header that comes exactly once, as text.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_none() { Some(value) } else { None }
}

fn is_trusted(ip: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|network| network.contains(&ip))
}

/// The rightmost hop that is no proxy of ours. What stands left of it was written by a stranger.
fn client_ip(headers: &HeaderMap, peer: IpAddr, proxies: &[IpNet]) -> IpAddr {
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect();
    let mut client = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')).take(HOPS_MAX) {
        // Nobody can be named beyond a hop that cannot be read.
        let Some(ip) = std::str::from_utf8(hop).ok().and_then(|hop| hop_ip(hop.trim())) else { break };
        client = ip;
        if !is_trusted(ip, proxies) {
            break;
        }
    }
    client
}

/// An address, perhaps with a port, as some proxies write it.
fn hop_ip(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let ip = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    ip.ok().map(|ip: IpAddr| ip.to_canonical())
}

pub(super) fn normal_host(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    let usual = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80"));
    usual.map_or_else(|| host.clone(), |bare| bare.trim_end().to_owned())
}

/// A proxy's id in our spelling or as a bare UUID.
fn request_id(text: &str) -> Option<RequestId> {
    let uuid = || Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil()).map(RequestId::from_uuid);
    text.parse().ok().or_else(uuid)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn arrival(peer: &str, headers: &[(&str, &str)]) -> Arrival {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            // `?` stands for a byte that is no text.
            let bytes: Vec<u8> = value.bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
            request = request.header(*name, bytes);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let config = HttpConfig {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..HttpConfig::default()
        };
        Arrival::new(&head, peer.parse().unwrap(), &config, 1.0, &Clock::system(), &Entropy::system())
    }

    fn ip(peer: &str, forwarded: &[&str]) -> String {
        let headers: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
        arrival(peer, &headers).ip.to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_hop() {
        assert_eq!(ip("203.0.113.9", &["198.51.100.1"]), "203.0.113.9", "a stranger says whatever it likes");
        assert_eq!(ip("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(ip("10.0.0.1", &["1.1.1.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(ip("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(ip("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(ip("10.0.0.1", &["1.1.1.1, garbage, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(ip("10.0.0.1", &["x?, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(ip("10.0.0.1", &["1.1.1.1", "x?, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(ip("10.0.0.1", &["1.1.1.1", "x?"]), "10.0.0.1");
        assert_eq!(ip("::ffff:10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(ip("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_request_id_is_taken_from_a_proxy_only() {
        let ours = "req_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
        let given = |peer, id| arrival(peer, &[("x-request-id", id)]).id.to_string();
        assert_eq!(given("10.0.0.1", ours), ours);
        assert_eq!(given("10.0.0.1", "0192e0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"), ours);
        assert_ne!(given("203.0.113.9", ours), ours);
        for bad in ["", "x", "req_", "00000000000000000000000000000000", &"a".repeat(1000)] {
            assert!(given("10.0.0.1", bad).len() == ours.len(), "{bad}");
        }
    }

    #[test]
    fn hosts_lose_case_and_usual_ports() {
        let host = |value: &str| arrival("10.0.0.1", &[("host", value)]);
        assert_eq!(host("Acme.Example.com:443").host.as_deref(), Some("acme.example.com"));
        assert_eq!(host("acme.example.com :80").host.as_deref(), Some("acme.example.com"));
        assert_eq!(host("localhost:3000").hostname(), Some("localhost"));
        assert_eq!(host("[::1]:3000").hostname(), Some("[::1]"));
        assert_eq!(host("[::1]").hostname(), Some("[::1]"));
        let two = arrival("203.0.113.9", &[("host", "a.example"), ("x-forwarded-host", "evil.example")]);
        assert_eq!(two.host.as_deref(), Some("a.example"));
    }

    #[test]
    fn only_a_proxy_continues_a_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let of = |peer, headers: &[(&str, &str)]| arrival(peer, headers).trace.unwrap().trace_hex();
        assert_eq!(of("10.0.0.1", &[("traceparent", parent)]), "4bf92f3577b34da6a3ce929d0e0e4736");
        let stranger = arrival("203.0.113.9", &[("traceparent", parent)]);
        assert_eq!(stranger.trace.unwrap().trace_id(), stranger.id.uuid());
        let twice = arrival("10.0.0.1", &[("traceparent", parent), ("traceparent", parent)]);
        assert_eq!(twice.trace.unwrap().trace_id(), twice.id.uuid());
        assert_eq!(twice.upstream, None);
    }
}
