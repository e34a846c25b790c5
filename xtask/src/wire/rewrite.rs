//! What may be done to a statement on its way.

use std::sync::Arc;

use super::mutant::mutants;
use super::parse::mentions_tenant;

/// A change of SQL texts, applied by a [`super::Proxy`].
pub trait Rewrite: Send + Sync {
    /// Reads one query string, as the client sent it, and says what goes to the server instead.
    fn rewrite(&self, sql: &str) -> Rewriting;
}

/// The outcome of one [`Rewrite::rewrite`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rewriting {
    /// The new text; without one, the statement goes on byte for byte.
    pub sql: Option<String>,
    /// The statements in it that could not be judged, and so went on as they were.
    pub unparsed: Vec<Unparsed>,
}

/// A statement that went on unchanged because it could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unparsed {
    /// The statement.
    pub sql: String,
    /// Why it could not be read or changed.
    pub reason: String,
    /// Whether it may hold a tenant predicate; a proof fails on these.
    pub mentions_tenant: bool,
}

impl Unparsed {
    pub(super) fn new(sql: &str, reason: impl Into<String>) -> Self {
        Self { sql: sql.trim().into(), reason: reason.into(), mentions_tenant: mentions_tenant(sql) }
    }
}

/// Changes nothing: a proxy that only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Rewrite for Identity {
    fn rewrite(&self, _sql: &str) -> Rewriting {
        Rewriting::default()
    }
}

/// Several rewrites, each working on what the one before it left.
#[derive(Clone)]
pub struct Chain(pub Vec<Arc<dyn Rewrite>>);

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain of {}", self.0.len())
    }
}

impl Rewrite for Chain {
    fn rewrite(&self, sql: &str) -> Rewriting {
        let mut all = Rewriting::default();
        for step in &self.0 {
            let next = step.rewrite(all.sql.as_deref().unwrap_or(sql));
            all.sql = next.sql.or(all.sql);
            all.unparsed.extend(next.unparsed);
        }
        all
    }
}

/// Which statements a [`Mutate`] is meant for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Matches {
    /// The one with this text, as [`super::Proxy::statements`] shows it.
    Exactly(String),
    /// Each that contains this text.
    Containing(String),
}

impl Matches {
    fn hold(&self, sql: &str) -> bool {
        match self {
            Self::Containing(part) => sql.contains(part.as_str()),
            Self::Exactly(text) => sql == text,
        }
    }
}

/// Applies one of the [`mutants`] of a statement, chosen by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mutate {
    /// The statements to change.
    pub matches: Matches,
    /// The [`super::Mutant::name`] of the change.
    pub mutation: String,
}

impl Rewrite for Mutate {
    fn rewrite(&self, sql: &str) -> Rewriting {
        if !self.matches.hold(sql) {
            return Rewriting::default();
        }
        let refused = |unparsed| Rewriting { sql: None, unparsed: vec![unparsed] };
        match mutants(sql) {
            Err(unparsed) => refused(unparsed),
            Ok(all) => match all.into_iter().find(|mutant| mutant.name == self.mutation) {
                Some(mutant) => Rewriting { sql: Some(mutant.sql), unparsed: Vec::new() },
                None => refused(Unparsed::new(sql, format!("it has no mutant named {}", self.mutation))),
            },
        }
    }
}
