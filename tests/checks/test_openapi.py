"""gate.judging.openapi: each way an API can break its callers is seen, and what breaks nobody is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from gate.errors import OperationFailed
from gate.judging import openapi

Table = dict[str, Any]

SALE = {
    "type": "object",
    "required": ["id", "total"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "total": {"type": "integer"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "status": {"type": "string", "enum": ["open", "paid"]},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
    },
}
LINE = {
    "type": "object",
    "required": ["sku", "parts"],
    "properties": {
        "sku": {"type": "string"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
    },
}
ORDER = {
    "type": "object",
    "required": ["sku"],
    "properties": {
        "sku": {"type": "string", "maxLength": 20},
        "count": {"type": "integer", "minimum": 1},
        "method": {"type": "string", "enum": ["cash", "card"]},
    },
}


def document() -> Table:
    return copy.deepcopy(
        {
            "openapi": "3.1.0",
            "info": {"title": "shop", "version": "1"},
            "paths": {
                "/sales/{id}": {
                    "get": {
                        "parameters": [
                            {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                            {"in": "query", "name": "full", "required": False, "schema": {"type": "boolean"}},
                        ],
                        "responses": {
                            "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sale"}}}},
                            "404": {"description": "no such sale"},
                        },
                    },
                    "delete": {"responses": {"204": {"description": "gone"}}},
                },
                "/sales": {
                    "post": {
                        "requestBody": {
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
                        },
                        "responses": {"201": {"description": "sold"}},
                    }
                },
            },
            "components": {"schemas": {"Sale": SALE, "Line": LINE, "Order": ORDER}},
        }
    )


def schemas(table: Table) -> Table:
    found: Table = table["components"]["schemas"]
    return found


def get(table: Table) -> Table:
    found: Table = table["paths"]["/sales/{id}"]["get"]
    return found


def post(table: Table) -> Table:
    found: Table = table["paths"]["/sales"]["post"]
    return found


def put(into: Callable[[Table], Table], *path: Any) -> Callable[[Table], None]:
    """A change that sets the last item of ``path`` at the place the others lead to."""
    *keys, value = path

    def change(table: Table) -> None:
        place = into(table)
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def drop(into: Callable[[Table], Table], *path: Any) -> Callable[[Table], None]:
    *keys, last = path

    def change(table: Table) -> None:
        place = into(table)
        for key in keys:
            place = place[key]
        del place[last]

    return change


ANSWER = "GET /sales/{id}: answer 200"
BREAKS: list[tuple[str, Callable[[Table], None], str]] = [
    ("path removed", drop(lambda t: t, "paths", "/sales"), "POST /sales: the path is gone"),
    ("method removed", drop(lambda t: t, "paths", "/sales/{id}", "delete"), "DELETE /sales/{id}: the method is gone"),
    ("success removed", put(post, "responses", {"202": {}}), "POST /sales: status 201 is gone"),
    ("field removed", drop(schemas, "Sale", "properties", "total"), f"{ANSWER}: the field total is gone"),
    ("field may be missing", put(schemas, "Sale", "required", ["id"]), f"{ANSWER}: the field total may be missing now"),
    (
        "type changed",
        put(schemas, "Sale", "properties", "total", {"type": "string"}),
        f"{ANSWER}.total: was integer, is now string",
    ),
    (
        "answer widened",
        put(schemas, "Sale", "properties", "total", {"type": "number"}),
        f"{ANSWER}.total: was integer, is now number",
    ),
    (
        "may be null now",
        put(schemas, "Sale", "properties", "id", "type", ["string", "null"]),
        f"{ANSWER}.id: was string, is now null",
    ),
    (
        "may be null now, 3.0",
        put(schemas, "Sale", "properties", "id", "nullable", True),
        f"{ANSWER}.id: was string, is now null",
    ),
    (
        "format changed",
        put(schemas, "Sale", "properties", "id", "format", "date"),
        f"{ANSWER}.id: was uuid, is now date",
    ),
    (
        "schema gone",
        put(get, "responses", "200", "content", "application/json", {}),
        f"{ANSWER}: was object, is now anything",
    ),
    (
        "answer's media type changed",
        put(get, "responses", "200", "content", {"text/csv": {}}),
        "GET /sales/{id}: answer 200 is not given as application/json any more",
    ),
    (
        "value nobody answers any more",
        put(schemas, "Sale", "properties", "status", "enum", ["open"]),
        f"{ANSWER}.status: the value 'paid' is gone",
    ),
    (
        "field of a nested list removed",
        drop(schemas, "Line", "properties", "sku"),
        f"{ANSWER}.lines[]: the field sku is gone",
    ),
    (
        "new required parameter",
        lambda t: get(t)["parameters"].append({"in": "query", "name": "shop", "required": True}),
        "GET /sales/{id}: the query parameter shop is new and required",
    ),
    (
        "parameter now required",
        put(get, "parameters", 1, "required", True),
        "GET /sales/{id}: the query parameter full is now required",
    ),
    (
        "parameter's type changed",
        put(get, "parameters", 1, "schema", {"type": "integer"}),
        "GET /sales/{id}: query full: was boolean, is now integer",
    ),
    (
        "new required request field",
        put(schemas, "Order", {**ORDER, "required": ["sku", "till"]}),
        "POST /sales: request: the field till is new and required",
    ),
    (
        "request field now required",
        put(schemas, "Order", "required", ["sku", "count"]),
        "POST /sales: request: the field count is now required",
    ),
    (
        "request value not accepted any more",
        put(schemas, "Order", "properties", "method", "enum", ["card"]),
        "POST /sales: request.method: the value 'cash' is gone",
    ),
    (
        "request limited to a list",
        put(schemas, "Order", "properties", "sku", {"type": "string", "maxLength": 20, "enum": ["A"]}),
        "POST /sales: request.sku: is now limited to 'A'",
    ),
    (
        "bound tightened",
        put(schemas, "Order", "properties", "sku", "maxLength", 10),
        "POST /sales: request.sku: maxLength is now 10",
    ),
    (
        "bound added",
        put(schemas, "Order", "properties", "count", "maximum", 9),
        "POST /sales: request.count: maximum is now 9",
    ),
    (
        "unknown fields refused",
        lambda t: schemas(t).update(
            Order={"type": "object", "properties": {"sku": ORDER["properties"]["sku"]}, "additionalProperties": False}  # type: ignore[index]
        ),
        "POST /sales: request: the field count is refused now",
    ),
    (
        "request's media type changed",
        put(post, "requestBody", "content", {"text/csv": {}}),
        "POST /sales: requests as application/json are not accepted any more",
    ),
    ("body now required", put(post, "requestBody", "required", True), "POST /sales: a request body is now required"),
    (
        "credentials now asked for",
        put(post, "security", [{"bearer": []}]),
        "POST /sales: asks for credentials that it did not ask for",
    ),
]


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in BREAKS], ids=[row[0] for row in BREAKS])
def test_a_break_is_seen(change: Callable[[Table], None], expected: str) -> None:
    new = document()
    change(new)
    assert expected in openapi.breaks(document(), new)


HARMLESS: list[tuple[str, Callable[[Table], None]]] = [
    ("nothing", lambda _: None),
    ("path added", put(lambda t: t, "paths", "/items", {"get": {"responses": {"200": {}}}})),
    ("field added to an answer", put(schemas, "Sale", "properties", "shop", {"type": "string"})),
    ("value added to an answer", put(schemas, "Sale", "properties", "status", "enum", ["open", "paid", "void"])),
    ("answer never null any more", put(schemas, "Sale", "properties", "note", {"type": "string"})),
    ("optional request field added", put(schemas, "Order", "properties", "note", {"type": "string"})),
    ("request field not required any more", put(schemas, "Order", "required", [])),
    ("request accepts null as well", put(schemas, "Order", "properties", "sku", "type", ["string", "null"])),
    ("request accepts fractions as well", put(schemas, "Order", "properties", "count", {"type": "number"})),
    ("bound loosened", put(schemas, "Order", "properties", "sku", "maxLength", 40)),
    ("documented error dropped", drop(get, "responses", "404")),
    (
        "path parameter renamed",
        lambda t: t["paths"].update({"/sales/{order}": t["paths"].pop("/sales/{id}")}),
    ),
    (
        "answer put together of parts",
        lambda t: schemas(t).update(
            Sale={"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "required": ["total"]}]},
            Base=SALE,
        ),
    ),
    (
        "optional parameter added",
        lambda t: get(t)["parameters"].append({"in": "query", "name": "page", "schema": {"type": "integer"}}),
    ),
]


@pytest.mark.parametrize("change", [row[1] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_what_breaks_nobody_is_not_reported(change: Callable[[Table], None]) -> None:
    new = document()
    change(new)
    assert openapi.breaks(document(), new) == []


def test_a_request_union_must_keep_each_form() -> None:
    def with_payment(*forms: str) -> Table:
        table = document()
        union = [{"type": "object", "properties": {"kind": {"const": form}}} for form in forms]
        schemas(table)["Order"]["properties"]["payment"] = {"oneOf": union}
        return table

    assert openapi.breaks(with_payment("cash", "card"), with_payment("card", "cash", "voucher")) == []
    assert openapi.breaks(with_payment("cash", "card"), with_payment("card")) == [
        "POST /sales: request.payment.kind: the value 'cash' is gone"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("paths"),
        lambda t: t.pop("openapi"),
        put(schemas, "Sale", "properties", "id", {"$ref": "#/components/schemas/Nowhere"}),
        put(schemas, "Sale", "properties", "id", {"$ref": "elsewhere.json#/Sale"}),
        lambda t: schemas(t).update(Line={"$ref": "#/components/schemas/Line"}),
    ],
    ids=["no paths", "no version", "reference to nowhere", "reference to another file", "reference in a circle"],
)
def test_a_document_that_cannot_be_read_is_an_error_not_a_pass(change: Callable[[Table], Any]) -> None:
    new = document()
    change(new)
    with pytest.raises(OperationFailed):
        openapi.breaks(document(), new)
