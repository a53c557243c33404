"""A release's own commands in a container of its image: what they are given, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.config import DockerSettings
from gate.containers.client import client, listed
from gate.containers.images import image_of
from gate.containers.options import STATE, TOOL, socket_folders
from gate.containers.sweep import sweep
from gate.containers.tools import InContainer
from gate.errors import OperationFailed, ShellError
from gate.machine.shell import wait_until
from gate.releases import Release
from tests.containers.dockered import Dockered, dockered

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def here(docker_host: str) -> Iterator[Dockered]:
    with dockered(docker_host) as made:
        yield made


@pytest.fixture(scope="module")
def release(here: Dockered) -> Release:
    return here.release("1.0.0")


def docker_of(here: Dockered) -> DockerSettings:
    assert isinstance(here.environment.engine, DockerSettings)
    return here.environment.engine


def tools(here: Dockered, release: Release) -> InContainer:
    return InContainer(docker_of(here), release, "/app", here.environment.state_folder)


def left(here: Dockered) -> list[Any]:
    label = f"{STATE}={here.environment.state_folder}"
    return [one for one in listed(here.docker, stopped=True, label=label) if TOOL in one.labels]


def test_a_command_runs_as_the_image_says_with_the_variables_it_is_given(here: Dockered, release: Release) -> None:
    code = "import os, sys; print(os.getcwd(), os.getuid(), os.environ['WHAT'], 'HOME_OF_THE_GATE' in os.environ)"
    ended = tools(here, release).command(
        ["python3", "-c", f"{code}; print('odd', file=sys.stderr); sys.exit(3)"],
        env={"WHAT": "a b'c\nd", "GATE_PID": "1"},
        timeout=30,
    )
    assert (ended.code, ended.out, ended.err) == (3, "/app 10001 a b'c\nd False\n", "odd\n")
    assert left(here) == []


def test_one_that_takes_too_long_is_ended(here: Dockered, release: Release) -> None:
    with pytest.raises(ShellError, match=r"did not end within 0\.5 s"):
        tools(here, release).command(["sleep", "60"], env={}, timeout=0.5)
    assert left(here) == []


def test_one_that_is_not_there_fails_and_says_so(here: Dockered, release: Release) -> None:
    ended = tools(here, release).command(["no-such-tool"], env={}, timeout=10)
    assert ended.code == 127
    assert "no-such-tool" in ended.err
    assert left(here) == []


def test_what_a_killed_gate_left_is_swept(here: Dockered, release: Release) -> None:
    docker = docker_of(here)
    code = textwrap.dedent(f"""
        from pathlib import Path
        from gate.config import DockerSettings
        from gate.containers.tools import InContainer
        from gate.releases import read
        docker = DockerSettings(kind="docker", host={docker.host!r})
        state = Path({str(here.environment.state_folder)!r})
        tools = InContainer(docker, read(Path({str(release.folder)!r})), "/app", state)
        tools.command(["sleep", "600"], env={{}}, timeout=600)
    """)
    gate = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    try:
        assert wait_until(lambda: [one.status for one in left(here)] == ["running"], timeout=20)
    finally:
        os.kill(gate.pid, signal.SIGKILL)
        gate.wait()
    sweep(here.environment, docker)
    assert left(here) == []


def test_the_sweep_is_not_disturbed_by_what_others_make_and_remove(here: Dockered, release: Release) -> None:
    """The engine lists a container before it knows it by its id, and after it has gone."""
    made = {"labels": {STATE: "/another/gates"}, "entrypoint": ["true"]}
    enough = threading.Event()

    def others() -> None:
        engine = client(docker_of(here))
        while not enough.is_set():
            engine.containers.create(image_of(release), **made).remove(force=True)

    busy = [threading.Thread(target=others) for _ in range(2)]
    for one in busy:
        one.start()
    try:
        for _ in range(150):
            sweep(here.environment, docker_of(here))
    finally:
        enough.set()
        for one in busy:
            one.join()


def test_a_release_that_is_no_image_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed, match=r"names no image, so release 1\.0\.0 was not one"):
        image_of(Release("1.0.0", "sha256:1", None, tmp_path))


def test_folders_of_unix_sockets_are_found_in_urls() -> None:
    values = ["postgresql://a@/b?host=/run/pg&port=5", "postgresql://a@/b?port=5&host=%2Fvar%2Fpg%20x", "host=/no", "x"]
    assert socket_folders(values) == {"/run/pg", "/var/pg x"}
