//! One case: a sound program, and the one token that makes it unsound.
//!
//! ```text
//! //! An id out of a request is no evidence of membership.
//! //!
//! //! error[E0308]: expected `&Workspace`
//!
//! … db.tenant(ctx, workspace /* not: id */, …) …
//! ```

use std::path::Path;

use anyhow::{Context, Result, ensure};

const OPENS: &str = " /* not: ";
const CLOSES: &str = " */";

/// A program that compiles, and its twin that must not.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// What the case shows, in a sentence.
    pub(super) claim: String,
    /// The code of the compiler's error; some have none.
    pub(super) code: Option<String>,
    /// What the compiler must say.
    pub(super) text: String,
    pub(super) twin: String,
    pub(super) misuse: String,
}

impl Case {
    /// The cases of a folder, by name.
    pub(super) fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let source =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let case = Self::read(name, &source).with_context(|| format!("{} is no case", path.display()))?;
            cases.push(case);
        }
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(cases)
    }

    fn read(name: &str, source: &str) -> Result<Self> {
        let mut head = source.lines().filter_map(|line| line.strip_prefix("//! "));
        let claim = head.next().context("it does not say what it shows")?.to_owned();
        let expected = head.next().and_then(|line| line.strip_prefix("error"));
        let (code, text) =
            expected.and_then(|rest| rest.split_once(": ")).context("it names no error of the compiler")?;
        let code = code.strip_prefix('[').and_then(|code| code.strip_suffix(']')).map(str::to_owned);
        let misuse = replaced(source)?;
        Ok(Self {
            name: name.to_owned(),
            claim,
            code,
            text: text.to_owned(),
            twin: source.to_owned(),
            misuse,
        })
    }
}

/// The source with the one token exchanged: whatever stands before the mark, for what the mark names.
fn replaced(source: &str) -> Result<String> {
    let (before, rest) = source.split_once(OPENS).context("it marks no token")?;
    let (token, after) = rest.split_once(CLOSES).context("its mark does not end")?;
    ensure!(!after.contains(OPENS), "it marks more than one token");
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let kept = before.trim_end_matches(is_of_word);
    ensure!(kept.len() < before.len(), "no word stands before its mark");
    ensure!(!kept.ends_with(['\'', '"', '#']), "what stands before its mark is part of a longer token");
    ensure!(!token.is_empty() && token.chars().all(is_of_word), "what it names is not one word");
    ensure!(before[kept.len()..] != *token, "what it names is what stands there");
    Ok(format!("{kept}{token}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_word_is_exchanged() {
        assert_eq!(replaced("f(&good /* not: bad */, x)").unwrap(), "f(&bad, x)");
        for wrong in [
            "f(good)",
            "f(good /* not: bad",
            "f(good /* not: bad */, x /* not: y */)",
            "f(\"good\" /* not: bad */)",
            "f(good /* not: a.b */)",
            "f(good /* not: good */)",
            "f(good /* not:  */)",
            "f('a /* not: b */)",
        ] {
            assert!(replaced(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_head_says_what_is_expected() {
        let source = "//! It holds.\n//!\n//! error[E0001]: wrong: very\n\nfn f(x /* not: y */) {}\n";
        let case = Case::read("it", source).unwrap();
        assert_eq!(
            (case.claim.as_str(), case.code.as_deref(), case.text.as_str()),
            ("It holds.", Some("E0001"), "wrong: very")
        );
        let without = source.replace("[E0001]", "");
        assert_eq!(Case::read("it", &without).unwrap().code, None);
        assert!(Case::read("it", &source.replace("error", "warning")).is_err());
    }
}
