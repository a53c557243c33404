"""Windows and freezes in a zone's own time, on ordinary nights and on the two on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.config.schedule import Schedule
from gate.results import Outcome
from gate.schedule.calendar import Calendar
from gate.schedule.walltime import moment
from tests.approval.rig import Rig

BERLIN = ZoneInfo("Europe/Berlin")
FIVE = timedelta(minutes=5)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def calendar(*windows: str, zone: str = "Europe/Berlin", freezes: list[dict[str, Any]] | None = None) -> Calendar:
    return Schedule.model_validate({"windows": list(windows), "zone": zone, "freezes": freezes or []}).calendar


@pytest.mark.parametrize(
    ("windows", "at", "is_open"),
    [
        ("02:00-04:00", "2026-11-24T01:00", True),  # 02:00 CET
        ("02:00-04:00", "2026-11-24T00:59:59", False),
        ("02:00-04:00", "2026-11-24T02:59:59", True),
        ("02:00-04:00", "2026-11-24T03:00", False),  # the end is outside
        ("02:00-04:00", "2026-07-24T00:00", True),  # 02:00 CEST
        ("02:00-04:00", "2026-07-24T02:00", False),
        ("22:00-02:00", "2026-11-24T21:00", True),  # over midnight
        ("22:00-02:00", "2026-11-25T00:59", True),
        ("22:00-02:00", "2026-11-25T01:00", False),
        ("00:00-00:00", "2026-11-24T12:00", True),  # the whole day
        ("Sat,Sun 02:00-04:00", "2026-11-24T01:30", False),  # a Tuesday
        ("Sat,Sun 02:00-04:00", "2026-11-28T01:30", True),
        ("Fri 22:00-02:00", "2026-11-28T00:30", True),  # begun on Friday
        ("Fri 22:00-02:00", "2026-11-27T00:30", False),
        ("Fri-Mon 02:00-04:00", "2026-11-29T01:30", True),
        ("Fri-Mon 02:00-04:00", "2026-11-25T01:30", False),
    ],
)
def test_a_window_is_open_as_the_clocks_there_say(windows: str, at: str, is_open: bool) -> None:
    assert (calendar(windows).window(utc(at)) is not None) is is_open


# In Berlin 02:00 becomes 03:00 on 2026-03-29 at 01:00 UTC, and 03:00 becomes 02:00 on 2026-10-25 at 01:00 UTC.
@pytest.mark.parametrize(
    ("windows", "day", "opens", "closes"),
    [
        ("02:00-04:00", "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T02:00"),  # an hour is missing
        ("02:30-04:00", "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T02:00"),  # its start is skipped
        ("01:00-02:30", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T01:00"),  # its end is skipped
        ("02:15-02:45", "2026-03-28T12:00", "2026-03-30T00:15", "2026-03-30T00:45"),  # all of it: the next night
        ("22:00-03:30", "2026-03-28T12:00", "2026-03-28T21:00", "2026-03-29T01:30"),
        ("02:00-04:00", "2026-10-24T12:00", "2026-10-25T00:00", "2026-10-25T03:00"),  # an hour more
        ("01:00-02:30", "2026-10-24T12:00", "2026-10-24T23:00", "2026-10-25T00:30"),  # ends the first time it is 02:30
        ("02:30-03:30", "2026-10-24T12:00", "2026-10-25T00:30", "2026-10-25T02:30"),
        ("22:00-02:00", "2026-10-24T12:00", "2026-10-24T20:00", "2026-10-25T00:00"),
    ],
)
def test_the_nights_on_which_clocks_are_changed(windows: str, day: str, opens: str, closes: str) -> None:
    made = calendar(windows)
    chance = made.next_chance(utc(day), FIVE)
    assert chance == utc(opens)
    span = made.window(utc(opens))
    assert span is not None
    assert (span.begins, span.ends) == (utc(opens), utc(closes))
    assert made.window(utc(opens) - timedelta(seconds=1)) is None
    assert made.window(utc(closes)) is None


def test_other_zones_change_their_clocks_at_other_times() -> None:
    assert calendar("02:00-04:00", zone="America/New_York").next_chance(utc("2026-03-08T00:00"), FIVE) == utc(
        "2026-03-08T07:00"
    )
    odd = calendar("02:00-02:30", zone="Australia/Lord_Howe")  # half an hour, at 02:00
    assert odd.next_chance(utc("2026-10-03T12:00"), FIVE) == utc("2026-10-04T15:00")


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))
def test_a_time_on_the_wall_is_a_moment_at_which_clocks_show_it_or_have_just_passed_it(local: datetime) -> None:
    found = moment(local, BERLIN)
    assert found.astimezone(BERLIN).replace(tzinfo=None) >= local
    assert (found - timedelta(seconds=1)).astimezone(BERLIN).replace(tzinfo=None) < local


@given(st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 31)), st.integers(1, 110))
def test_a_chance_is_one(at: datetime, minutes: int) -> None:
    made = calendar(
        "02:00-04:00", "22:00-23:00", freezes=[{"begins": "2026-03-29", "ends": "2026-03-29", "reason": "x"}]
    )
    now, needed = at.replace(tzinfo=UTC), timedelta(minutes=minutes)
    chance = made.next_chance(now, needed)
    assert chance is not None
    assert chance >= now
    span = made.window(chance)
    assert span is not None
    assert span.ends is not None
    assert chance + needed <= span.ends
    assert made.frozen(chance) is None
    assert made.frozen(chance + needed - timedelta(seconds=1)) is None


def test_windows_that_meet_are_one() -> None:
    span = calendar("02:00-04:00", "04:00-05:00", "04:30-06:00").window(utc("2026-11-24T01:30"))
    assert span is not None
    assert span.ends == utc("2026-11-24T05:00")


FREEZE = {"begins": "2026-12-20", "ends": "2026-12-31", "reason": "Christmas sales"}


@pytest.mark.parametrize(
    ("at", "frozen"),
    [
        ("2026-12-19T22:59:59", False),
        ("2026-12-19T23:00", True),  # midnight in Berlin
        ("2026-12-31T22:59:59", True),  # the last day is frozen too
        ("2026-12-31T23:00", False),
    ],
)
def test_a_freeze_is_of_whole_days_there(at: str, frozen: bool) -> None:
    assert (calendar(freezes=[FREEZE]).frozen(utc(at)) is not None) is frozen


def test_a_freeze_may_have_times_and_toml_dates() -> None:
    import tomllib

    table = tomllib.loads('begins = 2026-12-20T18:00:00\nends = 2026-12-21\nreason = "x"')
    (made,) = calendar(freezes=[table]).freezes
    assert (made.begins, made.ends) == (datetime(2026, 12, 20, 18), datetime(2026, 12, 22))


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"windows": ["2-4"]}, "not a window"),
        ({"windows": ["25:00-26:00"]}, "a time of the day"),
        ({"windows": ["Someday 02:00-04:00"]}, "not a window"),
        ({"zone": "Europe/Nowhere"}, "no IANA time zone"),
        ({"zone": "../../etc/passwd"}, "no IANA time zone"),
        ({"freezes": [{**FREEZE, "ends": "2026-12-19"}]}, "does not lie after"),
        ({"freezes": [{**FREEZE, "ends": "Christmas"}]}, "is no date"),
        ({"freezes": [{**FREEZE, "ends": "2026-12-31T00:00+01:00"}]}, "leave the offset away"),
        ({"freezes": [{**FREEZE, "reason": ""}]}, "at least 1"),
        ({"expected": "0s"}, "greater than 0"),
    ],
)
def test_a_faulty_section_is_told(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Schedule.model_validate(section)


@pytest.fixture
def night(rig: Rig) -> Rig:
    """Nobody has to sign; a window at night, in Berlin."""
    rig.table["approval"] = {}
    rig.table["schedule"] = {"windows": ["02:00-04:00"], "zone": "Europe/Berlin", "expected": "20m"}
    return rig


def test_outside_of_the_window_it_says_when_the_next_one_opens(night: Rig) -> None:
    night.now = utc("2026-11-24T13:00")
    (reason,) = night.ask().reasons
    assert reason.text == "2026-11-24 14:00 CET lies outside of the window 02:00-04:00 Europe/Berlin"
    assert reason.next_step == "python deploy_gate.py production --version 1.1.0   from 2026-11-25 02:00 CET on"
    night.now = utc("2026-11-25T01:00")
    assert night.why() == []


def test_what_would_not_end_inside_the_window_is_not_begun(night: Rig) -> None:
    night.now = utc("2026-11-24T02:40")
    assert night.why() == [], "20 minutes are left, and 20 are needed"
    night.now += timedelta(seconds=1)
    (text,) = night.why()
    assert "a deployment takes 20 min here" in text
    assert "closes at 2026-11-24 04:00 CET" in text


def test_past_deployments_tell_how_long_one_takes(night: Rig) -> None:
    night.now = utc("2026-11-24T02:20")
    assert night.why() == []
    night.deployed(Outcome.RELEASED, minutes=41)
    assert "a deployment takes 41 min here" in night.why()[0]
    for _ in range(5):
        night.deployed(Outcome.RELEASED, minutes=3)
    night.deployed(Outcome.ROLLED_BACK, minutes=90)
    died = night.deployed(Outcome.RELEASED, minutes=90)
    night.store.write(died, "smoke", "died", {})
    night.deployed(Outcome.REFUSED, minutes=90)
    night.deployed(Outcome.RELEASED, minutes=90, action="rollback")
    waited = night.deployed(None, minutes=90)
    night.store.write(waited, "canary", "held", {})
    night.store.end(waited, Outcome.RELEASED, [], cases=1, checks=1, report=None)
    night.now = utc("2026-11-24T02:57")
    assert night.why() == [], "the slowest of the last five took 3 minutes; those that waited for a person do not count"


def test_a_freeze_refuses_with_its_reason_and_its_end(night: Rig) -> None:
    night.table["schedule"]["freezes"] = [FREEZE]
    night.now = utc("2026-12-24T01:30")
    (reason,) = night.ask().reasons
    assert reason.text == "frozen until 2027-01-01 00:00 CET: Christmas sales"
    assert "from 2027-01-01 02:00 CET on" in reason.next_step


def test_a_freeze_that_begins_meanwhile_refuses_too(night: Rig) -> None:
    night.table["schedule"] = {"freezes": [FREEZE], "zone": "Europe/Berlin"}
    night.now = utc("2026-12-19T22:39")
    assert night.why() == []
    night.now = utc("2026-12-19T22:41")
    assert "a freeze begins at 2026-12-20 00:00 CET" in night.why()[0]


def test_a_window_that_is_never_long_enough_is_a_fault_of_the_file(night: Rig) -> None:
    night.table["schedule"]["expected"] = "4h"  # the longest is of three hours, in October
    night.now = utc("2026-11-24T01:00")
    (reason,) = night.ask().reasons
    assert "edit environments/production.toml: within 400 days no [schedule] window is long enough" in reason.next_step
