//! Values fit for a leaf: made up, the same for the same number.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::input::{Form, Leaf};

/// How a tenant makes up its values.
#[derive(Debug, Clone)]
pub(super) struct Taste {
    /// Tells tenants apart where a value is unique among all of them.
    pub(super) tag: &'static str,
    /// The columns that are unique among all tenants.
    pub(super) spanning: BTreeSet<String>,
    /// Put into every text that has room for it.
    pub(super) canary: Option<String>,
}

impl Taste {
    /// A value that fits the leaf, other than those of other numbers where there is a choice; `None` for an id, which
    /// nobody can make up.
    pub(super) fn value(&self, leaf: &Leaf, number: u64) -> Option<Value> {
        if let (Some(example), Form::Pattern(_) | Form::Unknown) = (&leaf.example, &leaf.form) {
            return Some(example.clone());
        }
        let spans = self.spanning.iter().any(|column| column.starts_with(&leaf.name));
        Some(match &leaf.form {
            Form::Boolean => json!(true),
            Form::Choice(all) => all.first()?.clone(),
            Form::Email => json!(format!("{}{number}@example.com", self.tag)),
            Form::Id(_) | Form::AnyId => return None,
            Form::Integer { min, max } => json!(*min.max(&i64::MIN.saturating_add(1)).min(max)),
            Form::Number => json!(1.5),
            Form::Pattern(pattern) => json!(matching(pattern, number, if spans { self.tag } else { "" })?),
            Form::Text { min, max } => json!(self.text(*min, *max, number)),
            Form::Time => json!("2027-02-03T04:05:06Z"),
            Form::Unknown => Value::Null,
        })
    }

    fn text(&self, min: usize, max: usize, number: u64) -> String {
        let mut text = match &self.canary {
            Some(canary) if canary.len() + 8 <= max => format!("{number} {canary}"),
            _ => format!("{number} of our own"),
        };
        while text.chars().count() < min {
            text.push_str(" and more");
        }
        text.chars().take(max).collect()
    }
}

/// A text that the pattern describes.
fn matching(pattern: &str, number: u64, tag: &str) -> Option<String> {
    // The generator makes whole matches and knows no anchors.
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let strategy = proptest::string::string_regex(bare).ok()?;
    let seed = kernel_core::secret::sha256(format!("{tag}/{number}").as_bytes());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    Some(strategy.new_tree(&mut runner).ok()?.current())
}

/// A well-formed id of this noun that nobody has.
pub(super) fn missing_id(prefix: &str) -> String {
    format!("{prefix}_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f")
}

/// Texts that are no id of this noun.
pub(super) fn malformed_ids(prefix: &str) -> Vec<String> {
    let digits = "0192e0c17a2b7c3d8e4f5a6b7c8d9e0f";
    vec![
        "x".to_owned(),
        digits.to_owned(),
        format!("{prefix}_{}", digits.to_uppercase()),
        format!("{prefix}_{}", &digits[1..]),
        format!("zz_{digits}"),
        format!("{prefix}_00000000000000000000000000000000"),
        format!("{prefix}_' OR true --"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_met_and_a_number_gives_one_text() {
        let slug = "^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$";
        let made = matching(slug, 7, "a").unwrap();
        assert!((3..=40).contains(&made.len()), "{made}");
        assert_eq!(matching(slug, 7, "a").unwrap(), made);
        assert_ne!(matching(slug, 7, "b").unwrap(), made);
        assert_ne!(matching(slug, 8, "a").unwrap(), made);
    }
}
