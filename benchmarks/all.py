"""Runs every benchmark and writes their figures to docs/benchmarks.md. Run: make bench (about 45 minutes)."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
ROOT = HERE.parent
BENCHMARKS = {
    "overhead": ["--cases", "200", "--runs", "5"],
    "deployment": ["--rounds", "3"],
    "switchover": ["--cycles", "100"],
    "watching": [],
    "detection": [],
    "healthy": ["--deploys", "200"],
}
PAGE = ROOT / "docs" / "benchmarks.md"
LIMIT = 3600.0
"""Seconds one benchmark may take."""


def main() -> int:
    results: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    for name, options in BENCHMARKS.items():
        print(f"── {name} {' '.join(options)}", file=sys.stderr, flush=True)
        argv = [sys.executable, "-m", f"benchmarks.{name}", *options]
        ended = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        if ended.returncode:
            print(f"{name} ended with exit code {ended.returncode}", file=sys.stderr)
            return 1
        results[name] = json.loads(ended.stdout)
    PAGE.write_text(page(results), encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 0


def page(results: dict[str, Any]) -> str:
    """The figures as a page, each section with the command that makes it."""
    names = dict.fromkeys(name for steps in results["deployment"]["steps"].values() for name in steps)
    commands = {name: " ".join(["python -m", f"benchmarks.{name}", *options]) for name, options in BENCHMARKS.items()}
    template = jinja2.Template((HERE / "page.md.j2").read_text(encoding="utf-8"), keep_trailing_newline=True)
    return str(template.render(**results, names=list(names), commands=commands))


if __name__ == "__main__":
    sys.exit(main())
