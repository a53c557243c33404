"""Whether a release has soaked on another environment, by that environment's own records, with the clock passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gate import environments
from gate.conditions import elsewhere
from gate.conditions.base import Question
from gate.conditions.permission import ask, waits
from gate.conditions.soak import Soaked, judge
from gate.config.parsing import parse
from gate.errors import ConfigError, OperationFailed, UsageError
from gate.monitoring import ticks
from gate.monitoring.phases import Tick
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.releases import Release
from gate.results import Decision, Outcome
from tests.unit.test_config import VARIABLES, table

MONDAY = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK
STAGING = """
extends = "base.toml"
app = { name = "shop", url = "${URL_THAT_ONLY_STAGING_KNOWS}" }
state = { folder = ".gate" }
[monitoring]
phases = ["1h for 48h"]
"""


@dataclass
class Staging:
    """An environment called staging; ``hour`` is its clock, in hours after Monday."""

    root: Path
    hour: float = 0.0

    def at(self, hour: float) -> datetime:
        return MONDAY + timedelta(hours=hour)

    @cached_property
    def store(self) -> Store:
        return Store(SqliteFile(self.root / ".gate" / "staging" / "gate.db"), clock=lambda: self.at(self.hour))

    def runs(self, version: str, hour: float, outcome: Outcome = Outcome.RELEASED, action: str = "deploy") -> int:
        """A run that ends at that hour."""
        self.hour, store = hour, self.store
        serves = next((f"r{item.id}" for item in store.deployments() if item.outcome is Outcome.RELEASED), None)
        number = store.begin(
            action=action, version=version, digest=f"sha256:{version}", commit=None, folder="x", by="alice@ops",
            stable_version=None, stable_instance=serves,
        )  # fmt: skip
        store.write(number, "accept", "do", {})
        store.write(number, "accept", "done", {})
        store.end(number, outcome, ["checkout failed"], cases=1, checks=1, report=None)
        return number

    def looked(self, deployment: int, hour: int, decision: Decision = GO, *, since: int = 0) -> None:
        """The tick of an hour; ``since``: when the deployment was kept."""
        at = self.at(hour) + timedelta(seconds=30)
        ticks.add(self.store, Tick(deployment, hour - since - 1, at, 1.0, decision, ("a reason",), acted="alerted"))

    def soaked(self, version: str, hour: float, *, hours: float = 24, digest: str = "") -> Soaked:
        now = self.at(hour)
        wanted = digest or f"sha256:{version}"
        return judge(wanted, elsewhere.history("staging", self.root, wanted, now), hours, now)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "staging.toml").write_text(STAGING)
    (folder / "base.toml").write_text('database = { url = "${A_SECRET_OF_STAGING}" }\n')
    return Staging(tmp_path)


@pytest.fixture
def green(staging: Staging) -> Staging:
    """1.1.0 was released on Monday at 10:00 and looked at every hour since, for 25 hours."""
    staging.runs("1.1.0", 0)
    for hour in range(1, 26):
        staging.looked(1, hour)
    return staging


def test_long_enough_and_green(green: Staging) -> None:
    found = green.soaked("1.1.0", 25.5)
    assert found.fault == ""
    assert found.detail == "25.5 h on staging since 2026-11-02 10:00 UTC, green: 25 green of 48 ticks"


def test_at_the_limit_and_a_second_before(green: Staging) -> None:
    assert green.soaked("1.1.0", 24).fault == ""
    short = green.soaked("1.1.0", 24 - 1 / 3600)
    assert "24 h are wanted: long enough at 2026-11-03 10:00 UTC" in short.fault
    assert short.enough_at == green.at(24)


def test_time_is_elapsed_time_wherever_it_is_asked(green: Staging) -> None:
    """A day in which the clocks were changed has 23 or 25 hours, and a soak of a day has 24."""
    told = elsewhere.history("staging", green.root, "sha256:1.1.0", green.at(24))
    assert judge("sha256:1.1.0", told, 24, green.at(24).astimezone(ZoneInfo("Asia/Tokyo"))).fault == ""
    assert judge("sha256:1.1.0", told, 24, green.at(23).astimezone(ZoneInfo("Asia/Tokyo"))).fault


def test_a_clock_set_back_has_not_soaked(green: Staging) -> None:
    assert "it served 0.0 h on staging" in green.soaked("1.1.0", -5).fault


def test_never_released_there(staging: Staging) -> None:
    staging.runs("1.1.0", 0, Outcome.REFUSED)
    staging.runs("1.1.0", 1, Outcome.PLANNED)
    assert "nothing was ever released on staging" in staging.soaked("1.1.0", 30).fault


def test_the_same_version_with_another_digest(green: Staging) -> None:
    found = green.soaked("1.1.0", 30, digest="sha256:rebuilt")
    assert "this digest was never released on staging; the last there is 1.1.0 (sha256:1.1.0)" in found.fault


def test_red_since(green: Staging) -> None:
    green.looked(1, 26, ROLLBACK)
    green.looked(1, 27)
    assert "did not stay green: red at 2026-11-03 12:00 UTC: a reason" in green.soaked("1.1.0", 27.5).fault


def test_inconclusive_is_not_green_until_it_is_cleared(green: Staging) -> None:
    green.looked(1, 26, HOLD)
    assert "inconclusive at 2026-11-03 12:00 UTC" in green.soaked("1.1.0", 26.5).fault
    green.looked(1, 27)
    assert green.soaked("1.1.0", 27.5).fault == ""


@pytest.mark.parametrize("others", [None, HOLD], ids=["missed", "inconclusive"])
@pytest.mark.parametrize(("good", "met"), [(1, False), (19, False), (20, True), (25, True)])
def test_one_good_look_at_the_end_clears_nothing(
    staging: Staging, good: int, met: bool, others: Decision | None
) -> None:
    """Of 25 ticks that were due 20 are 80 %, and the last of all is among them."""
    staging.runs("1.1.0", 0)
    for hour in range(1, 26):
        if hour > 25 - good:
            staging.looked(1, hour)
        elif others is not None:
            staging.looked(1, hour, others)
    found = staging.soaked("1.1.0", 25.5)
    assert (found.fault == "") is met, found
    if not met:
        told = (
            f"{25 - good} were missed, 0 inconclusive" if others is None else f"0 were missed, {25 - good} inconclusive"
        )
        assert f"{good} of the 25 ticks that were due were green, 80% are wanted: {told}" in found.fault


def test_after_a_thin_monitoring_it_counts_from_where_it_was_deployed_again(staging: Staging) -> None:
    staging.runs("1.1.0", 0)
    staging.looked(1, 25)
    staging.runs("1.1.0", 26)
    for hour in range(27, 51):
        staging.looked(2, hour, since=26)
    assert "25 of the 49 ticks that were due were green" in staging.soaked("1.1.0", 49.5).fault
    found = staging.soaked("1.1.0", 50.5)
    assert (found.fault, found.detail.partition(" since ")[0]) == ("", "24.5 h on staging")


def test_nothing_but_missed_ticks_is_not_green(staging: Staging) -> None:
    staging.runs("1.1.0", 0)
    assert "25 ticks were missed and none ran" in staging.soaked("1.1.0", 26.5).fault


def test_a_monitoring_that_fell_silent_is_not_green(green: Staging) -> None:
    assert "the last 4 ticks were missed" in green.soaked("1.1.0", 30.5).fault


def test_a_failed_attempt_of_another_release_changes_nothing(green: Staging) -> None:
    green.runs("1.2.0", 25, Outcome.ROLLED_BACK)
    assert green.soaked("1.1.0", 25.5).fault == ""


def test_replaced_by_a_later_accepted_one(green: Staging) -> None:
    green.runs("1.2.0", 25.2)
    assert green.soaked("1.1.0", 200).fault == ""
    assert "it served 4.8 h on staging" in green.soaked("1.2.0", 30).fault


def test_replaced_too_early_does_not_become_enough_by_waiting(staging: Staging) -> None:
    staging.runs("1.1.0", 0)
    staging.looked(1, 1)
    staging.runs("1.2.0", 2)
    found = staging.soaked("1.1.0", 100)
    assert "it served 2.0 h on staging since 2026-11-02 10:00 UTC, 24 h are wanted: until" in found.fault
    assert found.enough_at is None


def test_rolled_back_from_has_not_soaked(green: Staging) -> None:
    """By a person or by the monitoring, after however long."""
    first = green.runs("1.2.0", 26)
    green.looked(first, 27, since=26)
    green.runs("1.1.0", 60, Outcome.ROLLED_BACK, action="rollback")
    assert "it was rolled back on staging: checkout failed (deployment 3)" in green.soaked("1.2.0", 61).fault
    assert green.soaked("1.1.0", 61).fault == "", "what came back had soaked before"


def test_what_came_back_counts_anew_once_it_is_deployed_again(staging: Staging) -> None:
    staging.runs("1.1.0", 0)
    staging.looked(1, 1)
    staging.runs("1.2.0", 2)
    staging.runs("1.1.0", 3, Outcome.ROLLED_BACK, action="rollback")
    staging.runs("1.1.0", 4)
    for hour in range(5, 29):
        staging.looked(4, hour, since=4)
    short = staging.soaked("1.1.0", 27)
    assert "it served 23.0 h on staging since 2026-11-02 14:00 UTC" in short.fault
    assert short.enough_at == staging.at(28)
    assert staging.soaked("1.1.0", 28.5).fault == ""


def test_a_soak_from_before_is_not_lost_by_deploying_again_and_a_red_look_ends_it(green: Staging) -> None:
    green.runs("1.2.0", 26)
    green.runs("1.1.0", 27)
    assert green.soaked("1.1.0", 27.5).fault == ""
    green.looked(3, 28, ROLLBACK, since=27)
    assert "did not stay green: red at 2026-11-03 14:00 UTC" in green.soaked("1.1.0", 28.5).fault


def test_rolled_back_later_when_it_was_tried_again(green: Staging) -> None:
    green.runs("1.2.0", 25.2)
    green.runs("1.1.0", 30, Outcome.ROLLED_BACK)
    assert "it was rolled back on staging" in green.soaked("1.1.0", 31).fault


def test_deployed_again_while_it_served_is_one_stay(green: Staging) -> None:
    green.runs("1.1.0", 20)
    green.looked(2, 21, since=20)
    assert green.soaked("1.1.0", 24.5).fault.startswith("its monitoring"), "the last ticks of the second were missed"
    for hour in (22, 23, 24):
        green.looked(2, hour, since=20)
    assert green.soaked("1.1.0", 24.5).fault == ""


@pytest.mark.parametrize(("hour", "met"), [(23, False), (24.5, True)])
def test_production_waits_for_it(green: Staging, hour: float, met: bool) -> None:
    file = green.root / "environments" / "production.toml"
    wanted = table(schedule={"soak": {"environment": "staging", "hours": 24}})
    production = parse(wanted, VARIABLES, name="production", file=file, root=green.root)
    release = Release("1.1.0", "sha256:1.1.0", None, green.root)
    asked = Question(production, release, green.store, green.at(hour), ())
    assert waits(production)
    found = ask(asked)
    assert [(item.name, item.met) for item in found.conditions] == [("soak", met)]
    assert bool(found.reasons) != met
    past = ask(asked, "the shop is down")
    assert bool(past.skipped) != met, "an emergency goes past it and owes it"
    if not met:
        assert "--version 1.1.0   from 2026-11-03 10:00 UTC on" in (found.reasons[0].next_step or "")


def test_records_that_are_not_here_are_no_soak_and_are_not_made(staging: Staging) -> None:
    with pytest.raises(OperationFailed, match="no records of staging are here") as fault:
        staging.soaked("1.1.0", 30)
    assert "[state] url" in (fault.value.next_step or "")
    assert not (staging.root / ".gate").exists()


def test_of_the_other_file_only_the_records_are_read(staging: Staging) -> None:
    app, state, monitoring = environments.records_of("staging", staging.root, {})
    assert (app, state.url, monitoring.phases) == ("shop", None, [(3600.0, 48 * 3600.0)])
    with pytest.raises(UsageError, match="no environment 'stagign'"):
        environments.records_of("stagign", staging.root, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('app = { name = "x" }\nstate = { url = "${STATE_URL}" }', "[state] url: STATE_URL is not set"),
        ('app = { name = "x" }\nmonitoring = { phases = ["1h"] }', "write how often and until when"),
        ("[state]", "[app] name: is required"),
    ],
)
def test_faults_of_the_other_file(staging: Staging, text: str, problem: str) -> None:
    (staging.root / "environments" / "staging.toml").write_text(text)
    with pytest.raises(ConfigError) as fault:
        environments.records_of("staging", staging.root, {})
    assert "environments/staging.toml" in str(fault.value)
    assert problem in str(fault.value)
