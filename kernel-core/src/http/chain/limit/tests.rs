use chrono::{DateTime, TimeDelta};

use super::*;

fn limit(requests: u32, subjects: usize) -> (Limit, Clock) {
    let clock = Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    (Limit::new("test", Quota::per_minute(requests), subjects, &clock), clock)
}

fn from(address: &str) -> Subject {
    Subject::address(address.parse().unwrap())
}

fn spent(limit: &Limit, address: &str) -> Result<u32, Error> {
    let (standing, outcome) = limit.spend(&from(address));
    outcome.map(|()| standing.remaining)
}

#[test]
fn a_quota_is_spent_then_refills_evenly() {
    let (limit, clock) = limit(6, 10);
    for remaining in (0..6).rev() {
        assert_eq!(spent(&limit, "192.0.2.1").unwrap(), remaining);
    }
    assert_eq!(spent(&limit, "192.0.2.1").unwrap_err().wait(), Some(Duration::from_secs(10)));
    assert!(spent(&limit, "192.0.2.2").is_ok(), "another address has its own quota");
    clock.advance(TimeDelta::seconds(9));
    assert!(spent(&limit, "192.0.2.1").is_err());
    clock.advance(TimeDelta::seconds(1));
    assert!(spent(&limit, "192.0.2.1").is_ok());
    assert!(spent(&limit, "192.0.2.1").is_err());
}

#[test]
fn one_customers_network_is_one_subject() {
    assert_eq!(from("2001:db8:1:2::1"), from("2001:db8:1:2:ffff::9"));
    assert_ne!(from("2001:db8:1:2::1"), from("2001:db8:1:3::1"));
    assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
}

#[test]
fn memory_is_bounded_and_a_flood_frees_nobody() {
    let (limit, clock) = limit(6, 10);
    for _ in 0..6 {
        spent(&limit, "192.0.2.1").unwrap();
    }
    clock.advance(TimeDelta::seconds(1));
    for n in 0..5000_u32 {
        limit.spend(&Subject::Address(IpAddr::V4(n.into()))).1.unwrap();
    }
    assert!(spent(&limit, "192.0.2.1").is_err(), "the flood made the limiter forget");
    let states = limit.limiter.into_state_store().states.into_inner().unwrap();
    assert_eq!(states.len(), 10);
}

#[test]
fn both_header_families_say_the_same() {
    let (limit, clock) = limit(6, 10);
    let (standing, _) = limit.spend(&from("192.0.2.1"));
    let mut headers = HeaderMap::new();
    standing.write(&mut headers, &clock);
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("ratelimit-policy"), "\"test\";q=6;w=60");
    assert_eq!(text("ratelimit"), "\"test\";r=5;t=10");
    assert_eq!((text("x-ratelimit-limit"), text("x-ratelimit-remaining")), ("6".to_owned(), "5".to_owned()));
    assert_eq!(text("x-ratelimit-reset"), (clock.now().timestamp() + 10).to_string());
}
