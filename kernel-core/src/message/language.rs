//! The languages of texts.

use std::fmt;

use formatjs_icu_messageformat::Locale;

use super::MessageError;

/// A language that texts are written in: a tag of BCP 47 in its usual spelling, such as `de`, `pt-BR` or `zh-Hant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

impl Language {
    /// The language of every text that has no other.
    pub const ENGLISH: Self = Self("en");

    /// The language of this tag.
    ///
    /// # Errors
    /// [`MessageError::Tag`] for a tag that is none, is spelt unusually or carries extensions.
    pub fn new(tag: &'static str) -> Result<Self, MessageError> {
        let usual = tag.parse::<Locale>().ok().map(|locale| locale.id);
        match usual {
            Some(id) if !id.language.is_unknown() && id.to_string() == tag => Ok(Self(tag)),
            _ => Err(MessageError::Tag(tag.to_owned())),
        }
    }

    /// The tag, as in `lang="…"` and `Content-Language`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::ENGLISH
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_one_spelling() {
        for tag in ["en", "de", "pt-BR", "zh-Hant", "de-CH-1996", "gsw"] {
            assert_eq!(Language::new(tag).map(Language::tag), Ok(tag));
        }
        for tag in ["", "DE", "de_CH", "de-ch", "german", "de-", "und", "de-u-nu-latn", "d", "d€"] {
            assert_eq!(Language::new(tag), Err(MessageError::Tag(tag.to_owned())));
        }
    }
}
