"""Is it the release that was deployed? A page that answers 200 proves nothing: any release does that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Deployment Scripts"), pytest.mark.critical]

# Each from a client of its own: traffic that is shared with another release shows within a few.
ANSWERS = 5


def test_identity(app: Any, services: Any, instance: Any, field: Callable[[Any, str], object]) -> None:
    """Every answer names the version and the digest that were deployed"""
    for name, service in services.items():
        if service.route is None:
            continue
        for _ in range(ANSWERS):
            with app.new() as client:
                version = field(client, service.identity)
                assert version == instance.version, f"{name} answers as {version}, deployed was {instance.version}"
                if service.digest is not None:
                    digest = field(client, service.digest)
                    assert digest == instance.digest, f"{name} answers with {digest}, deployed was {instance.digest}"
