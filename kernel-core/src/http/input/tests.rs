use garde::Validate;
use http::Request;
use serde::Deserialize;

use super::*;
use crate::id::WorkspaceId;
use crate::secret::Keyring;

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Thing {
    #[garde(length(min = 1, max = 5))]
    title: String,
    #[serde(default)]
    #[garde(dive)]
    inner: Vec<Inner>,
    #[serde(default)]
    #[garde(inner(length(max = 3)))]
    note: Patch<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Inner {
    #[garde(range(max = 9))]
    count: u32,
}

#[derive(Debug, Deserialize)]
struct Careless {
    #[expect(dead_code, reason = "reading it fails")]
    note: Patch<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Two {
    project: u32,
    name: String,
}

fn incoming<I: Input>(
    request: Request<&'static str>,
    params: &[(&str, &str)],
    takes_forms: bool,
) -> Incoming {
    let key = [(1, [0; 32], chrono::DateTime::UNIX_EPOCH)];
    let (head, body) = request.into_parts();
    Incoming {
        head: Arc::new(head),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Bytes::from_static(body.as_bytes()),
        file: None,
        takes_forms,
        reading: Arc::new(Reading::of(I::describe)),
        seal: CursorSeal::new(Keyring::fixed(crate::Clock::system(), &key), String::new()),
    }
}

fn posted(content_type: &str, body: &'static str, takes_forms: bool) -> Result<Thing, Error> {
    let request = Request::builder().uri("/x").header("content-type", content_type).body(body).unwrap();
    Body::<Thing>::read(&incoming::<Body<Thing>>(request, &[], takes_forms)).map(|Body(thing)| thing)
}

fn refused(body: &'static str) -> (String, Vec<(String, String)>) {
    let error = posted("application/json", body, false).unwrap_err();
    let fields = error.fields().iter().map(|(name, flaw)| (name.clone(), flaw.key().to_owned()));
    (error.code().to_owned(), fields.collect())
}

fn field(name: &str, reason: &str) -> (String, Vec<(String, String)>) {
    ("invalid".to_owned(), vec![(name.to_owned(), reason.to_owned())])
}

#[test]
fn a_refused_body_names_the_field() {
    assert_eq!(refused("{}"), field("title", "field.required"));
    assert_eq!(refused(r#"{"title": 5}"#), field("title", "field.unreadable"));
    assert_eq!(refused(r#"{"title": "a", "extra": 1}"#), field("extra", "field.unknown"));
    assert_eq!(refused(r#"{"title": "a", "title": "b"}"#), field("title", "field.duplicate"));
    assert_eq!(refused(r#"{"title": "a", "inner": [{}]}"#), field("inner[0].count", "field.required"));
    assert_eq!(
        refused(r#"{"title": "a", "inner": [{"count": -1}]}"#),
        field("inner[0].count", "field.unreadable")
    );
    assert_eq!(
        refused(r#"{"title": "a", "inner": [{"count": 1, "x": 2}]}"#),
        field("inner[0].x", "field.unknown")
    );
    assert_eq!(refused("[]").0, "invalid");
    assert_eq!(refused(r#" ["a", [], null]"#), field("body", "field.unreadable"));
    let (code, fields) = refused(r#"{"title": "too long", "inner": [{"count": 10}], "note": "long"}"#);
    let fields: Vec<_> = fields.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
    let long = "field.too_long";
    let wanted = [("inner[0].count", "field.too_large"), ("note", long), ("title", long)];
    assert_eq!((code.as_str(), fields), ("invalid", wanted.to_vec()));
}

#[test]
fn what_is_no_json_is_malformed() {
    for bad in ["", "{", "{\"title\": \"a\"} x", "{\"title\": \"\u{0}\"}", "nul"] {
        let error = posted("application/json", bad, false).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Malformed, "malformed"), "{bad:?}");
    }
}

#[test]
fn only_known_types_are_read_and_forms_on_pages_only() {
    let good = r#"{"title": "a"}"#;
    for taken in ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"] {
        assert!(posted(taken, good, false).is_ok(), "{taken}");
    }
    for refused in
        ["text/plain", "application/jsonx", "application/json; charset=latin1", "nonsense", "text/json"]
    {
        let error = posted(refused, good, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedMediaType, "{refused}");
    }
    let form = "application/x-www-form-urlencoded";
    assert_eq!(posted(form, "title=a", false).unwrap_err().kind(), ErrorKind::UnsupportedMediaType);
    assert_eq!(posted(form, "title=a+%C3%A4&_csrf=token", true).unwrap().title, "a ä");
    assert_eq!(posted(form, "", true).unwrap_err().fields()["title"].key(), "field.required");
    assert_eq!(posted(form, "title=a&extra=1", true).unwrap_err().fields()["extra"].key(), "field.unknown");
    assert_eq!(posted(form, "title=%FF", true).unwrap_err().code(), "malformed");
}

#[test]
fn a_patch_tells_absent_from_null() {
    let note = |body| posted("application/json", body, false).unwrap().note;
    assert_eq!(note(r#"{"title": "a"}"#), Patch::Absent);
    assert_eq!(note(r#"{"title": "a", "note": null}"#), Patch::Null);
    assert_eq!(note(r#"{"title": "a", "note": "n"}"#), Patch::Set("n".to_owned()));
    assert_eq!(Patch::Null.over(Some(1)), None);
    assert_eq!(Patch::Absent.over(Some(1)), Some(1));

    // Without `default` a field that is left out is an error, never a null that clears it.
    assert!(serde_json::from_str::<Careless>("{}").is_err());
}

#[test]
fn path_values_are_typed_and_a_malformed_one_is_a_missing_thing() {
    fn at<T: serde::de::DeserializeOwned + JsonSchema + Send + 'static>(
        params: &[(&str, &str)],
    ) -> Result<T, Error> {
        let request = Request::builder().uri("/x").body("").unwrap();
        Path::<T>::read(&incoming::<Path<T>>(request, params, false)).map(|Path(value)| value)
    }
    assert_eq!(at::<u32>(&[("id", "7")]).unwrap(), 7);
    assert_eq!(at::<String>(&[("id", "a/b &=%+é")]).unwrap(), "a/b &=%+é");
    let two = at::<Two>(&[("project", "7"), ("name", "n")]).unwrap();
    assert_eq!((two.project, two.name.as_str()), (7, "n"));
    assert!(at::<WorkspaceId>(&[("id", "ws_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f")]).is_ok());
    for bad in ["7x", "", "-1", "ws_"] {
        let malformed = at::<u32>(&[("id", bad)]).unwrap_err();
        assert_eq!((malformed.code(), malformed.fields().len()), ("not_found", 0), "{bad}");
    }
    assert_eq!(
        at::<WorkspaceId>(&[("id", "usr_0192e0c17a2b7c3d8e4f5a6b7c8d9e0f")]).unwrap_err().code(),
        "not_found"
    );
}

#[test]
fn a_query_is_closed_and_typed() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Search {
        q: Option<String>,
        #[serde(default)]
        tag: Vec<String>,
        count: Option<u8>,
    }
    let read = |query: &str| {
        let request = Request::builder().uri(format!("/x?{query}")).body("").unwrap();
        Query::<Search>::read(&incoming::<Query<Search>>(request, &[], false)).map(|Query(search)| search)
    };
    let search = read("q=a%20b&tag=x&tag=y").unwrap();
    assert_eq!((search.q.as_deref(), search.tag.len(), search.count), (Some("a b"), 2, None));
    for (query, code, name) in [
        ("count=300", "malformed_parameter", "count"),
        ("colour=red", "unknown_parameter", "colour"),
        ("q=a&q=b", "duplicate_parameter", "q"),
    ] {
        let error = read(query).unwrap_err();
        assert_eq!((error.code(), error.args()["parameter"].as_str()), (code, name), "{query}");
    }
    assert_eq!(read("q=%FF").unwrap_err().code(), "malformed");
    assert_eq!(read(&"tag=a&".repeat(300)).unwrap_err().code(), "malformed");
}

#[test]
fn a_handler_may_ask_to_see_the_refusal() {
    let request = Request::builder().uri("/x").header("content-type", "application/json").body("{}").unwrap();
    let from = incoming::<Result<Body<Thing>, Error>>(request, &[], false);
    let seen = Result::<Body<Thing>, Error>::read(&from).unwrap();
    assert_eq!(seen.unwrap_err().code(), "invalid");
}
