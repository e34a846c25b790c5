//! The committed list of differences that two worlds may show, each with its reason.
//!
//! A mask is narrow or it is refused: it names one header that the server makes, one number column, or one refusal of
//! one field of one operation. Nothing can hide a body.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::exchange::Answer;
use super::step::{Label, Position};

/// More masks than this are no exceptions any more.
const MASKS_MAX: usize = 12;
const REASON_MIN: usize = 20;
const PAGE_SAYS_MIN: usize = 8;
/// What a server adds that no app decides.
const HEADERS: [&str; 3] = ["connection", "date", "transfer-encoding"];

/// The list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Masks {
    #[serde(default)]
    header: Vec<HeaderMask>,
    #[serde(default)]
    column: Vec<ColumnMask>,
    #[serde(default)]
    taken: Vec<TakenMask>,
}

/// A header whose value is not compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderMask {
    name: String,
    reason: String,
}

/// A column whose value no tenant can see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnMask {
    table: String,
    name: String,
    reason: String,
}

/// A value that one tenant alone may have, in whichever operation it is chosen: another one learns that it is taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakenMask {
    pub(super) field: String,
    pub(super) status: u16,
    pub(super) code: String,
    /// What a page says instead of the code.
    pub(super) page_says: String,
    reason: String,
}

impl Masks {
    /// Reads and judges a list.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is refused", file.display()))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let masks: Self = toml::from_str(text).context("the list of masks cannot be read")?;
        masks.judge()?;
        Ok(masks)
    }

    fn judge(&self) -> Result<()> {
        ensure!(self.len() <= MASKS_MAX, "{} masks are more than {MASKS_MAX}", self.len());
        let reasons = self.header.iter().map(|mask| &mask.reason);
        let reasons = reasons.chain(self.column.iter().map(|mask| &mask.reason));
        for reason in reasons.chain(self.taken.iter().map(|mask| &mask.reason)) {
            ensure!(reason.len() >= REASON_MIN, "a mask needs a reason of a sentence, not {reason:?}");
        }
        for HeaderMask { name, .. } in &self.header {
            ensure!(
                HEADERS.contains(&name.as_str()),
                "the header {name} says something: it cannot be masked"
            );
        }
        for TakenMask { field, status, code, page_says, .. } in &self.taken {
            ensure!(page_says.len() >= PAGE_SAYS_MIN, "{field}: no page says just {page_says:?}");
            let exact = |text: &str| !text.is_empty() && !text.contains(['*', '?', '%']);
            if !(exact(field) && exact(code) && code.contains('.')) || *status != 409 {
                bail!("a mask for {field} must name one field, the status 409 and one code");
            }
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.header.len() + self.column.len() + self.taken.len()
    }

    /// An answer without the masked headers.
    pub(super) fn stripped(&self, answer: &Answer) -> Answer {
        let mut answer = answer.clone();
        answer.headers.retain(|(name, _)| !self.header.iter().any(|mask| mask.name == *name));
        answer
    }

    pub(super) fn hides_column(&self, table: &str, column: &str) -> bool {
        self.column.iter().any(|mask| mask.table == table && mask.name == column)
    }

    /// The columns that are not compared, with their tables.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.column.iter().map(|mask| (mask.table.as_str(), mask.name.as_str()))
    }

    /// Whether the answer says no more than that somebody else has taken the value that the step tried.
    pub(super) fn excuses(&self, label: &Label, answer: &Answer) -> Option<&str> {
        let Position::Body(field) = &label.position else { return None };
        let mask = self.taken.iter().find(|mask| mask.field == *field)?;
        let is_page = answer.header("content-type").is_some_and(|mime| mime.starts_with("text/html"));
        let says = mask.code == answer.code() || (is_page && answer.text().contains(&mask.page_says));
        (mask.status == answer.status && says).then_some(mask.code.as_str())
    }

    /// Every mask by the name under which its use is noted.
    pub(super) fn names(&self) -> Vec<String> {
        let headers = self.header.iter().map(|mask| mask.name.clone());
        let columns = self.column.iter().map(|mask| format!("{}.{}", mask.table, mask.name));
        headers.chain(columns).chain(self.taken.iter().map(|mask| mask.code.clone())).collect()
    }

    /// The same list without the masks of one column.
    pub(super) fn without_column(&self, table: &str, column: &str) -> Self {
        let mut fewer = self.clone();
        fewer.column.retain(|mask| mask.table != table || mask.name != column);
        fewer
    }
}

#[cfg(test)]
mod tests {
    use super::Masks;

    #[test]
    fn only_narrow_masks_with_reasons_are_taken() {
        let good = "[[taken]]\nfield = 'slug'\nstatus = 409\ncode = 'a.slug_taken'\npage_says = 'is taken'\nreason = 'slugs are part of public addresses'";
        assert_eq!(Masks::parse(good).unwrap().len(), 1);
        for bad in [
            "[[body]]\noperation = 'a.b'\nreason = 'all bodies differ, so they are left out'",
            "[[header]]\nname = '*'\nreason = 'headers are of no interest to anyone'",
            "[[header]]\nname = 'set-cookie'\nreason = 'headers are of no interest to anyone'",
            "[[header]]\nname = 'date'\nreason = 'clock'",
            &good.replace("'slug'", "'*'"),
            &good.replace("409", "200"),
            &format!("{good}\nbody = true"),
            &(good.to_owned() + "\n").repeat(13),
        ] {
            assert!(Masks::parse(bad).is_err(), "{bad}");
        }
    }
}
