"""Does the release keep its word: the API it was built with is the API it serves."""

from __future__ import annotations

from typing import Any

import pytest

# The route wants a signed-in user; the application's own cases know how to be one.
NOT_FOR_US = (401, 403)

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.requires("openapi")]


def test_api_document(app: Any, contract: Any, warn: Any) -> None:
    """The API document that is served is the one the release was built with"""
    answer = app.get(contract.served_at)
    if answer.status_code == 404:
        warn(
            f'{contract.served_at} is not served, so nothing was compared; [options] openapi = "/path" says where it is'
        )
        return
    assert answer.status_code == 200, f"GET {contract.served_at} answers {answer.status_code}, expected 200"
    different = contract.difference(answer.json())
    assert not different, f"{len(different)} operations differ from the release's document: {', '.join(different[:5])}"


def test_answers_fit_the_document(app: Any, contract: Any) -> None:
    """Answers have the form the API document promises"""
    judged = 0
    for path in contract.plain_gets():
        answer = app.get(path)
        if answer.status_code not in NOT_FOR_US:
            faults = contract.faults(answer)
            assert not faults, f"GET {path}: {len(faults)} faults, the first: {faults[0]}"
            judged += 1
    assert judged, "no route could be asked: nothing was measured"
