"""What the gate remembers of forgiven failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gate.results import Outcome
from gate.store import FLAKY, Flake, Store


def deployed(store: Store, outcome: Outcome | None, *flaky: str, action: str = "deploy") -> int:
    named: dict[str, Any] = dict.fromkeys(("version", "digest", "folder", "by"), "x")
    number = store.begin(action=action, commit=None, stable_version=None, stable_instance=None, **named)
    store.write(number, "smoke", "do", {})
    for case in flaky:
        store.write(number, "candidate", FLAKY, {"case": case, "message": "why"})
    if outcome is not None:
        store.end(number, outcome, [], cases=1, checks=1, report=None)
    return number


def test_flakes_of_the_last_deployments(tmp_path: Path) -> None:
    store = Store(tmp_path / "gate.db")
    assert store.flakes(20) == []
    old = deployed(store, Outcome.RELEASED, "a", "b")
    bad = deployed(store, Outcome.ROLLED_BACK, "c")
    now = deployed(store, None, "d")
    assert store.flakes(3) == [Flake(old, "a"), Flake(old, "b"), Flake(bad, "c"), Flake(now, "d")]
    assert store.flakes(2) == [Flake(bad, "c"), Flake(now, "d")]


def test_what_touched_nothing_and_what_went_back_makes_no_flake_older(tmp_path: Path) -> None:
    store = Store(tmp_path / "gate.db")
    old = deployed(store, Outcome.RELEASED, "a")
    for outcome in (Outcome.REFUSED, Outcome.PLANNED):
        deployed(store, outcome)
    deployed(store, Outcome.ROLLED_BACK, action="rollback")
    assert store.flakes(1) == [Flake(old, "a")]


def test_a_file_from_before_there_were_flakes_is_read(tmp_path: Path) -> None:
    """A flake is a line of the journal, so the tables are what they were."""
    deployed(Store(tmp_path / "gate.db"), Outcome.RELEASED)
    assert set(sa.inspect(sa.create_engine(f"sqlite:///{tmp_path}/gate.db")).get_table_names()) == {
        "deployments",
        "events",
    }
    assert Store(tmp_path / "gate.db").flakes(20) == []
