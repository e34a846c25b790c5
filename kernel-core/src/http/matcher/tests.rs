use http::Request;

use super::*;
use crate::db::TenantTx;
use crate::error::Error;
use crate::http::{Call, Json, NoContent, Path};
use crate::role::{Permission, Role};

const READ: Permission = Permission::__declare("demo.read", Role::Viewer);

async fn nothing((): (), _: Call, (): ()) -> Result<NoContent, Error> {
    Ok(NoContent)
}

async fn one((): (), _: &mut TenantTx, Path(name): Path<String>) -> Result<Json<String>, Error> {
    Ok(Json(name))
}

fn page(path: &'static str, operation: &'static str) -> Route {
    Route::free(Method::GET, path, operation, Access::Public, (), nothing).page()
}

fn tenant(method: Method, path: &'static str, operation: &'static str) -> Route {
    Route::tenant(method, path, operation, READ, (), one)
}

fn table(resolution: Resolution) -> Table {
    let config = HttpConfig { resolution, ..HttpConfig::default() };
    let routes = vec![
        page("/", "demo.home.show"),
        page("/projects/new", "demo.project.form"),
        page("/projects", "demo.project.page"),
        tenant(Method::GET, "/projects/{project}", "demo.project.show"),
        tenant(Method::PATCH, "/projects/{project}", "demo.project.update").body_limit(7),
        Route::free(Method::GET, "/", "demo.home.tenant", Access::Member(READ), (), nothing).page(),
    ];
    Table::new(routes, &config, None).unwrap()
}

fn found(table: &Table, method: &str, path: &str) -> Matched {
    let (head, ()) = Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
    table.find(&head)
}

fn operation(table: &Table, method: &str, path: &str) -> Option<&'static str> {
    found(table, method, path).route().map(Route::operation)
}

#[test]
fn routes_are_found_under_prefix_and_workspace() {
    let table = table(Resolution::Path);
    let at = |method, path| operation(&table, method, path);
    assert_eq!(at("GET", "/"), Some("demo.home.show"));
    assert_eq!(at("GET", "/w/acme"), Some("demo.home.tenant"));
    assert_eq!(at("GET", "/api/v1/w/acme/projects/7"), Some("demo.project.show"));
    assert_eq!(at("PATCH", "/api/v1/w/acme/projects/7"), Some("demo.project.update"));
    assert_eq!(at("HEAD", "/projects"), Some("demo.project.page"));
    assert_eq!(at("GET", "/api/v1/openapi.json"), Some("core.openapi.show"));
    for missing in
        ["/projects/", "//projects", "/api/v1/projects/7", "/api/v1/w/acme/projects/", "/w/", "/PROJECTS"]
    {
        assert_eq!(at("GET", missing), None, "{missing}");
    }
    assert_eq!(found(&table, "PATCH", "/api/v1/w/acme/projects/7").body_limit(), 7);
}

#[test]
fn an_encoded_slash_stays_in_its_segment() {
    let table = table(Resolution::Path);
    let matched = found(&table, "GET", "/api/v1/w/ac%2Fme/projects/a%2Fb%20c");
    assert_eq!(matched.workspace.as_deref(), Some("ac/me"));
    assert_eq!(matched.params, [("project".to_owned(), "a/b c".to_owned())]);
    assert!(found(&table, "GET", "/api/v1/w/acme/projects/%FF").route().is_none());
}

#[test]
fn a_known_path_says_which_methods_it_takes() {
    let table = table(Resolution::Path);
    let allow = |method| match found(&table, method, "/api/v1/w/acme/projects/7").target {
        Target::OtherMethod(allow) => allow,
        other => panic!("{other:?}"),
    };
    assert_eq!(allow("DELETE"), "GET, HEAD, OPTIONS, PATCH");
    assert!(matches!(found(&table, "OPTIONS", "/projects").target, Target::Options(_)));
    assert!(matches!(found(&table, "OPTIONS", "/nowhere").target, Target::Missing));
}

#[test]
fn the_workspace_is_in_the_path_only_when_it_is_resolved_there() {
    let domain = Resolution::Subdomain { base_domain: "example.com".to_owned() };
    for resolution in [Resolution::Header, domain] {
        let config = HttpConfig { resolution, ..HttpConfig::default() };
        let table =
            Table::new(vec![tenant(Method::GET, "/projects/{project}", "demo.project.show")], &config, None)
                .unwrap();
        assert!(operation(&table, "GET", "/api/v1/projects/7").is_some());
        assert!(operation(&table, "GET", "/api/v1/w/acme/projects/7").is_none());
    }
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let refused = |routes| Table::new(routes, &HttpConfig::default(), None).unwrap_err();
    let twice = refused(vec![page("/a", "demo.a.show"), page("/a", "demo.b.show")]);
    assert!(twice[0].contains("are both GET /a"), "{twice:?}");
    let names = refused(vec![
        tenant(Method::GET, "/projects/{project}", "demo.project.show"),
        tenant(Method::PATCH, "/projects/{id}", "demo.project.update"),
    ]);
    assert!(names[0].contains("cannot be told"), "{names:?}");
    let operation = refused(vec![page("/a", "demo.a.show"), page("/b", "demo.a.show")]);
    assert!(operation[0].contains("demo.a.show"), "{operation:?}");
}

#[test]
fn errors_outside_the_api_are_for_people() {
    let table = table(Resolution::Path);
    assert!(found(&table, "GET", "/nowhere").html);
    assert!(!found(&table, "GET", "/api/v1/nowhere").html);
    assert!(found(&table, "GET", "/api/v10").html);
}
