//! The id of one thing is not the id of another.
//!
//! error[E0308]: expected `Id<Issue>`, found `Id<Project>`

use kernel_core::{Id, Noun};

pub struct Issue;
pub struct Project;

impl Noun for Issue {
    const PREFIX: &'static str = "iss";
}

impl Noun for Project {
    const PREFIX: &'static str = "proj";
}

fn close(_: Id<Issue>) {}

pub fn work(issue: Id<Issue>, project: Id<Project>) {
    let _ = project;
    close(issue /* not: project */);
}
