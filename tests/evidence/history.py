"""Histories of deployments, written into records as the gate writes them, at times that a test chooses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gate.judging.gaps import Changes, Seen
from gate.records.ledger import Ledger, Scores
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Category, Outcome, Severity

START = datetime(2026, 9, 1, 2, 0, tzinfo=UTC)


@dataclass
class History:
    """Records whose clock is moved by hand; ``now`` is what it shows."""

    file: Path | None = None
    now: datetime = START
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(SqliteFile(self.file), clock=lambda: self.now)

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def run(
        self,
        outcome: Outcome | None,
        *,
        action: str = "deploy",
        version: str = "1.0.0",
        serving: int | None = None,
        lead: float | None = None,
        users: float | None = 20,
        decided: float = 3,
        took: float = 31,
        why: str = "",
        by: str = "alice@ops-1",
        died: bool = False,
    ) -> int:
        """One run: users reach it after ``users`` seconds, ``decided`` seconds later it is taken back or accepted.
        ``died``: and then its gate was killed, and ``recover`` has undone it."""
        begun = self.now
        number = self.store.begin(
            action=action,
            version=version,
            digest=f"sha256:{version}",
            commit=None,
            folder="f",
            by=by,
            stable_version=None if serving is None else f"{version[:-1]}x",
            stable_instance=None if serving is None else f"r{serving}",
            committed_at=None if lead is None else (begun - timedelta(seconds=lead)).isoformat(),
        )
        if users is not None:
            self._line(begun, users, number, "promote", "do")
        if outcome is Outcome.ROLLED_BACK and action == "deploy":
            self._line(begun, (users or 15) + decided, number, "promote" if users else "smoke", "undo")
            self._line(begun, (users or 15) + decided + 0.5, number, "promote" if users else "smoke", "undone")
        elif outcome in (Outcome.RELEASED, Outcome.ROLLED_BACK):
            self._line(begun, took - 1, number, "accept", "do")
            self._line(begun, took - 1, number, "accept", "done")
            if died:
                self._line(begun, took - 0.5, number, "accept", "undone")
        self.now = begun + timedelta(seconds=took)
        if outcome is not None:
            self.store.end(number, outcome, [why] if why else [], cases=18, checks=23, report=None)
        return number

    def _line(self, begun: datetime, seconds: float, number: int, step: str, kind: str) -> None:
        self.now = begun + timedelta(seconds=seconds)
        self.store.write(number, step, kind, {})


def a_quarter(file: Path | None = None) -> History:
    """Three months of a team: 26 deployments, a few of them taken back, one by a person; gaps that were closed."""
    made = History(file)
    serving: int | None = None
    ledger = Ledger(made.store)
    kinds = [Severity.CRITICAL] * 3 + [Severity.HIGH] * 4 + [Severity.MINOR]
    seen = tuple(
        Seen(f"checks/test_{n}.py::test_it", Category.SECURITY, severity, f"Finding {n}", "not as it should be")
        for n, severity in enumerate(kinds)
    )
    for week in range(12):
        for turn in range(2):
            version = f"1.{week}.{turn}"
            if (week, turn) in ((1, 1), (5, 0), (8, 1)):
                made.run(Outcome.ROLLED_BACK, version=version, serving=serving, why="error_rate 19 % > 5 %")
            elif (week, turn) == (3, 0):
                made.run(Outcome.REFUSED, version=version, users=None, took=7, why="readiness 81 < 90")
            else:
                serving = made.run(Outcome.RELEASED, version=version, lead=40_000 + 900 * week, took=28 + week)
            number = made.store.deployments(1)[0].id
            ledger.assess(number, Scores(82 + 1.5 * week, {"Security": 60 + 3.0 * week, "Documentation": 100.0}))
            if (week, turn) == (0, 0):
                ledger.track(number, Changes(seen, (), (), ()))
            if (week, turn) == (6, 0):
                ledger.track(number, Changes((), (), tuple(ledger.gaps()[:6]), ()))
            made.wait(days=3.5)
    made.run(Outcome.ROLLED_BACK, action="rollback", version="1.10.1", serving=serving, users=1, took=4)
    made.wait(hours=1)
    return made
