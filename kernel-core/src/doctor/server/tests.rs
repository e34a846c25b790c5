//! What cannot be planted in a server that others use at the same time.

use std::collections::BTreeMap;

use chrono::DateTime;

use super::super::facts::{Facts, Seer};
use super::super::{Verdict, examinations};
use crate::app::Config;
use crate::http::Environment;
use crate::secret::LocalKeys;
use crate::store::server::Server;

fn config() -> Config {
    let keys = LocalKeys::new("k", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let mut config = Config::new(keys);
    config.http.environment = Environment::Production;
    config
}

fn sound() -> Seer {
    let on = ["autovacuum", "data_checksums", "fsync", "full_page_writes"];
    Seer {
        server: Server {
            version: 150_018,
            now: DateTime::UNIX_EPOCH,
            encoding: "UTF8".to_owned(),
            age: 1_000,
            encrypted: Some(true),
            unanalysed: 0,
        },
        settings: on.map(|name| (name.to_owned(), "on".to_owned())).into(),
        now: DateTime::UNIX_EPOCH,
        audit: (false, Some("1970_06".to_owned())),
        unindexed: Vec::new(),
    }
}

fn judged(name: &str, change: impl FnOnce(&mut Seer)) -> Verdict {
    let (config, mut seer) = (config(), sound());
    change(&mut seer);
    let facts = Facts {
        config: &config,
        pillars: &[],
        logins: Vec::new(),
        connections: 0,
        expects_pooler: false,
        server: Ok(seer),
        findings: Ok(Vec::new()),
        ledgers: Ok(Vec::new()),
        migrates_pooled: None,
    };
    let examination = examinations().find(|examination| examination.name == name);
    (examination.expect("there is such an examination").judge)(&facts)
}

fn off(name: &'static str) -> impl FnOnce(&mut Seer) {
    move |seer| drop(seer.settings.insert(name.to_owned(), "off".to_owned()))
}

#[test]
fn a_server_that_is_too_old_or_careless_is_found() {
    let faults: BTreeMap<&str, Verdict> = [
        ("server.version", judged("server.version", |seer| seer.server.version = 140_023)),
        ("server.patches", judged("server.patches", |seer| seer.server.version = 150_017)),
        ("server.encoding", judged("server.encoding", |seer| seer.server.encoding = "SQL_ASCII".to_owned())),
        ("server.encryption", judged("server.encryption", |seer| seer.server.encrypted = Some(false))),
        ("server.transaction_age", judged("server.transaction_age", |seer| seer.server.age = 1_999_999_999)),
        ("server.statistics", judged("server.statistics", |seer| seer.server.unanalysed = 1)),
        ("server.fsync", judged("server.fsync", off("fsync"))),
        ("server.full_page_writes", judged("server.full_page_writes", off("full_page_writes"))),
        ("server.autovacuum", judged("server.autovacuum", off("autovacuum"))),
        ("server.checksums", judged("server.checksums", off("data_checksums"))),
    ]
    .into();
    for (name, verdict) in faults {
        let advice = matches!(name, "server.checksums" | "server.statistics");
        match verdict {
            Verdict::Fault { mend, .. } if !advice => assert!(!mend.is_empty()),
            Verdict::Advice { mend, .. } if advice => assert!(!mend.is_empty()),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(judged(name, |_| ()), Verdict::Sound, "{name}");
    }
}

#[test]
fn versions_are_compared_within_their_major_one() {
    for version in [150_018, 150_100, 160_014, 170_010, 180_004, 190_000] {
        assert_eq!(judged("server.patches", |seer| seer.server.version = version), Verdict::Sound);
    }
    for version in [150_001, 160_013, 170_009, 180_000] {
        let verdict = judged("server.patches", |seer| seer.server.version = version);
        assert!(matches!(verdict, Verdict::Fault { .. }), "{version}");
    }
}
