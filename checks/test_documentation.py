"""Documentation: what a person needs at three in the morning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.category("Documentation")

SHORTEST_RUNBOOK = 300  # characters: less says nothing about how to operate anything

_ROLLBACK_HEADING = re.compile(r"^(#+\s.*|.*\n[=~^-]{3,}$)", re.M)
_REACHABLE = re.compile(r"(?:\d[\s()/.-]*){6,}|[^\s@]+@[^\s@]+\.[a-z]+|(?:^|\s)[#@][\w.-]{2,}|https?://\S{6,}", re.I)


def read(project: Path, name: str | None, key: str) -> str:
    """A document's text. Fails the case when it is not configured or not there."""
    if name is None:
        pytest.fail(f"no {key} is named: write one and set [documents] {key}", pytrace=False)
    try:
        return (project / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        pytest.fail(
            f"{name}: cannot be read ({type(fault).__name__}). Write it, or correct [documents] {key}", pytrace=False
        )


def test_runbook_says_how_to_roll_back(environment: Any, project: Path) -> None:
    """There is a runbook, and a section of it says how to roll back."""
    name = environment.documents.runbook
    text = read(project, name, "runbook")
    assert len(text.strip()) >= SHORTEST_RUNBOOK, (
        f"{name}: {len(text.strip())} < {SHORTEST_RUNBOOK} characters: write it"
    )
    headings = [found[0] for found in _ROLLBACK_HEADING.finditer(text)]
    assert any(re.search(r"roll(ing|ed)?[\s-]?back", heading, re.I) for heading in headings), (
        f"{name}: no heading speaks of a rollback: write that section"
    )


def test_changelog_names_this_version(environment: Any, project: Path, release: Any) -> None:
    """The changelog has an entry for this version that says something."""
    name = environment.documents.changelog
    text = read(project, name, "changelog")
    version = release.version.split("+")[0]  # build metadata names a build, not a change
    heading = re.search(
        rf"^(?P<level>#*)\s*(?:version|release)?\s*\[?v?{re.escape(version)}(?![\w.+-]).*$", text, re.M | re.I
    )
    assert heading, f"{name}: no entry for {version}: write a heading with it and what changed"
    level = len(heading["level"]) or 2
    entry = re.split(rf"^(?:#{{1,{level}}}\s|\[?v?\d+\.\d+\.\d+)", text[heading.end() :], maxsplit=1, flags=re.M)[0]
    assert re.search(r"\w{3,}", entry), f"{name}: the entry for {version} is empty: write what changed"


def test_emergency_contacts_can_be_reached(environment: Any, is_placeholder: Any, no_faults: Any) -> None:
    """It is written down whom to call: at least a primary contact, each with a number or an address."""
    contacts = environment.contacts
    assert "primary" in contacts, '[contacts] has no primary: write primary = "who, and a number or an address"'
    found = [
        f"[contacts] {role}: {'a placeholder' if is_placeholder(text) else 'no number or address in it'}"
        for role, text in contacts.items()
        if is_placeholder(text) or not _REACHABLE.search(text)
    ]
    no_faults(found, "Write who it is and how they are reached.")
