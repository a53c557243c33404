"""When a release is looked at after it was accepted: what is due and what was missed, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gate.config.monitoring import Monitoring
from gate.monitoring.phases import Standing, Tick, offsets, standing
from gate.results import Decision
from tests.unit.test_config import faults, read, table

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
PHASES = [(15 * MINUTE, 2 * HOUR), (HOUR, 24 * HOUR), (DAY, 7 * DAY)]
RELEASED = datetime(2026, 11, 2, 2, 30, tzinfo=UTC)
GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK


def after(seconds: float) -> datetime:
    return RELEASED + timedelta(seconds=seconds)


def tick(slot: int, decision: Decision = GO, *, late: float = 5.0, at: datetime | None = None, acted: str = "") -> Tick:
    """The tick of a slot, begun ``late`` seconds after it was due."""
    began = at or after(offsets(PHASES)[slot] + late)
    return Tick(7, slot, began, 2.0, decision, ("the reason",), acted=acted, id=slot + 1)


def stands(*ticks: Tick, at: datetime, until: datetime | None = None) -> Standing:
    return standing(PHASES, RELEASED, ticks, at, until=until)


def test_the_plan_of_the_paper_process() -> None:
    """Every 15 minutes for 2 hours, hourly to 24 hours, daily to day 7."""
    plan = offsets(PHASES)
    assert plan[:8] == tuple(15 * MINUTE * number for number in range(1, 9))
    assert plan[8:30] == tuple(HOUR * number for number in range(3, 25))
    assert plan[30:] == tuple(DAY * number for number in range(2, 8))
    assert read(table(monitoring__phases=["15m for 2h", "1h for 24h", "1d for 7d"])).monitoring.phases == PHASES


def test_a_phase_that_its_step_does_not_fill_ends_before_its_end() -> None:
    assert offsets([(25 * MINUTE, HOUR), (HOUR, 3 * HOUR)]) == (1500.0, 3000.0, 7200.0, 10800.0)


@pytest.mark.parametrize(
    ("monitoring", "problem"),
    [
        ({"phases": ["15 minutes for 2h"]}, "[monitoring.phases] 0: write how often and until when"),
        ({"phases": ["15m"]}, "[monitoring.phases] 0: write how often and until when, such as 15m for 2h"),
        ({"phases": ["15m for ever"]}, "'ever' is not a duration such as 30s"),
        ({"phases": ["10s for 2h"]}, "looks at most once a minute"),
        ({"phases": ["3h for 2h"]}, "ends 7200 s after the release, its first look is at 10800 s"),
        ({"phases": ["15m for 2h", "1h for 2h"]}, "its first look is at 10800 s"),
        ({"phases": ["15m for 2h"], "rollback_in": "3h"}, "the last phase ends 7200 s after it"),
        ({"rollback_in": "3h"}, "the last phase ends 0 s after it"),
    ],
)
def test_faults_of_the_table(monitoring: dict[str, object], problem: str) -> None:
    (told,) = faults(table(monitoring=monitoring))
    assert problem in told
    assert "monitoring" in told


def test_nothing_is_monitored_unless_the_file_says_so() -> None:
    assert Monitoring().phases == []


def test_not_due_due_and_due_again() -> None:
    early = stands(at=after(14 * MINUTE))
    assert (early.due, early.next_at) == (None, after(15 * MINUTE))
    first = stands(at=after(15 * MINUTE))
    assert first.due is not None
    assert (first.due.slot, first.due.since, first.due.why) == (0, after(15 * MINUTE), "")
    assert first.next_at == after(30 * MINUTE)
    done = stands(tick(0), at=after(16 * MINUTE))
    assert (done.due, done.next_at, done.missed) == (None, after(30 * MINUTE), ())
    late = stands(tick(0, late=14 * MINUTE), at=after(30 * MINUTE))
    assert late.due is not None, "a tick that ran late does not put the next one off"


def test_what_nobody_ran_is_missed_and_the_latest_is_due() -> None:
    found = stands(tick(0), at=after(64 * MINUTE))
    assert found.due is not None
    assert (found.due.slot, found.missed) == (3, (1, 2))
    assert str(found) == "1 green, 2 missed of 36 ticks"


def test_a_gap_between_two_ticks_stays_known() -> None:
    assert stands(tick(0), tick(4), at=after(76 * MINUTE)).missed == (1, 2, 3)


def test_the_end_of_the_plan() -> None:
    last = len(offsets(PHASES)) - 1
    over = stands(tick(last), at=after(7 * DAY + HOUR))
    assert (over.due, over.next_at) == (None, None)
    still = stands(tick(last - 1), at=after(7 * DAY + 23 * HOUR))
    assert still.due is not None, "the last tick has as long as the one before it"
    gone = stands(tick(last - 1), at=after(8 * DAY + HOUR))
    assert (gone.due, gone.missed[-1]) == (None, last)


def test_nothing_is_due_any_more_once_somebody_else_serves() -> None:
    found = stands(tick(0), at=after(3 * DAY), until=after(50 * MINUTE))
    assert (found.due, found.next_at, found.missed) == (None, None, (1,)), "30 min was missed, 45 min was still open"
    soon = stands(at=after(DAY), until=after(10 * MINUTE))
    assert (soon.missed, soon.not_green) == ((), "no tick has run yet")


@pytest.mark.parametrize(
    ("released", "first_day"),
    [
        # The night the clocks go back, and the one they go forward: a day is 24 hours both times.
        (datetime(2026, 10, 24, 12, 0, tzinfo=ZoneInfo("Europe/Berlin")), "2026-10-25 10:00 UTC"),
        (datetime(2026, 3, 28, 12, 0, tzinfo=ZoneInfo("Europe/Berlin")), "2026-03-29 11:00 UTC"),
    ],
)
def test_summer_time_moves_no_tick(released: datetime, first_day: str) -> None:
    daily = [(DAY, 7 * DAY)]
    due = standing(daily, released, [], released).next_at
    assert due is not None
    assert due.strftime("%Y-%m-%d %H:%M UTC") == first_day
    seen_from_elsewhere = due.astimezone(ZoneInfo("America/New_York"))
    assert standing(daily, released, [], seen_from_elsewhere - timedelta(seconds=1)).due is None
    assert standing(daily, released, [], seen_from_elsewhere).due is not None


def test_in_the_hour_that_happens_twice_no_tick_does() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    released = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:00, the first time
    ran = Tick(7, 0, released + timedelta(minutes=15), 1.0, GO, id=1)
    again = datetime(2026, 10, 25, 2, 16, fold=1, tzinfo=berlin)  # an hour later, though the wall says 02:16
    found = standing(PHASES, released, [ran], again)
    assert found.due is not None
    assert (found.due.slot, found.missed) == (4, (1, 2, 3))


def test_a_clock_set_back_after_a_tick_looks_at_once_and_goes_on_from_there() -> None:
    set_back = after(-3 * HOUR)
    found = stands(tick(0), at=set_back)
    assert found.due is not None
    assert found.due.slot == 1
    assert "the clock was set back" in found.due.why
    looked = stands(tick(0), tick(1, at=set_back), at=set_back + timedelta(minutes=14))
    assert looked.due is None
    assert looked.next_at == set_back + timedelta(minutes=15), "not three hours later"
    assert stands(tick(0), tick(1, at=set_back), at=set_back + timedelta(minutes=15)).due is not None


def test_a_clock_set_back_before_the_first_tick_looks_at_once() -> None:
    found = stands(at=after(-HOUR))
    assert found.due is not None
    assert found.due.slot == 0


def test_a_clock_that_was_wrong_for_a_while_does_not_end_the_monitoring() -> None:
    """Set a year ahead by mistake, then right again: what seemed missed is due after all."""
    ahead = stands(tick(0), at=after(365 * DAY))
    assert ahead.due is None
    assert stands(tick(0), at=after(30 * MINUTE)).due is not None


def test_green_needs_a_tick_that_ran_and_said_go() -> None:
    assert stands(tick(0), at=after(16 * MINUTE)).not_green == ""
    assert stands(at=after(MINUTE)).not_green == "no tick has run yet"
    assert stands(at=after(50 * MINUTE)).not_green == "2 ticks were missed and none ran"


def test_inconclusive_is_not_green_until_a_later_tick_is() -> None:
    assert "inconclusive at 2026-11-02 02:45 UTC: the reason" in stands(tick(0, HOLD), at=after(16 * MINUTE)).not_green
    assert stands(tick(0, HOLD), tick(1), at=after(31 * MINUTE)).not_green == ""


def test_red_is_never_cleared() -> None:
    found = stands(tick(0, ROLLBACK, acted="alerted"), tick(1), at=after(31 * MINUTE))
    assert found.not_green == "red at 2026-11-02 02:45 UTC: the reason"
    assert str(found) == "1 green, 1 red of 36 ticks"


def test_missed_lately_is_not_green() -> None:
    assert "the last 2 ticks were missed" in stands(tick(0), at=after(64 * MINUTE)).not_green
    assert stands(tick(0), tick(3), at=after(61 * MINUTE)).not_green == "", "a gap that has ended is told, and no fault"


def test_a_red_tick_that_nobody_acted_on_is_looked_at_again_at_once() -> None:
    """Its monitor was killed between the verdict and what follows of it."""
    found = stands(tick(0, ROLLBACK), at=after(16 * MINUTE))
    assert found.due is not None
    assert found.due.slot == 0
    assert stands(tick(0, ROLLBACK, acted="alerted"), at=after(16 * MINUTE)).due is None
