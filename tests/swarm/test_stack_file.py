"""example/store/stack.yaml is what `docker stack deploy` takes, and what the gate then finds of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
