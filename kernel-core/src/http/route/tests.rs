use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::http::{Body, Json, NoContent, Path, Query};
use crate::role::Role;

const READ: Permission = Permission::__declare("demo.read", Role::Viewer);

#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Closed {
    #[garde(length(min = 1))]
    name: String,
}

#[derive(Deserialize, JsonSchema, Validate)]
struct Open {
    #[garde(skip)]
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Two {
    project: u32,
    number: u32,
}

async fn create((): (), _: &mut TenantTx, Body(new): Body<Closed>) -> Result<Json<String>, Error> {
    Ok(Json(new.name))
}

async fn create_open((): (), _: &mut TenantTx, Body(new): Body<Open>) -> Result<Json<String>, Error> {
    Ok(Json(new.name))
}

async fn search_open((): (), _: &mut TenantTx, Query(new): Query<Open>) -> Result<Json<String>, Error> {
    Ok(Json(new.name))
}

async fn show((): (), _: &mut TenantTx, Path(id): Path<u32>) -> Result<Json<u32>, Error> {
    Ok(Json(id))
}

async fn show_two((): (), _: &mut TenantTx, Path(two): Path<Two>) -> Result<Json<u32>, Error> {
    Ok(Json(two.project + two.number))
}

async fn global((): (), _: &mut GlobalTx, (): ()) -> Result<NoContent, Error> {
    Ok(NoContent)
}

async fn free((): (), _: Call, (): ()) -> Result<NoContent, Error> {
    Ok(NoContent)
}

async fn three(
    (): (),
    _: &mut TenantTx,
    (Path(id), Query(_), Body(_)): (Path<u32>, Query<Closed>, Body<Closed>),
) -> Result<Json<u32>, Error> {
    Ok(Json(id))
}

fn only_problem(route: &Route, expected: &str) {
    let problems = route.problems();
    assert!(problems.len() == 1 && problems[0].contains(expected), "{expected}: {problems:?}");
}

#[test]
fn sound_routes_are_taken() {
    for route in [
        Route::tenant(Method::POST, "/a", "demo.a.create", READ, (), create),
        Route::tenant(Method::GET, "/a/{id}", "demo.a.show", READ, (), show),
        Route::tenant(Method::GET, "/a/{project}/{number}", "demo.a.two", READ, (), show_two),
        Route::tenant(Method::PUT, "/a/{id}", "demo.a.three", READ, (), three),
        Route::global(Method::POST, "/b", "demo.b.create", Access::SignedIn, (), global),
        Route::free(Method::GET, "/", "demo.home.show", Access::Member(READ), (), free).page(),
    ] {
        assert_eq!(route.problems(), Vec::<String>::new());
    }
}

#[test]
fn writing_routes_with_a_transaction_take_keys() {
    let of = |route: Route| route.idempotency();
    assert_eq!(
        of(Route::tenant(Method::POST, "/a", "demo.a.create", READ, (), create)),
        Idempotency::Accepted
    );
    assert_eq!(of(Route::tenant(Method::GET, "/a/{id}", "demo.a.show", READ, (), show)), Idempotency::Off);
    assert_eq!(of(Route::free(Method::POST, "/f", "demo.f.do", Access::Public, (), free)), Idempotency::Off);
}

#[test]
fn a_type_that_lets_unknown_fields_pass_is_refused() {
    let body = Route::tenant(Method::POST, "/a", "demo.a.create", READ, (), create_open);
    only_problem(&body, "deny_unknown_fields");
    let query = Route::tenant(Method::GET, "/a", "demo.a.list", READ, (), search_open);
    only_problem(&query, "deny_unknown_fields");
}

#[test]
fn path_and_handler_must_agree() {
    let at = |path| Route::tenant(Method::GET, path, "demo.a.show", READ, (), show);
    only_problem(&at("/a"), "reads one value");
    only_problem(&at("/a/{x}/{y}"), "reads one value");
    only_problem(&at("/a/{id}/"), "must be segments");
    assert!(at("/a/{id}x").problems()[0].contains("must be segments"));
    only_problem(&at("/w/{workspace}"), "puts {workspace}");
    let two = Route::tenant(Method::GET, "/a/{project}/{issue}", "demo.a.two", READ, (), show_two);
    only_problem(&two, "the handler reads");
    let unread = Route::free(Method::GET, "/a/{id}", "demo.a.free", Access::Public, (), free);
    only_problem(&unread, "does not read");
}

#[test]
fn requirements_that_cannot_hold_are_refused() {
    let feature = Feature::__declare("demo.export");
    let base = || Route::global(Method::POST, "/b", "demo.b.create", Access::SignedIn, (), global);
    only_problem(&base().feature(feature), "workspace's plan");
    only_problem(
        &Route::global(Method::POST, "/b", "demo.b.create", Access::Member(READ), (), global),
        "in no workspace",
    );
    let public = Route::global(Method::POST, "/b", "demo.b.create", Access::Public, (), global);
    only_problem(&public.verified(), "verified");
    let free = Route::free(Method::POST, "/f", "demo.f.do", Access::Public, (), free);
    only_problem(&free.idempotent(Idempotency::Required), "take a key");
    only_problem(&Route::tenant(Method::GET, "/a", "demo.a.create", READ, (), create), "has no body");
    only_problem(
        &Route::global(Method::POST, "/b", "Create", Access::SignedIn, (), global),
        "pillar.noun.verb",
    );
}
