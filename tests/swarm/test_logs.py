"""The log of a service several of whose tasks, on one node, have much to tell: all of it is read, in time.

Asked for the service as a whole Docker 20.10 falls silent half-way, nearly every time.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest

from gate.config import SwarmSettings
from gate.containers.swarm import Manager
from gate.machine.shell import wait_until
from tests.swarm.conftest import docker
from tests.swarm.nodes import NODES

TASKS, LINES = 3, 1500
CHATTY = f"import signal\nfor n in range({LINES}): print(f'{{n:04}}', 'x' * 200, flush=True)\nsignal.pause()"


@pytest.fixture
def stack(swarm: None) -> Iterator[str]:
    """One whose only service is on the first node."""
    name = f"t{uuid.uuid4().hex[:6]}"
    try:
        docker(
            "service", "create", "--detach", "--name", f"{name}_web", "--replicas", str(TASKS), "--init",
            "--endpoint-mode", "dnsrr", "--constraint", f"node.hostname=={NODES[0].name}",
            "gate-test-base:1", "python3", "-c", CHATTY,
        )  # fmt: skip
        yield name
    finally:
        docker("service", "rm", f"{name}_web", check=False)


def test_all_that_the_tasks_wrote_is_read_again_and_again(stack: str) -> None:
    manager = Manager(SwarmSettings(kind="swarm", host=f"unix://{NODES[0].socket}", stack=stack))
    began = int(time.time()) - 60
    seen: list[str] = []

    def written() -> bool:
        seen[:] = manager.lines("web", began)
        return len(seen) == TASKS * LINES

    assert wait_until(written, timeout=120, every=1), f"{len(seen)} lines of {TASKS * LINES}"
    for _ in range(5):
        lines = manager.lines("web", began)
        assert Counter(line.split()[1] for line in lines) == dict.fromkeys((f"{n:04}" for n in range(LINES)), TASKS)
    assert lines == sorted(lines), "the oldest come first"
