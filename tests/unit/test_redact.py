"""Secrets: what does not print, and what is taken out of text."""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.redact import REDACTED, SHORTEST_SCRUBBED, Redactor, Secret

VALUE = 'Zq8 "correct"/~~?>horse+staple'  # its base64 is another one in URLs


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        json.dumps(VALUE),
        repr(VALUE),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        f"postgresql://u:{quote(VALUE, safe='')}@db/x",
    ],
)
def test_a_known_value_in_the_forms_it_travels_in(form: str) -> None:
    scrubbed = Redactor([VALUE])(f"before {form} after")
    assert "horse" not in scrubbed
    assert "WnE4" not in scrubbed
    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    assert REDACTED in scrubbed


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST_SCRUBBED, max_size=40))
def test_any_value_is_taken_out(value: str) -> None:
    redact = Redactor([value])
    for form in (value, json.dumps(value), repr(value), quote(value, safe="")):
        assert value not in redact(f"<{form}>").replace(REDACTED, "") or value in REDACTED


def test_the_password_of_a_url_alone() -> None:
    redact = Redactor(["postgresql://store:s3cr%2Fet-pw@db:5432/store"])
    for password in ("s3cr%2Fet-pw", "s3cr/et-pw"):
        assert redact(f"password {password} was refused") == f"password {REDACTED} was refused"


def test_a_value_of_several_lines_is_taken_out_line_by_line() -> None:
    lines = ["-----BEGIN KEY-----", "  MIIB\"quoted'AQ==", "100%of\\it\\nall", "", "short", "last-line"]
    redact = Redactor(["\r\n".join(lines)])
    for line in (line for line in lines if len(line) >= SHORTEST_SCRUBBED):
        for form in (line, line.strip(), json.dumps(line), repr(line), quote(line, safe="")):
            left = redact(f"log: {form}")
            assert REDACTED in left
            assert not any(piece in left for piece in ("BEGIN", "MIIB", "AQ", "100", "all", "last")), left
    assert redact("a short word") == "a short word"


def test_the_longest_form_goes_first() -> None:
    assert Redactor(["secret-1", "secret-1-and-more"])("secret-1-and-more") == REDACTED


def test_short_values_do_not_black_out_words() -> None:
    assert Redactor(["store", ""])("store and restore") == "store and restore"


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("redis://:hunter2@cache/0", "hunter2"),
        ("https://user:hunter2@host/path", "hunter2"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("{'authorization': 'Basic dXNlcjpwdw=='}", "dXNlcjpwdw"),
        ("token ghp_" + "a" * 36, "ghp_"),
        ("github_pat_" + "a" * 22, "github_pat_"),
        ("xoxb-1234567890-abc", "xoxb"),
        ("AKIA" + "A" * 16, "AKIA"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "eyJ"),
    ],
)
def test_shapes_of_secrets_nobody_told_us(text: str, gone: str) -> None:
    assert gone not in Redactor()(text)


@pytest.mark.parametrize("text", ["https://host:8080/path", "12:30 at http://a/b@c", "author: Anna", "nothing at all"])
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor(["some-secret"])(text) == text


@given(st.text(max_size=60))
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    redact = Redactor(["some-secret"])
    assert redact(redact(text)) == redact(text)


class Colour(StrEnum):
    RED = "some-secret"


def test_half_a_character_is_escaped() -> None:
    assert Redactor(["hunter2hunter2"])("caf\udce9 hunter2hunter2 é") == "caf\\udce9 [redacted] é"


def test_tree() -> None:
    redact = Redactor(["some-secret"])
    value = {"some-secret": ["a some-secret", ("some-secret", 1, None)], "n": 1.5, "enum": Colour.RED}
    assert redact.tree(value) == {
        REDACTED: [f"a {REDACTED}", (REDACTED, 1, None)],
        "n": 1.5,
        "enum": Colour.RED,
    }


def test_a_secret_does_not_print() -> None:
    secret = Secret("hunter2")
    assert [str(secret), repr(secret), f"{secret}", "%s" % secret] == [REDACTED] * 4  # noqa: UP031 - that form too
    assert "hunter2" not in repr({"a": [secret]})
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
    assert not Secret("")
