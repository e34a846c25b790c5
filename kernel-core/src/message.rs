//! The texts that people read, by key and language: ICU MessageFormat in `locales/<language>.json` of each pillar and
//! product.
//!
//! English comes first: its files say which keys there are, and which arguments each text takes. A text that a language
//! lacks is English. Plurals and ordinals go by the language's own rules, and so do numbers that are written as such
//! (`{count, number}`, `#`): both are ICU4X's, from CLDR. Dates are not handed in; who shows one formats it.

mod language;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use formatjs_icu_messageformat::{IcuMessageFormat, Value};
use formatjs_icu_messageformat_parser::message_arguments;

use crate::pillar::Pillar;

pub use language::Language;

/// The texts of one language, by key.
type Texts = HashMap<String, IcuMessageFormat>;

/// The message catalogue of an app.
#[derive(Default)]
pub struct Messages {
    english: Texts,
    translations: BTreeMap<Language, Texts>,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let languages: Vec<_> = self.languages().collect();
        let texts = self.english.len();
        f.debug_struct("Messages")
            .field("texts", &texts)
            .field("languages", &languages)
            .finish_non_exhaustive()
    }
}

/// A catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A translation names an argument that the English text does not have: nobody would give it a value.
    #[error("{language}: the message {key:?} names {argument}, which the English text does not")]
    Argument {
        /// The language of the translation.
        language: Language,
        /// Its key.
        key: String,
        /// The argument.
        argument: String,
    },
    /// Two pillars claim the same key.
    #[error("the message {0:?} is given twice")]
    Duplicate(String),
    /// The file is not an object of texts.
    #[error("a catalogue is a JSON object of texts: {0}")]
    Malformed(String),
    /// The tag of a language is none, or not in its usual spelling.
    #[error("{0:?} is no language, or not as it is usually spelt: de, pt-BR, zh-Hant")]
    Tag(String),
    /// A translation of what English does not say.
    #[error("{language}: there is no English message {key:?}")]
    Unknown {
        /// The language of the translation.
        language: Language,
        /// Its key.
        key: String,
    },
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
    /// [`MessageError`], as for [`Messages::add`] and [`Messages::translate`].
    pub fn of<'a>(pillars: impl IntoIterator<Item = &'a Pillar>) -> Result<Self, MessageError> {
        let core = crate::core_pillar();
        let mut all = vec![&core];
        for pillar in pillars {
            all.push(pillar);
        }
        let (messages, refused) = Self::gathered(&all);
        refused.into_iter().next().map_or(Ok(messages), |(_, error)| Err(error))
    }

    /// The texts of these pillars, all English ones before the first translation, and what cannot be used, with the
    /// pillar's name.
    pub(crate) fn gathered(pillars: &[&Pillar]) -> (Self, Vec<(&'static str, MessageError)>) {
        let (mut messages, mut refused) = (Self::default(), Vec::new());
        for pillar in pillars {
            let added = pillar.messages.iter().map(|json| messages.add(json));
            refused.extend(added.filter_map(Result::err).map(|error| (pillar.name, error)));
        }
        for pillar in pillars {
            let added = pillar.translations.iter().map(|(tag, json)| messages.translate(tag, json));
            refused.extend(added.filter_map(Result::err).map(|error| (pillar.name, error)));
        }
        (messages, refused)
    }

    /// Adds the English texts of one pillar: a JSON object of key to text.
    ///
    /// # Errors
    /// [`MessageError`] for a file or a text that cannot be read, or a key given twice.
    pub fn add(&mut self, json: &str) -> Result<(), MessageError> {
        for (key, text) in texts(json)? {
            if self.english.contains_key(&key) {
                return Err(MessageError::Duplicate(key));
            }
            self.english.insert(key, text);
        }
        Ok(())
    }

    /// Adds texts in another language, once the English ones are there. Of two translations of one text the later one
    /// counts, so that a product may say in its own words what a pillar says.
    ///
    /// # Errors
    /// [`MessageError`] for a tag, file or text that cannot be read, a key that English lacks, and an argument that the
    /// English text does not take.
    pub fn translate(&mut self, tag: &'static str, json: &str) -> Result<(), MessageError> {
        let language = Language::new(tag)?;
        if language == Language::ENGLISH {
            return Err(MessageError::Tag(tag.to_owned()));
        }
        let texts = texts(json)?;
        for (key, text) in &texts {
            let Some(english) = self.english.get(key) else {
                return Err(MessageError::Unknown { language, key: key.clone() });
            };
            if let Some(argument) = arguments(text).difference(&arguments(english)).next() {
                let (key, argument) = (key.clone(), argument.clone());
                return Err(MessageError::Argument { language, key, argument });
            }
        }
        self.translations.entry(language).or_default().extend(texts);
        Ok(())
    }

    /// The languages that there are texts in: English, then the others by their tags.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        std::iter::once(Language::ENGLISH).chain(self.translations.keys().copied())
    }

    /// Whether there is a text for `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.english.contains_key(key)
    }

    /// The keys of all texts, in order.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<&str> {
        self.english.keys().map(String::as_str).collect()
    }

    /// The keys whose texts nobody has written in `language`, in order. They are shown in English.
    #[must_use]
    pub fn untranslated(&self, language: Language) -> BTreeSet<&str> {
        let translated = self.translations.get(&language);
        let is_missing = |key: &&str| {
            language != Language::ENGLISH && translated.is_none_or(|texts| !texts.contains_key(*key))
        };
        self.keys().into_iter().filter(is_missing).collect()
    }

    /// The text for `key` in `language`, or else in English. An unknown key is its own text, which a person can at
    /// least report.
    #[must_use]
    pub fn t(&self, language: Language, key: &str, args: &BTreeMap<&str, String>) -> String {
        let translated = self.translations.get(&language).and_then(|texts| texts.get(key));
        let candidates = [(language, translated), (Language::ENGLISH, self.english.get(key))];
        let values = args.iter().map(|(name, value)| ((*name).to_owned(), valued(value))).collect();
        for (language, text) in candidates {
            let Some(text) = text else { continue };
            match text.format_to_string(language.tag(), &values) {
                Ok(text) => return text,
                Err(error) => {
                    tracing::warn!(key, %language, error = %error, "message lacks an argument");
                }
            }
        }
        key.to_owned()
    }
}

/// The texts of a file.
fn texts(json: &str) -> Result<Texts, MessageError> {
    let texts: BTreeMap<String, String> =
        serde_json::from_str(json).map_err(|error| MessageError::Malformed(error.to_string()))?;
    let texts = texts.into_iter().map(|(key, text)| match IcuMessageFormat::try_new(&text) {
        Ok(text) => Ok((key, text)),
        Err(error) => Err(MessageError::Unreadable { key, reason: error.to_string() }),
    });
    texts.collect()
}

/// The names of what a text is given.
fn arguments(text: &IcuMessageFormat) -> BTreeSet<String> {
    message_arguments(text.get_ast()).into_keys().collect()
}

/// A number where the text is exactly that, so that plurals can count it; a name such as `007` stays as it is.
fn valued(text: &str) -> Value {
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.map_or_else(|| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: Language = Language::ENGLISH;

    fn counted(text: &str) -> Messages {
        let mut messages = Messages::default();
        messages.add(&format!(r#"{{"n": "{text}"}}"#)).unwrap();
        messages
    }

    fn args<'a>(count: &str) -> BTreeMap<&'a str, String> {
        BTreeMap::from([("count", count.to_owned()), ("name", "<b>".to_owned())])
    }

    #[test]
    fn texts_are_plural_and_keys_are_unique() {
        let mut messages = counted("{count, plural, one {# issue} other {# issues}} in {name}");
        assert_eq!(messages.t(ENGLISH, "n", &args("1")), "1 issue in <b>");
        assert_eq!(messages.t(ENGLISH, "n", &args("2")), "2 issues in <b>");
        assert_eq!(messages.t(ENGLISH, "missing", &args("2")), "missing");
        assert_eq!(messages.add(r#"{"n": "again"}"#), Err(MessageError::Duplicate("n".to_owned())));
        assert!(messages.add(r#"{"m": "{count, plural,"}"#).is_err());
    }

    #[test]
    fn a_name_made_of_digits_is_no_number() {
        let messages = counted("{count}");
        for name in ["007", "+5", "-0", "12", "99999999999999999999"] {
            assert_eq!(messages.t(ENGLISH, "n", &args(name)), name);
        }
    }

    #[test]
    fn each_language_counts_in_its_own_way_and_lacks_nothing() {
        let mut messages = counted("{count, plural, one {# day} other {# days}}");
        messages.add(r#"{"only": "in English"}"#).unwrap();
        let polish = r#"{"n": "{count, plural, one {# dzień} few {# dni} other {# dnia}}"}"#;
        messages.translate("pl", polish).unwrap();
        messages.translate("de", r#"{"n": "{count, number} Tage"}"#).unwrap();
        let languages: Vec<_> = messages.languages().collect();
        let [_, german, polish] = languages[..] else { panic!("{languages:?}") };
        assert_eq!(messages.t(polish, "n", &args("3")), "3 dni");
        assert_eq!(messages.t(polish, "n", &args("1")), "1 dzień");
        assert_eq!(messages.t(german, "n", &args("12345")), "12.345 Tage");
        assert_eq!(messages.t(german, "only", &args("1")), "in English");
        assert_eq!(messages.untranslated(german), BTreeSet::from(["only"]));
        assert_eq!(messages.untranslated(ENGLISH), BTreeSet::new());
        // What the translation cannot make of an argument, English can.
        messages.add(r#"{"word": "{count}"}"#).unwrap();
        messages.translate("de", r#"{"word": "{count, number}"}"#).unwrap();
        assert_eq!(messages.t(german, "word", &args("x")), "x");
    }

    #[test]
    fn a_translation_says_what_english_says() {
        let mut messages = counted("{count}");
        let unknown = MessageError::Unknown { language: Language::new("de").unwrap(), key: "m".to_owned() };
        assert_eq!(messages.translate("de", r#"{"m": "x"}"#), Err(unknown));
        let refused = messages.translate("de", r#"{"n": "{count, plural, other {{other}}}"}"#);
        assert!(matches!(refused, Err(MessageError::Argument { argument, .. }) if argument == "other"));
        for tag in ["en", "deutsch!", "DE"] {
            assert_eq!(messages.translate(tag, "{}"), Err(MessageError::Tag(tag.to_owned())));
        }
        assert!(messages.translate("de", r#"{"n": "{count"}"#).is_err());
    }
}
