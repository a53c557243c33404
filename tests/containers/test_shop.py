"""The shop on a real Docker engine, under its customers; what goes wrong is tried in tests/everywhere."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from example.customers import Customers
from gate.containers.client import at, listed
from tests.containers.shop import shop
from tests.e2e.sites import Site


@pytest.fixture(scope="module")
def site(docker_host: str) -> Iterator[Site]:
    """1.0.0 serves from a container."""
    folder = Path(tempfile.mkdtemp(prefix="gate-docker-"))
    made = shop(folder, docker_host)
    try:
        assert made.gate("up").code == 0
        ran = made.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        file = folder / "environments" / "here.toml"
        file.write_text(file.read_text().replace("steps = []", 'steps = ["50% 12s", "100% 8s"]'))
        yield made
    finally:
        made.gate("down")
        for container in containers(made, docker_host):
            container.remove(force=True)
        shutil.rmtree(folder, ignore_errors=True)


def containers(site: Site, host: str) -> list[Any]:
    """All that belong to the site, running or not."""
    found = listed(at(host), stopped=True, label="deploy-gate.state")
    return [one for one in found if one.labels["deploy-gate.state"].startswith(str(site.root))]


def test_a_good_release_takes_over_and_nobody_notices(site: Site, docker_host: str) -> None:
    with Customers(site.url, count=4, pause=0.03).shopping() as tally:
        ran = site.deploy("1.1.0")
    assert (ran.code, site.serving()) == (0, "1.1.0"), f"{ran.reasons}\n{ran.told}"
    assert tally.attempted > 50
    assert (dict(tally.failed_by), tally.lost(site.database)) == ({}, []), tally.failures[:3]
    running = {one.labels["deploy-gate.version"] for one in containers(site, docker_host) if one.status == "running"}
    assert running == {"1.1.0"}
    assert not [one for one in containers(site, docker_host) if "deploy-gate.tool" in one.labels]
