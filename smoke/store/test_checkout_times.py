"""A busy hour: many tills sell at once, every sale succeeds, and no queue waits."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]

TIMES = 24
CLIENTS = 12


def test_checkout_times(till: Any, load: Any, measure: Any) -> None:
    """Sales from many tills at once all succeed, in time"""

    def sell(client: Any) -> Any:
        return till.send("POST", "/api/sales", till.order("water"), client=client)

    samples = load(sell, times=TIMES, clients=CLIENTS)
    failed = [sample.answer.status_code for sample in samples if sample.answer.status_code != 201]
    assert not failed, f"{len(failed)} of {len(samples)} sales failed, the first with status {failed[0]}"
    measure("response_time", load.p95(samples), n=len(samples), detail="POST /api/sales")
