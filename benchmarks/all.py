"""Runs the benchmarks and writes their figures to docs/benchmarks.md. Run: make bench (hours).

python benchmarks/all.py NAME [NAME ...] runs only those; the others stay as figures.json beside this file has them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
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
    "kill_matrix": [],
    "ssh_cuts": [],
    "database": ["--megabytes", "10", "200", "1000"],
    "engines": ["--rounds", "3"],
}
FIGURES = HERE / "figures.json"
PAGE = ROOT / "docs" / "benchmarks.md"
LIMIT = 6 * 3600.0
"""Seconds one benchmark may take."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    for name in names:
        options = BENCHMARKS[name]
        print(f"── {name} {' '.join(options)}", file=sys.stderr, flush=True)
        argv = [sys.executable, "-m", f"benchmarks.{name}", *options]
        ended = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
        if ended.returncode:
            print(f"{name} ended with exit code {ended.returncode}", file=sys.stderr)
            return 1
        measured_at = datetime.now(UTC).isoformat(timespec="minutes")
        figures[name] = {"measured_at": measured_at, "result": json.loads(ended.stdout)}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(figures), encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return 0


def page(figures: dict[str, Any]) -> str:
    """The figures as a page, each section with the command that makes it and when that was run last."""
    results = {name: each["result"] for name, each in figures.items()}
    names = dict.fromkeys(name for steps in results["deployment"]["steps"].values() for name in steps)
    commands = {name: shlex.join(["python", "-m", f"benchmarks.{name}", *words]) for name, words in BENCHMARKS.items()}
    told = {name: f"`{commands[name]}`, {each['measured_at'][:10]}" for name, each in figures.items()}
    about = {name: each.get("about", "") for name, each in figures.items()}  # how a run went, where it was no whole one
    template = jinja2.Template((HERE / "page.md.j2").read_text(encoding="utf-8"), keep_trailing_newline=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    return str(template.render(**results, **machine, names=list(names), commands=told, about=about))


if __name__ == "__main__":
    sys.exit(main())
