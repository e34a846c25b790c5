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

fn superuser(facts: &Facts<'_>) -> Verdict {
    let what = "is a superuser, whom row-level security does not limit";
    power(
        facts,
        |powers| powers.superuser,
        what,
        "use a login of its own for each role: migrations bootstrap",
    )
}

fn bypass_rls(facts: &Facts<'_>) -> Verdict {
    let what = "has BYPASSRLS, itself or by a membership";
    power(facts, |powers| powers.bypass_rls, what, "ALTER ROLE … NOBYPASSRLS")
}

fn create_role(facts: &Facts<'_>) -> Verdict {
    let what = "has CREATEROLE, so it may make itself a member of any role";
    power(facts, |powers| powers.create_role, what, "ALTER ROLE … NOCREATEROLE")
}

fn replication(facts: &Facts<'_>) -> Verdict {
    let what = "has REPLICATION, so it may copy the whole server";
    power(facts, |powers| powers.replication, what, "ALTER ROLE … NOREPLICATION")
}

fn owner(facts: &Facts<'_>) -> Verdict {
    let what = "owns tables, or is a member of a role that does";
    power(
        facts,
        |powers| powers.owner,
        what,
        "REVOKE the membership; run the migrations as the migrate login",
    )
}

fn past_policies(facts: &Facts<'_>) -> Verdict {
    let what = "is a member of a role of PostgreSQL's own that policies do not stop";
    power(facts, |powers| powers.past_policies, what, "REVOKE pg_read_all_data and its like")
}

fn other_login(facts: &Facts<'_>) -> Verdict {
    let what = "is a member of another login's role";
    power(facts, |powers| powers.other, what, "REVOKE the membership")
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
