"""The story in one command: a good release goes live under customers, then a bad one is rolled back alone.

``make demo`` runs it. Everything it starts lies below .gate/ and is stopped at the end (``--keep`` leaves it running).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from example.customers import Customers, Tally  # noqa: E402 - the project's folder has to be found first
from gate.environments import load  # noqa: E402

REPORTS = ROOT / "reports" / "local"
GOOD, BETTER, BAD = "1.0.0", "1.1.0", "1.1.0+checkout-500s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the shop running at the end")
    parser.add_argument("--defect", default=BAD.partition("+")[2], help="the defect of the bad release")
    arguments = parser.parse_args()
    bad = f"{BETTER}+{arguments.defect}"
    began = time.monotonic()
    try:
        return _story(bad, began)
    finally:
        if arguments.keep:
            print(f"\nThe shop still runs at {_url()}; stop it with: python deploy_gate.py local down")
        else:
            _gate("down", say=False)


def _story(bad: str, began: float) -> int:
    _title("1. The servers of the shop start: PostgreSQL, Valkey and Caddy, all below .gate/")
    if _gate("up") != 0:
        return 1
    again = ["--again", "the demo is shown once more"] if list(REPORTS.glob("*/report.html")) else []
    if not _begin_at(GOOD):
        print(f"\n{GOOD} does not serve. To start anew: python deploy_gate.py local down, then remove .gate/local")
        return 1
    environment = load("local", ROOT)
    database = environment.database.url.reveal() if environment.database else ""
    customers = Customers(environment.app.url, count=4, pause=0.05)
    with customers.shopping() as tally:
        _title(f"3. Customers shop without a break; release {BETTER} is deployed under them")
        better = _gate("--version", BETTER, *again)
        _title(f"4. Release {bad} looks fine and is not: it must not stay")
        worse = _gate("--version", bad, *again)
    lost = tally.lost(database)
    _title("What happened")
    _summary(tally, lost, better, worse, bad)
    _line("whole demo", f"{time.monotonic() - began:.0f} s")
    reports = sorted(REPORTS.glob("*/report.html"), key=lambda file: int(file.parent.name))
    for text, report in zip((f"{BETTER} released", f"{bad} rolled back"), reports[-2:], strict=False):
        _line("report", f"{report.relative_to(ROOT)}   {text}")
    return 0 if (better, worse) == (0, 1) and not lost and not tally.failures else 1


def _begin_at(version: str) -> bool:
    """Makes ``version`` serve: deploys it, or goes back to it where an earlier demo left a later one."""
    status = subprocess.run(
        [sys.executable, "deploy_gate.py", "local", "status", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    serves = (json.loads(status.stdout).get("stable") or {}).get("version") if status.returncode == 0 else None
    if serves is None:
        _title(f"2. Release {version} is deployed")
        return _gate("--version", version) == 0
    if serves == version:
        _title(f"2. Release {version} serves since an earlier demo")
        return True
    _title(f"2. Release {serves} serves since an earlier demo: back to {version}")
    return _gate("rollback", "--to", version) == 1  # what the contract says: the earlier release serves


def _summary(tally: Tally, lost: list[str], better: int, worse: int, bad: str) -> None:
    answered = ", ".join(f"{count} by {release}" for release, count in sorted(tally.releases.items()))
    _line(BETTER, f"exit code {better}: {'released' if better == 0 else 'not released'}")
    _line(
        bad,
        f"exit code {worse}: {'rolled back, the earlier release serves and was proven again' if worse == 1 else ''}",
    )
    _line("customers", f"{tally.attempted} orders: {answered}")
    _line("", f"{len(tally.failures)} failed, {len(lost)} acknowledged and lost")
    _line("", f"longest time without an answer {tally.longest_gap * 1000:.0f} ms")
    for failure in tally.failures[:5]:
        _line("", f"failed: {failure}")


def _line(name: str, text: str) -> None:
    print(f"  {name:<22}{text}")


def _gate(*words: str, say: bool = True) -> int:
    if say:
        print(f"$ python deploy_gate.py local {' '.join(words)}", flush=True)
    quiet = subprocess.DEVNULL if not say else None
    return subprocess.run(
        [sys.executable, "deploy_gate.py", "local", *words], cwd=ROOT, stdout=quiet, check=False, timeout=600
    ).returncode


def _url() -> str:
    table = tomllib.loads((ROOT / "environments" / "local.toml").read_text())
    return str(table["app"]["url"])


def _title(text: str) -> None:
    print(f"\n── {text}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
