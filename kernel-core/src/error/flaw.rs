//! What is wrong with an input field.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a field is refused: the key of a message, and what the message is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    key: Cow<'static, str>,
    args: BTreeMap<&'static str, String>,
}

impl Flaw {
    /// The message of this key says why. A text that is no key is its own message, in one language.
    pub fn new(key: impl Into<Cow<'static, str>>) -> Self {
        Self { key: key.into(), args: BTreeMap::new() }
    }

    /// Adds an argument of the message.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and literals read better without an ampersand"
    )]
    pub fn arg(mut self, name: &'static str, value: impl ToString) -> Self {
        self.args.insert(name, value.to_string());
        self
    }

    /// The key of the message, which is also the code for programs: `field.too_long`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The arguments of the message.
    #[must_use]
    pub fn args(&self) -> &BTreeMap<&'static str, String> {
        &self.args
    }
}

impl From<&'static str> for Flaw {
    fn from(key: &'static str) -> Self {
        Self::new(key)
    }
}

impl From<String> for Flaw {
    fn from(key: String) -> Self {
        Self::new(key)
    }
}
