//! The pages: what a browser gets. They call the same functions as the API and add nothing to the rules.

mod account;
mod activity;
mod asset;
mod comment;
mod form;
mod frame;
mod import;
mod issue;
mod jump;
mod label;
pub(crate) mod log;
mod person;
mod project;
mod render;
mod search;
mod workspace;

use chrono::{DateTime, SecondsFormat, Utc};
use kernel_core::http::Route;
use kernel_core::{Error, TenantTx, Tx};

use crate::tracker::Tracker;

#[cfg(feature = "testkit")]
pub(crate) use account::own_path;
pub(crate) use frame::Seen;
pub(crate) use render::Pages;

pub(crate) fn routes(tracker: &Tracker) -> Vec<Route> {
    let mut routes = vec![asset::route(tracker)];
    routes.extend(account::routes(tracker));
    routes.extend(workspace::routes(tracker));
    routes.extend(project::routes(tracker));
    routes.extend(issue::routes(tracker));
    routes.extend(import::routes(tracker));
    routes.extend(comment::routes(tracker));
    routes.extend(label::routes(tracker));
    routes.extend(activity::routes(tracker));
    routes.extend(jump::routes(tracker));
    routes.extend(search::routes(tracker));
    routes.extend(log::routes(tracker));
    routes
}

/// Where the pages of the transaction's workspace are.
fn base_of(tx: &TenantTx) -> Result<String, Error> {
    Ok(frame::base(tx.ctx().workspace()?.slug()))
}

/// The address of a list's next page; its filters stay in it.
fn next_url(path: &str, filters: &[(&'static str, String)], cursor: Option<String>) -> Option<String> {
    let cursor = ("cursor", cursor?);
    let pairs: Vec<_> = filters.iter().filter(|(_, value)| !value.is_empty()).chain([&cursor]).collect();
    let query = serde_html_form::to_string(&pairs).expect("pairs of texts always serialize");
    Some(format!("{path}?{query}"))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
