"""Is it there at all: every process alive, every health page good, database and cache behind it."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Environment Validation"), pytest.mark.critical]


def test_healthy(app: Any, engine: Any, instance: Any, services: Any) -> None:
    """Every service is alive and healthy"""
    states = engine.health(instance)
    dead = [f"{state.name}: {state.detail or 'not alive'}" for state in states if not state.alive]
    assert not dead, f"{len(dead)} of {len(services)} services are down: {'; '.join(dead)}"
    # An exclusive service waits for traffic before it starts.
    unknown = {name for name, service in services.items() if not service.exclusive} - {
        state.service for state in states
    }
    assert not unknown, f"nothing is known of the services {', '.join(sorted(unknown))}"
    for name, service in services.items():
        if service.route is None:
            continue
        answer = app.get(service.health)
        assert answer.status_code == 200, f"{name}: GET {service.health} answers {answer.status_code}, expected 200"


@pytest.mark.requires("ready")
def test_ready(app: Any, engine: Any, instance: Any, services: Any) -> None:
    """Every service reaches its database and its cache"""
    for name, service in services.items():
        if service.ready is not None and service.route is not None:
            answer = app.get(service.ready)
            assert answer.status_code == 200, (
                f"{name}: GET {service.ready} answers {answer.status_code}, expected 200: {answer.text[:300]}"
            )
    unhealthy = [f"{state.name}: {state.detail}" for state in engine.health(instance) if not state.healthy]
    assert not unhealthy, f"not healthy: {'; '.join(unhealthy)}"
