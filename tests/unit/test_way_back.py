"""The way back from a deployment's migrations, the marks it rests on, and the time that users wait."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gate.config import Environment
from gate.database import marks
from gate.database.marks import Mark
from gate.database.migrations import Migration
from gate.deployment.pausing import Pause
from gate.errors import DatabaseError
from gate.judging.readiness import assess
from gate.judging.way_back import FACT, WayBack
from gate.results import Category, Severity
from tests.unit import test_config
from tests.unit.suites import made_case, made_suite


def environment(**database: str) -> Environment:
    return test_config.read(test_config.table(database={"url": "postgresql://u:pw@h/d", **database}))


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (WayBack(), "no migration is pending"),
        (WayBack(pending=True), "only while no user has reached the release"),
        (WayBack(leads_back=False, pending=True), "the schema stays"),
        (WayBack(lives=False, pending=True, pause=2.04, pause_back=1), "about 2.0 s while it is migrated, and about"),
        (WayBack(lives=False, leads_back=False, pending=True), "none: roll forward only"),
    ],
)  # fmt: skip
def test_each_way_is_told(way: WayBack, words: str) -> None:
    assert words in str(way)
    assert WayBack.of(way.facts()) == way


def test_what_no_case_told_is_no_obstacle_and_what_one_told_counts() -> None:
    told = replace(made_case("way"), facts={FACT: WayBack(lives=False).facts()})
    assert WayBack.told([made_case("a")]) == WayBack()
    assert not WayBack.told([made_case("a"), told]).lives


def test_a_release_that_users_wait_for_is_a_risk() -> None:
    good = made_case("a", severity=Severity.CRITICAL, category=Category.MIGRATIONS)
    told = replace(good, facts={FACT: WayBack(lives=False, pending=True).facts()})
    calm, risky = (assess(made_suite(case), {}).inputs["migrations"] for case in (good, told))
    assert (calm, risky) == ("expand", "contract")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n", set()),
        ("# gate: contract\n", {Mark.CONTRACT}),
        ("  --  Gate:  IRREVERSIBLE \n", {Mark.IRREVERSIBLE}),
        ("-- gate: no transaction\n-- gate: contract\n", {Mark.CONTRACT}),
        ("# gate: contract\n# gate: irreversible\n", {Mark.CONTRACT, Mark.IRREVERSIBLE}),
        ("# investigate: contract\n", set()),
    ],
)
def test_marks_are_read(tmp_path: Path, text: str, found: set[Mark]) -> None:
    (tmp_path / "1.py").write_text(text)
    assert marks.of(tmp_path, Migration("1", "", True, "1.py")) == found
    assert marks.of(tmp_path, Migration("1", "", True, "", ("contract",))) == {Mark.CONTRACT}


def test_a_misspelt_mark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.py").write_text("# gate: contract, irreversible\n")
    with pytest.raises(DatabaseError, match="is no mark; there are contract, irreversible"):
        marks.of(tmp_path, Migration("1", "", True, "1.py"))


def test_a_pause_is_no_longer_than_a_request_is_held() -> None:
    made = test_config.table(database={"url": "postgresql://u:pw@h/d", "pause": "9s"})
    assert any("database.pause: 9 s, but a request is held" in fault for fault in test_config.faults(made))


def test_what_works_while_users_wait_hurries() -> None:
    now = [100.0]
    pause = Pause(environment(pause="4s"), clock=lambda: now[0])
    assert pause.within(30) == 30
    assert pause.end() is None
    pause.begin()
    now[0] += 3
    pause.begin()
    assert pause.within(30) == 1
    assert pause.within(0.7) == 0.7
    hurried = pause.hurried().database
    assert hurried is not None
    assert (hurried.lock_timeout, hurried.statement_timeout, hurried.lock_retries) == (1, 1, 0)
    now[0] += 9
    assert pause.within(30) == 0.5, "something has to be possible"
    pause.undoing()
    kept = pause.hurried().database
    assert kept is not None
    assert kept.statement_timeout == 300, "an undo must succeed, even if it is late"
    assert pause.end() == 12
    assert pause.within(30) == 30
