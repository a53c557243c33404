"""What a run shows where there is no terminal."""

from __future__ import annotations

import io

from rich.table import Table

from gate.redact import Redactor
from gate.terminal import Terminal


def test_a_table_in_a_pipe_is_whole() -> None:
    stream, table = io.StringIO(), Table(box=None, pad_edge=False)
    cells = ["2", "rollback", "1.1.0+a-defect-with-a-long-name", "reports/local/2/report.html " * 4]
    for name in ("id", "action", "to", "report"):
        table.add_column(name)
    table.add_row(*cells)
    Terminal(stream, Redactor()).table(table)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(cell.strip() in lines[1] for cell in cells)
    assert len(lines[1]) < 200
