"""Where a rollback may lead: by the records, and without them by what is written down beside the instances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from gate import releases
from gate.deployment import pipeline, undoing
from gate.deployment.evidence import Evidence, reason
from gate.engines.base import Engine, Instance
from gate.errors import OperationFailed, Refused, UsageError
from gate.records.journal import DIED
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Outcome
from gate.rollback import kept, recorded, served, unrecorded
from gate.rollback.kept import FILE, Stay, Ways
from gate.routing import place
from gate.routing.place import Folder
from gate.steps.backup import undecided
from tests.evidence.runs import made_run

VERSION = {"A": "1.0.0", "B": "1.1.0", "C": "1.2.0", "D": "0.9.0"}
COMMAND = "python deploy_gate.py here"


def built(root: Path, version: str, content: str = "x") -> releases.Release:
    folder = root / "releases" / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(f"{version} {content}")
    files = {"app.py": hashlib.sha256((folder / "app.py").read_bytes()).hexdigest()}
    manifest = {"version": version, "digest": releases.digest_of(files), "files": files}
    (folder / releases.MANIFEST).write_text(json.dumps(manifest))
    return releases.read(folder)


def serving(release: releases.Release, name: str = "r9") -> Instance:
    return Instance(name, release.version, release.digest, None, str(release.folder), datetime.now(UTC))


@dataclass
class Past:
    """Runs as ``+A`` (deployed and kept), ``-A`` (rolled back to), ``!A`` (deployed, taken back), ``~A`` (its
    gate died, undone), ``#A`` (could not be taken back); and the same as it is written down for who has no records."""

    root: Path
    store: Store = field(init=False)
    ways: Ways = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(SqliteFile(self.root / "gate.db"))
        self.ways = Ways(Folder(self.root / ".gate" / "here"))
        self._serves: str | None = None

    def run(self, told: str) -> None:
        kind, release = told[0], built(self.root, VERSION[told[1:]])
        facts: dict[str, Any] = {"digest": release.digest, "folder": str(release.folder), "by": "dora@ops"}
        number = self.store.begin(
            action="rollback" if kind == "-" else "deploy",
            version=release.version,
            commit=None,
            stable_version=None,
            stable_instance=self._serves,
            **facts,
        )
        self.store.write(number, "accept", "do", {})
        self.store.write(number, "accept", "done" if kind in "+-" else "undone", {})
        if kind == "~":
            self.store.write(number, "recover", DIED, {})
        ended = {"+": Outcome.RELEASED, "#": Outcome.ROLLBACK_FAILED}.get(kind, Outcome.ROLLED_BACK)
        self.store.end(number, ended, ["orders were lost"], cases=1, checks=1, report=None, final=True)
        if kind in "+-":
            self._serves = f"r{number}"
            self.ways.keep(Stay(release.version, release.digest, str(release.folder)), back=kind == "-")


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path)


@pytest.mark.parametrize(
    ("runs", "serves", "to", "why"),
    [
        ("+A +B", "B", "A", ""),
        ("+A +B +C", "C", "A", ""),
        ("+A +B -A", "A", "B", "1.1.0 was rolled back in deployment 3"),  # by a person
        ("+A !B", "A", "B", "1.1.0 was rolled back in deployment 2"),  # by the gate, and never kept
        ("+A #B", "A", "B", "1.1.0 was rolled back in deployment 2"),
        ("+D +A +B !D", "B", "D", "0.9.0 was rolled back in deployment 4"),
        ("+D +A +B !D +D +B", "B", "D", ""),  # kept since
        ("+D +A +B ~D", "B", "D", ""),  # that its gate died says nothing about the release
        ("+A +B +C -A", "A", "B", "1.1.0 is no way back from 1.0.0, for it is newer and was not kept before it"),
        ("+B +A", "A", "B", ""),  # newer, and the kept one before
        ("+C +B +A", "A", "C", ""),
        ("+C +A +B -C", "C", "A", ""),  # older than what serves, and nothing speaks against it
        ("+A +B !A", "B", "A", ""),  # failed when it was deployed again, but a rollback without a name goes there too
    ],
)
def test_a_named_release_leads_back_and_not_forward(past: Past, runs: str, serves: str, to: str, why: str) -> None:
    for told in runs.split():
        past.run(told)
    stable = serving(built(past.root, VERSION[serves]))
    if not why:
        assert recorded.target(past.store, stable, VERSION[to], COMMAND).version == VERSION[to]
        return
    with pytest.raises(Refused) as fault:
        recorded.target(past.store, stable, VERSION[to], COMMAND)
    assert str(fault.value).startswith(why)
    again = ' --again "what is different now"' if "rolled back" in why else ""
    assert str(fault.value.next_step).endswith(f"to deploy it: {COMMAND} --version {VERSION[to]}{again}")
    before = served.before(past.store, stable.digest)
    if before:  # what is refused by name never stands in the way of the one without
        assert recorded.target(past.store, stable, None, COMMAND).version == before[0].version
        assert f"{COMMAND} rollback   goes back to {before[0].version}; or, " in str(fault.value.next_step)


def test_what_was_built_anew_is_not_what_was_kept(past: Past) -> None:
    for told in ("+D", "+A", "+B"):
        past.run(told)
    stable = serving(built(past.root, "1.1.0"))
    built(past.root, "0.9.0", "another content")
    with pytest.raises(Refused, match=r"0\.9\.0 was built anew since it was kept here in deployment 1"):
        recorded.target(past.store, stable, "0.9.0", COMMAND)


def test_what_was_never_kept_is_wrong_use(past: Past) -> None:
    past.run("+A")
    stable = serving(built(past.root, "1.0.0"))
    built(past.root, "1.2.0")  # the source has it
    for version in ("1.2.0", "1.0.0", None):
        with pytest.raises(UsageError, match="no accepted release"):
            recorded.target(past.store, stable, version, COMMAND)


class Running:
    """An engine on which these run."""

    def __init__(self, found: Sequence[Instance]) -> None:
        self._found = found

    def instances(self) -> list[Instance]:
        return list(self._found)


def blind(past: Past, serves: str, to: str | None, *running: str, run: str = "r8") -> str:
    """Where a rollback goes whose records cannot be used; others that run were started by ``run``."""
    stable = serving(built(past.root, VERSION[serves]))
    engine = cast(Engine, Running([stable, *(serving(built(past.root, VERSION[one]), run) for one in running)]))
    fault = OperationFailed("gate.db: cannot be used", next_step="move it away")
    environment = made_run(past.root / "x").environment.derived({}, [])
    environment.bind(name="here", file=environment.file, root=past.root, written={}, rules=(), secrets=frozenset())
    return unrecorded.target(
        environment, engine, stable, VERSION[to] if to else None, fault=fault, command=COMMAND
    ).version


@pytest.mark.parametrize(
    ("runs", "serves", "to", "goes"),
    [
        ("+A +B", "B", "A", True),
        ("+A +B", "B", None, True),
        ("+A +B +C", "C", "A", True),
        ("+A +B -A", "A", "B", False),
        ("+A +B +C -A", "A", "B", False),
        ("+A !B", "A", "B", False),
        ("+A", "A", "C", False),  # the source has it, and it was never kept
        ("+A +B", "C", "A", True),  # a candidate that could not be taken back serves
        ("+A +B", "C", None, True),
    ],
)
def test_without_records_only_what_is_proven_to_have_been_kept(
    past: Past, runs: str, serves: str, to: str | None, goes: bool
) -> None:
    for version in VERSION.values():
        built(past.root, version)
    for told in runs.split():
        past.run(told)
    if goes:
        assert blind(past, serves, to) == (VERSION[to] if to else VERSION[runs.split()[-1 if serves == "C" else 0][1:]])
        return
    with pytest.raises(Refused) as fault:
        blind(past, serves, to)
    assert f"cannot be used; without them nothing proves that {VERSION[to or '']} was kept here" in str(fault.value)
    assert fault.value.next_step == f"{COMMAND} rollback   needs no name; move it away"


@pytest.mark.parametrize("content", ["", "[", '["x"]', '[{"version": "1.0.0"}]', "{}", None])
def test_a_rollback_without_a_name_needs_no_bookkeeping_at_all(past: Past, content: str | None) -> None:
    """What is written down is damaged, or was never written: the only other one that runs is gone back to."""
    past.run("+A")
    file = past.root / ".gate" / "here" / FILE
    file.unlink() if content is None else file.write_text(content)
    assert blind(past, "B", None, "A") == "1.0.0"
    with pytest.raises(Refused):
        blind(past, "B", "A")
    with pytest.raises(OperationFailed, match="no other one runs"):
        blind(past, "B", None)
    past.run("+B")
    assert [stay.version for stay in past.ways.stays()] == ["1.1.0"], "from here on it is known again"


@pytest.mark.parametrize(("runs", "serves"), [("+A", "A"), ("+A +B", "B"), ("", "A")])
def test_what_nobody_decided_on_is_never_gone_to(past: Past, runs: str, serves: str) -> None:
    for told in runs.split():
        past.run(told)
    assert blind(past, serves, None, "C", run="r10") == VERSION[serves], "what came later is taken away"
    assert blind(past, serves, serves, "C", run="r10") == VERSION[serves]
    if serves == "B":
        assert blind(past, serves, "A", "C", run="r10") == "1.0.0", "who names another one gets it"


def test_what_was_not_written_down_is_made_good_by_the_records(past: Past) -> None:
    for told in ("+A", "+B"):
        past.run(told)
    written = past.ways.stays()
    environment = made_run(past.root / "x").environment.derived({}, [])
    environment.bind(name="here", file=environment.file, root=past.root, written={}, rules=(), secrets=frozenset())
    past.ways.rewrite(written[1:])
    kept.settle(environment, past.store)
    assert past.ways.stays() == written
    kept.settle(environment, Store(SqliteFile(past.root / "new.db")))
    assert past.ways.stays() == written, "new records know less than is written down"


def test_what_lies_in_a_folder_by_now_is_not_what_was_kept_there(past: Past) -> None:
    past.run("+A")
    past.run("+B")
    built(past.root, "1.0.0", "another content")
    with pytest.raises(Refused, match="lies there as it was"):
        blind(past, "B", "A")


@pytest.mark.parametrize(
    ("action", "lines", "outcome", "keeps"),
    [
        ("deploy", ["do", "done"], Outcome.RELEASED, True),
        ("rollback", ["do", "done"], Outcome.ROLLED_BACK, True),
        ("deploy", ["do", "done", "undo", "undone"], Outcome.ROLLED_BACK, False),
        ("deploy", ["do", "done"], Outcome.ROLLBACK_FAILED, False),
        ("deploy", ["do"], Outcome.HELD, False),
        ("deploy", [], Outcome.REFUSED, False),
    ],
)
def test_what_a_run_kept_is_written_down_and_nothing_else(
    tmp_path: Path, action: str, lines: list[str], outcome: Outcome, keeps: bool
) -> None:
    run = made_run(tmp_path, action=action)
    for kind in lines:
        run.journal.write("accept", kind)
    kept.remember(run, outcome)
    stays = Ways(place.of(run.environment)).stays()
    assert [stay.version for stay in stays] == (["1.1.0"] if keeps else [])


@pytest.mark.parametrize(
    ("begun", "outcome", "failed"),
    [
        ("migrate", Outcome.ROLLED_BACK, True),
        ("migrate", Outcome.INTERRUPTED, False),  # a person stopped it
        ("backup", Outcome.ROLLED_BACK, False),  # nothing had been touched
    ],
)
def test_what_had_been_decided_before_the_gate_died_in_its_undo_stays_decided(
    tmp_path: Path, begun: str, outcome: Outcome, failed: bool
) -> None:
    first = made_run(tmp_path)
    first.journal.write(begun, "do")
    first.evidence.fail([reason("error_rate", "error rate 19 % > 5 %")], first.clock())
    undoing.undo_all(first, outcome)  # and dies before its end is on record
    (dead,) = first.store.deployments()
    assert (dead.outcome, dead.reasons) == (None, [])
    dead = replace(dead, reasons=["held before"])
    second = replace(first, evidence=Evidence())
    pipeline.recover(second, dead)
    told = [item.text for item in second.evidence.reasons]
    assert ("error rate 19 % > 5 %" in told) == (begun == "migrate"), "why it was undone stays known"
    assert (told[0], told[-1]) == ("held before", "the run that did this died before it ended")
    first.store.end(dead.id, Outcome.ROLLED_BACK, told, cases=0, checks=0, report=None)
    found = served.failed(first.store, dead.digest)
    assert (found is not None) is failed, "what failed is refused until a person releases it again"


@pytest.mark.parametrize("answer", [True, False], ids=["records that answer", "records that do not"])
def test_nothing_more_is_undone_once_another_run_has_the_environment(tmp_path: Path, answer: bool) -> None:
    run = made_run(tmp_path)
    for step in ("migrate", "smoke", "accept"):
        run.journal.write(step, "do")
    if not answer:
        run.store.execute(sa.text("DROP TABLE events"))
    asked: list[str | None] = [None, "recovering by somebody else"]
    run.rival = lambda: asked.pop(0)
    ended = undoing.undo_all(run, Outcome.ROLLED_BACK)
    left = [step.name for step in run.journal.to_undo()]
    if answer:
        assert (ended, left) == (Outcome.ROLLBACK_FAILED, ["smoke", "migrate"])
        assert "another run has it: recovering by somebody else" in run.evidence.reasons[-1].text
    else:  # nobody waits for an answer at each step: the traffic goes back
        assert (ended, left, len(asked)) == (Outcome.ROLLED_BACK, [], 1)


def test_what_is_not_decided_yet_keeps_its_backup(tmp_path: Path) -> None:
    first, second = made_run(tmp_path), made_run(tmp_path)
    first.store.end(first.deployment, Outcome.RELEASED, [], cases=0, checks=0, report=None)
    second.store.end(second.deployment, Outcome.ROLLBACK_FAILED, [], cases=0, checks=0, report=None)
    made = [f"20261129T120000000000Z-r{number}" for number in (1, 2, 12)]
    assert undecided(first.store, made) == {made[1]}
    second.store.end(second.deployment, Outcome.ROLLED_BACK, [], cases=0, checks=0, report=None)
    assert undecided(first.store, made) == set()
