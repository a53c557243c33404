"""Where users come in: the same release, for anyone, whatever headers they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Deployment Scripts"), pytest.mark.critical]

# Sent by someone who would like to be let past the traffic rules.
FORGED = {"X-Gate-Token": "guessed"}
ELSEWHERE = "tcp/127.64.0.0:80"


@pytest.mark.requires("front")
def test_front_door(app: Any, services: Any, instance: Any, field: Callable[[Any, str], object]) -> None:
    """Users reach the release at the front door, and no forged header leads anywhere else"""
    for name, service in services.items():
        if service.route is None:
            continue
        with app.new() as client:
            client.headers.update({**FORGED, f"X-Gate-Dial-{name}": ELSEWHERE})
            version = field(client, service.identity)
        assert version == instance.version, f"{name}: a forged header reached {version} instead of {instance.version}"
