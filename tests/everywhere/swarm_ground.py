"""A Docker Swarm of three nodes, where a service runs that was made by hand, with a balancer in front of it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gate.containers.client import at
from gate.containers.images import tag_of
from gate.machine.shell import wait_until
from tests.engine.site import folder
from tests.everywhere.project import Project
from tests.swarm.conftest import REGISTRY, Swarmed, by_hand, docker
from tests.swarm.nodes import NODES, OUTSIDE, all_there

_FIRST = "0.9.0"
BALANCER = Path(__file__).parents[1] / "swarm" / "balancer.py"
_DOCKERFILE = """FROM gate-test-base:1
COPY {names} /app/
USER 10001
HEALTHCHECK --interval=1s --timeout=20s {patience} CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/ready"]
CMD ["python3", "/app/app.py", "0.0.0.0", "8000", "{book}"]
"""


class Swarm:
    """One service of three tasks; its balancer asks a manager where they are."""

    kind, outside, tasks, half_way = "swarm", OUTSIDE, 3, 2.5

    def __init__(self) -> None:
        self._stack = f"t{uuid.uuid4().hex[:6]}"
        self._image = f"{REGISTRY}/{self._stack}"

    def tables(self, project: Project, cpu: float) -> dict[str, str]:  # noqa: ARG002 - as of the others
        engine = {
            "kind": "swarm",
            "host": f"unix://{NODES[0].socket}",
            "stack": self._stack,
            "monitor": "1s",
            "timeout": "180s",
            "requests": "run/requests.log",
        }
        return {
            "releases": f'image = "{self._image}"',
            "engine": "\n".join(f'{key} = "{value}"' for key, value in engine.items()),
            "traffic": "",
            "service": "",
        }

    def offer(self, project: Project, version: str, fault: str) -> None:
        engine = at(f"unix://{NODES[0].socket}")
        with folder() as place:
            names = " ".join(project.files(place, version, fault))
            # As long as its start is waited for elsewhere; and a busy machine is slow to ask.
            hurried = fault == "never-ready"
            patience = "--start-period=1s --retries=2" if hurried else "--start-period=60s --retries=20"
            (place / "Dockerfile").write_text(
                _DOCKERFILE.format(names=names, patience=patience, book=project.book.address)
            )
            engine.images.build(path=str(place), rm=True, tag=f"{self._image}:{tag_of(version)}")
        pushed = engine.images.push(self._image, tag=tag_of(version))
        assert "digest: sha256:" in pushed, pushed

    @contextmanager
    def prepared(self, project: Project) -> Iterator[None]:
        self.offer(project, _FIRST, "")
        log = project.root / "run" / "requests.log"
        argv = [sys.executable, str(BALANCER), str(project.port), f"{self._stack}_web", str(log)]
        front_door = subprocess.Popen([*argv, *(str(node.socket) for node in NODES)])
        try:
            by_hand(self._there(project), "--limit-memory", "96M")
            assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", project.port)) == 0, timeout=60)
            assert wait_until(lambda: project.serving() == _FIRST, timeout=120)
            yield
        finally:
            front_door.kill()
            front_door.wait()
            all_there()
            docker("service", "rm", f"{self._stack}_web", check=False)

    def broken(self, project: Project) -> int:
        log = project.root / "run" / "requests.log"
        return sum(json.loads(line)["broken"] for line in log.read_text().splitlines())

    def running(self, project: Project) -> list[str]:
        return [tag.replace("_", "+") for tag in self._there(project).running()]

    def _there(self, project: Project) -> Swarmed:
        made = Swarmed(project.root, project.url, project.environment)
        made.stack, made.manager, made.book = self._stack, NODES[0], project.book
        return made
