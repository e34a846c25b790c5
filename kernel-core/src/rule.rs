//! Rules about texts that people write, for `#[garde(custom(…))]`, and the patterns that say the same in a schema.
//!
//! ```
//! # use garde::Validate;
//! # use kernel_core::rule::{self, printable, saying_something};
//! #[derive(garde::Validate, schemars::JsonSchema)]
//! struct NewBook {
//!     #[garde(length(chars, min = 1, max = 80), custom(saying_something))]
//!     #[schemars(length(min = 1, max = 80), regex(pattern = rule::SAYING_SOMETHING))]
//!     title: String,
//!     #[garde(length(chars, max = 500), custom(printable))]
//!     #[schemars(length(max = 500), regex(pattern = rule::PRINTABLE))]
//!     blurb: String,
//! }
//! let book = |title: &str| NewBook { title: title.to_owned(), blurb: String::new() };
//! assert!(book("Emma").validate().is_ok() && book(" \t").validate().is_err() && book("a\0b").validate().is_err());
//! ```

mod builtin;

use std::collections::BTreeMap;

use garde::Validate;

use crate::error::Flaw;
use builtin::Noted;

/// What [`printable`] takes, as a pattern.
pub const PRINTABLE: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// What [`saying_something`] takes, as a pattern.
pub const SAYING_SOMETHING: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// Refuses control characters but for tabs and the ends of lines. U+0000 is one that PostgreSQL cannot store.
///
/// # Errors
/// `field.unprintable`.
pub fn printable(text: &str, (): &()) -> garde::Result {
    let forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(forbidden) { Err(garde::Error::new("field.unprintable")) } else { Ok(()) }
}

/// Refuses a text of spaces only, and everything that is not [`printable`].
///
/// # Errors
/// `field.required`, `field.unprintable`.
pub fn saying_something(text: &str, ctx: &()) -> garde::Result {
    if text.trim().is_empty() { Err(garde::Error::new("field.required")) } else { printable(text, ctx) }
}

/// How many flaws of one value are told: whoever sends a long list of wrong things gets no longer answer for it.
const TOLD_MAX: usize = 100;

/// What is wrong with each field of a value, none where it keeps its rules; of many flaws the first hundred. A built-in rule has a message of the kernel's with its
/// limits as arguments; a custom one has the text that it gives, best the key of a message.
pub fn flaws<T: Validate<Context = ()>>(value: &T) -> BTreeMap<String, Flaw> {
    let noted = Noted::default();
    match garde::i18n::with_i18n(&noted, || value.validate()) {
        Ok(()) => BTreeMap::new(),
        Err(report) => {
            let flaws = report
                .iter()
                .take(TOLD_MAX)
                .map(|(path, error)| (path.to_string(), noted.flaw(error.message())));
            flaws.collect()
        }
    }
}
