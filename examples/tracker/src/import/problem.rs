//! What is wrong with a file: where, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kernel_core::Flaw;

/// How many are told.
const TOLD_MAX: usize = 100;
/// How much of a name that the file itself gives is repeated.
const NAME_MAX: usize = 40;

/// Where something is wrong: a line of the file, and the column, unless the whole line is meant. Lines count from 1.
///
/// As a text it is the name of a field in the error's envelope: `lines[7].status`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "lines[{}].{column}", self.line),
            None => write!(f, "lines[{}]", self.line),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (line, rest) = text.strip_prefix("lines[").and_then(|rest| rest.split_once(']')).ok_or(())?;
        let column = rest.strip_prefix('.').map(str::to_owned);
        Ok(Self { line: line.parse().map_err(|_| ())?, column })
    }
}

/// The first so many of them, and how many there are in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    told: BTreeMap<Place, Flaw>,
    count: usize,
    /// How often something was noted, of a place that was noted before too: a bare carriage return ends a row, and the next
    /// one is in the same line.
    notes: usize,
    latest: Option<Place>,
}

impl Problems {
    /// Notes why the value of a column is refused, or the whole line. Each place counts once.
    pub(super) fn add(&mut self, line: u64, column: Option<&str>, why: impl Into<Flaw>) {
        let column = column.map(|column| column.chars().take(NAME_MAX).collect());
        let place = Place { line, column };
        self.notes += 1;
        if self.latest.as_ref() == Some(&place) {
            return;
        }
        self.latest = Some(place.clone());
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.insert(place, why.into());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, told or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    pub(super) fn notes(&self) -> usize {
        self.notes
    }

    /// How many are told.
    #[must_use]
    pub fn told(&self) -> usize {
        self.told.len()
    }

    /// What is wrong in each place.
    pub(crate) fn fields(&self) -> BTreeMap<String, Flaw> {
        self.told.iter().map(|(place, why)| (place.to_string(), why.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for column in [None, Some("title"), Some("a].b"), Some("")] {
            let place = Place { line: 12, column: column.map(str::to_owned) };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for other in ["title", "lines", "lines[]", "lines[x].title"] {
            assert!(other.parse::<Place>().is_err(), "{other}");
        }
    }

    #[test]
    fn many_are_counted_and_some_told() {
        let mut problems = Problems::default();
        for line in 1..=TOLD_MAX as u64 + 1 {
            problems.add(line, Some(&"x".repeat(99)), "why");
            problems.add(line, Some(&"x".repeat(99)), "why else");
        }
        assert_eq!((problems.count(), problems.told()), (101, 100));
        assert!(problems.fields().keys().all(|name| name.len() < 60));
    }
}
