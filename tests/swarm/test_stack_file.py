"""example/store/stack.yaml is what `docker stack deploy` takes, and what the gate then finds of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate import environments
from gate.results import Case, CaseOutcome
from gate.suites import suite
from gate.suites.context import CHECKS, Context
from tests.checks.projects import REPOSITORY
from tests.engine.site import folder
from tests.swarm.nodes import NODES

FILE = Path(__file__).resolve().parents[2] / "example" / "store" / "stack.yaml"
WITHOUT_A_MESH = {"STORE_PORT_MODE": "host", "STORE_ENDPOINT_MODE": "dnsrr", "STORE_PORT": "0"}
"""What the file offers where the kernel has no ip_vs, or a load balancer finds the tasks by itself."""


def docker(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    argv = ["docker", "-H", f"unix://{NODES[0].socket}", *words]
    env = {**os.environ, **variables}
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=env)


@pytest.fixture(scope="module")
def service(swarm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The shop's service as Swarm has it. Its image is in no registry of this machine, so no task of it runs."""
    stack = f"t{uuid.uuid4().hex[:6]}"
    settings = tmp_path_factory.mktemp("stack") / "store.env"
    settings.write_text("STORE_SECRET=of-the-file\n")
    given = {**WITHOUT_A_MESH, "STORE_ENV_FILE": str(settings), "STORE_VERSION": "1.0.0"}
    try:
        ended = docker("stack", "deploy", "--resolve-image", "never", "--compose-file", str(FILE), stack, **given)
        assert ended.returncode == 0, ended.stderr
        yield NODES[0].api.inspect_service(f"{stack}_web")
    finally:
        docker("stack", "rm", stack)


def test_a_task_is_started_before_the_one_it_replaces_and_counts_once_it_can_work(service: Any) -> None:
    for key in ("UpdateConfig", "RollbackConfig"):
        assert service["Spec"][key]["Order"] == "start-first"
    assert service["Spec"]["UpdateConfig"]["FailureAction"] == "pause"
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert "GET /ready" in container["Healthcheck"]["Test"][-1]
    assert container["StopGracePeriod"] > 30 * 10**9, "longer than the shop takes to finish what is under way"


def test_it_is_confined_and_knows_its_settings_by_a_file(service: Any) -> None:
    template = service["Spec"]["TaskTemplate"]
    container = template["ContainerSpec"]
    assert container["Env"] == ["STORE_SECRET=of-the-file"]
    assert (container["ReadOnly"], container["Init"], container["CapabilityDrop"]) == (True, True, ["ALL"])
    assert template["Resources"]["Limits"] == {"NanoCPUs": 2 * 10**9, "MemoryBytes": 2**30}


def checked(service: Any) -> Case:
    """What the check of a stack's limits says about it, in a project of its own."""
    stack = service["Spec"]["Name"].removesuffix("_web")
    with folder() as root:
        for name in ("checks", "fixtures"):
            shutil.copytree(REPOSITORY / name, root / name)
        for name in ("conftest.py", "pytest.ini"):
            shutil.copy2(REPOSITORY / name, root / name)
        (root / "environments").mkdir()
        (root / "environments" / "test.toml").write_text(
            f"""
            app = {{ name = "store", url = "http://127.0.0.1:8000" }}
            releases = {{ source = "releases", image = "store" }}
            engine = {{ kind = "swarm", host = "unix://{NODES[0].socket}", stack = "{stack}" }}
            services.web = {{ route = "/", health = "/health", identity = "/version#version" }}
            checks = {{ folders = ["checks"] }}
            smoke = {{ folders = ["smoke"] }}
            """
        )
        environment = environments.load("test", root)
        case = "checks/test_images.py::test_stack_limits_what_runs"
        result = suite.run(environment, Context("test", CHECKS), [case], root / "run", decide=lambda _: None)
        assert not result.broken, result.broken
        (found,) = result.cases
        return found


def test_stack_limits_what_runs(service: Any) -> None:
    assert checked(service).outcome is CaseOutcome.PASSED
    name = service["Spec"]["Name"]
    changed = docker("service", "update", "--detach", "--no-resolve-image", "--limit-cpu=0", "--limit-memory=0", name)
    assert changed.returncode == 0, changed.stderr
    case = checked(service)
    assert case.outcome is CaseOutcome.FAILED
    assert "web: no limit of cores" in case.message
    assert "web: no limit of memory" in case.message


def test_without_the_mesh_each_task_has_a_port_of_its_node_s(service: Any) -> None:
    endpoint = service["Spec"]["EndpointSpec"]
    (port,) = endpoint["Ports"]
    assert (endpoint["Mode"], port["PublishMode"], port["TargetPort"]) == ("dnsrr", "host", 8000)
    assert not port.get("PublishedPort"), "a fixed one cannot go with start-first"


def test_its_health_check_tells_ready_from_not(service: Any) -> None:
    """The very words of the file, but for the port, asked of a server that answers so."""
    *_, words = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["Test"]
    for status, code in (("200 OK", 0), ("503 Service Unavailable", 1)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            here = words.replace("8000", str(server.getsockname()[1]))
            with subprocess.Popen([sys.executable, "-IS", "-c", here], stderr=subprocess.DEVNULL) as asking:
                link, _ = server.accept()
                with link:
                    assert link.recv(64).startswith(b"GET /ready HTTP/1.0\r\n")
                    link.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
                assert asking.wait(timeout=30) == code
