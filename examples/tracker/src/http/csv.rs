//! A body that is a CSV file.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use kernel_core::http::{BodyFile, Incoming, Input, InputShape};
use kernel_core::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A file sent as `text/csv`, in UTF-8.
#[derive(Debug, Clone)]
pub(crate) struct Csv(pub(crate) BodyFile);

const TYPE: &str = "text/csv";

impl Csv {
    /// Whether the body is one.
    pub(crate) fn is_in(headers: &HeaderMap) -> bool {
        let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parts = text.split(';').map(str::trim);
        let is_csv = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(TYPE));
        let other = |part: &str| {
            let charset = part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
            charset.is_some_and(|(_, value)| !value.trim_matches('"').eq_ignore_ascii_case("utf-8"))
        };
        is_csv && !parts.any(other)
    }
}

impl Input for Csv {
    fn read(from: &Incoming) -> Result<Self, Error> {
        if Self::is_in(&from.head().headers) {
            Ok(Self(from.file()))
        } else {
            Err(Error::new(ErrorKind::UnsupportedMediaType, "unsupported_media_type"))
        }
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.text::<CsvText>(TYPE);
        shape.file();
    }
}

/// How the text of a file looks.
#[derive(Debug)]
pub(crate) struct CsvText;

/// The smallest file there is.
const EXAMPLE: &str = "title\nWrite a manual\n";

impl JsonSchema for CsvText {
    fn schema_name() -> Cow<'static, str> {
        "IssueFile".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "contentMediaType": TYPE,
            "pattern": "[Tt][Ii][Tt][Ll][Ee]",
            "examples": [EXAMPLE],
            "description": "The first line names the columns: title, and if wanted body, status, priority, assignee.",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_csv_in_utf8_is_read() {
        let is = |text| Csv::is_in(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]));
        for good in ["text/csv", "Text/CSV; charset=UTF-8", "text/csv; header=present; charset=\"utf-8\""] {
            assert!(is(good), "{good}");
        }
        for bad in ["", "text/plain", "text/csvx", "text/csv; charset=latin1", "application/json"] {
            assert!(!is(bad), "{bad}");
        }
        assert!(!Csv::is_in(&HeaderMap::new()));
    }
}
