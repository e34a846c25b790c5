//! The logins to try: what each is given, and what the app must say to it.

use std::fmt;

use kernel_core::{DbConfig, RoleNames};

/// One login in one place.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) slot: Slot,
    pub(super) about: String,
    pub(super) setup: Setup,
    pub(super) expected: Expected,
    /// What a refusal says, one of these.
    pub(super) reasons: &'static [&'static str],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "as {}: {}", self.slot.name(), self.about)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Accepted,
    Refused,
}

/// What the login is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    App,
    Worker,
    Operator,
}

impl Slot {
    const ALL: [Self; 3] = [Self::App, Self::Worker, Self::Operator];

    fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Worker => "worker",
            Self::Operator => "operator",
        }
    }

    /// The role whose rights the login is meant to have.
    pub(super) fn role(self, roles: &RoleNames) -> &str {
        match self {
            Self::App => &roles.app,
            Self::Worker => &roles.worker,
            Self::Operator => &roles.operator,
        }
    }

    pub(super) fn of(self, config: &mut DbConfig) -> &mut String {
        match self {
            Self::App => &mut config.app,
            Self::Worker => config.worker.get_or_insert_default(),
            Self::Operator => config.operator.get_or_insert_default(),
        }
    }
}

/// How the login is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    /// The attributes of a login of its own, a member of the slot's role.
    pub(super) login: Option<String>,
    /// Statements after that; `{tried}` is the login, `{via}` and `{further}` are roles to make on the way.
    pub(super) more: String,
    /// Instead of a login of its own: one that belongs elsewhere.
    pub(super) instead: Option<Login>,
}

impl Setup {
    /// Whether something of it remains when its roles are gone.
    pub(super) fn outlasts_its_roles(&self) -> bool {
        self.more.contains("OWNER TO") || self.more.contains("TO PUBLIC")
    }
}

/// A login that is there.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Role(String),
    Superuser,
}

const SUPERUSER: &[&str] = &["login: the login", "is a superuser"];

/// Every case, sound logins included.
pub(super) fn all(roles: &RoleNames, queue: &[String], major: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for slot in Slot::ALL {
        attributes(slot, &mut cases);
        memberships(slot, roles, major, &mut cases);
        ownership(slot, &mut cases);
        swapped(slot, roles, &mut cases);
        sound(slot, roles, &mut cases);
        temporary(slot, &mut cases);
        if slot != Slot::Worker {
            queue_rights(slot, queue, &mut cases);
        }
    }
    cases
}

fn refused(slot: Slot, about: impl Into<String>, setup: Setup, reasons: &'static [&'static str]) -> Case {
    Case { slot, about: about.into(), setup, expected: Expected::Refused, reasons }
}

/// A login of its own with these attributes, and statements after it.
fn own(attributes: &str, more: impl Into<String>) -> Setup {
    Setup { login: Some(attributes.to_owned()), more: more.into(), instead: None }
}

fn attributes(slot: Slot, cases: &mut Vec<Case>) {
    let via =
        |attribute: &str| own("", format!("CREATE ROLE {{via}} {attribute}; GRANT {{via}} TO {{tried}}"));
    let attributes: [(&str, &[&str]); 4] = [
        ("SUPERUSER", SUPERUSER),
        ("BYPASSRLS", &["has BYPASSRLS"]),
        ("CREATEROLE", &["may make itself a member"]),
        ("REPLICATION", &["may copy the whole server"]),
    ];
    for (attribute, reasons) in attributes {
        cases.push(refused(slot, attribute, own(attribute, ""), reasons));
        cases.push(refused(slot, format!("member of a {attribute} role"), via(attribute), reasons));
    }
}

fn memberships(slot: Slot, roles: &RoleNames, major: u32, cases: &mut Vec<Case>) {
    let mut groups: Vec<(&str, &'static [&'static str])> =
        [&roles.owner, &roles.resolver, &roles.search, &roles.migrate]
            .map(|role| (role.as_str(), &["owns tables, or is a member of a role that does"][..]))
            .to_vec();
    if slot != Slot::Worker {
        groups.push((&roles.worker, &["another login's role"]));
    }
    if slot != Slot::Operator {
        groups.push((&roles.operator, &["another login's role"]));
    }
    for builtin in [
        "pg_execute_server_program",
        "pg_read_all_data",
        "pg_read_server_files",
        "pg_write_all_data",
        "pg_write_server_files",
    ] {
        groups.push((builtin, &["reads or writes past the policies"]));
    }
    for (group, reasons) in groups {
        let mut push = |about: &str, setup| {
            cases.push(refused(slot, format!("{about} {group}"), setup, reasons));
        };
        push("member of", own("", format!("GRANT \"{group}\" TO {{tried}}")));
        push("member without inheriting of", own("NOINHERIT", format!("GRANT \"{group}\" TO {{tried}}")));
        push("administrator of", own("", format!("GRANT \"{group}\" TO {{tried}} WITH ADMIN OPTION")));
        let one = format!("CREATE ROLE {{via}} IN ROLE \"{group}\"; GRANT {{via}} TO {{tried}}");
        push("member of a member of", own("", one));
        let two = format!(
            "CREATE ROLE {{further}} NOINHERIT IN ROLE \"{group}\"; CREATE ROLE {{via}} IN ROLE {{further}}; \
             GRANT {{via}} TO {{tried}}"
        );
        push("by three memberships, one without inheriting, in", own("", two));
        if major >= 16 {
            let only = format!("GRANT \"{group}\" TO {{tried}} WITH INHERIT FALSE, SET TRUE");
            push("member that may only SET ROLE of", own("", only));
        }
    }
}

fn ownership(slot: Slot, cases: &mut Vec<Case>) {
    let owns: &[&str] = &["login: the login", "is owned by"];
    for table in ["kernel_jobs.job", "kernel_core.audit_log", "kernel_core.audit_log_default"] {
        let direct = format!("ALTER TABLE {table} OWNER TO {{tried}}");
        cases.push(refused(slot, format!("owner of {table}"), own("", direct), owns));
        let via =
            format!("CREATE ROLE {{via}}; GRANT {{via}} TO {{tried}}; ALTER TABLE {table} OWNER TO {{via}}");
        cases.push(refused(slot, format!("member of the owner of {table}"), own("", via), owns));
    }
}

fn swapped(slot: Slot, roles: &RoleNames, cases: &mut Vec<Case>) {
    let others = [&roles.app, &roles.worker, &roles.operator, &roles.migrate];
    for other in others.into_iter().filter(|other| *other != slot.role(roles)) {
        let setup = Setup { instead: Some(Login::Role(other.clone())), ..Setup::default() };
        cases.push(refused(slot, format!("the login {other}"), setup, &["login: the login"]));
    }
    let setup = Setup { instead: Some(Login::Superuser), ..Setup::default() };
    cases.push(refused(slot, "the administrator's login", setup, SUPERUSER));
}

/// A temporary table outlives the transaction, and whoever has the connection next reads it.
fn temporary(slot: Slot, cases: &mut Vec<Case>) {
    let may: &[&str] = &["may make temporary tables"];
    let to = |who: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {who}', current_database()); END $$"
        )
    };
    cases.push(refused(slot, "may make temporary tables", own("", to("{tried}")), may));
    let via = format!("CREATE ROLE {{via}}; GRANT {{via}} TO {{tried}}; {}", to("{via}"));
    cases.push(refused(slot, "member of a role that may make temporary tables", own("", via), may));
}

/// Whoever can claim sees the jobs of every tenant.
fn queue_rights(slot: Slot, queue: &[String], cases: &mut Vec<Case>) {
    let may_run: &[&str] = &["may run the queue"];
    for function in queue {
        let direct = format!("GRANT EXECUTE ON FUNCTION {function} TO {{tried}}");
        cases.push(refused(slot, format!("may execute {function}"), own("", direct), may_run));
    }
    let via = "CREATE ROLE {via}; GRANT {via} TO {tried}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kernel_jobs TO {via}";
    cases.push(refused(slot, "member of a role that may execute the queue", own("", via), may_run));
    let unset =
        "CREATE ROLE {via}; CREATE ROLE {further} NOINHERIT IN ROLE {via}; GRANT {further} TO {tried};
                 GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kernel_jobs TO {via}";
    let about = "member without inheriting of a role that may execute the queue";
    cases.push(refused(slot, about, own("", unset), may_run));
    let public = "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kernel_jobs TO PUBLIC";
    cases.push(refused(slot, "everybody may execute the queue", own("", public), may_run));
}

fn sound(slot: Slot, roles: &RoleNames, cases: &mut Vec<Case>) {
    let mut push = |about: &str, setup| {
        let about = about.to_owned();
        cases.push(Case { slot, about, setup, expected: Expected::Accepted, reasons: &[] });
    };
    push("the login that bootstrap makes", Setup::default());
    push("a member of its role", own("", ""));
    push("a member that may create databases", own("CREATEDB", ""));
    push("a member that may watch the server", own("", "GRANT pg_monitor TO {tried}"));
    push("a member of a role of the host's", own("", "CREATE ROLE {via}; GRANT {via} TO {tried}"));
    let own_role = slot.role(roles);
    let indirect = format!(
        "REVOKE \"{own_role}\" FROM {{tried}}; CREATE ROLE {{via}} IN ROLE \"{own_role}\"; GRANT {{via}} TO {{tried}}"
    );
    push("a member of a member of its role", own("", indirect));
}
