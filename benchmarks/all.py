"""Runs every benchmark and writes their figures to docs/benchmarks.md's source, benchmarks/results.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BENCHMARKS = {
    "overhead": ["--cases", "200", "--runs", "5"],
    "deployment": ["--rounds", "3"],
    "switchover": ["--cycles", "100"],
}
LIMIT = 3600.0
"""Seconds one benchmark may take."""


def main() -> int:
    results: dict[str, object] = {
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
    file = HERE / "results.json"
    file.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {file.relative_to(ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
