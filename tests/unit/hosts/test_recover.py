"""A gate that is killed between two servers: the undo leads all of them back, and none on to the candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gate.deployment.run import Run
from gate.deployment.view import Silent
from gate.engines.base import Instance
from gate.engines.hosts import HostsEngine
from gate.machine.interrupt import Interrupts
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Outcome
from gate.rollback import mending
from gate.steps.promote import Promote
from gate.steps.start import Start
from gate.steps.watch import Canary
from gate.watching import serving
from tests.unit.hosts.servers import LOST, NEW, OLD, SEVERAL, Server, release
from tests.unit.hosts.servers import serving as traffic
from tests.unit.test_config import read, table


class Killed(BaseException):
    """The gate is gone: nothing that would have come next was done."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """1.0.0 was kept by the first deployment, the second one is unfinished."""
    store = Store(SqliteFile(tmp_path / "gate.db"))
    first = store.begin(version="1.0.0", digest=OLD.digest, stable_version=None, stable_instance=None, **NAMED)
    store.end(first, Outcome.RELEASED, [], cases=1, checks=1, report=None)
    store.begin(version="1.1.0", digest=NEW.digest, stable_version="1.0.0", stable_instance="r1", **NAMED)
    return store


NAMED: dict[str, Any] = {"action": "deploy", "commit": None, "folder": "f", "by": "me"}


def run_of(both: HostsEngine, store: Store, folder: Path) -> Run:
    """The second deployment, in a process of its own."""
    run = Run(
        environment=read(table(**SEVERAL)),
        engine=both,
        store=store,
        view=Silent(),
        interrupts=Interrupts(lambda: None),
        release=release("1.1.0"),
        stable=OLD,
        deployment=2,
        action="deploy",
        by="me@here",
        folder=folder,
        reports=folder,
    )
    run.journal.resume()
    return run


def dies_at(server: Server, wanted: str) -> None:
    """The gate is killed before this server is told to give its traffic to an instance."""
    told = server.promote

    def promote(instance: Instance, share: float = 1.0) -> None:
        if instance.id == wanted:
            server.promote = told  # type: ignore[method-assign]
            raise Killed
        told(instance, share)

    server.promote = promote  # type: ignore[method-assign]


def begin(run: Run) -> None:
    """Up to the moment the promotion is begun."""
    for step in (Start(), Promote()):
        run.journal.write(step.name, "do", step.intend(run))


def undo(run: Run) -> None:
    known = {step.name: step for step in (Start(), Canary(), Promote())}
    for begun in run.journal.to_undo():
        known[begun.name].undo(run, begun.facts)


def test_killed_between_two_switches(both: HostsEngine, a: Server, b: Server, store: Store, tmp_path: Path) -> None:
    run = run_of(both, store, tmp_path)
    begin(run)
    dies_at(b, "r2")
    with pytest.raises(Killed):
        both.promote(NEW)
    assert traffic(a, b) == ["r2", "r1"]
    assert serving.look(both).unknown, "a status that says who serves would be wrong on one of them"
    assert mending.lost(both, store) is None, "the undo leads back, not up"
    undo(run_of(both, store, tmp_path))
    assert traffic(a, b) == ["r1", "r1"]
    assert "stop r2" in a.calls
    assert "stop r2" in b.calls


def test_killed_between_two_ways_back(both: HostsEngine, a: Server, b: Server, store: Store, tmp_path: Path) -> None:
    """The promotion is on record as done: its release must not get the first server's traffic again."""
    run = run_of(both, store, tmp_path)
    begin(run)
    both.promote(NEW)
    run.journal.write("promote", "done")
    dies_at(b, "r1")
    with pytest.raises(Killed):
        undo(run)
    assert traffic(a, b) == ["r1", "r2"]
    assert mending.lost(both, store) is None
    a.calls.clear()
    undo(run_of(both, store, tmp_path))
    assert traffic(a, b) == ["r1", "r1"]
    assert "promote r2" not in a.calls


def test_killed_between_two_shares(both: HostsEngine, a: Server, b: Server, store: Store, tmp_path: Path) -> None:
    run = run_of(both, store, tmp_path)
    run.journal.write("start", "do", Start().intend(run))
    run.journal.write("canary", "do", Canary().intend(run))
    dies_at(b, "r2")
    with pytest.raises(Killed):
        both.promote(NEW, 0.1)
    assert (a.shared, b.shared) == (("r2", 0.1), None)
    undo(run_of(both, store, tmp_path))
    assert (a.shared, b.shared, traffic(a, b)) == (None, None, ["r1", "r1"])


def test_a_server_that_is_lost_on_the_way_back_is_led_back_by_the_next_recover(
    both: HostsEngine, a: Server, b: Server, store: Store, tmp_path: Path
) -> None:
    begin(run_of(both, store, tmp_path))
    both.promote(NEW)
    b.lost = True
    with pytest.raises(type(LOST), match=r"^b: no SSH connection$"):
        undo(run_of(both, store, tmp_path))
    assert traffic(a, b) == ["r1", "r2"]
    b.lost = False
    undo(run_of(both, store, tmp_path))
    assert traffic(a, b) == ["r1", "r1"]


def test_what_was_accepted_is_what_all_get(both: HostsEngine, b: Server, store: Store, tmp_path: Path) -> None:
    run = run_of(both, store, tmp_path)
    begin(run)
    both.promote(NEW)
    for name in ("promote", "accept"):
        run.journal.write(name, "do")
        run.journal.write(name, "done")
    b.serving = OLD
    found = mending.lost(both, store)
    assert found is not None
    assert found.version == "1.1.0"


def test_with_no_run_unfinished_all_get_what_was_kept_last(
    both: HostsEngine, b: Server, store: Store, tmp_path: Path
) -> None:
    store.end(2, Outcome.ROLLED_BACK, [], cases=1, checks=1, report=None)
    assert mending.lost(both, store) is None, "they agree"
    b.serving = NEW
    found = mending.lost(both, store)
    assert found is not None
    assert found.version == "1.0.0"


def test_who_serves_is_not_known_while_a_server_is_lost(both: HostsEngine, b: Server) -> None:
    """It is told for the one that answers, and never as well."""
    b.lost = True
    seen = serving.look(both)
    assert seen.instance == OLD
    assert (seen.runs, seen.unknown, seen.fault) == (False, True, "b: no SSH connection")
