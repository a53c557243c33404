"""The watch over live traffic where something goes wrong with the watch itself."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from gate.config.parsing import parse
from gate.engines.base import Endpoint, Engine, Host, Instance, ServiceState, Usage
from gate.live.observations import Moment
from gate.live.trace import replay
from gate.machine.shell import wait_until
from gate.results import Decision
from gate.signals.lines import Lines
from gate.watching import watched
from gate.watching.watch import Watch
from tests.unit.lines import MadeUp
from tests.unit.test_config import GOOD, VARIABLES

CANDIDATE = Instance("r2", "1.1.0", "sha256:2", None, "/nowhere", datetime.now(UTC))
NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens."""


class Asked:
    """An engine whose answer about health is the test's."""

    def __init__(self, health: Callable[[], list[ServiceState]], url: str) -> None:
        self._health = health
        self._url = url

    def health(self, _instance: Instance) -> list[ServiceState]:
        return self._health()

    def resources(self, _instance: Instance) -> list[Usage]:
        return []

    def endpoint(self, _instance: Instance | None) -> Endpoint:
        return Endpoint(self._url)

    def host(self) -> Host:
        return Host(cpu=0.1, own=0.0, memory=0.1, disk=0.1, disk_free=1, cores=1)

    def follow(self, _instance: Instance) -> Lines:
        return MadeUp(list)


WELL = [ServiceState("web", alive=True, healthy=True)]


@contextmanager
def watching(root: Path, health: Callable[[], list[ServiceState]], url: str = NOWHERE) -> Iterator[Watch]:
    """A watch on a last step of a minute; nobody sends anything, and there is no proxy."""
    environment = parse(GOOD, VARIABLES, name="here", file=root / "environments" / "here.toml", root=root)
    watch = Watch(environment, cast(Engine, Asked(health, url)), CANDIDATE, None, root / "run")
    watch.start()
    watch.begin(1.0, 60.0)
    try:
        yield watch
    finally:
        watch.stop()


def decided(watch: Watch, *, timeout: float = 5.0) -> bool:
    return wait_until(lambda: watch.standing.decision is not None, timeout=timeout)


def test_traffic_does_not_wait_for_a_candidate_that_hangs(tmp_path: Path) -> None:
    """Ending the watch comes before traffic goes back: a look that waits for an answer must not hold that up."""
    asked, let_go = threading.Event(), threading.Event()

    def hangs() -> list[ServiceState]:
        asked.set()
        let_go.wait(30)
        return WELL

    with watching(tmp_path, hangs) as watch:
        assert asked.wait(5)
        began = time.monotonic()
        watch.stop()
        assert time.monotonic() - began < 3
        let_go.set()


def test_a_look_that_breaks_holds_this_step_and_every_later_one(tmp_path: Path) -> None:
    def breaks() -> list[ServiceState]:
        raise RuntimeError("a defect")

    with watching(tmp_path, breaks) as watch:
        assert decided(watch)
        watch.begin(1.0, 60.0)
        assert watch.standing.decision is Decision.HOLD
        assert "the watch itself broke: RuntimeError: a defect" in watch.standing.reasons[0].text


def test_a_dead_candidate_decides_at_once_and_stays_decided(tmp_path: Path) -> None:
    states = [ServiceState("web", alive=False, healthy=False)]
    with watching(tmp_path, lambda: states) as watch:
        assert decided(watch)
        states[:] = WELL
        assert not wait_until(lambda: watch.standing.decision is not Decision.ROLLBACK, timeout=1.5)


@pytest.mark.parametrize(("resting", "decision"), [(False, Decision.HOLD), (True, Decision.ROLLBACK)])
def test_a_release_that_cannot_live_on_the_schema_excuses_nothing(
    tmp_path: Path, resting: bool, decision: Decision
) -> None:
    """Both are dead: what is everybody's fault is nobody's, unless stable was bound to be."""
    environment = parse(GOOD, VARIABLES, name="here", file=tmp_path / "environments" / "here.toml", root=tmp_path)
    engine = cast(Engine, Asked(lambda: [ServiceState("web", alive=False, healthy=False)], NOWHERE))
    stable = replace(CANDIDATE, id="r1", version="1.0.0")
    watch = Watch(environment, engine, CANDIDATE, stable, tmp_path / "run", resting=resting)
    watch.start()
    watch.begin(1.0, 60.0)
    try:
        assert decided(watch)
        assert watch.standing.decision is decision, watch.standing.reasons
    finally:
        watch.stop()


class Door(BaseHTTPRequestHandler):
    """A front door that answers, and a proxy behind it that writes its log elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"version": "1.1.0"}')

    def log_message(self, *_words: object) -> None:
        pass


def test_a_log_that_does_not_show_our_own_requests_is_never_a_go(tmp_path: Path) -> None:
    """As after a rotation by someone else: there is a file, and nobody writes to it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        log = tmp_path / ".gate" / "here" / "traffic" / "access.log"
        log.parent.mkdir(parents=True)
        log.touch()
        with watching(tmp_path, lambda: WELL, url) as watch:
            assert decided(watch, timeout=15)
            assert watch.standing.decision is Decision.HOLD
            assert "does not show a request that was just made" in watch.standing.reasons[0].text
        server.shutdown()


def test_a_disk_that_takes_nothing_any_more_does_not_keep_traffic_from_going_back(tmp_path: Path) -> None:
    with watching(tmp_path, lambda: WELL) as watch:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            held = decided(watch)
            watch.stop()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert held
        assert watch.standing.decision is Decision.HOLD


def test_what_was_seen_is_judged_again_to_the_same_end(tmp_path: Path) -> None:
    with watching(tmp_path, lambda: WELL) as watch:
        watch.begin(1.0, 1.5)
        assert decided(watch)
        live = watch.standing
    (written,) = watched.read(tmp_path / "run")
    seen = written.observations
    assert any(isinstance(item, Moment) for item in seen)
    again = replay(seen, ()).standing
    assert again == live
    assert again.decision is Decision.HOLD, "nobody sent anything"
