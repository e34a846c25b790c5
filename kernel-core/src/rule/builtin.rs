//! The built-in rules of garde, each with the message that says what it asks for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;

use garde::i18n::{I18n, InvalidCreditCard, InvalidEmail, InvalidPhoneNumber, InvalidUrl, IpKind};

use crate::error::Flaw;
use crate::rule::TOLD_MAX;

/// What precedes the number of a noted flaw; no text for people begins with it.
const MARK: char = '\u{1}';

/// The flaws that the rules of one value have found. garde hands on texts only: each is the number of a flaw here.
#[derive(Debug, Default)]
pub(super) struct Noted(RefCell<Vec<Flaw>>);

impl Noted {
    /// The flaw that a text of the report stands for.
    pub(super) fn flaw(&self, text: &str) -> Flaw {
        let number = text.strip_prefix(MARK).and_then(|number| number.parse::<usize>().ok());
        let noted = number.and_then(|number| self.0.borrow().get(number).cloned());
        noted.unwrap_or_else(|| Flaw::new(text.to_owned()))
    }

    fn note(&self, flaw: impl Into<Flaw>) -> Cow<'static, str> {
        let mut noted = self.0.borrow_mut();
        if noted.len() == TOLD_MAX {
            // Those that are told come first in the report, too.
            return "".into();
        }
        noted.push(flaw.into());
        format!("{MARK}{}", noted.len() - 1).into()
    }
}

impl I18n for Noted {
    fn length_lower_than(&self, min: usize) -> Cow<'static, str> {
        self.note(Flaw::new("field.too_short").arg("min", min))
    }

    fn length_greater_than(&self, max: usize) -> Cow<'static, str> {
        self.note(Flaw::new("field.too_long").arg("max", max))
    }

    fn range_lower_than(&self, min: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.too_small").arg("min", min))
    }

    fn range_greater_than(&self, max: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.too_large").arg("max", max))
    }

    fn credit_card_invalid(&self, _: InvalidCreditCard) -> Cow<'static, str> {
        self.note("field.no_card_number")
    }

    fn pattern_no_match(&self, pattern: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.other_form").arg("pattern", pattern))
    }

    fn contains_missing(&self, part: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.lacks_part").arg("part", part))
    }

    fn url_invalid(&self, _: InvalidUrl) -> Cow<'static, str> {
        self.note("field.no_url")
    }

    fn prefix_missing(&self, part: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.other_beginning").arg("part", part))
    }

    fn suffix_missing(&self, part: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.other_end").arg("part", part))
    }

    fn phone_number_invalid(&self, _: InvalidPhoneNumber) -> Cow<'static, str> {
        self.note("field.no_phone_number")
    }

    fn ip_invalid(&self, _: IpKind) -> Cow<'static, str> {
        self.note("field.no_ip_address")
    }

    fn matches_field_mismatch(&self, field: &dyn Display) -> Cow<'static, str> {
        self.note(Flaw::new("field.no_match").arg("field", field))
    }

    fn email_invalid(&self, _: InvalidEmail) -> Cow<'static, str> {
        self.note("field.no_email")
    }

    fn ascii_invalid(&self) -> Cow<'static, str> {
        self.note("field.not_ascii")
    }

    fn alphanumeric_invalid(&self) -> Cow<'static, str> {
        self.note("field.not_alphanumeric")
    }

    fn required_not_set(&self) -> Cow<'static, str> {
        self.note("field.required")
    }
}

#[cfg(test)]
mod tests {
    use garde::Validate;

    use crate::rule::flaws;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "garde hands its context over so")]
    fn lower(word: &str, (): &()) -> garde::Result {
        if word == word.to_lowercase() { Ok(()) } else { Err(garde::Error::new("has capitals")) }
    }

    #[derive(Validate)]
    struct Order {
        #[garde(length(chars, min = 2), ascii)]
        name: String,
        #[garde(inner(length(max = 3), prefix("a")))]
        tags: Vec<String>,
        #[garde(range(min = 0.5, max = 9.0))]
        weight: f64,
        #[garde(custom(lower))]
        colour: String,
        #[garde(email)]
        email: String,
        #[garde(required)]
        place: Option<u8>,
    }

    #[test]
    fn of_many_flaws_the_first_hundred_are_told() {
        let [name, colour, email] = ["ab", "red", "a@example.com"].map(str::to_owned);
        let tags = vec!["b".to_owned(); 50_000];
        let found = flaws(&Order { name, tags, weight: 1.0, colour, email, place: Some(1) });
        assert_eq!(found.len(), 100);
        for place in 0..100 {
            assert_eq!(found[&format!("tags[{place}]")].key(), "field.other_beginning");
        }
    }

    #[test]
    fn every_flaw_has_its_key_and_its_limits() {
        let tags = vec!["abc".to_owned(), "bcde".to_owned()];
        let [name, colour, email] = ["a", "Red", "nobody"].map(str::to_owned);
        let order = Order { name, tags, weight: 0.25, colour, email, place: None };
        let told: Vec<_> = flaws(&order)
            .into_iter()
            .map(|(field, flaw)| format!("{field} {} {:?}", flaw.key(), flaw.args()))
            .collect();
        assert_eq!(
            told,
            [
                "colour has capitals {}",
                "email field.no_email {}",
                "name field.too_short {\"min\": \"2\"}",
                "place field.required {}",
                "tags[1] field.other_beginning {\"part\": \"a\"}",
                "weight field.too_small {\"min\": \"0.5\"}",
            ]
        );
    }
}
