use std::sync::Arc;

use bytes::Bytes;
use http::Request;

use super::*;
use crate::http::schema::Reading;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    status: Option<String>,
    sort: Option<Sort<Field>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Field {
    /// When it was made.
    CreatedAt,
    Name,
}

fn incoming(query: &str, place: &str) -> Incoming {
    let key = [(1, [0; 32], chrono::DateTime::UNIX_EPOCH)];
    let (head, ()) = Request::builder().uri(format!("/things?{query}")).body(()).unwrap().into_parts();
    Incoming {
        head: Arc::new(head),
        params: Vec::new(),
        body: Bytes::new(),
        file: None,
        takes_forms: false,
        reading: Arc::new(Reading::of(Paged::<Filter>::describe)),
        seal: CursorSeal::new(Keyring::fixed(crate::Clock::system(), &key), place.to_owned()),
    }
}

fn read(query: &str, place: &str) -> Result<Paged<Filter>, Error> {
    Paged::read(&incoming(query, place))
}

fn code(query: &str) -> String {
    read(query, "a").unwrap_err().code().to_owned()
}

#[test]
fn limits_are_clamped_above_and_refused_below() {
    let limit = |query| read(query, "a").unwrap().page.limit();
    assert_eq!(limit(""), 50);
    assert_eq!(limit("limit=7"), 7);
    assert_eq!(limit("limit=101"), 100);
    assert_eq!(limit("limit=99999999999999999999999"), 100);
    for bad in ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=%2B5"] {
        assert_eq!(code(bad), "malformed_limit", "{bad}");
    }
}

#[test]
fn a_cursor_leads_to_the_next_page_of_the_same_list_only() {
    let first = read("status=open&limit=2", "list in ws_a").unwrap();
    assert_eq!(first.page.fetch(), 3);
    let page = first.page.items(vec![30, 20, 10], |row| (*row, "id"));
    assert_eq!((page.items, page.has_more), (vec![30, 20], true));
    let cursor = page.next_cursor.unwrap();

    let next = |query: String, place| read(&query, place);
    let same = next(format!("limit=9&cursor={cursor}&status=open"), "list in ws_a").unwrap();
    assert_eq!(same.page.after::<(u32, String)>().unwrap(), Some((20, "id".to_owned())));
    assert!(same.page.after::<bool>().is_err());

    for (query, place) in [
        (format!("status=open&cursor={cursor}"), "list in ws_b"),
        (format!("status=done&cursor={cursor}"), "list in ws_a"),
        (format!("status=open&sort=name&cursor={cursor}"), "list in ws_a"),
        (format!("cursor={cursor}"), "list in ws_a"),
        (format!("status=open&cursor={cursor}A"), "list in ws_a"),
        (format!("status=open&cursor={}", &cursor[1..]), "list in ws_a"),
        ("status=open&cursor=".to_owned(), "list in ws_a"),
        (format!("status=open&cursor={}", "A".repeat(5000)), "list in ws_a"),
    ] {
        assert_eq!(next(query.clone(), place).unwrap_err().code(), "malformed_cursor", "{query} {place}");
    }
}

#[test]
fn the_last_page_has_no_cursor() {
    let page = read("limit=2", "a").unwrap().page.items(vec![1, 2], |row| *row);
    assert_eq!((page.next_cursor, page.has_more), (None, false));
}

#[test]
fn filters_are_closed_and_sort_both_ways() {
    assert_eq!(code("colour=red"), "unknown_parameter");
    assert_eq!(code("status=a&status=b"), "duplicate_parameter");
    assert_eq!(code("cursor=a&cursor=a"), "duplicate_parameter");
    let error = read("sort=colour", "a").unwrap_err();
    assert_eq!((error.code(), error.args()["parameter"].as_str()), ("malformed_parameter", "sort"));
    let sort = |query| read(query, "a").unwrap().filter.sort.unwrap();
    assert_eq!(sort("sort=-created_at"), Sort { key: Field::CreatedAt, descending: true });
    assert_eq!(sort("sort=name"), Sort { key: Field::Name, descending: false });
    assert_eq!(read("status=open", "a").unwrap().filter.status.as_deref(), Some("open"));
}

#[test]
fn both_orders_of_every_field_are_in_the_schema() {
    let schema = crate::http::schema::for_inputs().into_root_schema_for::<Sort<Field>>();
    let orders: Vec<_> =
        schema.get("enum").unwrap().as_array().unwrap().iter().map(|x| x.as_str().unwrap()).collect();
    assert_eq!(orders.len(), 4);
    assert!(orders.contains(&"-created_at") && orders.contains(&"name"));
}
