"""What the release says about itself. Runs last: it sees what the other cases caused."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]


def test_no_errors_in_the_log(log_errors: Any, measure: Any) -> None:
    """No error was logged since the release was started"""
    lines = log_errors()
    measure("log_errors", len(lines), detail=lines[0][:300] if lines else "")
