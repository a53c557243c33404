"""How long people wait: the 95th percentile of every route that can be asked without knowing the application."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Resource Limits")

# The route wants a signed-in user, which the application's own cases know how to be, or there is no such page.
NOT_FOR_US = (401, 403, 404)
TIMES = 24
CLIENTS = 8


def test_response_times(app: Any, load: Any, measure: Any, contract: Any, services: Any) -> None:
    """95 of 100 answers of every route come in time"""
    paths = ["/", *(service.health for service in services.values() if service.route)]
    paths += contract.plain_gets() if contract else []
    asked = 0
    for path in dict.fromkeys(paths):
        if app.get(path).status_code in NOT_FOR_US:
            continue
        samples = load(lambda client, path=path: client.get(path), times=TIMES, clients=CLIENTS)
        bad = [sample.answer.status_code for sample in samples if sample.answer.status_code >= 400]
        assert not bad, f"GET {path}: {len(bad)} of {len(samples)} answers failed, the first with {bad[0]}"
        measure("response_time", load.p95(samples), n=len(samples), detail=f"GET {path}")
        asked += 1
    assert asked, "no route could be asked: nothing was measured"
