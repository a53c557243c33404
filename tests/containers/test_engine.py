"""The docker engine with real containers: start, health, traffic, stop, and everything that dies between."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gate import releases
from gate.approval import authors
from gate.config import DockerSettings
from gate.containers.client import listed
from gate.engines.docker import DockerEngine
from gate.errors import EngineError, UsageError
from gate.machine.shell import wait_until
from gate.releases import faults
from gate.routing import dial
from tests.containers.dockered import IMAGE, Dockered, dockered, service
from tests.engine.site import Site, folder, read, table


@pytest.fixture(scope="module")
def here(docker_host: str) -> Iterator[Dockered]:
    with dockered(docker_host) as made:
        made.serve("1.0.0", "r1")
        yield made


def test_a_switch_between_containers_loses_nothing_and_the_log_names_who_answered(here: Dockered) -> None:
    candidate = here.start(here.release("1.1.0"), "r2")
    assert here.probe(candidate).json()["version"] == "1.1.0"
    assert here.get().json()["version"] == "1.0.0"
    answers: list[int | str] = []
    over = threading.Event()

    def shop() -> None:
        while not over.is_set():
            try:
                answers.append(here.get().status_code)
            except httpx.HTTPError as fault:
                answers.append(repr(fault))

    customers = [threading.Thread(target=shop) for _ in range(4)]
    for customer in customers:
        customer.start()
    stable = here.engine.stable()
    assert stable is not None
    for target in (candidate, stable, candidate):
        here.engine.promote(target)
        assert wait_until(lambda: here.get().status_code == 200, timeout=5)
    assert here.engine.drain(stable, 10).complete
    (stopped,) = here.engine.stop(stable)
    over.set()
    for customer in customers:
        customer.join()
    assert set(answers) == {200}
    assert not stopped.killed
    assert stopped.exit_code in {0, 143}
    assert dial.instance_of(here.log()[-1]["upstream"]) == "r2"
    here.engine.start(releases.read(Path(stable.folder)), "r1")
    assert wait_until(lambda: here.healthy(stable), timeout=20)
    here.engine.promote(stable)
    here.engine.stop(candidate)
    assert here.get().json()["version"] == "1.0.0"


def test_it_is_confined_and_named_by_digest(here: Dockered) -> None:
    found = here.container("r1").attrs
    host, labels = found["HostConfig"], found["Config"]["Labels"]
    stable = here.engine.stable()
    assert stable is not None
    assert (found["Image"], labels["deploy-gate.digest"]) == (stable.digest, stable.digest)
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (256 * 2**20, 10**9, 512)
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert found["Config"]["User"] == "10001"
    assert all(port["HostIp"].startswith("127.64.") for port in host["PortBindings"]["8000/tcp"])
    (used,) = here.engine.resources(stable)
    assert used.memory > 10_000_000
    facts = here.engine.facts()
    assert facts.supported, facts.detail


def test_a_crash_at_start_is_seen_and_gets_no_traffic(here: Dockered) -> None:
    instance = here.engine.start(here.release("1.2.0", "crash"), "r3")
    assert wait_until(lambda: not here.engine.health(instance)[0].alive, timeout=20)
    assert here.engine.health(instance)[0].exit_code == 3
    with pytest.raises(EngineError, match="its service web does not run"):
        here.engine.promote(instance)
    assert "r3" in here.engine.prune(set())
    assert here.engine.find("r3") is None


def test_one_that_takes_too_much_memory_is_told_so(docker_host: str) -> None:
    greedy = service(command=["{python}", "-c", "x = bytearray(400 * 2**20); input()", "{port}"])
    with dockered(docker_host, services={"web": greedy}) as here:
        instance = here.engine.start(here.release("1.0.0"), "r1")
        assert wait_until(lambda: not here.engine.health(instance)[0].alive, timeout=20)
        assert here.engine.health(instance)[0].detail == "killed: it took more memory than its limit"


def test_lines_are_followed_and_kept_over_another_start(here: Dockered) -> None:
    stable = here.engine.stable()
    assert stable is not None
    new = here.engine.follow(stable)
    here.container("r1").exec_run(["python3", "-c", "open('/proc/1/fd/1', 'w').write('said\\n')"])
    heard: list[tuple[str, str]] = []

    def listen() -> bool:
        heard.extend(new())
        return bool(heard)

    assert wait_until(listen, timeout=10), here.engine.logs(stable)
    assert heard == [("web", "said")]
    assert new() == []
    here.container("r1").kill()
    here.engine.start(releases.read(Path(stable.folder)), "r1")
    assert "web: said" in here.engine.logs(stable)
    assert wait_until(lambda: here.get().status_code == 200, timeout=20)


def printed(here: Dockered, script: str) -> None:
    """Writes into the log of what serves, by its own means."""
    command = f"import sys; sys.stdout = open('/proc/1/fd/1', 'w', newline=''); {script}"
    assert here.container("r1").exec_run(["python3", "-c", command]).exit_code == 0


@pytest.mark.parametrize("before", [0, 30_000])
def test_no_line_of_many_is_missed_and_none_is_told_twice(here: Dockered, before: int) -> None:
    """Also of those that hold what others take for the end of a line, or are longer than Docker's own pieces."""
    stable = here.engine.stable()
    assert stable is not None
    printed(here, f"[print('before', n) for n in range({before})]; print('all')")
    assert wait_until(lambda: here.engine.logs(stable, 1) == ["web: all"], timeout=10)
    new = here.engine.follow(stable)
    odd = ["5 %\r10 %\x0b\u2028 ERROR", "x" * 40_000, ""]
    for many in (1, 250, 12_000):
        printed(here, f"[print({many}, n) for n in range({many})]; [print(line) for line in {odd!r}]")
        heard: list[str] = []

        def listen(heard: list[str] = heard, many: int = many) -> bool:
            heard.extend(line for _, line in new())
            return len(heard) >= many + len(odd)

        assert wait_until(listen, timeout=20)
        assert new() == []
        assert heard[:many] == [f"{many} {n}" for n in range(many)]
        assert heard[many] == odd[0]
        assert heard[-1] == ""


def test_docker_starts_what_is_kept_again_and_a_candidate_never(here: Dockered) -> None:
    candidate = here.start(here.release("1.1.0"), "r4")
    here.engine.prune({"r4"})
    assert here.container("r1").attrs["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}, "it may be on trial"
    here.engine.settle()
    here.container("r4").kill()
    assert wait_until(lambda: not here.engine.health(candidate)[0].alive, timeout=5)
    assert here.container("r4").attrs["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}
    assert here.container("r1").attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    here.engine.stop(candidate)


def test_that_what_serves_was_started_again_is_told(here: Dockered) -> None:
    """It is well now; whoever looks should know that it was not."""
    stable = here.engine.stable()
    assert stable is not None
    assert here.engine.health(stable)[0].detail == ""
    here.engine.settle()
    os.kill(here.container("r1").attrs["State"]["Pid"], signal.SIGKILL)  # a kill by Docker's own hand would be a stop
    assert wait_until(lambda: here.container("r1").attrs["RestartCount"] == 1 and here.healthy(stable), timeout=30)
    assert here.engine.health(stable)[0].detail.startswith("Docker has started it again 1 time,")


def test_one_that_waits_to_be_started_again_is_stopped_too(here: Dockered) -> None:
    instance = here.engine.start(here.release("1.6.0", "crash"), "r6")
    assert wait_until(lambda: not here.engine.health(instance)[0].alive, timeout=20)
    made = here.container("r6")
    made.update(restart_policy={"Name": "unless-stopped"})
    made.start()
    assert wait_until(lambda: here.container("r6").attrs["RestartCount"] > 3, timeout=30)
    assert "r6" in [one.id for one in here.engine.instances()]
    here.engine.stop(instance)
    count = here.container("r6").attrs["RestartCount"]
    assert not wait_until(lambda: here.container("r6").attrs["RestartCount"] > count, timeout=2)
    assert "r6" not in [one.id for one in here.engine.instances()]


def test_one_that_ends_as_it_is_stopped_is_stopped(here: Dockered) -> None:
    release = here.release("1.1.0")
    for _ in range(8):
        instance = here.engine.start(release, "r8")
        os.kill(here.container("r8").attrs["State"]["Pid"], signal.SIGKILL)
        here.engine.stop(instance)
        assert "r8" not in [one.id for one in here.engine.instances()]


def test_traffic_goes_back_while_the_engine_cannot_tell(here: Dockered) -> None:
    stable = here.engine.stable()
    assert stable is not None
    assert isinstance(here.environment.engine, DockerSettings)
    deaf = here.environment.engine.model_copy(update={"host": "unix:///nobody.sock"})
    candidate = here.start(here.release("1.1.0"), "r7")
    here.engine.promote(candidate)
    DockerEngine(here.environment, deaf).promote(stable)
    assert here.get().json()["version"] == stable.version
    here.engine.stop(candidate)


def test_links_in_an_image_lead_nowhere_and_stop_nothing(here: Dockered) -> None:
    links = "ln -s /usr/bin/python3 /app/python", "ln -s ../etc /app/out", "ln /app/app.py /app/b.py"
    made = " && ".join(f"busybox {link}" for link in links)
    release = here.release("1.7.0", dockerfile=f"USER 0\nRUN {made}\nUSER 10001\n")
    assert sorted(file.name for file in release.folder.iterdir()) == ["app.py", "b.py", "fault", "release.json"]
    assert faults(release.folder) == []


def test_a_check_that_has_not_passed_counts_where_nothing_else_tells(docker_host: str) -> None:
    quiet = service(health=None, ready=None, in_flight=None, identity=None, route=None)
    with dockered(docker_host, services={"web": service(), "quiet": quiet}) as here:
        check = "HEALTHCHECK --interval=1s --retries=30 CMD test -e /tmp/ready\n"
        instance = here.engine.start(here.release("1.0.0", dockerfile=f"USER 10001\n{check}"), "r1")
        states = {state.service: state for state in here.engine.health(instance)}
        assert states["quiet"].alive
        assert not states["quiet"].healthy
        assert states["quiet"].detail == "its image's health check has not passed yet"
        for container in listed(here.docker, label="deploy-gate.instance=r1"):
            if container.labels["deploy-gate.service"] == "quiet":
                container.exec_run(["python3", "-c", "open('/tmp/ready', 'w')"])
        assert wait_until(lambda: here.healthy(instance), timeout=20), here.engine.health(instance)


def test_a_release_is_unpacked_once_and_told_apart_by_digest(here: Dockered) -> None:
    first = here.release("1.5.0")
    assert first.image == first.digest
    assert faults(first.folder) == []
    assert (first.folder / "app.py").is_file()
    again = here.release("1.5.0", "another content")
    assert again.folder != first.folder
    assert faults(first.folder) == [], "what was deployed before is not touched"
    (first.folder / "app.py").write_text("changed")
    assert faults(first.folder) == ["app.py: changed since it was built"]
    assert "1.5.0" in releases.source(here.environment).versions()
    manifest = json.loads((again.folder / releases.MANIFEST).read_text())
    assert (manifest["image"], manifest["inside"]) == (again.image, "/app")


def test_who_wrote_an_image_is_told_by_its_manifest_and_no_label(here: Dockered) -> None:
    """Labels are inherited: those of a base image would name its authors. The digest stays the image's."""
    manifest = {
        "version": "1.8.0",
        "digest": "sha256:of-the-files",
        "files": {},
        "author": "Ines; Otto",
        "commit": "abc",
    }
    label = "LABEL org.opencontainers.image.authors=somebody\n"
    told = here.release(
        "1.8.0", dockerfile=f"{label}RUN echo '{json.dumps(manifest)}' >/app/release.json\nUSER 10001\n"
    )
    assert (authors.declared(told), told.commit) == ("Ines; Otto", "abc")
    assert told.digest == told.image
    assert authors.declared(here.release("1.8.1", dockerfile=f"{label}USER 10001\n")) == ""


def test_a_version_without_an_image_is_a_clear_error(here: Dockered) -> None:
    with pytest.raises(UsageError, match=r"no release 9\.9\.9"):
        releases.source(here.environment).get("9.9.9")


def test_an_engine_that_does_not_answer_is_a_clear_error() -> None:
    with folder() as root:
        content = table(
            engine={"kind": "docker", "host": f"unix://{root}/nobody.sock"},
            releases={"source": "releases", "image": IMAGE},
            services={"web": service()},
        )
        facts = Site(read(content, root)).engine.facts()
    assert not facts.supported
    assert "nobody.sock" in facts.detail
