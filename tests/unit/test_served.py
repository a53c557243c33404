"""Which release a rollback goes back to, whatever was deployed and rolled back before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gate.records.journal import DIED
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Outcome
from gate.rollback import served

DONE = {"deploy": Outcome.RELEASED, "rollback": Outcome.ROLLED_BACK}


def run(store: Store, told: str) -> None:
    """A run as ``+A`` (deployed), ``-A`` (rolled back to), ``!A`` (deployed, rolled back), ``?A`` (such a rollback that
    died and was undone), ``~A`` (a deployment that died and was undone)."""
    kind, version = told[0], told[1:]
    action = "rollback" if kind in "-?" else "deploy"
    outcome = Outcome.ROLLED_BACK if kind in "!~" else DONE[action]
    facts: dict[str, Any] = {"digest": f"sha256:{version}", "folder": version, "by": "x", "commit": None}
    before = served.last(store)
    stable = f"r{before.id}" if before else None
    number = store.begin(action=action, version=version, stable_version=None, stable_instance=stable, **facts)
    store.write(number, "accept", "do", {})
    store.write(number, "accept", "undone" if kind in "!?~" else "done", {})
    if kind == "~":
        store.write(number, "recover", DIED, {})
    store.end(number, outcome, [], cases=1, checks=1, report=None)


@pytest.mark.parametrize(
    ("runs", "serves", "ways"),
    [
        ("+A", "A", ""),
        ("+A +B", "B", "A"),
        ("+A +B +C", "C", "BA"),
        ("+A +B -A", "A", ""),
        ("+A +B -A +A", "A", ""),  # deployed once more: the one that was rolled back from stays away
        ("+A +B -A +C", "C", "A"),
        ("+A +B +C -B +B", "B", "A"),
        ("+A +B +C -A", "A", ""),
        ("+A +B -A -B", "B", "A"),  # forward on purpose, with --to
        ("+A +B +A", "A", "B"),  # a downgrade is no rollback: what served before is the way back
        ("+A +B +B", "B", "A"),
        ("+A +B !C", "B", "A"),
        ("+A +B ?A", "B", "A"),
        ("+A +B", "X", "BA"),  # what serves is not in the records
    ],
)
def test_the_way_back_never_leads_forward(tmp_path: Path, runs: str, serves: str, ways: str) -> None:
    store = Store(SqliteFile(tmp_path / "gate.db"))
    for told in runs.split():
        run(store, told)
    assert "".join(item.version for item in served.before(store, f"sha256:{serves}")) == ways


@pytest.mark.parametrize(
    ("runs", "failed"),
    [
        ("", None),
        ("+A", None),
        ("+B !A", 2),
        ("!A !A", 2),
        ("!A +B", 1),
        ("!A +A", None),  # a person let it try again, and it was kept
        ("~A", None),  # the gate died: that says nothing about the release
        ("!A ~A", 1),
        ("+A +B -A", None),  # a person went back to it
        ("+B +A -B", 3),  # and from it
        ("+B +A -B +A", None),
        ("+B +A -B -A", None),  # forward on purpose
        ("+B +A ?B", None),  # that rollback died and was undone: it serves
    ],
)
def test_what_has_failed_here(tmp_path: Path, runs: str, failed: int | None) -> None:
    store = Store(SqliteFile(tmp_path / "gate.db"))
    for told in runs.split():
        run(store, told)
    found = served.failed(store, "sha256:A")
    assert (found.id if found else None) == failed
