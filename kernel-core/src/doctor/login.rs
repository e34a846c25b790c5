//! The logins: can each do its part, and nothing else?

use super::facts::{Facts, Seen};
use super::{Examination, Verdict};
use crate::db::Login;
use crate::store::role::Powers;

pub(super) const ALL: &[Examination] = &[
    Examination { name: "login.app", judge: |facts| connects(facts, Login::App) },
    Examination { name: "login.worker", judge: |facts| connects(facts, Login::Worker) },
    Examination { name: "login.operator", judge: |facts| connects(facts, Login::Operator) },
    Examination { name: "login.superuser", judge: superuser },
    Examination { name: "login.bypass_rls", judge: bypass_rls },
    Examination { name: "login.create_role", judge: create_role },
    Examination { name: "login.replication", judge: replication },
    Examination { name: "login.owner", judge: owner },
    Examination { name: "login.past_policies", judge: past_policies },
    Examination { name: "login.other_login", judge: other_login },
    Examination { name: "login.temporary_tables", judge: temporary_tables },
    Examination { name: "login.rights", judge: rights },
    Examination { name: "login.queue", judge: queue },
    Examination { name: "login.limits", judge: limits },
    Examination { name: "login.pooler", judge: pooler },
    Examination { name: "login.trust", judge: trust },
];

fn connects(facts: &Facts<'_>, login: Login) -> Verdict {
    let (_, seen) = facts.logins.iter().find(|(other, _)| *other == login).expect("every login is looked at");
    match seen {
        Some(Ok(_)) => Verdict::Sound,
        Some(Err(reason)) => Verdict::fault(
            format!("the {} login cannot be used: {reason}", login.name()),
            "look at the URL, the password, and whether the migrations have run",
        ),
        None => Verdict::Skipped(format!("this process has no {} login", login.name())),
    }
}

/// Asks each login that answers.
fn each(facts: &Facts<'_>, problem: impl Fn(Login, &Seen) -> Option<String>, mend: &str) -> Verdict {
    let seen = facts.logins.iter().filter_map(|(login, seen)| Some((*login, seen.as_ref()?.as_ref().ok()?)));
    let problems: Vec<_> = seen.clone().filter_map(|(login, seen)| problem(login, seen)).collect();
    match seen.count() {
        0 => Verdict::Skipped("no login can be used".to_owned()),
        _ => Verdict::of(&problems, mend),
    }
}

fn power(facts: &Facts<'_>, has: fn(&Powers) -> bool, what: &str, mend: &str) -> Verdict {
    each(facts, |_, seen| has(&seen.powers).then(|| format!("{} {what}", seen.powers.login)), mend)
}

/// What no login may have, in the words of what `build` refuses.
fn excess(facts: &Facts<'_>, name: &str, mend: &str) -> Verdict {
    let problem = |_: Login, seen: &Seen| {
        let (_, _, reason) =
            seen.powers.excesses().into_iter().find(|(other, has, _)| *other == name && *has)?;
        Some(format!("{} {reason}", seen.powers.login))
    };
    each(facts, problem, mend)
}

fn superuser(facts: &Facts<'_>) -> Verdict {
    excess(facts, "superuser", "use a login of its own for each role: migrations bootstrap")
}

fn bypass_rls(facts: &Facts<'_>) -> Verdict {
    excess(facts, "bypass_rls", "ALTER ROLE … NOBYPASSRLS")
}

fn create_role(facts: &Facts<'_>) -> Verdict {
    excess(facts, "create_role", "ALTER ROLE … NOCREATEROLE")
}

fn replication(facts: &Facts<'_>) -> Verdict {
    excess(facts, "replication", "ALTER ROLE … NOREPLICATION")
}

fn owner(facts: &Facts<'_>) -> Verdict {
    excess(facts, "owner", "REVOKE the membership; run the migrations as the migrate login")
}

fn past_policies(facts: &Facts<'_>) -> Verdict {
    excess(facts, "past_policies", "REVOKE pg_read_all_data and its like")
}

fn other_login(facts: &Facts<'_>) -> Verdict {
    excess(facts, "other_login", "REVOKE the membership")
}

fn temporary_tables(facts: &Facts<'_>) -> Verdict {
    let what = "may make temporary tables, whose rows the next transaction sees";
    power(facts, |powers| powers.temporary, what, "REVOKE TEMPORARY ON DATABASE … FROM PUBLIC")
}

fn rights(facts: &Facts<'_>) -> Verdict {
    let what = "has not the rights of the role that its place in the configuration is for";
    power(
        facts,
        |powers| !powers.own,
        what,
        "look whether two URLs are exchanged; else GRANT the role WITH INHERIT",
    )
}

fn queue(facts: &Facts<'_>) -> Verdict {
    let problem = |login: Login, seen: &Seen| {
        let may = seen.runs_queue && login != Login::Worker;
        may.then(|| format!("{} may run the queue, whose functions see every tenant", seen.powers.login))
    };
    each(facts, problem, "run the migrations, whose last step grants them to the worker alone")
}

fn limits(facts: &Facts<'_>) -> Verdict {
    let problem = |_: Login, seen: &Seen| {
        (!seen.has_limits).then(|| format!("{} has not its time limits", seen.powers.login))
    };
    each(facts, problem, "behind a pooler, set DbConfig::statement_cache to 0")
}

fn pooler(facts: &Facts<'_>) -> Verdict {
    let problem = |_: Login, seen: &Seen| {
        let unexpected = seen.pooled && !facts.expects_pooler;
        unexpected.then(|| format!("{} is behind a pooler that shares out connections", seen.powers.login))
    };
    each(facts, problem, "set DbConfig::statement_cache to 0, or connect directly")
}

fn trust(facts: &Facts<'_>) -> Verdict {
    let problem = |_: Login, seen: &Seen| {
        seen.trusts.then(|| format!("the server lets {} in with any password", seen.powers.login))
    };
    each(facts, problem, "write scram-sha-256 instead of trust in pg_hba.conf, and reload")
}
