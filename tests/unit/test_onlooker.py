"""What serves, seen live: whoever has the traffic, also while it moves, and when something cannot be told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from gate.commands import onlooking
from gate.config.parsing import parse
from gate.engines.base import Engine, Facts, Instance, ServiceState, Usage
from gate.errors import EngineError
from gate.redact import Redactor
from gate.routing.traffic import Traffic
from gate.watching.onlooker import Onlooker
from tests.signals.lines import ORIGIN, Log, line
from tests.unit.test_config import VARIABLES, table

AT = datetime(2026, 11, 2, tzinfo=UTC)
OLD, NEW = (Instance(f"r{n}", f"1.{n}.0", f"sha256:{n}", None, "x", AT) for n in (1, 2))


class Engines:
    """An engine with two releases; what it says is the test's."""

    def __init__(self) -> None:
        self.serves: Callable[[], Instance | None] = lambda: OLD
        self.well: Callable[[], list[ServiceState]] = lambda: [ServiceState("web", alive=True, healthy=True)]

    def stable(self) -> Instance | None:
        return self.serves()

    def find(self, name: str) -> Instance | None:
        return {"r1": OLD, "r2": NEW}.get(name)

    def health(self, _instance: Instance) -> list[ServiceState]:
        return self.well()

    def resources(self, _instance: Instance) -> list[Usage]:
        return [Usage("web", 0.5, 100, 1.0, 400), Usage("worker", 0.1, 10, None, None)]

    def facts(self) -> Facts:
        return Facts("process", "1", "caddy", "2", supported=True)


class Scene:
    def __init__(self, root: Path) -> None:
        self.now = 0.0
        self.engine = Engines()
        file = root / "environments" / "here.toml"
        environment = parse(table(), VARIABLES, name="here", file=file, root=root)
        self.traffic = Traffic(environment)
        self.traffic.prepare()
        self.log = Log(Path(self.traffic.folder))
        self.onlooker = Onlooker(environment, cast(Engine, self.engine), clock=lambda: ORIGIN + self.now)
        self.look = self.onlooker.look


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_who_serves_and_how_it_fares(scene: Scene) -> None:
    scene.look()
    scene.log.write(
        *[line(1.0 + n / 10, instance="r1", duration=0.08, status=500 if n == 0 else 200) for n in range(20)]
    )
    scene.log.write(line(2, instance="r1", probe="yes", status=500))
    scene.now = 10
    glance = scene.look()
    (one,) = glance.releases
    assert (one.version, one.share, one.requests, one.error_rate, one.p95) == ("1.1.0", 1, 20, 0.05, 0.08)
    assert (one.cpu, one.memory, one.healthy) == (0.5, 0.25, True)
    told = str(glance)
    assert "1.1.0 (r1) 100%  2.0 requests/s  errors 5 %  p95 80 ms  cpu 50 %  memory 25 %  healthy" in told


def test_what_is_old_is_forgotten(scene: Scene) -> None:
    scene.look()
    scene.log.write(line(1, instance="r1"), line(1, instance=None, status=502))
    scene.now = 30
    seen = scene.look()
    assert (seen.releases[0].requests, seen.unanswered) == (1, 1)
    assert "1 requests reached nobody" in str(seen)
    scene.now = 32
    later = scene.look()
    assert (later.releases[0].requests, later.releases[0].error_rate, later.unanswered) == (0, None, 0)


def test_beside_a_canary_both_are_shown(scene: Scene) -> None:
    scene.traffic.set_canary("r2", 0.1)
    scene.look()
    scene.log.write(line(1, instance="r1"), line(1, instance="r2", status=500))
    scene.now = 2
    stable, candidate = scene.look().releases
    assert (stable.version, round(stable.share, 2), stable.error_rate) == ("1.1.0", 0.9, 0)
    assert (candidate.version, round(candidate.share, 2), candidate.error_rate) == ("1.2.0", 0.1, 1)


def test_nothing_serves_and_nothing_can_be_told(scene: Scene) -> None:
    scene.engine.serves = lambda: None
    assert "nothing serves" in str(scene.look())

    def silent() -> Instance:
        raise EngineError("the engine does not answer")

    scene.engine.serves = silent
    assert "the engine does not answer" in str(scene.look())


def test_a_service_that_is_not_well_is_named(scene: Scene) -> None:
    scene.engine.well = lambda: [ServiceState("web", alive=True, healthy=False, detail="/health answers 503")]
    (one,) = scene.look().releases
    assert (one.healthy, one.health) == (False, "web: /health answers 503")


def test_a_line_for_machines_and_a_picture_for_people_without_secrets(scene: Scene) -> None:
    scene.engine.well = lambda: [ServiceState("web", alive=True, healthy=False, detail="key some-secret-7")]
    glance, redact = scene.look(), Redactor(["some-secret-7"])
    told = onlooking.line(glance, redact, as_json=True)
    assert json.loads(told)["releases"][0]["version"] == "1.1.0"
    drawn = io.StringIO()
    Console(file=drawn, width=160).print(onlooking.picture(glance, redact))
    assert "1.1.0 (r1)" in drawn.getvalue()
    assert "some-secret-7" not in told + drawn.getvalue() + onlooking.line(glance, redact, as_json=False)


class Closed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.timeout(30)
def test_it_ends_when_nobody_reads_any_more(scene: Scene) -> None:
    onlooking.watch(scene.onlooker, Closed(), Redactor(), as_json=True)
