//! Every case, by what it is about.

mod access;
mod body;
mod connection;
mod file;
mod header;
mod malformed;
mod method;
mod path;
mod query;
mod repeat;
mod reply;
mod workspace;

use super::case::Case;

/// All of them, in the order in which they are played.
pub(super) fn all() -> Vec<Case> {
    let cases = [
        method::cases(),
        path::cases(),
        query::cases(),
        header::cases(),
        body::cases(),
        file::cases(),
        connection::cases(),
        access::cases(),
        workspace::cases(),
        repeat::cases(),
        reply::cases(),
        malformed::cases(),
    ];
    cases.into_iter().flatten().collect()
}

/// A note that every route with a body takes.
const NOTE: &str = r#"{"text": "buy milk"}"#;
