"""The process engine with real processes: start, health, stop, and everything that dies between."""

from __future__ import annotations

import signal
import time

import pytest

from gate.engines.process import ProcessEngine
from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from gate.releases import faults
from tests.engine.site import Site, folder, kill, read, site, table, web


def test_a_release_starts_gets_healthy_takes_traffic_and_stops(here: Site) -> None:
    release = here.release("1.0.0")
    instance = here.start(release, "r1")
    assert here.engine.stable() is None
    here.engine.promote(instance)
    assert here.engine.stable() == instance == here.engine.find("r1")
    assert here.engine.instances() == [instance]
    assert here.get().json()["version"] == "1.0.0"
    [stopped] = here.engine.stop(instance)
    assert not stopped.killed
    assert stopped.seconds < 5
    assert here.engine.instances() == []
    assert faults(release.folder) == []


def test_starting_again_changes_nothing_and_another_release_cannot_take_the_name(here: Site) -> None:
    release = here.release("1.0.0")
    instance = here.start(release, "r1")
    process = Process(here.environment.state_folder / "rel" / "r1", "web")
    before = process.pid()
    assert here.engine.start(release, "r1") == instance
    assert process.pid() == before
    with pytest.raises(EngineError, match=r"r1 is 1\.0\.0"):
        here.engine.start(here.release("1.1.0", "other"), "r1")


def test_a_killed_instance_is_seen_and_can_be_started_again_by_another_gate(here: Site) -> None:
    release = here.release("1.0.0")
    instance = here.start(release, "r1")
    here.engine.promote(instance)
    kill(here, "r1")
    [state] = here.engine.health(instance)
    assert (state.alive, state.healthy, state.exit_code) == (False, False, -signal.SIGKILL)
    second = ProcessEngine(here.environment)
    assert second.stable() == instance
    second.start(release, "r1")
    assert wait_until(lambda: here.healthy(instance), timeout=20)
    assert here.get().json()["version"] == "1.0.0"


def test_a_crash_at_start_is_seen_in_less_than_a_second() -> None:
    with site(services={"web": web(command=["false"])}) as here:
        began = time.monotonic()
        instance = here.engine.start(here.release("1.0.0"), "r1")
        assert wait_until(lambda: not here.engine.health(instance)[0].alive, timeout=10, every=0.02)
        assert time.monotonic() - began < 1
        assert here.engine.health(instance)[0].exit_code == 1


def test_a_crashed_instance_gets_no_traffic_and_its_exit_code_is_known(here: Site) -> None:
    stable = here.serve("1.0.0", "r1")
    instance = here.engine.start(here.release("1.1.0", "crash"), "r2")
    assert wait_until(lambda: not here.engine.health(instance)[0].alive, timeout=10)
    assert here.engine.health(instance)[0].exit_code == 3
    for share in (0.1, 1.0):
        with pytest.raises(EngineError, match="its service web does not run"):
            here.engine.promote(instance, share)
    assert here.engine.stable() == stable


def test_health_tells_unready_from_dead(here: Site) -> None:
    instance = here.engine.start(here.release("1.0.0", "unready"), "r1")
    assert wait_until(lambda: "answers 503" in here.engine.health(instance)[0].detail, timeout=20)
    [state] = here.engine.health(instance)
    assert state.alive
    assert not state.healthy
    assert state.detail == "/ready answers 503"


def test_a_command_that_does_not_exist_names_file_and_key() -> None:
    with site(services={"web": web(command=["no-such-program"])}) as here:
        with pytest.raises(EngineError, match="no-such-program") as caught:
            here.engine.start(here.release("1.0.0"), "r1")
        assert "[services.web] command" in str(caught.value.next_step)
        assert here.engine.instances() == []


def test_who_ignores_sigterm_is_killed(here: Site) -> None:
    instance = here.start(here.release("1.0.0", "ignores-sigterm"), "r1")
    [stopped] = here.engine.stop(instance, grace=0.5)
    assert stopped.killed
    assert 0.5 <= stopped.seconds < 5
    assert stopped.exit_code == -signal.SIGKILL
    assert not here.engine.instances()


def test_what_a_service_prints_leaves_the_engine_without_secrets() -> None:
    says = web(command=["{python}", "-c", "import os; print(os.environ['PASSWORD'])"], env={"PASSWORD": "${PASSWORD}"})
    with folder() as root:
        engine = ProcessEngine(read(table(services={"web": says}), root, PASSWORD="hunter2-hunter2"))
        here = Site(engine._environment)
        instance = engine.start(here.release("1.0.0"), "r1")
        assert wait_until(lambda: engine.logs(instance) != [], timeout=10)
        assert engine.logs(instance) == ["web: [redacted]"]
        engine.stop(instance)


def test_a_service_gets_its_own_environment_and_not_the_gates(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODY_ELSES_SECRET", "x")
    instance = here.start(here.release("1.0.0"), "r1")
    seen = here.probe(instance, "/environment").json()
    assert "SOMEBODY_ELSES_SECRET" not in seen
    assert seen["SOCKET"].endswith("/rel/r1/web.sock")
    assert seen["ORDERS"] == f"{here.environment.state_folder}/orders"
    assert seen["VERSION"] == "1.0.0"


def test_exclusive_services_run_once_and_follow_the_traffic() -> None:
    worker = {
        "command": ["{python}", "-c", "import time; print('works', flush=True); time.sleep(600)"],
        "exclusive": True,
    }
    with site(services={"web": web(), "worker": worker}) as here:
        old = here.serve("1.0.0", "r1")
        assert [(state.service, state.alive) for state in here.engine.health(old)] == [("web", True), ("worker", True)]
        new = here.start(here.release("1.1.0"), "r2")
        assert [state.service for state in here.engine.health(new)] == ["web"]
        here.engine.promote(new)
        assert [state.alive for state in here.engine.health(new)] == [True, True]
        assert not Process(here.environment.state_folder / "rel" / "r1", "worker").alive()
        here.engine.promote(old)
        assert not Process(here.environment.state_folder / "rel" / "r2", "worker").alive()
        assert wait_until(lambda: "worker: works" in here.engine.logs(old), timeout=5)


def test_resources_logs_and_prune(here: Site) -> None:
    first = here.serve("1.0.0", "r1")
    second = here.start(here.release("1.1.0"), "r2")
    third = here.start(here.release("1.2.0", "crash-later"), "r3")
    [used] = here.engine.resources(first)
    assert used.memory > 10_000_000
    assert used.cpu >= 0
    assert 0 <= here.engine.host().disk <= 1
    kill(here, "r3")
    here.engine.stop(second)
    here.engine.stop(first)
    assert here.engine.prune({"r2"}) == ["r3"]  # r1 is what traffic names
    assert here.engine.find(third.id) is None
    assert here.engine.find(second.id) == second
    assert all(line.startswith("web: ") for line in here.engine.logs(first))


def test_a_stopped_instance_leaves_no_socket(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    listens = here.traffic.socket("r1", "web")
    assert listens.exists()
    here.engine.stop(instance)
    assert not listens.exists()
