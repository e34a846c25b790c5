//! The server: is it one that keeps what it is given, and can it be trusted with it?

use chrono::TimeDelta;

use super::facts::{Facts, Seer};
use super::{Examination, Verdict};

/// The oldest release of each major version without a hole that is known, from the announcement of 14 May 2026
/// (CVE-2026-6472 and ten more).
const PATCHED: [(i32, i32); 4] = [(15, 18), (16, 14), (17, 10), (18, 4)];
/// Of the 2^31 transactions after which a server stops; PostgreSQL itself acts at two hundred million.
const OLD: i32 = 1_000_000_000;
/// How far clocks may differ; leases and tokens live for seconds.
const SKEW: TimeDelta = TimeDelta::seconds(2);

pub(super) const ALL: &[Examination] = &[
    Examination { name: "server.version", judge: version },
    Examination { name: "server.patches", judge: patches },
    Examination { name: "server.clock", judge: clock },
    Examination { name: "server.encoding", judge: encoding },
    Examination { name: "server.encryption", judge: encryption },
    Examination { name: "server.connections", judge: connections },
    Examination { name: "server.transaction_age", judge: transaction_age },
    Examination { name: "server.statistics", judge: statistics },
    Examination { name: "server.fsync", judge: fsync },
    Examination { name: "server.full_page_writes", judge: full_page_writes },
    Examination { name: "server.synchronous_commit", judge: synchronous_commit },
    Examination { name: "server.autovacuum", judge: autovacuum },
    Examination { name: "server.row_security", judge: row_security },
    Examination { name: "server.strings", judge: strings },
    Examination { name: "server.checksums", judge: checksums },
    Examination { name: "server.password_encryption", judge: password_encryption },
    Examination { name: "server.statement_log", judge: statement_log },
    Examination { name: "server.audit_partitions", judge: audit_partitions },
    Examination { name: "server.audit_default", judge: audit_default },
];

fn seen(facts: &Facts<'_>, judge: impl FnOnce(&Seer) -> Verdict) -> Verdict {
    match &facts.server {
        Ok(seer) => judge(seer),
        Err(reason) => Verdict::Skipped(reason.clone()),
    }
}

fn version(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| match seer.server.version / 10_000 {
        15.. => Verdict::Sound,
        major => Verdict::fault(format!("PostgreSQL {major} is too old"), "upgrade to 15 or newer"),
    })
}

fn patches(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let (major, minor) = (seer.server.version / 10_000, seer.server.version % 10_000);
        match PATCHED.iter().find(|(known, _)| *known == major) {
            Some((_, floor)) if minor < *floor => Verdict::fault(
                format!("PostgreSQL {major}.{minor} has holes that {major}.{floor} closes"),
                "install the newest minor release; the data stays as it is",
            ),
            _ => Verdict::Sound,
        }
    })
}

fn clock(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let skew = (seer.server.now - seer.now).abs();
        if skew <= SKEW {
            return Verdict::Sound;
        }
        let seconds = skew.num_seconds();
        Verdict::fault(
            format!("this machine's clock and the server's are {seconds} s apart"),
            "run NTP on both; leases, sessions and limits go by time",
        )
    })
}

fn encoding(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| match seer.server.encoding.as_str() {
        "UTF8" => Verdict::Sound,
        other => Verdict::fault(
            format!("the database's encoding is {other}"),
            "create the database with ENCODING 'UTF8' and restore the data into it",
        ),
    })
}

fn encryption(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| match seer.server.encrypted {
        Some(false) => Verdict::fault(
            "passwords and rows cross the network in clear",
            "add ?sslmode=verify-full to the URLs, and let the server take nothing else",
        ),
        _ => Verdict::Sound,
    })
}

fn connections(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let number = |name: &str| -> u32 {
            seer.settings.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
        };
        let room = number("max_connections").saturating_sub(number("superuser_reserved_connections"));
        // A pooler shares out what the server has.
        if facts.expects_pooler || facts.connections <= room {
            return Verdict::Sound;
        }
        Verdict::fault(
            format!("one process may open {} connections, and the server has {room}", facts.connections),
            "lower DbConfig::max_connections, raise max_connections, or put a pooler between",
        )
    })
}

fn transaction_age(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| match seer.server.age {
        age if age < OLD => Verdict::Sound,
        age => Verdict::fault(
            format!("the oldest row is {age} transactions old; at 2,146,483,647 the server stops"),
            "end transactions and replication slots that are held open, then VACUUM FREEZE",
        ),
    })
}

fn statistics(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| match seer.server.unanalysed {
        0 => Verdict::Sound,
        count => Verdict::advice(
            format!("{count} large table(s) were never analysed, so plans are guesses"),
            "ANALYZE; after a restore it is not done by itself at once",
        ),
    })
}

/// A setting that must have one value.
fn setting(facts: &Facts<'_>, name: &str, wanted: &[&str], problem: &str, mend: &str) -> Verdict {
    seen(facts, |seer| match seer.settings.get(name).map(String::as_str) {
        Some(value) if wanted.contains(&value) => Verdict::Sound,
        Some(value) => Verdict::fault(format!("{name} is {value}: {problem}"), mend),
        None => Verdict::Skipped(format!("the server does not tell {name}")),
    })
}

fn fsync(facts: &Facts<'_>) -> Verdict {
    let problem = "a crash of the machine destroys the database";
    durable(facts, setting(facts, "fsync", &["on"], problem, "set fsync = on and restart the server"))
}

fn full_page_writes(facts: &Facts<'_>) -> Verdict {
    let problem = "a crash in the middle of a page's write destroys the page";
    durable(
        facts,
        setting(facts, "full_page_writes", &["on"], problem, "set full_page_writes = on and reload"),
    )
}

fn synchronous_commit(facts: &Facts<'_>) -> Verdict {
    let problem = "what a client was told is stored may be lost in a crash";
    let wanted = ["on", "local", "remote_write", "remote_apply"];
    let mend = "set synchronous_commit = on, for the database and the logins too";
    durable(facts, setting(facts, "synchronous_commit", &wanted, problem, mend))
}

/// Where nobody depends on the data, speed may be worth more than durability.
fn durable(facts: &Facts<'_>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Fault { problem, mend } if !facts.is_served() => Verdict::Advice { problem, mend },
        verdict => verdict,
    }
}

fn autovacuum(facts: &Facts<'_>) -> Verdict {
    let problem = "tables grow without end, and one day the server stops";
    setting(facts, "autovacuum", &["on"], problem, "set autovacuum = on and reload")
}

fn row_security(facts: &Facts<'_>) -> Verdict {
    let problem = "statements that a policy would filter fail instead";
    setting(facts, "row_security", &["on"], problem, "ALTER DATABASE or ALTER ROLE … RESET row_security")
}

fn strings(facts: &Facts<'_>) -> Verdict {
    let problem = "a backslash in a literal is an escape, which statements here do not expect";
    let mend = "ALTER DATABASE or ALTER ROLE … RESET standard_conforming_strings";
    setting(facts, "standard_conforming_strings", &["on"], problem, mend)
}

fn checksums(facts: &Facts<'_>) -> Verdict {
    let problem = "a disk that returns other bytes than it was given is not noticed";
    match setting(facts, "data_checksums", &["on"], problem, "stop the server, then pg_checksums --enable") {
        Verdict::Fault { problem, mend } => Verdict::Advice { problem, mend },
        verdict => verdict,
    }
}

fn password_encryption(facts: &Facts<'_>) -> Verdict {
    let problem = "passwords are stored as hashes that are as good as the password";
    let mend = "set password_encryption = 'scram-sha-256', and set the logins' passwords again";
    setting(facts, "password_encryption", &["scram-sha-256"], problem, mend)
}

fn statement_log(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let value = |name: &str| seer.settings.get(name).map_or("", String::as_str);
        let logs = matches!(value("log_statement"), "all" | "mod");
        if !logs || value("log_parameter_max_length") == "0" {
            return Verdict::Sound;
        }
        Verdict::fault(
            format!("log_statement is {}: people's data lands in the server's log", value("log_statement")),
            "set log_parameter_max_length = 0, or log_statement = 'ddl'",
        )
    })
}

fn audit_partitions(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let wanted = (seer.server.now + TimeDelta::days(31)).format("%Y_%m").to_string();
        match &seer.audit.1 {
            Some(last) if *last >= wanted => Verdict::Sound,
            last => Verdict::fault(
                format!("partitions of the audit log end with {}", last.as_deref().unwrap_or("none at all")),
                "let a worker run, whose chore makes them; its log tells what keeps it from that",
            ),
        }
    })
}

fn audit_default(facts: &Facts<'_>) -> Verdict {
    seen(facts, |seer| {
        let lost = seer.audit.0.then(|| {
            "audit rows lie in the default partition, because none was made for their month".to_owned()
        });
        Verdict::of(
            lost.as_slice(),
            "make the default partition that of the month, and a new default: docs/runbooks/audit-misplaced.md",
        )
    })
}

#[cfg(test)]
mod tests;
