use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::db::{TenantTx, Tx};
use crate::http::{Body, Created, Items, Paged, Path};
use crate::id::UserId;
use crate::role::{Permission, Role};

const READ: Permission = Permission::__declare("demo.read", Role::Viewer);

/// A thing.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Thing {
    #[garde(length(min = 1))]
    name: String,
    #[serde(default)]
    #[garde(skip)]
    count: u32,
}

#[derive(Serialize, JsonSchema)]
struct Made {
    id: UserId,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    status: Option<String>,
    #[serde(default)]
    tag: Vec<String>,
}

async fn create((): (), _: &mut TenantTx, Body(thing): Body<Thing>) -> Result<Created<Thing>, Error> {
    Ok(Created(thing))
}

async fn list((): (), _: &mut TenantTx, list: Paged<Filter>) -> Result<Items<Thing>, Error> {
    let wanted = list.filter.tag.len() + usize::from(list.filter.status.is_some());
    Ok(list.page.items(Vec::with_capacity(wanted), |thing: &Thing| thing.count))
}

async fn show((): (), _: &mut TenantTx, Path(_): Path<u32>) -> Result<Reply, Error> {
    Ok(Reply::bytes("text/plain", ""))
}

async fn make((): (), tx: &mut TenantTx, (): ()) -> Result<Created<Made>, Error> {
    Ok(Created(Made { id: tx.ctx().new_id() }))
}

async fn see((): (), _: &mut TenantTx, Path(id): Path<UserId>) -> Result<Created<Made>, Error> {
    Ok(Created(Made { id }))
}

fn document() -> Value {
    let routes = [
        Route::tenant(Method::POST, "/things", "demo.thing.create", READ, (), create).summary("Make a thing"),
        Route::tenant(Method::GET, "/things", "demo.thing.list", READ, (), list).rate(RateClass::Heavy),
        Route::tenant(Method::GET, "/things/{thing}", "demo.thing.show", READ, (), show),
        Route::tenant(Method::GET, "/shown", "demo.thing.page", READ, (), list).page(),
    ];
    Document::of(&routes, &HttpConfig::default(), Some("__Host-demo")).value
}

#[test]
fn an_operation_says_what_it_reads_needs_and_answers() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let create = &document["paths"]["/api/v1/w/{workspace}/things"]["post"];
    assert_eq!(create["operationId"], "demo.thing.create");
    assert_eq!(create["x-permission"], "demo.read");
    assert_eq!(create["x-idempotency"], "accepted");
    assert_eq!(
        create["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Thing"
    );
    assert_eq!(create["responses"]["422"]["$ref"], "#/components/responses/Error");
    let list = &document["paths"]["/api/v1/w/{workspace}/things"]["get"];
    let names: Vec<_> =
        list["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["workspace", "status", "tag", "cursor", "limit"]);
    let show = &document["paths"]["/api/v1/w/{workspace}/things/{thing}"]["get"];
    assert_eq!(show["parameters"][1]["schema"]["type"], "integer");
    assert!(document["paths"].as_object().unwrap().keys().all(|path| !path.contains("shown")));
}

#[test]
fn what_was_made_is_linked_to_what_takes_its_id() {
    let routes = [
        Route::tenant(Method::POST, "/made", "demo.made.create", READ, (), make),
        Route::tenant(Method::GET, "/made/{made}", "demo.made.show", READ, (), see),
        Route::tenant(Method::GET, "/things/{thing}", "demo.thing.show", READ, (), show),
    ];
    let document = Document::of(&routes, &HttpConfig::default(), None).value;
    let links = &document["paths"]["/api/v1/w/{workspace}/made"]["post"]["responses"]["201"]["links"];
    let to = json!({ "made": "$response.body#/id", "workspace": "$request.path.workspace" });
    let link = json!({ "operationId": "demo.made.show", "parameters": to });
    assert_eq!(links, &json!({ "demo.made.show": link }));
}

#[test]
fn whatever_the_chain_may_refuse_is_in_the_document() {
    let create = &document()["paths"]["/api/v1/w/{workspace}/things"]["post"]["responses"];
    let known: Vec<_> = create.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted =
        ["201", "400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503", "504"];
    assert_eq!(known, wanted);
}

#[test]
fn a_parameter_that_may_be_left_out_is_never_null() {
    let list = &document()["paths"]["/api/v1/w/{workspace}/things"]["get"]["parameters"];
    assert_eq!(list[1]["schema"], json!({ "type": "string" }));
    let reference = json!({ "anyOf": [{ "$ref": "#/x" }, { "type": "null" }], "description": "One." });
    assert_eq!(without_null(reference), json!({ "$ref": "#/x", "description": "One." }));
    assert_eq!(without_null(json!({ "enum": ["a", null], "default": null })), json!({ "enum": ["a"] }));
    assert_eq!(without_null(json!(true)), json!(true));
}

#[test]
fn a_type_that_differs_as_input_has_two_names() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Thing"]["required"], json!(["name", "count"]));
    assert_eq!(schemas["ThingInput"]["required"], json!(["name"]));
    let body = &document["paths"]["/api/v1/w/{workspace}/things"]["post"]["requestBody"];
    assert_eq!(body["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/ThingInput");
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value, count: &mut usize) {
        match value {
            Value::Array(all) => all.iter().for_each(|value| check(value, document, count)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    if let ("$ref", Some(path)) = (key.as_str(), value.as_str()) {
                        assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
                        *count += 1;
                    }
                    check(value, document, count);
                }
            }
            _ => {}
        }
    }
    let (document, mut count) = (document(), 0);
    check(&document, &document, &mut count);
    assert!(count > 10);
}

#[test]
fn the_same_routes_give_the_same_bytes() {
    assert_eq!(document().to_string(), document().to_string());
    assert_eq!(document()["components"]["securitySchemes"]["session"]["name"], "__Host-demo");
}
