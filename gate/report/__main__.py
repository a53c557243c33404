"""Makes the report again from a ``decision.json``: ``python -m gate.report FILE`` writes ``report.html`` beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from gate.errors import GateError
from gate.report import document, html


def main(arguments: list[str]) -> int:
    """Exit code 0 when the report was written, 2 for wrong use or a file that is no decision record."""
    if len(arguments) != 1:
        print("usage: python -m gate.report reports/ENVIRONMENT/DEPLOYMENT/decision.json", file=sys.stderr)
        return 2
    file = Path(arguments[0])
    try:
        page = html.render(document.read(file))
    except GateError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    report = file.with_name("report.html")
    report.write_text(page, encoding="utf-8")
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
