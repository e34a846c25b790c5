//! What the caller would like to be answered with.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName};
use mime::Mime;

use crate::message::Language;

/// The representations that the kernel itself can make of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Json,
    ProblemJson,
}

impl Form {
    fn essence(self) -> (&'static str, &'static str) {
        match self {
            Self::Html => ("text", "html"),
            Self::Json => ("application", "json"),
            Self::ProblemJson => ("application", "problem+json"),
        }
    }
}

/// The first of `offers` that the `Accept` header likes best; the very first when it says nothing usable.
pub(crate) fn preferred(headers: &HeaderMap, offers: &[Form]) -> Form {
    let mut best = (0, offers[0]);
    let ranges = ranges(headers);
    for offer in offers {
        let quality = quality(&ranges, *offer);
        if quality > best.0 {
            best = (quality, *offer);
        }
    }
    best.1
}

/// Whether a script asks: JSON is named, and liked better than a page.
#[must_use]
pub fn prefers_json(headers: &HeaderMap) -> bool {
    preferred(headers, &[Form::Html, Form::Json]) == Form::Json
}

/// The language of `offered` that the `Accept-Language` header likes best, English when it names none of them. The way is
/// the lookup of RFC 4647: who asks for `de-CH` gets `de` where there is no `de-CH`.
pub(crate) fn language(headers: &HeaderMap, offered: &[Language]) -> Language {
    let weighed = elements(headers, ACCEPT_LANGUAGE).map(|range| {
        let (range, params) = range.split_once(';').unwrap_or((range, ""));
        let mut params = params.split(';').filter_map(|param| param.trim().split_once('='));
        let quality = params.find(|(name, _)| name.eq_ignore_ascii_case("q"));
        (range.trim(), quality.map_or(MOST, |(_, quality)| thousandths(quality)))
    });
    let (mut wanted, refused): (Vec<_>, Vec<_>) = weighed.partition(|(_, quality)| *quality > 0);
    wanted.sort_by_key(|(_, quality)| Reverse(*quality));
    let offered =
        offered.iter().copied().filter(|language| !refused.iter().any(|(range, _)| names(range, *language)));
    let offered: Vec<_> = offered.collect();
    wanted.iter().find_map(|(range, _)| lookup(range, &offered)).unwrap_or_default()
}

fn names(range: &str, language: Language) -> bool {
    range.eq_ignore_ascii_case(language.tag())
}

/// The language of this range, or of the longest beginning of it that is one.
fn lookup(mut range: &str, offered: &[Language]) -> Option<Language> {
    loop {
        if let Some(found) = offered.iter().find(|language| names(range, **language)) {
            return Some(*found);
        }
        let (shorter, _) = range.rsplit_once('-')?;
        // A single letter begins an extension, and says nothing without it.
        range = match shorter.rsplit_once('-') {
            Some((rest, single)) if single.len() == 1 => rest,
            _ => shorter,
        };
    }
}

/// The elements of a header that lists preferences. Bounded: a longer list is cut.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).take(32)
}

/// The quality of what is given none.
const MOST: u16 = 1000;

/// A quality in thousandths; one that cannot be read counts like none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
fn thousandths(quality: &str) -> u16 {
    quality.parse::<f32>().map_or(MOST, |quality| (quality.clamp(0.0, 1.0) * f32::from(MOST)) as u16)
}

/// Media ranges with their quality.
fn ranges(headers: &HeaderMap) -> Vec<(Mime, u16)> {
    let ranges = elements(headers, ACCEPT).filter_map(|range| range.trim().parse::<Mime>().ok());
    let weighed = ranges.map(|range| {
        let quality = range.get_param("q").map_or(MOST, |quality| thousandths(quality.as_str()));
        (range, quality)
    });
    weighed.collect()
}

/// The quality of the most specific range that covers `offer`; 0 when none does.
fn quality(ranges: &[(Mime, u16)], offer: Form) -> u16 {
    let (kind, subtype) = offer.essence();
    let specificity = |range: &Mime| {
        let full = match range.suffix() {
            Some(suffix) => format!("{}+{suffix}", range.subtype()),
            None => range.subtype().to_string(),
        };
        match (range.type_().as_str(), full.as_str()) {
            (t, s) if t == kind && s == subtype => Some(2),
            (t, "*") if t == kind => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    };
    let covering = ranges.iter().filter_map(|(range, quality)| Some((specificity(range)?, *quality)));
    covering.max_by_key(|(specificity, _)| *specificity).map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_browser_gets_a_page_and_a_script_gets_json() {
        let page = [Form::Html, Form::Json, Form::ProblemJson];
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(preferred(&accepting(browser), &page), Form::Html);
        assert_eq!(preferred(&accepting("application/json"), &page), Form::Json);
        assert_eq!(preferred(&accepting("*/*"), &page), Form::Html);
        assert_eq!(preferred(&HeaderMap::new(), &page), Form::Html);
        assert!(prefers_json(&accepting("application/json, text/html;q=0.5")));
        assert!(!prefers_json(&accepting("text/html, application/json;q=0.5")));
    }

    #[test]
    fn problem_json_is_given_only_to_who_names_it() {
        let api = [Form::Json, Form::ProblemJson];
        assert_eq!(preferred(&accepting("application/problem+json"), &api), Form::ProblemJson);
        assert_eq!(preferred(&accepting("application/problem+json, */*;q=0.5"), &api), Form::ProblemJson);
        assert_eq!(preferred(&accepting("application/*"), &api), Form::Json);
        assert_eq!(preferred(&accepting("text/plain, ;;;, q=x"), &api), Form::Json);
    }

    #[test]
    fn a_language_is_looked_up_and_english_is_the_last_resort() {
        let offered = ["en", "de", "pt-BR", "zh-Hant"].map(|tag| Language::new(tag).unwrap());
        let asked = |value: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(value))]);
            language(&headers, &offered).tag()
        };
        for (value, expected) in [
            ("de", "de"),
            ("de-CH, en;q=0.5", "de"),
            ("DE-ch-1996", "de"),
            ("en-US;q=0.9, de;q=0.8", "en"),
            ("en;q=0.2, de;q=0.8", "de"),
            ("fr, de;q=0.5", "de"),
            ("fr", "en"),
            ("", "en"),
            ("*, de;q=0.1", "de"),
            ("*", "en"),
            ("de;q=0, de-CH", "en"),
            ("en;Q=0.2, de;Q=0.8", "de"),
            ("zh-Hant-TW", "zh-Hant"),
            ("zh-Hans", "en"),
            ("pt", "en"),
            ("pt-BR-x-late-1", "pt-BR"),
            ("de-x", "de"),
            ("-, --, ;q=1, de;q=nan, pt-br;q=0.1", "pt-BR"),
            ("de;q=high", "de"),
        ] {
            assert_eq!(asked(value), expected, "{value}");
        }
        let long = "fr,".repeat(40) + "de";
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::try_from(long).unwrap())]);
        assert_eq!(language(&headers, &offered).tag(), "en");
        assert_eq!(language(&HeaderMap::new(), &offered).tag(), "en");
    }
}
