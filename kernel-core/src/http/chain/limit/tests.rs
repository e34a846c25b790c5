use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, TimeDelta};
use http::HeaderMap;

use super::ledger::Taken;
use super::purse::Purse;
use super::*;

fn clock() -> Clock {
    Clock::manual(DateTime::UNIX_EPOCH + TimeDelta::days(20_000))
}

fn limit(requests: u32, subjects: usize) -> (Limit, Clock) {
    let clock = clock();
    (Limit::new("test", Quota::per_minute(requests), subjects, &Way::Process, &clock), clock)
}

fn from(address: &str) -> Subject {
    Subject::address(address.parse().unwrap())
}

async fn spent(limit: &Limit, address: &str) -> Result<u32, Error> {
    let (standing, outcome) = limit.spend(&from(address)).await;
    let mut headers = HeaderMap::new();
    standing.write(&mut headers, &clock());
    outcome.map(|()| headers["x-ratelimit-remaining"].to_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_quota_is_spent_then_refills_evenly() {
    let (limit, clock) = limit(6, 10);
    for remaining in (0..6).rev() {
        assert_eq!(spent(&limit, "192.0.2.1").await.unwrap(), remaining);
    }
    let refused = spent(&limit, "192.0.2.1").await.unwrap_err();
    assert_eq!(refused.wait(), Some(Duration::from_secs(10)));
    assert!(spent(&limit, "192.0.2.2").await.is_ok(), "another address has its own quota");
    clock.advance(TimeDelta::seconds(9));
    assert!(spent(&limit, "192.0.2.1").await.is_err());
    clock.advance(TimeDelta::seconds(1));
    assert!(spent(&limit, "192.0.2.1").await.is_ok());
    assert!(spent(&limit, "192.0.2.1").await.is_err());
}

#[test]
fn one_customers_network_is_one_subject() {
    assert_eq!(from("2001:db8:1:2::1"), from("2001:db8:1:2:ffff::9"));
    assert_ne!(from("2001:db8:1:2::1"), from("2001:db8:1:3::1"));
    assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
}

#[test]
fn nodes_name_a_subject_alike_and_no_two_by_one_name() {
    let id = uuid::Uuid::from_u128(7);
    let all = [
        from("192.0.2.1").id("actor"),
        from("192.0.2.1").id("address"),
        from("192.0.2.2").id("actor"),
        Subject::Actor(id).id("actor"),
        Subject::Workspace(id).id("actor"),
    ];
    for (n, one) in all.iter().enumerate() {
        assert!(!all[n + 1..].contains(one), "{n}");
    }
    assert_eq!(all[0].to_string(), "fc4b5966-743c-2fe3-0246-dd4efdee016d", "the same in every version");
}

#[tokio::test]
async fn memory_is_bounded_and_a_flood_frees_nobody() {
    // The larger one is kept in several parts.
    for subjects in [10, 4000] {
        let (limit, clock) = limit(6, subjects);
        for _ in 0..6 {
            spent(&limit, "192.0.2.1").await.unwrap();
        }
        clock.advance(TimeDelta::seconds(1));
        for n in 0..20_000_u32 {
            limit.spend(&Subject::Address(IpAddr::V4(Ipv4Addr::from_bits(n)))).await.1.unwrap();
        }
        assert!(spent(&limit, "192.0.2.1").await.is_err(), "the flood made the limiter forget");
        assert!((subjects - 3..=subjects).contains(&limit.subjects.len()));
    }
}

#[tokio::test]
async fn both_header_families_say_the_same() {
    let (limit, clock) = limit(6, 10);
    let (standing, _) = limit.spend(&from("192.0.2.1")).await;
    let mut headers = HeaderMap::new();
    standing.write(&mut headers, &clock);
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("ratelimit-policy"), "\"test\";q=6;w=60");
    assert_eq!(text("ratelimit"), "\"test\";r=5;t=10");
    assert_eq!((text("x-ratelimit-limit"), text("x-ratelimit-remaining")), ("6".to_owned(), "5".to_owned()));
    assert_eq!(text("x-ratelimit-reset"), (clock.now().timestamp() + 10).to_string());
}

#[test]
fn no_window_sees_more_than_its_quota() {
    for requests in [1, 3, 7, 600, 999, 1000, 60_000] {
        let rate = Rate::of(Quota::per_minute(requests));
        let window = 60_000_000;
        let (mut whole_at, mut count) = (0, 0_u64);
        for now in (0..3 * window).step_by(997) {
            while let Ok(then) = rate.spend(whole_at, now) {
                (whole_at, count) = (then, count + 1);
            }
        }
        let most = u64::from(requests) * 4;
        assert!(count <= most && count + 1 + u64::from(requests) / 100 >= most, "{count} of {most}");
    }
}

/// A quota of 1000 a minute: 60 ms each, at most 50 at once, for 6 s, and refused for 600 ms at least.
const MILLI: u64 = 1000;
const START: u64 = 1_000_000 * MILLI;

fn terms() -> Terms {
    Terms::of(Quota::per_minute(1000))
}

fn asks(purse: &mut Purse, now: u64) -> Option<u32> {
    match purse.spend(terms(), now) {
        Step::Ask(_, wanted) => Some(wanted),
        Step::Done(verdict) => {
            assert_eq!(verdict.wait, None);
            None
        }
    }
}

fn got(requests: u32, whole: u64) -> Taken {
    Taken { requests, whole: whole * MILLI }
}

#[test]
fn a_lease_grows_while_it_is_too_small() {
    let mut purse = Purse::default();
    for wanted in [1, 2, 4, 8, 16, 32, 50, 50] {
        assert_eq!(asks(&mut purse, START), Some(wanted));
        let verdict = purse.settle(terms(), &got(wanted, 60), START, START);
        assert_eq!(verdict.wait, None);
        for _ in 1..wanted {
            assert_eq!(asks(&mut purse, START), None);
        }
    }
}

#[test]
fn an_unspent_lease_lapses_and_the_next_one_is_smaller() {
    let mut purse = Purse::default();
    purse.settle(terms(), &got(40, 2400), START, START + 5 * MILLI);
    assert_eq!(asks(&mut purse, START + 5999 * MILLI), None, "6 s after it was asked for");
    assert_eq!(asks(&mut purse, START + 6000 * MILLI), Some(2), "as many as were spent");
    purse.settle(terms(), &got(2, 60), START + 6000 * MILLI, START + 6000 * MILLI);
    assert_eq!(asks(&mut purse, START + 6000 * MILLI), None);
    assert_eq!(asks(&mut purse, START + 60_000 * MILLI), Some(2), "all spent, and long ago");
}

#[test]
fn requests_that_wait_are_asked_for_together() {
    let mut purse = Purse::default();
    let waiting: Vec<_> = (0..7).map(|_| purse.spend(terms(), START)).collect();
    assert_eq!(asks(&mut purse, START), Some(7));
    drop(waiting);
    assert_eq!(asks(&mut purse, START), Some(1), "those that left are not asked for");
}

#[test]
fn who_is_refused_there_is_refused_here_until_its_time() {
    let mut purse = Purse::default();
    let verdict = purse.settle(terms(), &got(0, 60_000), START, START);
    assert_eq!(verdict, Verdict { wait: Some(600 * MILLI), remaining: 0, reset: 60_000 * MILLI });
    let Step::Done(verdict) = purse.spend(terms(), START + 599 * MILLI) else { panic!("asked again") };
    assert_eq!(verdict.wait, Some(MILLI));
    assert_eq!(asks(&mut purse, START + 600 * MILLI), Some(1));
    let few = Terms::of(Quota::per_minute(5));
    let verdict = purse.settle(few, &got(0, 60_000), START, START);
    assert_eq!(verdict.wait, Some(12_000 * MILLI), "a small quota gives nothing back before that");
}

#[test]
fn what_is_leased_counts_as_remaining() {
    let mut purse = Purse::default();
    // Taken out of a whole quota: 10 requests, one of them spent at once.
    let verdict = purse.settle(terms(), &got(10, 600), START, START);
    assert_eq!((verdict.remaining, verdict.reset), (999, 60 * MILLI));
    let Step::Done(verdict) = purse.spend(terms(), START) else { panic!("asked again") };
    assert_eq!((verdict.remaining, verdict.reset), (998, 120 * MILLI));
    let Step::Done(verdict) = purse.spend(terms(), START + 5000 * MILLI) else { panic!("asked again") };
    assert_eq!((verdict.remaining, verdict.reset), (999, 60 * MILLI), "the others have come back");
}

#[test]
fn a_node_that_is_left_alone_goes_on_from_what_it_knows() {
    let mut purse = Purse::default();
    purse.settle(terms(), &got(0, 60_000), START, START);
    let rate = Rate::of(Quota::per_minute(1000));
    assert_eq!(purse.spend_alone(rate, START).wait, Some(60 * MILLI));
    assert_eq!(purse.spend_alone(rate, START + 60 * MILLI).wait, None);
    assert_eq!(purse.spend_alone(rate, START + 60 * MILLI).wait, Some(60 * MILLI));
}
