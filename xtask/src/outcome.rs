//! What a proof or a measurement found out, and how it is printed.

use std::fmt::{self, Display};
use std::process::ExitCode;
use std::time::Instant;

/// Named figures, and the goals among them that were missed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    values: Vec<(&'static str, String)>,
    missed: Vec<String>,
}

impl Outcome {
    /// An outcome without figures; add them with [`value`](Self::value).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a figure to the closing line.
    #[must_use]
    pub fn value(mut self, key: &'static str, value: impl Display) -> Self {
        self.values.push((key, value.to_string()));
        self
    }

    /// Notes a missed goal unless `holds`; `otherwise` says what was expected and what was found.
    #[must_use]
    pub fn require(mut self, holds: bool, otherwise: impl Display) -> Self {
        if !holds {
            self.missed.push(otherwise.to_string());
        }
        self
    }

    /// The figures of both, the other's after these.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.values.extend(other.values);
        self.missed.extend(other.missed);
        self
    }

    /// What was missed, one sentence each; empty when the goals are met.
    #[must_use]
    pub fn missed(&self) -> &[String] {
        &self.missed
    }

    /// Prints the missed goals and, as the last line, `name: key=value …`.
    ///
    /// The exit code is 0 when all goals are met and 1 otherwise. 2 stands for «could not run».
    #[must_use]
    pub fn report(&self, name: &str) -> ExitCode {
        for line in &self.missed {
            eprintln!("{name}: missed: {line}");
        }
        println!("{}", Line { name, outcome: self });
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }
}

struct Line<'a> {
    name: &'a str,
    outcome: &'a Outcome,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        for (key, value) in &self.outcome.values {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

/// Tells on standard error what has been done and how long it took.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn done(&mut self, what: &str) {
        eprintln!("  {what} ({:.1} s)", self.0.elapsed().as_secs_f32());
        self.0 = Instant::now();
    }
}
