//! The committed list of mutants that no drive could ever tell from the original, each with its reason.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Mutant;
use crate::cargo;

const FILE: &str = "xtask/isolation-equivalents.toml";
/// More than a handful would be an excuse.
const MOST: usize = 6;
const REASON_MIN: usize = 40;

/// The list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Equivalents {
    #[serde(default)]
    equivalent: Vec<Equivalent>,
}

/// One mutant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Equivalent {
    /// The mutant's class and name: `statement drop_predicate#1`.
    mutant: String,
    /// A part of the statement, or the table, that no other one has.
    subject: String,
    reason: String,
}

impl Equivalents {
    pub(super) fn read() -> Result<Self> {
        let text =
            std::fs::read_to_string(cargo::workspace_dir().join(FILE)).with_context(|| FILE.to_owned())?;
        let list: Self = toml::from_str(&text).with_context(|| format!("{FILE} cannot be read"))?;
        ensure!(list.equivalent.len() <= MOST, "{FILE} names more than {MOST} mutants");
        for Equivalent { mutant, reason, .. } in &list.equivalent {
            ensure!(reason.len() >= REASON_MIN, "{FILE}: {mutant} needs a reason, not {reason:?}");
        }
        Ok(list)
    }

    /// Whether the list names the mutant.
    pub(super) fn names(&self, mutant: &Mutant) -> bool {
        self.equivalent.iter().any(|known| known.is(mutant))
    }

    /// Entries that name none of the mutants left out.
    pub(super) fn stale(&self, left_out: &[Mutant]) -> Vec<String> {
        let stale = self.equivalent.iter().filter(|known| !left_out.iter().any(|mutant| known.is(mutant)));
        stale.map(|known| format!("{}: {}", known.mutant, known.subject)).collect()
    }
}

impl Equivalent {
    fn is(&self, mutant: &Mutant) -> bool {
        let subject = mutant.subject.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {}", mutant.class, mutant.name) == self.mutant && subject.contains(&self.subject)
    }
}
