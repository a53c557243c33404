"""Which values of an environment file are secrets, and what is said of those that cannot be kept out of a text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.table import Table

from gate.config import Environment
from gate.errors import ConfigError
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.redact import REDACTED
from gate.results import Outcome
from gate.signals.routes import Routes
from gate.terminal.terminal import Terminal
from tests.unit.test_config import VARIABLES, read, table

OTHERS = {"ADDRESS": "https://shop.example", "HOOK_TOKEN": "tok-77-long-enough", "MODE": "production", "PIN": "4711"}


def made(**changes: Any) -> Environment:
    return read(table(**changes), {**VARIABLES, **OTHERS})


@pytest.mark.parametrize(
    ("place", "written", "value"),
    [
        ("options__anything", "${HOOK_TOKEN}", "tok-77-long-enough"),
        ("options__anything", "is ${HOOK_TOKEN}", "tok-77-long-enough"),
        ("services__web__env__API_KEY", "of-the-file-itself", "of-the-file-itself"),
        ("app__url", "https://shop.example/${HOOK_TOKEN}", "tok-77-long-enough"),
        ("cache__url", "redis://:in-the-file-7@cache/0", "in-the-file-7"),
    ],
)
def test_what_is_a_secret(place: str, written: str, value: str) -> None:
    environment = made(**{place: written})
    shown = environment.redactor(f"see {value}.")
    assert value not in shown
    assert REDACTED in shown
    assert environment.exposed == ()


def test_an_address_is_none() -> None:
    environment = made(app__url="${ADDRESS}", services__web__env__MODE="${MODE}")
    text = "https://shop.example in production"
    assert environment.redactor(text) == text
    assert environment.exposed == (), "nobody calls it a secret"


@pytest.mark.parametrize(
    ("place", "written", "said"),
    [
        ("services__web__env__PIN", "${PIN}", "[services.web.env] PIN: shorter than 6 characters"),
        ("options__api_key", "abc", "[options] api_key: shorter than 6 characters"),
        ("cache__url", "redis://:abc@cache/0", "[cache] url: shorter than 6 characters"),
        ("options__token", "${MODE}", "[options] token: is an ordinary word"),
        ("services__web__command", ["serve", "--token", "${HOOK_TOKEN}"], "HOOK_TOKEN becomes part of a command line"),
    ],
)
def test_what_cannot_be_kept_out_is_named_by_its_key(place: str, written: Any, said: str) -> None:
    environment = made(**{place: written})
    assert len(environment.exposed) == 1
    assert said in environment.exposed[0]
    assert not [value for value in (*OTHERS.values(), "abc") if value in environment.exposed[0]]


def test_a_faulty_file_is_told_without_its_secrets() -> None:
    with pytest.raises(ConfigError) as fault:
        made(engine={"kind": "${HOOK_TOKEN}"})
    assert "engine: kind:" in str(fault.value)
    assert "tok-77" not in str(fault.value)


def test_a_variable_that_may_be_unset_is_empty() -> None:
    environment = made(options__hook="${NOT_THERE:-}", options__other="a${HOOK_TOKEN:-}b")
    assert environment.options["hook"].reveal() == ""
    assert environment.options["other"].reveal() == "atok-77-long-enoughb"
    with pytest.raises(ConfigError, match="NOT_THERE is not set"):
        made(options__hook="${NOT_THERE}")


def test_no_secret_of_a_path_becomes_a_route() -> None:
    routes = Routes(made(options__key="pa/th.77").redactor)
    assert routes.name("GET", "/reset/hushed9/now", 200) == "GET /reset/hushed9/now", "whose that is nobody knows"
    routes = Routes(read(table(options__key="hushed9 x/y.z"), VARIABLES).redactor)
    for path in ("/reset/hushed9%20x/y.z", "/reset/hushed9%20x%2Fy.z/now", "/reset/hushed9+x%2fy.z"):
        assert "hushed9" not in routes.name("GET", path, 200)
    assert routes.name("GET", "/a/" + "b/" * 150 + "hushed9 x/y.z", 200) == "GET /a/" + "b/" * 9 + "…"
    assert Routes(lambda text: text.replace("hushed9", REDACTED)).name("GET", "/x/hushed9/y", 200) == "GET /x/{id}/y"


def test_records_keep_what_is_told_without_secrets_and_intents_as_they_are() -> None:
    redactor = made().redactor
    store = Store(SqliteFile(None), redact=redactor)
    facts: dict[str, Any] = {
        "action": "deploy",
        "version": "1",
        "digest": "d",
        "commit": None,
        "folder": "f",
        "by": "a@b",
    }
    number = store.begin(**facts, stable_version=None, stable_instance=None)
    store.write(number, "start", "do", {"at": VARIABLES["KEY"]})
    store.write(number, "start", "held", {"reasons": [f"key {VARIABLES['KEY']}"]})
    store.end(number, Outcome.ROLLED_BACK, [f"bad {VARIABLES['KEY']}"], cases=0, checks=0, report=None)
    assert store.deployments()[0].reasons == [f"bad {REDACTED}"]
    assert [event.facts for event in store.events(number)] == [
        {"at": VARIABLES["KEY"]},
        {"reasons": [f"key {REDACTED}"]},
    ]


def test_a_table_on_the_terminal_is_scrubbed_before_it_is_wrapped() -> None:
    stream, shown = io.StringIO(), Table(box=None, pad_edge=False)
    for name in ("what", "detail"):
        shown.add_column(name)
    shown.add_row("web", f"answers {VARIABLES['KEY']} and goes on")
    Terminal(stream, made().redactor).table(shown)
    assert f"answers {REDACTED} and goes on" in stream.getvalue()
