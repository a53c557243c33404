"""A release is looked at after it was accepted, by real looks at a real site, and goes back when it went bad."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import httpx
import pytest

from gate import verify
from gate.machine.shell import wait_until
from gate.monitoring import ticks
from gate.records.ledger import Ledger
from tests.commands.little import Little, little

MONITORING = """
[monitoring]
phases = ["15m for 2h"]
rollback_in = "1h"
[contacts]
primary = "the one on call"
[[rules]]
signal = "disk"
go = "<= 100%"
"""


@pytest.fixture(scope="module")
def here() -> Iterator[Little]:
    with little(None, "1.0.0", "1.1.0") as made:
        file = made.root / "environments" / "local.toml"
        file.write_text(file.read_text() + MONITORING)
        yield made


def pass_time(here: Little, minutes: float) -> None:
    """Makes everything on record that much older."""
    with closing(sqlite3.connect(here.state / "gate.db")) as connection:
        for table, column in (("deployments", "ended_at"), ("monitor_ticks", "at")):
            for number, at in connection.execute(f"SELECT id, {column} FROM {table}").fetchall():  # noqa: S608 - ours
                earlier = datetime.fromisoformat(at) - timedelta(minutes=minutes)
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (earlier.isoformat(), number))  # noqa: S608
        connection.commit()


def test_watching_ends_with_ctrl_c_and_no_error(here: Little) -> None:
    watching = here.start("watch")
    assert watching.stdout is not None
    seen = json.loads(watching.stdout.readline())
    watching.send_signal(signal.SIGINT)
    _, told = watching.communicate(timeout=60)
    assert (watching.returncode, told) == (130, "")
    assert [(one["version"], one["share"], one["healthy"]) for one in seen["releases"]] == [("1.1.0", 1, True)]
    assert here.gate("status").document["lock"] is None


# Waits for whoever ends it, the first time alone.
HANGS = "import signal, pathlib; first = not pathlib.Path('looked').exists(); pathlib.Path('looked').touch(); "
HANGS += "first and signal.pause()"


def test_a_release_that_stays_well_and_then_goes_bad(here: Little) -> None:
    for _ in range(5):
        assert httpx.get(here.url, trust_env=False).status_code == 200
    assert here.gate("monitor").document["monitoring"]["tick"] is None, "nothing is due yet"
    pass_time(here, 16)
    ran = here.gate("monitor")
    assert (ran.code, ran.document["monitoring"]["tick"]["decision"]) == (0, "GO"), ran.told
    assert "error_rate: not judged, 0 of 5 requests failed" in ran.told
    assert "ALERT" not in ran.told
    assert here.gate("status").document["monitoring"]["standing"] == "1 green of 8 ticks"
    report = here.root / "reports" / "local" / "2"
    assert json.loads((report / "decision.json").read_text())["monitoring"]["standing"] == "1 green of 8 ticks"
    assert "After the deployment" in (report / "report.html").read_text()
    verify.prove(report, seals=Ledger(here.store).seals(2), copy=False)

    pass_time(here, 15)
    here.kill("r2")
    ran = here.gate("monitor")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    assert here.serving() == "1.0.0"
    assert "1.1.0 was rolled back by its monitoring" in ran.told
    assert "services_lost" in ran.reasons
    assert [item.acted for item in ticks.of(here.store, 2)] == ["", "rolled back by policy: ROLLED_BACK (deployment 3)"]
    assert "rolled back by policy" in (report / "report.html").read_text()
    history = here.gate("history", "2")
    assert [item["decision"] for item in history.document["monitoring"]["ticks"]] == ["GO", "ROLLBACK"]
    assert "tick 1  GO" in history.told
    assert here.gate("--version", "1.1.0").code == 3, "it is refused until somebody says why it may try again"


def test_a_rollback_that_is_typed_while_a_tick_looks_is_not_kept_waiting(here: Little) -> None:
    here.release("1.2.0")
    released = here.deploy("1.2.0")
    assert released.code == 0, released.told
    pass_time(here, 16)
    here.smoke(HANGS)
    looking = here.start("monitor")
    assert wait_until((here.root / "looked").exists, timeout=60)
    ran = here.gate("rollback")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    _, told = looking.communicate(timeout=60)
    assert looking.returncode == 5, told
    assert f"rolling back to 1.0.0 (deployment {ran.document['deployment']}, by " in told
    assert here.serving() == "1.0.0"
    assert ticks.of(here.store, released.document["deployment"]) == [], "what it saw says nothing any more"
    here.restore()
