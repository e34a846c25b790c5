//! What the caller would like to be answered with.

use http::HeaderMap;
use http::header::ACCEPT;
use mime::Mime;

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

/// Media ranges with their quality in thousandths. Bounded: a longer list is cut.
fn ranges(headers: &HeaderMap) -> Vec<(Mime, u16)> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .take(32)
        .filter_map(|range| range.trim().parse::<Mime>().ok())
        .map(|range| {
            let quality = range.get_param("q").and_then(|q| q.as_str().parse::<f32>().ok()).unwrap_or(1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to 0..=1000"
            )]
            let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
            (range, thousandths)
        })
        .collect()
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
}
