"""docs/redaction.md is honest: what its first table shows is found, and what its second one shows is really not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gate.redact import REDACTED, Redactor

PAGE = (Path(__file__).parents[2] / "docs" / "redaction.md").read_text(encoding="utf-8")
SECRETS = re.findall(r"`([^`]+)`", PAGE.partition("with the secrets")[2].partition("for a line's end")[0])[:-1]
ROWS = [
    re.match(r"\| (?P<way>.+?) \| `(?P<shown>[^`|]+)` \|(?: `(?P<left>[^`|]+)` \|)?$", line)
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| written as")
]
FOUND = {row["way"]: (row["shown"], row["left"]) for row in ROWS if row and row["left"]}
STAYS = {row["way"]: row["shown"] for row in ROWS if row and not row["left"]}


def shown(text: str) -> str:
    return Redactor(SECRETS)(text.replace("⏎", "\n")).replace("\n", "⏎")


def test_the_page_is_read_whole() -> None:
    assert len(SECRETS) == 5
    assert None not in ROWS
    assert len(FOUND) + len(STAYS) == len(ROWS)
    assert len(FOUND) > 30
    assert len(STAYS) > 15


@pytest.mark.parametrize("way", FOUND)
def test_what_it_says_is_found_is_found(way: str) -> None:
    text, left = FOUND[way]
    assert shown(text) == left
    assert REDACTED in left


@pytest.mark.parametrize("way", STAYS)
def test_what_it_says_is_not_found_is_not(way: str) -> None:
    assert shown(STAYS[way]) == STAYS[way]
