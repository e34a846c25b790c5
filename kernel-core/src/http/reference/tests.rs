use serde_json::json;

use super::*;

#[test]
fn every_operation_and_shape_is_on_the_page_and_nothing_is_markup() {
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Corner <Shop>", "version": "1" },
        "paths": {
            "/items": {
                "get": {
                    "operationId": "shop.item.list", "tags": ["shop"], "summary": "The <b>items</b>",
                    "security": [{ "bearer": [] }], "x-permission": "shop.item.read", "x-feature": "shop.orders",
                    "parameters": [
                        { "name": "limit", "in": "query", "required": false,
                          "schema": { "type": "integer", "minimum": 1, "maximum": 100 } },
                    ],
                    "responses": {
                        "200": { "description": "OK", "content": { "application/json": {
                            "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } },
                        } } },
                        "404": { "$ref": "#/components/responses/Error" },
                        "429": { "$ref": "#/components/responses/Error" },
                    },
                },
                "post": {
                    "operationId": "shop.item.create", "tags": ["shop"], "security": [],
                    "x-idempotency": "accepted",
                    "requestBody": { "content": { "text/csv": { "schema": { "type": "string" } } } },
                    "responses": { "204": { "description": "No Content" } },
                },
            },
        },
        "components": { "schemas": {
            "Item": {
                "type": "object", "required": ["name"], "description": "What is on a shelf.",
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 80 },
                    "kind": { "anyOf": [{ "$ref": "#/components/schemas/Kind" }, { "type": "null" }] },
                    "sold_at": { "type": ["string", "null"], "format": "date-time" },
                },
            },
            "Kind": { "type": "string", "enum": ["new", "used"] },
        } },
    });
    let page = html(&document);
    for part in [
        "<title>API · Corner &lt;Shop&gt;</title>",
        "The &lt;b&gt;items&lt;&#x2f;b&gt;",
        "<details id=\"shop.item.list\">",
        "Needs <code>shop.item.read</code>",
        "Where the plan includes <code>shop.orders</code>",
        "<code>integer, 1 to 100</code>",
        "<a href=\"#schema-Item\">list of Item</a>",
        "<code>404, 429</code>",
        "<details id=\"shop.item.create\">",
        "<span>For everybody</span>",
        "<code>Idempotency-Key</code> accepted",
        "<code>text&#x2f;csv</code>",
        "nothing to show",
        "<h3 id=\"schema-Item\">Item</h3>",
        "What is on a shelf.",
        "<code>string, 1 to 80 characters</code>",
        "<a href=\"#schema-Kind\">Kind or null</a>",
        "<code>string or null, date-time</code>",
        "<code>new | used</code>",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // A page without script or inline style keeps to the strictest policy.
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("<style"));
}
