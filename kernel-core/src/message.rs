//! The texts that people read, by key: ICU MessageFormat in `locales/<language>.json` of each pillar and product.

use std::collections::{BTreeMap, HashMap};

use formatjs_icu_messageformat::{IcuMessageFormat, Value};

use crate::pillar::Pillar;

/// The language of every text that has no other.
pub const DEFAULT_LOCALE: &str = "en";

/// The message catalogue of an app.
#[derive(Default)]
pub struct Messages {
    texts: HashMap<String, IcuMessageFormat>,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("texts", &self.texts.len()).finish()
    }
}

/// A catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Two pillars claim the same key.
    #[error("the message {0:?} is given twice")]
    Duplicate(String),
    /// The file is not an object of texts.
    #[error("a catalogue is a JSON object of texts: {0}")]
    Malformed(String),
    /// A text is not ICU MessageFormat.
    #[error("the message {key:?} cannot be read: {reason}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What the parser said.
        reason: String,
    },
}

impl Messages {
    /// The kernel's own texts and those of the pillars, for a product that makes pages of its own.
    ///
    /// # Errors
    /// [`MessageError`], as for [`Messages::add`].
    pub fn of<'a>(pillars: impl IntoIterator<Item = &'a Pillar>) -> Result<Self, MessageError> {
        let mut messages = Self::default();
        let core = crate::core_pillar().messages;
        let others = pillars.into_iter().flat_map(|pillar| pillar.messages.iter().copied());
        for json in core.into_iter().chain(others) {
            messages.add(json)?;
        }
        Ok(messages)
    }

    /// Adds the texts of one pillar: a JSON object of key to text.
    ///
    /// # Errors
    /// [`MessageError`] for a file or a text that cannot be read, or a key given twice.
    pub fn add(&mut self, json: &str) -> Result<(), MessageError> {
        let texts: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|error| MessageError::Malformed(error.to_string()))?;
        for (key, text) in texts {
            let message = IcuMessageFormat::try_new(&text)
                .map_err(|error| MessageError::Unreadable { key: key.clone(), reason: error.to_string() })?;
            if self.texts.insert(key.clone(), message).is_some() {
                return Err(MessageError::Duplicate(key));
            }
        }
        Ok(())
    }

    /// Whether there is a text for `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.texts.contains_key(key)
    }

    /// The text for `key`. An unknown key is its own text, which a person can at least report.
    #[must_use]
    pub fn t(&self, key: &str, args: &BTreeMap<&str, String>) -> String {
        let values = args.iter().map(|(name, value)| {
            let number = value.parse::<i64>().map(Value::from);
            ((*name).to_owned(), number.unwrap_or_else(|_| Value::from(value.as_str())))
        });
        let text = self.texts.get(key).map(|text| text.format_to_string(DEFAULT_LOCALE, &values.collect()));
        match text {
            Some(Ok(text)) => text,
            Some(Err(error)) => {
                tracing::warn!(key, error = %error, "message lacks an argument");
                key.to_owned()
            }
            None => key.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_plural_and_keys_are_unique() {
        let mut messages = Messages::default();
        messages.add(r#"{"n": "{count, plural, one {# issue} other {# issues}} in {name}"}"#).unwrap();
        let args = |count: &str| BTreeMap::from([("count", count.to_owned()), ("name", "<b>".to_owned())]);
        assert_eq!(messages.t("n", &args("1")), "1 issue in <b>");
        assert_eq!(messages.t("n", &args("2")), "2 issues in <b>");
        assert_eq!(messages.t("missing", &args("2")), "missing");
        assert_eq!(messages.add(r#"{"n": "again"}"#), Err(MessageError::Duplicate("n".to_owned())));
        assert!(messages.add(r#"{"m": "{count, plural,"}"#).is_err());
    }
}
