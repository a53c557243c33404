"""Routes are few whatever paths are asked for, and the same for both releases."""

from __future__ import annotations

import secrets
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.signals.routes import MOST, OTHER, Routes


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/", "/"),
        ("/api/sales", "/api/sales"),
        ("/api/sales/17/receipt", "/api/sales/{id}/receipt"),
        ("/api/v1/items/", "/api/v1/items/"),
        (f"/carts/{uuid.UUID(int=2**100)}/lines", "/carts/{id}/lines"),
        (f"/carts/{uuid.UUID(int=2**127 - 5).hex}", "/carts/{id}"),
        ("/commits/0bd6f4c1", "/commits/{id}"),
        ("/customers/NffrFeUfNV2HibQ7", "/customers/{id}"),
        ("/notes/V1StGXR8_Z5jdHi6B-myT", "/notes/{id}"),
        ("/orders/order-17", "/orders/{id}"),
        ("/reports/2026-11-24", "/reports/{id}"),
        ("/assets/main.3f2a9c1b.js", "/assets/main.{id}.js"),
        ("/no-such-page-for-the-smoke-test", "/no-such-page-for-the-smoke-test"),
        ("/users/anna@example.com", "/users/{id}"),
        ("/search/%D0%A1%D1%8B%D1%80", "/search/{id}"),
        ("/facade/release-notes", "/facade/release-notes"),
        ("/" + "x" * 5000, "/{id}"),
        ("/" + "a/" * 90, "/" + "a/" * 10 + "…"),
    ],
)
def test_ids_are_no_part_of_a_route(path: str, named: str) -> None:
    assert Routes().name("GET", path, 200) == f"GET {named}"


def test_methods_of_strangers_are_one() -> None:
    routes = Routes()
    assert routes.name("PROPFIND", "/", 200) == routes.name("X" * 3000, "/", 200) == "other /"
    assert routes.name("GET", "http://elsewhere.example/a", 200) == "GET {id}"


def test_no_more_than_so_many_routes_get_names() -> None:
    routes = Routes()
    words = ["".join(chr(ord("a") + int(digit)) for digit in str(number)) for number in range(MOST + 100)]
    named = [routes.name("GET", f"/{word}", 200) for word in words]
    assert named[:MOST] == [f"GET /{word}" for word in words[:MOST]]
    assert set(named[MOST:]) == {OTHER}
    assert routes.name("GET", f"/{words[0]}", 500) == f"GET /{words[0]}", "known ones stay"


def test_paths_that_strangers_try_use_no_name_up() -> None:
    routes = Routes()
    for _ in range(1000):
        assert routes.name("GET", f"/{secrets.token_urlsafe(6)}.php", 404) == OTHER
    assert routes.name("GET", "/api/items", 200) == "GET /api/items"
    assert routes.name("GET", "/api/items", 404) == "GET /api/items", "a release that lost a route is told by it"


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_path_has_a_short_name(method: str, path: str) -> None:
    assert len(Routes().name(method, path, 200)) < 1000
