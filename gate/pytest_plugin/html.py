"""pytest-html's page: category and severity beside each case, ids escaped, the metadata table free of secrets."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

from gate.pytest_plugin.facts import ATTRIBUTE
from gate.redact import Redactor


class Html:
    """Hooks of pytest-html and pytest-metadata; unused where they are not loaded."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    @pytest.hookimpl(optionalhook=True)
    def pytest_metadata(self, metadata: dict[str, Any]) -> None:
        for key, value in metadata.items():
            metadata[key] = self._redact.tree(value)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        cells[2:2] = ["<th>Category</th>", "<th>Severity</th>"]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        phase = "" if report.when in (None, "call") else f"::{report.when}"
        cells[1] = f'<td class="col-testId">{escape(report.nodeid + phase)}</td>'  # pytest-html does not escape it
        label = getattr(report, ATTRIBUTE, {}).get("label", {})
        shown = [escape(str(label.get(key, ""))) for key in ("category", "severity")]
        cells[2:2] = [f"<td>{text}</td>" for text in shown]
