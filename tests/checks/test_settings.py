"""gate.config.settings: placeholders and default passwords are seen, real values are not mistaken for them."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from gate.config import settings
from gate.config.parsing import parse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "changeme",
        "change-me-please",
        "CHANGE_ME",
        "TODO",
        "tbd",
        "xxxx",
        "***",
        "...",
        "0000",
        "<password>",
        "your-api-key",
        "${DATABASE_URL}",
        "{{ secret }}",
        "placeholder",
        "none",
        "insert token here",
        "test",
        "https://shop.example.com",
        "to do: ask Anna",
    ],
)
def test_a_placeholder_is_seen(text: str) -> None:
    assert settings.is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.acme.io",
        "postgresql://u:p4ss-w0rd-long@db/store",
        "info",
        "8080",
        "exchange-medium",
        "1.5",
        "release engineer on call, +49 30 5550 101",
        "your@acme.io",
        "/var/lib/state/latest.json",
        "contest",
    ],
)
def test_a_real_value_is_no_placeholder(text: str) -> None:
    assert not settings.is_placeholder(text)


def test_random_secrets_are_neither_placeholder_nor_weak() -> None:
    for value in (secrets.token_urlsafe(24) for _ in range(5000)):
        assert not settings.is_placeholder(value)
        assert not settings.is_weak(value, "store")


@pytest.mark.parametrize("password", ["postgres", "Password123", "admin", "short1", "store", "store2024", "12345678"])
def test_a_default_or_short_password_is_weak(password: str) -> None:
    assert settings.is_weak(password, "store")


GOOD = "k3Ja-92_xQw7LmPz"


def faults(env: dict[str, str], **tables: Any) -> list[str]:
    table: dict[str, Any] = {
        "app": {"name": "store", "url": "http://127.0.0.1:8000"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "services": {
            "web": {"command": ["x"], "route": "/", "health": "/h", "identity": "/v#version", "env": env},
        },
        "traffic": {"listen": "127.0.0.1:8000"},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
        **tables,
    }
    return settings.faults(parse(table, {}, name="x", file=Path("/p/x.toml"), root=Path("/p")))


@pytest.mark.parametrize(
    ("env", "tables", "expected"),
    [
        ({}, {"settings": {"required": ["TOKEN"]}}, ["[services.….env] TOKEN: required"]),
        ({}, {"settings": {"formats": {"TOKEN": "x"}}}, ["[services.….env] TOKEN: required"]),
        ({"TOKEN": "changeme"}, {}, ["[services.web.env] TOKEN: empty or still a placeholder"]),
        ({"TOKEN": GOOD}, {"settings": {"formats": {"TOKEN": "[0-9]+"}}}, ["[services.web.env] TOKEN: is not of"]),
        ({"API_KEY": "letmein1"}, {}, ["[services.web.env] API_KEY: its password is a default"]),
        ({"MODE": "debug", "URL": "http://store:store2024@a/"}, {}, ["[services.web.env] URL: its password"]),
        ({}, {"database": {"url": "postgresql://postgres:postgres@db/x"}}, ["[database] url: its password"]),
        ({}, {"database": {"url": "postgresql://shop:Shop1@db/x"}}, ["[database] url: its password"]),
        ({}, {"cache": {"url": "redis://:redis@c/0"}}, ["[cache] url: its password"]),
        ({}, {"options": {"code": "<the code>"}}, ["[options] code: empty or still a placeholder"]),
        ({"A": "TODO", "B": "TODO"}, {}, ["[services.web.env] A", "[services.web.env] B"]),
        (
            {"A": GOOD, "B": f"redis://:{GOOD}@c/0"},
            {"settings": {"required": ["A", "B"], "formats": {"A": ".{16}"}}},
            [],
        ),
        ({}, {"database": {"url": "postgresql://shop@db/x"}}, []),  # a client certificate or a password file
    ],
)
def test_each_fault_names_its_key_and_no_value(
    env: dict[str, str], tables: dict[str, Any], expected: list[str]
) -> None:
    found = faults(env, **tables)
    assert len(found) == len(expected)
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)
        assert not any(value in text for value in env.values())
