//! What a drive does, one step after the other: written down once, played back in other worlds.

use std::fmt;

use kernel_core::{Role, UserId};

use super::exchange::{Answer, Ask};

/// Where in a request the varied value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    /// Nothing is varied.
    Whole,
    Body(String),
    Cursor,
    Header(String),
    Path(String),
    Query(String),
}

impl Position {
    /// The name of its kind, for counting.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Body(_) => "body",
            Self::Cursor => "cursor",
            Self::Header(_) => "header",
            Self::Path(_) => "path",
            Self::Query(_) => "query",
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole | Self::Cursor => f.write_str(self.kind()),
            Self::Body(name) | Self::Header(name) | Self::Path(name) | Self::Query(name) => {
                write!(f, "{} {name}", self.kind())
            }
        }
    }
}

/// Whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The tenant's own, or one that means nothing to any tenant.
    Own,
    /// Another tenant's.
    Foreign,
    /// Well-formed, and nobody's.
    Missing,
    /// No such value can be.
    Malformed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "own",
            Self::Foreign => "foreign",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
        })
    }
}

/// What a step tries.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) operation: String,
    pub(super) position: Position,
    pub(super) kind: Kind,
    /// Who asks: `owner`, `insider`, `outsider`, `nobody`.
    pub(super) asker: &'static str,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, position, kind, asker } = self;
        write!(f, "{operation}, {kind} {position}, by {asker}")
    }
}

/// What is done.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// The next workspace that is founded also gets these members.
    Crew(Vec<(UserId, Role)>),
    /// Events are relayed and jobs run until nothing is due.
    Drain,
    /// A row is made to refer to another tenant's row: column values of one row, by foreign key.
    Refer(Reference),
    Send(Ask),
}

/// An attempt, under the app login, to point an own row at a foreign one.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// Announces the tenant, as the app does.
    pub(super) begin: String,
    pub(super) update: String,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) label: Label,
    pub(super) action: Action,
    /// The first step that brought an operation its own case.
    pub(super) is_base: bool,
}

/// The steps and what they led to where they were written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) answers: Vec<Answer>,
}

impl Script {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// How many of the steps are requests.
    pub(super) fn requests(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, Action::Send(_))).count()
    }
}
