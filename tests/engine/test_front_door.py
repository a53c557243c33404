"""The process engine's proxy: what it takes to answer, and that it is started again."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from gate.errors import EngineError, StackError
from gate.machine.shell import wait_until
from gate.stack import Stack
from tests.engine import disk
from tests.engine.site import WORKER, Site, changed, folder, kill, kill_proxy, site, web


def test_everything_killed_at_once_serves_again(here: Site) -> None:
    release = here.release("1.0.0")
    instance = here.start(release, "r1")
    here.engine.promote(instance)
    proxy = here.proxy.process.pid()
    assert proxy is not None
    kill(here, "r1")
    os.kill(proxy, signal.SIGKILL)
    assert wait_until(lambda: not here.proxy.answers(), timeout=5)
    Stack(here.environment).up()
    here.engine.start(release, "r1")
    assert wait_until(lambda: here.healthy(instance), timeout=20)
    assert here.get().json()["version"] == "1.0.0"


def test_facts_say_versions_and_whether_the_proxy_answers(here: Site) -> None:
    assert here.engine.facts().supported
    assert here.engine.facts().proxy_version.startswith("2.")
    here.proxy.down()
    silent = here.engine.facts()
    assert not silent.supported
    assert "deploy_gate.py test up" in silent.detail


def test_a_proxy_that_died_is_started_again_with_the_routes_it_had(here: Site) -> None:
    old = here.serve("1.0.0", "r1")
    new = here.serve("1.1.0", "r2")
    later = changed(here, {"web": web(), "api": web(route="/version")})  # nobody has it
    kill_proxy(here)
    later.engine.promote(old)
    assert here.get().json()["version"] == "1.0.0"
    kill_proxy(here)
    here.engine.promote(new, 0.999999)
    assert here.get().json()["version"] == "1.1.0"
    kill_proxy(here)
    here.engine.withdraw()
    assert here.proxy.answers()


def test_a_proxy_that_cannot_be_started_is_said_and_traffic_points_where_it_should(here: Site) -> None:
    old = here.serve("1.0.0", "r1")
    here.serve("1.1.0", "r2")
    kill_proxy(here)
    host, _, port = here.environment.traffic.listen.rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(EngineError, match="front door does not") as caught:
        here.engine.promote(old)
    assert caught.value.next_step == "python deploy_gate.py test up"
    assert here.engine.stable() == old
    here.engine.promote(old)
    assert here.get().json()["version"] == "1.0.0"


def test_routes_the_serving_release_has_no_service_for_are_refused(here: Site) -> None:
    here.serve("1.0.0", "r1")
    for services in ({"front": web()}, {"web": web(), "api": web(route="/api")}):
        later = changed(here, services)
        name = next(name for name in services if name != "web")
        with pytest.raises(StackError, match=rf"test\.toml: \[services\.{name}\] route: r1 serves") as caught:
            Stack(later.environment).up()
        assert f"[services.{name}] without a route" in str(caught.value.next_step)
        assert here.get().json()["version"] == "1.0.0"
    both = changed(here, {"web": web(), "front": web(route=None)})  # as the next step says
    both.serve("1.1.0", "r2")
    after = changed(here, {"front": web()})
    Stack(after.environment).up()
    assert here.get().json()["version"] == "1.1.0"
    assert here.log()[-1]["service"] == "front"


def test_on_a_full_disk_traffic_goes_back_with_everything_that_belongs_to_it() -> None:
    with (
        folder() as root,
        disk.tiny(root / "disk", "1m") as place,
        site(place, services={"web": web(), "worker": WORKER}) as here,
    ):
        old = here.serve("1.0.0", "r1")
        new = here.serve("1.1.0", "r2")
        disk.fill(place)
        kill_proxy(here)
        here.engine.promote(old)
        assert here.get().json()["version"] == "1.0.0"
        assert [(state.service, state.healthy) for state in here.engine.health(old)] == [
            ("web", True),
            ("worker", True),
        ]
        assert [stopped.killed for stopped in here.engine.stop(new)] == [False]
        assert here.engine.drain(old, 5).complete
