"""Two servers: r1 serves from both, r2 runs beside it."""

from __future__ import annotations

import pytest

from gate.engines.hosts import HostsEngine
from tests.unit.hosts.servers import NEW, OLD, Server, engine


@pytest.fixture
def a() -> Server:
    return Server("a", {"r1": OLD, "r2": NEW}, OLD)


@pytest.fixture
def b() -> Server:
    return Server("b", {"r1": OLD, "r2": NEW}, OLD)


@pytest.fixture
def both(a: Server, b: Server) -> HostsEngine:
    return engine(a, b)
