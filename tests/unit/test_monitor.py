"""The monitoring of a release: what is looked at, what is kept, and what is done about it, whatever goes wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.config.parsing import parse
from gate.deployment.view import Silent
from gate.errors import OperationFailed, UsageError
from gate.monitoring import ticks
from gate.monitoring.looking import Seen
from gate.monitoring.monitor import Monitor
from gate.monitoring.paging import Pager
from gate.monitoring.standings import Monitored
from gate.records import lock, place_of
from gate.records.store import Deployment, Store
from gate.results import Decision, Outcome, Reason
from gate.terminal.answers import Answer
from tests.unit.test_config import VARIABLES, table

RELEASED = datetime(2026, 11, 2, 2, 30, tzinfo=UTC)
GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK
MONITORING = {"phases": ["15m for 2h", "1h for 24h"], "rollback_in": "2h"}


@dataclass
class Here:
    """An environment in which 1.1.0 was released, and what a test may want to be so around its monitoring."""

    environment: Environment
    minutes: float = 0.0
    sees: Decision | Callable[[], Seen] = GO
    rolls_back: Callable[[], Outcome] = lambda: Outcome.ROLLED_BACK
    looks: list[tuple[datetime, datetime]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    paged: list[str] = field(default_factory=list)
    alerted: list[tuple[str, list[str], str]] = field(default_factory=list)
    dead: list[tuple[int, str, str]] = field(default_factory=list)
    serves: str = "r1"
    meanwhile: Callable[[], object] = lambda: None
    before_acting: Callable[[], object] = lambda: None
    stops: list[str] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    reported: list[Monitored] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(place_of(self.environment), clock=lambda: RELEASED)

    def now(self) -> datetime:
        return RELEASED + timedelta(minutes=self.minutes)

    def deployed(self, version: str, outcome: Outcome | None, action: str = "deploy") -> int:
        store = self.store
        number = store.begin(
            action=action, version=version, digest=f"sha256:{version}", commit=None, folder="x", by="alice@ops",
            stable_version=None, stable_instance=None,
        )  # fmt: skip
        store.write(number, "accept", "do", {})
        store.write(number, "accept", "done", {})
        if outcome is not None:
            store.end(number, outcome, [], cases=1, checks=1, report=None)
        return number

    def ticks(self, deployment: int = 1) -> list[tuple[int, str, str]]:
        return [(item.slot, str(item.decision), item.acted) for item in ticks.of(self.store, deployment)]

    def at(self, minutes: float) -> Answer:
        """``monitor``, so many minutes after the release."""
        self.minutes = minutes
        for told in (self.said, self.paged, self.looks):
            told.clear()
        return Monitor(
            self.environment,
            say=self.said.append,
            pager=Pager(
                self.environment,
                self.paged.append,
                alert=lambda title, why, found: self.alerted.append((title, list(why), found.version)),
                dead=lambda left, told, next_step: self.dead.append((left.id, told, next_step)),
            ),
            view=Silent(),
            door="python deploy_gate.py",
            locked=self._locked,
            roll_back=self._roll_back,
            report=lambda _store, found, _at: self.reported.append(found),
            look=self._look,
            serves=lambda: self.serves,
            clock=self.now,
        ).run()

    @contextmanager
    def _locked(self, purpose: str) -> Iterator[Store]:
        self.before_acting()
        with lock.Lock(self.environment).held(purpose):
            yield self.store

    def _look(self, _deployment: Deployment, since: datetime, now: datetime, stop: Callable[[], str]) -> Seen:
        self.looks.append((since, now))
        self.meanwhile()
        self.stops.append(stop())
        if isinstance(self.sees, Decision):
            return Seen([Reason("error_rate", self.sees, f"the reason, key {VARIABLES['KEY']}")])
        return self.sees()

    def _roll_back(self, _store: Store, reasons: Sequence[Reason]) -> Answer:
        outcome = self.rolls_back()
        self.rolled_back += [item.text for item in reasons]
        return Answer(outcome, {"outcome": str(outcome), "exit_code": outcome.exit_code, "deployment": 2})


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return made(tmp_path)


def made(root: Path, **changes: Any) -> Here:
    settings = table(monitoring=MONITORING, contacts={"primary": "the one on call, 101"}, **changes)
    file = root / "environments" / "here.toml"
    found = Here(parse(settings, VARIABLES, name="here", file=file, root=root))
    found.deployed("1.1.0", Outcome.RELEASED)
    return found


def raises(fault: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise fault

    return act


def test_nothing_due_ends_at_once_and_says_when_the_next_is(here: Here) -> None:
    with lock.Lock(here.environment).held("deploying"):  # which must not matter
        answer = here.at(14)
    assert (answer.outcome.exit_code, answer.document["outcome"]) == (0, "DONE")
    assert here.looks == []
    assert "nothing is due" in here.said[-1]
    assert "the next tick is due at 2026-11-02 02:45 UTC" in here.said[-1]
    assert answer.document["monitoring"]["next_at"] == "2026-11-02T02:45:00+00:00"


def test_a_green_tick_is_kept_reported_and_not_run_twice(here: Here) -> None:
    answer = here.at(15)
    assert (answer.outcome.exit_code, answer.document["outcome"]) == (0, "DONE")
    assert here.ticks() == [(0, "GO", "")]
    assert here.paged == []
    assert [str(found.standing) for found in here.reported] == ["1 green of 30 ticks"]
    assert answer.document["monitoring"]["tick"]["decision"] == "GO"
    here.at(16)
    assert here.looks == []
    assert len(here.ticks()) == 1


def test_what_users_saw_of_a_run_that_was_undone_meanwhile_is_not_this_releases(here: Here) -> None:
    undone = Store(place_of(here.environment), clock=lambda: RELEASED + timedelta(minutes=10))
    number = undone.begin(
        action="deploy", version="1.2.0", digest="sha256:1.2.0", commit=None, folder="x", by="alice@ops",
        stable_version=None, stable_instance=None,
    )  # fmt: skip
    undone.end(number, Outcome.ROLLED_BACK, [], cases=1, checks=1, report=None)
    here.at(15)
    assert here.looks == [(RELEASED + timedelta(minutes=10), RELEASED + timedelta(minutes=15))]


def test_users_count_from_the_end_of_the_tick_before(here: Here) -> None:
    here.at(15)
    assert here.looks == [(RELEASED, RELEASED + timedelta(minutes=15))]
    here.at(30)
    assert here.looks == [(RELEASED + timedelta(minutes=15), RELEASED + timedelta(minutes=30))]


def test_missed_ticks_are_said_and_are_not_green(here: Here) -> None:
    here.at(15)
    answer = here.at(64)
    assert here.said[0] == "missed 2 ticks: nobody looked at 2026-11-02 03:00 UTC, 2026-11-02 03:15 UTC"
    assert [slot for slot, _, _ in here.ticks()] == [0, 3]
    assert answer.document["monitoring"]["standing"] == "2 green, 2 missed of 30 ticks"
    assert answer.document["monitoring"]["missed"] == [2, 3]


@pytest.mark.parametrize("minutes", [15, 120, 120 + 1 / 60])
def test_red_within_rollback_in_rolls_back(here: Here, minutes: float) -> None:
    here.sees = ROLLBACK
    answer = here.at(minutes)
    assert (answer.outcome, answer.document["exit_code"]) == (Outcome.ROLLED_BACK, 1)
    assert len(here.rolled_back) == 1
    assert here.ticks()[-1][1:] == ("ROLLBACK", "rolled back by policy: ROLLED_BACK (deployment 2)")
    assert any("1.1.0 was rolled back by its monitoring" in line for line in here.paged)
    assert here.alerted == [], "the rollback tells itself"


def test_red_when_one_is_due_past_rollback_in_alerts(here: Here) -> None:
    here.sees = ROLLBACK
    answer = here.at(180)
    assert (answer.outcome, answer.outcome.exit_code) == (Outcome.HELD, 6)
    assert here.rolled_back == []
    page = "\n".join(here.paged)
    assert "ALERT here: 1.1.0 is bad, 3.0 h after its release" in page
    title, why, version = here.alerted[-1]
    assert (title, version) == ("1.1.0 is bad, 3.0 h after its release", "1.1.0")
    assert all(f"  why   {text}" in page for text in why[:-1])
    assert why[-1].startswith("not rolled back: ")
    assert "call  primary: the one on call, 101" in page
    assert "python deploy_gate.py here rollback" in page
    assert here.ticks()[-1][2].startswith("alerted; it is 3.0 h after the release")


def test_a_clock_set_back_does_not_prolong_rollback_in(here: Here) -> None:
    """By the plan this tick is three hours after the release, whatever the clock says."""
    here.at(120)
    here.sees = ROLLBACK
    assert here.at(30).outcome is Outcome.HELD
    assert any("the clock was set back" in line for line in here.said)


def test_a_rollback_that_failed_pages_with_the_contacts(here: Here) -> None:
    here.sees, here.rolls_back = ROLLBACK, lambda: Outcome.ROLLBACK_FAILED
    assert here.at(15).outcome.exit_code == 4
    page = "\n".join(here.paged)
    assert "the rollback ended as ROLLBACK_FAILED" in page
    assert "call  primary" in page


def test_where_there_is_nothing_to_go_back_to_it_alerts(here: Here) -> None:
    here.sees, here.rolls_back = ROLLBACK, raises(UsageError("no accepted release before 1.1.0"))
    assert here.at(15).outcome.exit_code == 6
    assert any("no accepted release before 1.1.0" in line for line in here.paged)
    here.at(16)
    assert here.looks == [], "it was acted on: the next look is by the plan"


def test_nobody_rolls_back_a_rollback(here: Here) -> None:
    here.deployed("1.2.0", Outcome.RELEASED)
    back = here.deployed("1.1.0", Outcome.ROLLED_BACK, action="rollback")
    here.sees = ROLLBACK
    assert here.at(15).outcome is Outcome.HELD
    assert here.rolled_back == []
    assert here.ticks(back)[0][1] == "ROLLBACK"


def test_inconclusive_is_not_green_and_rolls_nothing_back(here: Here) -> None:
    here.sees = HOLD
    answer = here.at(15)
    assert answer.outcome.exit_code == 6
    assert here.rolled_back == []
    assert not answer.document["monitoring"]["green"]
    assert any("inconclusive" in line for line in here.paged)


def test_a_look_that_could_not_look_is_inconclusive(here: Here) -> None:
    here.sees = raises(OperationFailed("the engine does not answer"))
    assert here.at(15).outcome.exit_code == 6
    assert here.ticks() == [(0, "HOLD", "alerted")]
    assert any("the engine does not answer" in line for line in here.paged)


def test_people_learn_of_a_red_one_that_cannot_be_recorded(here: Here) -> None:
    def full() -> None:
        with sqlite3.connect(here.environment.state_folder / "gate.db") as records:
            records.execute("CREATE TRIGGER full BEFORE INSERT ON monitor_ticks BEGIN SELECT RAISE(ABORT, 'full'); END")

    here.meanwhile, here.sees = full, ROLLBACK
    answer = here.at(15)
    assert (answer.outcome, here.rolled_back, here.ticks()) == (Outcome.HELD, [], [])
    assert here.alerted
    assert "could not be recorded" in str(here.paged)
    here.meanwhile, here.sees = (lambda: None), GO
    with pytest.raises(OperationFailed):
        here.at(15)
    assert here.ticks() == [], "a good one is due still"


def test_a_look_that_the_machine_refuses_is_inconclusive(here: Here) -> None:
    here.sees = raises(OSError(24, "Too many open files"))
    assert here.at(15).outcome is Outcome.HELD
    assert here.alerted


def test_a_lock_that_is_held_is_said_and_no_failure_of_anything(here: Here) -> None:
    with lock.Lock(here.environment).held("deploying 1.2.0"):
        answer = here.at(15)
    assert (answer.outcome, answer.outcome.exit_code) == (Outcome.LOCKED, 5)
    assert here.looks == []
    assert here.paged == []
    assert "deploying 1.2.0" in here.said[-1]
    assert here.at(16).outcome.exit_code == 0, "the tick waited"
    assert here.ticks() == [(0, "GO", "")]


def test_nothing_is_looked_at_beside_what_is_held(here: Here) -> None:
    held = here.deployed("1.2.0", Outcome.HELD)
    here.store.write(held, "bake", "held", {"reasons": ["?"], "share": 0.5})
    answer = here.at(15)
    assert answer.outcome.exit_code == 5
    assert here.looks == []
    assert "is held" in here.said[-1]


def test_killed_while_it_looks_leaves_nothing(here: Here) -> None:
    here.sees = raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        here.at(15)
    assert here.ticks() == []
    here.sees = GO
    assert here.at(16).outcome.exit_code == 0


def test_killed_between_the_verdict_and_the_rollback_is_made_up_for_at_once(here: Here) -> None:
    here.sees, here.rolls_back = ROLLBACK, raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        here.at(15)
    assert here.ticks() == [(0, "ROLLBACK", "")]
    here.rolls_back = lambda: Outcome.ROLLED_BACK
    assert here.at(16).outcome is Outcome.ROLLED_BACK
    assert len(here.looks) == 1, "looked again before anything is done about it"


@pytest.mark.parametrize(("minutes", "outcome"), [(61, Outcome.ROLLED_BACK), (181, Outcome.HELD)])
def test_it_is_made_up_for_though_the_plan_was_shortened_meanwhile(
    here: Here, tmp_path: Path, minutes: float, outcome: Outcome
) -> None:
    here.sees, here.rolls_back = ROLLBACK, raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        here.at(60)
    slot = here.ticks()[-1][0]
    shortened = table(monitoring={**MONITORING, "phases": ["1h for 2h"]})
    file = tmp_path / "environments" / "here.toml"
    here.environment = parse(shortened, VARIABLES, name="here", file=file, root=tmp_path)
    assert slot == 3, "the plan ends with the second by now"
    here.rolls_back = lambda: Outcome.ROLLED_BACK
    assert here.at(minutes).outcome is outcome


def test_a_report_that_cannot_be_written_changes_nothing(here: Here) -> None:
    here.reported = None  # type: ignore[assignment] # appending to it breaks
    assert here.at(15).outcome.exit_code == 0
    assert any("the report could not be written" in line for line in here.said)


def test_no_secret_is_kept(here: Here) -> None:
    here.sees = HOLD
    here.at(15)
    kept = ticks.of(here.store, 1)[0]
    assert kept.reasons
    assert VARIABLES["KEY"] not in str(kept.reasons) + str(here.paged)


def test_without_phases_it_says_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "environments" / "here.toml"
    bare = Here(parse(table(), VARIABLES, name="here", file=file, root=tmp_path))
    with pytest.raises(UsageError, match=r"\[monitoring\] phases: is empty") as fault:
        bare.at(15)
    assert "15m for 2h" in (fault.value.next_step or "")


def test_where_nothing_was_released_nothing_is_monitored(tmp_path: Path) -> None:
    file = tmp_path / "environments" / "here.toml"
    empty = Here(parse(table(monitoring=MONITORING), VARIABLES, name="here", file=file, root=tmp_path))
    assert empty.at(15).outcome.exit_code == 0
    assert "nothing was released here yet" in empty.said[-1]
