"""The process engine with real processes and a real proxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gate.engines.process import ProcessEngine
from gate.errors import EngineError, StackError
from gate.releases import faults
from gate.shell import wait_until
from gate.stack import Stack
from gate.supervise import Process
from gate.traffic import INSTANCE_HEADER, TOKEN_HEADER
from tests.engine import disk
from tests.engine.site import Site, folder, read, site, table, web


@pytest.fixture
def here() -> Iterator[Site]:
    with site() as made:
        yield made


def kill(here: Site, instance: str, service: str = "web") -> None:
    """kill -9, and wait until it is seen."""
    process = Process(here.environment.state_folder / "rel" / instance, service)
    pid = process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not process.alive(), timeout=5)


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


def test_a_probe_reaches_the_candidate_and_no_other(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0"), "r2")
    answer = here.probe(candidate).json()
    assert answer["version"] == "1.1.0"
    assert not [name for name in answer["headers"] if name.startswith("x-gate")]
    assert here.get().json()["version"] == "1.0.0"
    assert [line.get("probe") for line in here.log()] == ["yes", None]
    kill(here, "r2")
    assert here.probe(candidate).status_code == 502


@pytest.mark.parametrize("name", ["../r1", "r1/../r1", "r", "R1", "r1y", "r2, r1"])
def test_a_probe_can_name_nothing_but_an_instance(here: Site, name: str) -> None:
    here.serve("1.0.0", "r1")
    token = here.traffic.token().reveal()
    answer = here.get(headers={TOKEN_HEADER: token, INSTANCE_HEADER: name}).json()
    assert answer["version"] == "1.0.0"
    assert not [header for header in answer["headers"] if header.startswith("x-gate")]


def test_without_the_token_nobody_chooses_an_instance_and_the_token_is_in_no_log(here: Site) -> None:
    here.serve("1.0.0", "r1")
    here.start(here.release("1.1.0"), "r2")
    for token in ("", "guess", here.traffic.token().reveal()[:-1]):
        assert here.get(headers={TOKEN_HEADER: token, INSTANCE_HEADER: "r2"}).json()["version"] == "1.0.0"
    secret = here.traffic.token().reveal()
    here.get(
        "/version?password=hunter2",
        headers={TOKEN_HEADER: secret, INSTANCE_HEADER: "r9", "Authorization": "Basic hunter3"},
    )
    for log in (here.traffic.access_log, here.proxy.process.log):
        text = log.read_text()
        assert secret not in text
        assert "hunter" not in text


def test_the_access_log_names_the_instance_that_answered(here: Site) -> None:
    here.serve("1.0.0", "r1")
    here.get("/some/path")
    [line] = here.log()
    assert line["upstream"].endswith("/rel/r1/web.sock")
    assert (line["service"], line["status"], line["request"]["uri"]) == ("web", 200, "/some/path")


def test_a_drain_waits_for_a_slow_request_and_the_request_is_answered(here: Site) -> None:
    old = here.serve("1.0.0", "r1")
    new = here.start(here.release("1.1.0"), "r2")
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(here.get("/slow/1.5")))
    slow.start()
    assert wait_until(lambda: here.engine._in_flight(old) == 1, timeout=5)
    here.engine.promote(new)
    assert here.get().json()["version"] == "1.1.0"
    hurried = here.engine.drain(old, timeout=0.2)
    assert (hurried.complete, hurried.left) == (False, 1)
    drained = here.engine.drain(old, timeout=10)
    assert drained.complete
    assert drained.left == 0
    here.engine.stop(old)
    slow.join()
    assert [answer.json()["version"] for answer in answers] == ["1.0.0"]


def test_a_drain_without_a_counter_goes_by_the_connections() -> None:
    service = web()
    del service["in_flight"]
    with site(services={"web": service}) as here:
        old = here.serve("1.0.0", "r1")
        new = here.start(here.release("1.1.0"), "r2")
        slow = threading.Thread(target=lambda: here.get("/slow/1"))
        slow.start()
        assert wait_until(lambda: here.engine._in_flight(old) == 1, timeout=5)
        here.engine.promote(new)
        assert here.engine.drain(old, timeout=0.2).left == 1
        assert here.engine.drain(old, timeout=10).complete
        slow.join()


def test_who_ignores_sigterm_is_killed(here: Site) -> None:
    instance = here.start(here.release("1.0.0", "ignores-sigterm"), "r1")
    [stopped] = here.engine.stop(instance, grace=0.5)
    assert stopped.killed
    assert 0.5 <= stopped.seconds < 5
    assert stopped.exit_code == -signal.SIGKILL
    assert not here.engine.instances()


def test_requests_are_held_while_nobody_serves(here: Site) -> None:
    instance = here.serve("1.0.0", "r1")
    here.engine.withdraw()
    assert here.engine.stable() is None
    answers: list[httpx.Response] = []
    body, url = b"x" * 5_000_000, f"{here.environment.app.url}/upload"
    waiting = threading.Thread(target=lambda: answers.append(httpx.post(url, content=body, timeout=20)))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    here.engine.promote(instance)
    waiting.join(5)
    assert [(answer.status_code, answer.json()["bytes"]) for answer in answers] == [(200, len(body))]


def test_a_canary_takes_its_share_and_a_dead_one_costs_nothing(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0"), "r2")
    here.engine.promote(candidate, 0.5)
    with httpx.Client(base_url=here.environment.app.url, timeout=20) as client:
        versions = [client.get("/version").json()["version"] for _ in range(200)]
        assert 60 < versions.count("1.1.0") < 140  # 6 sigma
        kill(here, "r2")
        assert {client.get("/version").status_code for _ in range(50)} == {200}
    here.engine.stop(candidate)
    assert here.traffic.canary() is None


def test_a_post_that_reached_a_release_is_never_sent_to_another(here: Site) -> None:
    here.serve("1.0.0", "r1")
    candidate = here.start(here.release("1.1.0", "dies-after-writing"), "r2")
    here.engine.promote(candidate, 0.999999)
    assert httpx.post(f"{here.environment.app.url}/orders", content=b"once", timeout=20).status_code == 502
    assert (here.environment.state_folder / "orders").read_text().split() == ["once"]
    again = httpx.post(
        f"{here.environment.app.url}/orders", content=b"twice", timeout=20
    )  # nobody to send it to but r1
    assert again.json()["version"] == "1.0.0"


def test_what_a_service_prints_leaves_the_engine_without_secrets() -> None:
    says = web(command=["{python}", "-c", "import os; print(os.environ['PASSWORD'])"], env={"PASSWORD": "${PASSWORD}"})
    with folder() as root:
        engine = ProcessEngine(read(table(services={"web": says}), root, PASSWORD="hunter2-hunter2"))
        here = Site(engine._environment)
        instance = engine.start(here.release("1.0.0"), "r1")
        assert wait_until(lambda: engine.logs(instance) != [], timeout=10)
        assert engine.logs(instance) == ["web: [redacted]"]
        engine.stop(instance)


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


def test_facts_say_versions_and_whether_the_proxy_answers(here: Site) -> None:
    assert here.engine.facts().supported
    assert here.engine.facts().proxy_version.startswith("2.")
    here.proxy.down()
    silent = here.engine.facts()
    assert not silent.supported
    assert "deploy_gate.py test up" in silent.detail


def test_a_stable_instance_whose_folder_is_gone_is_an_error_not_nothing(here: Site) -> None:
    here.traffic.set_stable("r9")
    with pytest.raises(EngineError, match="r9"):
        here.engine.stable()


def test_damaged_facts_are_an_error_that_names_the_file(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    file: Path = here.environment.state_folder / "rel" / "r1" / "instance.json"
    kept = file.read_text()
    file.write_text("{")
    with pytest.raises(EngineError, match=r"instance\.json"):
        here.engine.find("r1")
    file.write_text(kept)
    assert here.engine.find("r1") == instance


WORKER = {
    "command": ["{python}", "-c", "import time; print('works', flush=True); time.sleep(600)"],
    "exclusive": True,
}


def changed(here: Site, services: dict[str, Any]) -> Site:
    """The same place after its environment file got other services."""
    content = table(services=services, traffic={"listen": here.environment.traffic.listen})
    content["app"]["url"] = here.environment.app.url
    return Site(read(content, here.environment.root))


def test_an_instance_takes_traffic_back_when_the_file_has_other_services_since() -> None:
    with site(services={"web": web(), "worker": WORKER}) as here:
        old = here.serve("1.0.0", "r1")
        later = changed(here, {"web": web(), "jobs": WORKER, "mailer": {"command": WORKER["command"]}})
        later.serve("1.1.0", "r2")
        place = here.environment.state_folder / "rel"
        assert not Process(place / "r1", "worker").held()
        later.engine.promote(old)
        assert here.get().json()["version"] == "1.0.0"
        assert [(state.service, state.healthy) for state in later.engine.health(old)] == [
            ("web", True),
            ("worker", True),
        ]
        assert not Process(place / "r2", "jobs").held()
        assert Process(place / "r2", "mailer").alive()
        assert later.engine.drain(old, 5).complete
        assert [stopped.service for stopped in later.engine.stop(old)] == ["web", "worker"]


def test_an_instance_is_revived_and_judged_as_it_was_first_described() -> None:
    limits = {"cpu": 0.5, "memory": "64M"}
    with site(services={"web": web(limits=limits), "worker": WORKER}) as here:
        release = here.release("1.0.0")
        old = here.start(release, "r1")
        here.engine.promote(old)
        described = here.engine._services("r1")
        kill(here, "r1")
        kill(here, "r1", "worker")
        later = changed(here, {"web": web(command=["false"], ready="/not-there", env={"VERSION": "today's"})})
        later.engine.start(release, "r1")
        assert wait_until(lambda: later.healthy(old), timeout=20)
        assert [state.service for state in later.engine.health(old)] == ["web", "worker"]
        assert here.get().json()["version"] == "today's"  # values are today's, they may be secrets
        assert [(used.cpu_limit, used.memory_limit) for used in later.engine.resources(old)] == [
            (0.5, 64 * 2**20),
            (None, None),
        ]
        for name, service in later.engine._services("r1").items():
            assert service.model_copy(update={"env": described[name].env}) == described[name]


def test_no_secret_is_written_down_with_an_instance() -> None:
    says = web(command=["echo", "hunter2-hunter2"], env={"PASSWORD": "${PASSWORD}"})
    with folder() as root:
        engine = ProcessEngine(read(table(services={"web": says}), root, PASSWORD="hunter2-hunter2"))
        engine.start(Site(engine._environment).release("1.0.0"), "r1")
        place = engine._environment.state_folder / "rel" / "r1"
        assert "hunter2" not in (place / "instance.json").read_text()
        assert engine._services("r1") == engine._environment.services  # what is left out comes from today's file
        assert Process(place, "web").wait(10)


def test_an_instance_that_wrote_down_names_alone_is_judged_by_todays_file(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    file = here.environment.state_folder / "rel" / "r1" / "instance.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "services": ["web", "gone"]}))
    assert here.engine._services("r1")["web"] == here.environment.services["web"]
    assert [(state.service, state.healthy) for state in here.engine.health(instance)] == [
        ("web", True),
        ("gone", False),
    ]


def test_a_stopped_instance_leaves_no_socket(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    listens = here.traffic.socket("r1", "web")
    assert listens.exists()
    here.engine.stop(instance)
    assert not listens.exists()


def kill_proxy(here: Site) -> None:
    pid = here.proxy.process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not here.proxy.process.held(), timeout=5)


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
