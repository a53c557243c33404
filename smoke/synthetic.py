"""Traffic for a candidate that too few users reach to judge it, on any application: its pages, asked again and again.

``[traffic] synthetic`` names this file, or better one of the team's own that does what its users do. It is no smoke
test: what decides is what the proxy's log says of these requests.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.minor]

TIMES = 60


def test_pages(app: Any, services: Any, contract: Any) -> None:
    """Every service's page and whatever else can be asked as it is are sent for, and answered"""
    routes = [service.route for service in services.values() if service.route is not None]
    paths = list(dict.fromkeys([*routes, *(contract.plain_gets() if contract else ())]))
    faults: list[str] = []
    for number in range(TIMES):
        path = paths[number % len(paths)]
        try:
            status = app.get(path).status_code
        except OSError as fault:  # no answer: the next one may fare better
            faults.append(f"GET {path}: {type(fault).__name__}")
        else:
            if status >= 500:
                faults.append(f"GET {path}: status {status}")
    assert not faults, f"{len(faults)} of {TIMES} requests failed, the first: {faults[0]}"
