"""One look at what serves: each thing that may be wrong is seen, and what could not be asked is never green."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from gate.config.parsing import parse
from gate.deployment.view import Silent
from gate.engines.base import Endpoint, Engine, Host, Instance, ServiceState, Usage
from gate.errors import EngineError
from gate.judging.rules import DEFAULTS
from gate.monitoring import looking
from gate.monitoring.looking import of_requests, of_times
from gate.records.store import Deployment
from gate.results import Decision, Outcome, Reason
from gate.signals.review import Review
from tests.signals.lines import ORIGIN, Log, line
from tests.unit.test_config import VARIABLES, table
from tests.unit.test_watch import Door

RULES = {rule.signal: rule for rule in DEFAULTS}
GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK
SERVES = Instance("r2", "1.1.0", "sha256:2", None, "/nowhere", datetime.now(UTC))
WELL = [ServiceState("web", alive=True, healthy=True)]


def users(requests: int, errors: int, *, milliseconds: float = 12.0) -> Review:
    return Review(requests, errors, 0.0, {milliseconds: requests})


@pytest.mark.parametrize(
    ("requests", "errors", "decision"),
    [
        (100, 1, GO),
        (100, 2, HOLD),
        (100, 5, HOLD),
        (100, 6, ROLLBACK),
        (99, 0, None),
        (99, 50, HOLD),  # bad, and too few to act on
        (200, 2, GO),
        (0, 0, None),
    ],
)
def test_the_error_rate_at_its_limits(requests: int, errors: int, decision: Decision | None) -> None:
    notes: list[str] = []
    found = of_requests(RULES["error_rate"], users(requests, errors), notes)
    assert [item.decision for item in found] == ([decision] if decision else [])
    assert bool(notes) == (decision is None), "what is not judged is said"


@pytest.mark.parametrize(
    ("requests", "milliseconds", "decision"), [(20, 990, GO), (20, 1000, HOLD), (20, 3100, ROLLBACK), (19, 9000, None)]
)
def test_the_response_time_at_its_limits(requests: int, milliseconds: float, decision: Decision | None) -> None:
    notes: list[str] = []
    found = of_times(RULES["response_time"], users(requests, 0, milliseconds=milliseconds), notes)
    assert [item.decision for item in found] == ([decision] if decision else [])
    assert bool(notes) == (decision is None)


class Serves:
    """An engine in which 1.1.0 serves; what it says is the test's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.serves: Instance | None = SERVES
        self.well: Callable[[], list[ServiceState]] = lambda: WELL
        self.uses: list[Usage] = []

    def stable(self) -> Instance | None:
        return self.serves

    def health(self, _instance: Instance) -> list[ServiceState]:
        return self.well()

    def resources(self, _instance: Instance) -> list[Usage]:
        return self.uses

    def endpoint(self, _instance: Instance | None) -> Endpoint:
        return Endpoint(self.url)

    def host(self) -> Host:
        return Host(cpu=0.1, own=0.0, memory=0.1, disk=0.1, disk_free=1, cores=1)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A front door that says it is 1.1.0."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def states(root: Path, engine: Serves, **changes: Any) -> dict[str, Reason]:
    """What is found of every signal that is no request's; the looks come quickly."""
    environment = parse(table(**changes), VARIABLES, name="here", file=root / "environments" / "here.toml", root=root)
    found = looking.states_now(environment, cast(Engine, engine), SERVES, every=0.01)
    return {item.signal: item for item in sorted(found, key=lambda item: list(Decision).index(item.decision))}


def test_all_is_well(tmp_path: Path, url: str) -> None:
    found = states(tmp_path, Serves(url))
    assert found.keys() == {"services_lost", "wrong_identity", "disk"}
    assert {item.decision for item in found.values()} == {GO}


def test_a_service_that_has_ended(tmp_path: Path, url: str) -> None:
    engine = Serves(url)
    engine.well = lambda: [ServiceState("web", alive=False, healthy=False)]
    assert states(tmp_path, engine)["services_lost"].decision is ROLLBACK


def test_a_service_that_stays_unwell_and_one_that_stumbles(tmp_path: Path, url: str) -> None:
    engine, said = Serves(url), iter([False, True, True, False, False, False])
    engine.well = lambda: [ServiceState("web", alive=True, healthy=next(said))]
    assert states(tmp_path, engine)["services_lost"].decision is GO
    assert states(tmp_path, engine)["services_lost"].decision is ROLLBACK


def test_another_release_at_the_front_door(tmp_path: Path, url: str) -> None:
    other = Instance("r3", "1.2.0", "sha256:3", None, "/nowhere", datetime.now(UTC))
    environment = parse(table(), VARIABLES, name="here", file=tmp_path / "environments" / "x.toml", root=tmp_path)
    found = looking.states_now(environment, cast(Engine, Serves(url)), other, every=0.01)
    stranger = [item for item in found if item.signal == "wrong_identity"]
    assert [item.decision for item in stranger] == [ROLLBACK]
    assert "1.1.0 answered, expected 1.2.0" in stranger[0].text


@pytest.mark.parametrize(("cpu", "decision"), [(0.69, GO), (0.7, HOLD), (0.91, ROLLBACK)])
def test_resources(tmp_path: Path, url: str, cpu: float, decision: Decision) -> None:
    engine = Serves(url)
    engine.uses = [Usage("web", cpu, 10, 1.0, 100)]
    limits = {"cpu": 1.0, "memory": "512M"}
    assert states(tmp_path, engine, services__web__limits=limits)["cpu"].decision is decision


def test_what_could_not_be_asked_is_not_green(tmp_path: Path, url: str) -> None:
    engine = Serves("http://127.0.0.1:9")

    def silent() -> list[ServiceState]:
        raise EngineError("the engine does not answer")

    engine.well = silent
    limits = {"cpu": 1.0, "memory": "512M"}
    found = states(tmp_path, engine, services__web__limits=limits)
    for signal in ("services_lost", "wrong_identity", "cpu", "memory"):
        assert found[signal].decision is HOLD, signal
    assert "the engine does not answer" in found["services_lost"].text
    assert found["disk"].decision is GO


@pytest.mark.parametrize(
    ("serves", "decision", "text"),
    [
        (None, ROLLBACK, "traffic points at nothing"),
        (Instance("r1", "1.0.0", "sha256:1", None, "x", datetime.now(UTC)), HOLD, "traffic points at 1.0.0 (r1)"),
    ],
)
def test_traffic_that_goes_elsewhere(tmp_path: Path, serves: Instance | None, decision: Decision, text: str) -> None:
    engine = Serves("http://127.0.0.1:9")
    engine.serves = serves
    environment = parse(table(), VARIABLES, name="here", file=tmp_path / "environments" / "x.toml", root=tmp_path)
    at = datetime.now(UTC)
    released = Deployment(
        2, "deploy", "1.1.0", "sha256:2", None, "x", None, None, "a", "", None, Outcome.RELEASED, [], 1, 1, None
    )
    seen = looking.look(environment, cast(Engine, engine), released, at, at, view=Silent())
    assert seen.verdict.decision is decision
    assert text in seen.verdict.reasons[0].text


def test_nothing_seen_is_not_green() -> None:
    assert looking.Seen().verdict.decision is HOLD


def test_a_log_that_does_not_show_our_own_requests_is_not_green(tmp_path: Path) -> None:
    """As after a rotation by somebody else: there is a file with good answers in it, and nobody writes to it."""
    environment = parse(table(), VARIABLES, name="here", file=tmp_path / "environments" / "x.toml", root=tmp_path)
    folder = environment.state_folder / "traffic"
    folder.mkdir(parents=True)
    log = Log(folder)
    at = datetime.fromtimestamp(ORIGIN + 60, UTC)
    log.write(*[line(float(number % 60)) for number in range(200)])
    dead = looking.UsersLog(environment, at - timedelta(minutes=5), at).judged([])
    assert [item.decision for item in dead] == [HOLD]
    assert "does not show the requests that were just made" in dead[0].text
    reading = looking.UsersLog(environment, at - timedelta(minutes=5), at)
    log.write(line(61, probe="yes"))
    assert [(item.signal, item.decision) for item in reading.judged([])] == [("error_rate", GO), ("response_time", GO)]


def test_without_a_log_that_is_not_green_and_where_the_team_keeps_none_it_is_said(tmp_path: Path) -> None:
    at = datetime.now(UTC)
    environment = parse(table(), VARIABLES, name="here", file=tmp_path / "environments" / "x.toml", root=tmp_path)
    assert [item.decision for item in looking.UsersLog(environment, at, at).judged([])] == [HOLD]
    commands = {"kind": "command", "deploy": ["x"], "serves": ["x"], "logs": ["x"]}
    web = {"route": "/", "health": "/health", "identity": "/version#version"}
    team = parse(
        table(engine=commands, traffic={}, services={"web": web}), VARIABLES,
        name="here", file=tmp_path / "environments" / "x.toml", root=tmp_path,
    )  # fmt: skip
    notes: list[str] = []
    assert looking.UsersLog(team, at, at).judged(notes) == []
    assert "[engine] requests names no log" in notes[0]
