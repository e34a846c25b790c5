//! What must hold of everything that the product reads from outside; `cargo xtask fuzz` looks for input that breaks it.
//!
//! Each function takes any input and panics when something does not hold.

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Uri};
use kernel_auth::{LogIn, NewAccount};
use kernel_core::http::{Body, Input, Paged};
use kernel_core::testkit::read;
use kernel_tenancy::{EditWorkspace, ListAudit, NewWorkspace};
use serde_json::Value;
use url::Url;

use crate::comment::CommentText;
use crate::issue::{Assignee, EditIssue, IssueFilter, NewIssue, sort_name};
use crate::label::{EditLabel, NewLabel};
use crate::page::own_path;
use crate::program::{Options, StartError};
use crate::project::{EditProject, NewProject};

/// Files of issues.
///
/// # Panics
/// When a row breaks a rule, or is not read as it was written.
pub fn csv(data: &[u8]) {
    crate::import::hostile::file(data);
}

/// Filters of lists: no parameter is ignored or given twice, values keep their bounds, and what was read can be written
/// and read again.
///
/// # Panics
/// When that does not hold for this input.
pub fn query(data: &[u8]) {
    let Ok(uri) = Uri::try_from([b"/?", data].concat()) else { return };
    let request = |uri: &Uri| Request::get(uri.clone()).body(Bytes::new()).expect("a sound address");
    if let Ok(Paged { filter, page }) = read::<Paged<ListAudit>>(request(&uri), &[], false) {
        assert!((1..=100).contains(&page.limit()));
        drop(filter);
    }
    let Ok(Paged { filter, page }) = read::<Paged<IssueFilter>>(request(&uri), &[], false) else { return };
    assert!((1..=100).contains(&page.limit()));
    let known = ["status", "priority", "assignee", "label", "q", "sort", "cursor", "limit"];
    let pairs: Vec<(String, String)> =
        serde_html_form::from_str(uri.query().unwrap_or_default()).expect("it was read before");
    let mut names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    if let Some(text) = &filter.q {
        assert!((1..=120).contains(&text.as_str().chars().count()) && !text.as_str().contains('\0'));
    }
    let written = serde_html_form::to_string(written(&filter)).expect("pairs of strings always serialize");
    let again = Uri::try_from(format!("/?{written}")).expect("it is encoded");
    let again = read::<Paged<IssueFilter>>(request(&again), &[], false).expect("it was read before");
    assert_eq!(again.filter, filter);
}

fn written(filter: &IssueFilter) -> Vec<(&'static str, String)> {
    let assignee = filter.assignee.map(|assignee| match assignee {
        Assignee::Me => "me".to_owned(),
        Assignee::User(user) => user.to_string(),
    });
    [
        ("status", filter.status.map(|status| status.name().to_owned())),
        ("priority", filter.priority.map(|priority| priority.name().to_owned())),
        ("assignee", assignee),
        ("label", filter.label.map(|label| label.to_string())),
        ("q", filter.q.as_ref().map(|text| text.as_str().to_owned())),
        ("sort", filter.sort.map(sort_name)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// Bodies in JSON: what is taken has known fields only, and texts within their limits. The first byte chooses the route.
///
/// # Panics
/// When that does not hold for this input.
pub fn body(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    match first % 11 {
        0 => taken::<NewIssue>(data, &[("title", 1, 120), ("body", 0, 20_000)]),
        1 => taken::<EditIssue>(data, &[("title", 1, 120), ("body", 0, 20_000)]),
        2 => taken::<NewProject>(data, &[("name", 1, 80), ("key", 2, 6), ("description", 0, 500)]),
        3 => taken::<EditProject>(data, &[("name", 1, 80), ("description", 0, 500)]),
        4 => taken::<CommentText>(data, &[("body", 1, 10_000)]),
        5 => taken::<NewLabel>(data, &[("name", 1, 40)]),
        6 => taken::<EditLabel>(data, &[("name", 1, 40)]),
        7 => taken::<NewAccount>(data, &[("name", 1, 100), ("email", 3, 254)]),
        8 => taken::<LogIn>(data, &[("email", 0, 254)]),
        9 => taken::<NewWorkspace>(data, &[("name", 2, 100), ("slug", 3, 40)]),
        _ => taken::<EditWorkspace>(data, &[("name", 2, 100)]),
    }
}

/// Whether the type reads it, and that the texts of these fields are this long then.
fn taken<T>(data: &[u8], texts: &[(&str, usize, usize)])
where
    Body<T>: Input,
{
    let request = |kind: &str, bytes: Vec<u8>| {
        Request::post("/").header("content-type", kind).body(Bytes::from(bytes)).expect("a sound request")
    };
    let form = "application/x-www-form-urlencoded";
    assert!(read::<Body<T>>(request(form, data.to_vec()), &[], false).is_err(), "a form is for pages");
    drop(read::<Body<T>>(request(form, data.to_vec()), &[], true));
    if read::<Body<T>>(request("application/json", data.to_vec()), &[], false).is_err() {
        return;
    }
    let value: Value = serde_json::from_slice(data).expect("only JSON is taken");
    let fields = value.as_object().expect("only objects are taken");
    for (name, least, most) in texts {
        let Some(text) = fields.get(*name).and_then(Value::as_str) else { continue };
        assert!((*least..=*most).contains(&text.chars().count()), "{name}: {text:?}");
        let unprintable = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        assert!(!text.contains(unprintable), "{name}: {text:?}");
        assert!(*least == 0 || !text.trim().is_empty(), "{name} is blank");
    }
    let again = serde_json::to_vec(&value).expect("a JSON value always serializes");
    assert!(read::<Body<T>>(request("application/json", again), &[], false).is_ok());
    let mut more = fields.clone();
    more.insert("nobody reads this".to_owned(), Value::Null);
    let more = serde_json::to_vec(&more).expect("a JSON value always serializes");
    assert!(read::<Body<T>>(request("application/json", more), &[], false).is_err(), "an unknown field");
}

/// Where to go after signing in: a path of this site as browsers read it.
///
/// # Panics
/// When a path of another site is taken.
pub fn next(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(path) = own_path(&text) {
        let site = Url::parse("https://app.example/log-in").expect("an address");
        let wanted = site.join(path).expect("a path leads somewhere");
        assert_eq!(wanted.origin(), site.origin(), "{path:?}");
    }
}

/// The variables that the program is configured by: the letter of one and its value on each line.
///
/// # Panics
/// When an error shows a secret, or what was read cannot be served.
pub fn options(data: &[u8]) {
    const NAMES: [&str; 14] = [
        "ALLOW_PLAIN_SECRETS",
        "APP_DATABASE_URL",
        "APP_ENV",
        "APP_KEY",
        "APP_KEYS_OLDER",
        "APP_KEY_ID",
        "DATABASE_ROLE_PREFIX",
        "LISTEN",
        "LOG",
        "LOG_FORMAT",
        "MIGRATE_DATABASE_URL",
        "PUBLIC_ORIGIN",
        "TRUSTED_PROXIES",
        "WORKER_DATABASE_URL",
    ];
    let text = String::from_utf8_lossy(data);
    let set: Vec<(&str, String)> = text
        .lines()
        .filter_map(|line| {
            let letter = line.bytes().next()?;
            let name = NAMES.get(usize::from(letter.checked_sub(b'a')?))?;
            Some((*name, line[1..].to_owned()))
        })
        .collect();
    let var = {
        let set = set.clone();
        move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let said = match Options::read(var).now_or_never().expect("no file is named") {
        Ok(options) => {
            drop(options.config.http.problems());
            format!("{options:?}")
        }
        Err(StartError::Configuration(errors)) => {
            assert!(!errors.is_empty());
            StartError::Configuration(errors).to_string()
        }
        Err(other) => panic!("{other}"),
    };
    for (name, value) in set.iter().filter(|(name, _)| name.contains("_KEY") && *name != "APP_KEY_ID") {
        let value = value.trim();
        // What another variable says too is no secret.
        let said_otherwise = set.iter().any(|(other, text)| other != name && text.contains(value));
        assert!(value.len() < 40 || said_otherwise || !said.contains(value), "{name} was shown");
    }
}
