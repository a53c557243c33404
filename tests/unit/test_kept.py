"""What was seen of a deployment that was held: one file a watch, and judged again as it was judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gate.deployment.evidence import LIVE
from gate.evidence import replay
from gate.live import trace
from gate.live.observations import Identified, Kept, Moment, Observation, Requests, Role, TrafficStep, Wanted, to_row
from gate.redact import Redactor
from gate.report.record import DecisionRecord, PhaseVerdict, TrafficRecord, WatchRecord
from gate.results import Decision, Verdict
from gate.watching import watched
from tests.report import samples

STRANGER = Identified(1.0, "1.1.0", "1.0.0")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def good(at: float, requests: int = 200) -> list[Observation]:
    return [Requests(at, Role.CANDIDATE, "GET /", requests, 0, 0, ((10.0, requests),)), Moment(at)]


def held_step(at: float) -> list[Observation]:
    """A step of a second in which nothing is measured."""
    return [TrafficStep(at, 0.1, 1.0), Moment(at + 1.1)]


def test_what_a_person_kept_does_not_hold_the_next_step() -> None:
    seen = [*held_step(0.0), Kept(1.2), Moment(1.3), TrafficStep(2.0, 1.0, 1.0), *good(2.5), Moment(3.1)]
    assert trace.replay(seen, ()).standing.decision is Decision.GO


def test_kept_changes_nothing_on_the_step_it_was_held_on() -> None:
    again = trace.replay([*held_step(0.0), Kept(1.2), Moment(1.3)], ())
    assert (again.standing.decision, again.at) == (Decision.HOLD, 1.1)


def test_what_nobody_kept_never_came_to_the_next_step() -> None:
    seen = [*held_step(0.0), TrafficStep(2.0, 1.0, 1.0), *good(2.5), Moment(3.1)]
    assert trace.replay(seen, ()).standing.decision is Decision.HOLD


def test_traffic_may_prove_it_bad_while_it_is_held() -> None:
    again = trace.replay([*held_step(0.0), STRANGER, Moment(1.5)], ())
    assert (again.standing.decision, again.at) == (Decision.ROLLBACK, 1.5)


def test_every_watch_has_its_own_file(tmp_path: Path) -> None:
    for origin, held in ((1000.0, False), (2000.0, True)):
        rows = watched.Rows(tmp_path, origin, held=held, redact=Redactor())
        rows.write([Wanted(0.0, ("disk",)), Moment(origin)])
        rows.close()
    first, second = watched.read(tmp_path)
    assert (first.held, second.held) == (False, True)
    assert second.began_at - first.began_at == timedelta(seconds=1000)
    assert first.observations == [Wanted(0.0, ("disk",)), Moment(1000.0)]


def test_the_line_its_writer_was_killed_in_is_left_out(tmp_path: Path) -> None:
    rows = watched.Rows(tmp_path, 1000.0, held=False, redact=Redactor())
    rows.write([Moment(1.0)])
    rows.close()
    with (tmp_path / "live-1.jsonl").open("a") as file:
        file.write('["moment",2.')
    (found,) = watched.read(tmp_path)
    assert found.observations == [Moment(1.0)]


def test_a_secret_in_a_path_is_not_kept(tmp_path: Path) -> None:
    rows = watched.Rows(tmp_path, 1000.0, held=False, redact=Redactor(["hush-hush-hush"]))
    rows.write([Requests(0.1, Role.CANDIDATE, "GET /hook/hush-hush-hush", 1, 0), Moment(0.1)])
    rows.close()
    assert "hush-hush" not in (tmp_path / "live-1.jsonl").read_text()
    assert len(watched.read(tmp_path)[0].observations) == 2


def record(*watches: WatchRecord, verdicts: tuple[PhaseVerdict, ...]) -> DecisionRecord:
    end = NOON + timedelta(minutes=5)
    traffic = TrafficRecord(watches=watches)
    return replace(samples.released(), started_at=NOON, ended_at=end, suites=(), traffic=traffic, verdicts=verdicts)


def of(began: datetime, seen: list[Observation], *, held: bool = False) -> WatchRecord:
    return WatchRecord(began, tuple(tuple(to_row(item)) for item in seen), held)


@pytest.mark.parametrize("proven_bad", [False, True])
def test_each_watch_is_judged_again_by_its_own_verdict(proven_bad: bool) -> None:
    def told(decision: Decision, minutes: int) -> PhaseVerdict:
        return PhaseVerdict(LIVE, decision, Verdict(decision).reasons, NOON + timedelta(minutes=minutes))

    meanwhile: list[Observation] = [TrafficStep(0.0, 0.1, 60.0), *([STRANGER] if proven_bad else []), *good(1.0)]
    made = record(
        of(NOON, held_step(0.0)),
        of(NOON + timedelta(minutes=2), meanwhile, held=True),
        of(NOON + timedelta(minutes=3), [TrafficStep(0.0, 1.0, 1.0), *good(0.5), Moment(1.1)]),
        verdicts=(told(Decision.HOLD, 1), told(Decision.GO, 4)),
    )
    phases = [(phase.name, phase.was, phase.now) for phase in replay.replay(made, ())]
    assert phases == [
        (LIVE, Decision.HOLD, Decision.HOLD),
        (replay.WHILE_HELD, None, Decision.ROLLBACK if proven_bad else None),
        (LIVE, Decision.GO, Decision.GO),
    ]
