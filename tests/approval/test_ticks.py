"""A tick counts for one deployment of one release, by somebody who is known, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gate.approval import attempts, outstanding
from gate.approval.book import Book
from gate.deployment import abandoned, pipeline
from gate.errors import Refused
from gate.evidence.recorded_permission import permission_of
from gate.records.journal import Journal
from gate.results import Outcome
from gate.steps import permit
from tests.approval.rig import Rig


@pytest.fixture
def listed(rig: Rig) -> Rig:
    """Nothing but a checklist, and 1.2.0 beside 1.1.0."""
    rig.table["approval"] = {}
    rig.table["checklist"] = {"before": {"on-call": "On-call is ready"}, "after": {"told": "The team is told"}}
    rig.release("1.2.0", None, author="Ines")
    return rig


def pass_time(rig: Rig, **time: float) -> None:
    rig.now += timedelta(**time)


@pytest.mark.parametrize("version", ["1.1.0", "1.2.0"])
@pytest.mark.parametrize("outcome", [Outcome.RELEASED, Outcome.ROLLED_BACK, Outcome.INTERRUPTED])
def test_it_ends_with_the_next_deployment_of_whatever(listed: Rig, version: str, outcome: Outcome) -> None:
    listed.tick("on-call")
    assert listed.why() == []
    pass_time(listed, hours=1)
    number = listed.deployed(outcome, version=version)
    listed.store.write(number, "start", "do", {})
    assert listed.why() == [
        "checklist: On-call is ready (on-call), ticked by dora@ops, 2026-11-24 01:30 UTC: for an earlier deployment"
    ]
    pass_time(listed, seconds=1)
    listed.tick("on-call")
    assert listed.why() == []


@pytest.mark.parametrize(("outcome", "action"), [(Outcome.REFUSED, "deploy"), (Outcome.PLANNED, "plan")])
def test_it_outlives_what_touched_nothing(listed: Rig, outcome: Outcome, action: str) -> None:
    listed.tick("on-call")
    pass_time(listed, hours=1)
    listed.deployed(outcome, action=action)
    assert listed.why() == []


@pytest.mark.parametrize("steps", [(), ("backup",)])
@pytest.mark.parametrize("action", ["deploy", "restore"])
@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.ROLLED_BACK])
def test_it_outlives_a_run_that_was_stopped_before_it_touched_anything(
    listed: Rig, outcome: Outcome, action: str, steps: tuple[str, ...]
) -> None:
    listed.tick("on-call")
    pass_time(listed, hours=1)
    number = listed.deployed(outcome, action=action)
    for step in steps:
        listed.store.write(number, step, "do", {})
    assert listed.why() == []


def test_it_outlives_a_run_that_died_during_its_checks(listed: Rig) -> None:
    listed.tick("on-call")
    pass_time(listed, hours=1)
    permit.write_down(listed.run())  # what a deployment writes before it runs them is no act
    assert abandoned.end_untouched(listed.environment, listed.store, lambda _: None)
    assert listed.why() == []


def test_a_rollback_that_was_stopped_ends_it_although_its_journal_says_nothing(listed: Rig) -> None:
    """A rollback goes on without its journal, so a journal that is empty proves nothing of one."""
    listed.tick("on-call")
    pass_time(listed, hours=1)
    listed.deployed(Outcome.INTERRUPTED, action="rollback")
    assert "for an earlier deployment" in listed.why()[0]


def test_it_expires_as_a_sign_off_does(listed: Rig) -> None:
    listed.table["approval"] = {"valid_days": 7}
    listed.tick("on-call")
    pass_time(listed, days=7, seconds=-1)
    assert listed.why() == []
    pass_time(listed, seconds=1)
    assert "expired at 2026-12-01 01:30 UTC" in listed.why()[0]


def test_only_somebody_who_is_known_may_tick(rig: Rig) -> None:
    rig.table["checklist"] = {"before": {"on-call": "On-call is ready"}}
    rig.approve_all()
    with pytest.raises(Refused, match=r"mallory@ops is nobody in \[approval.people\]") as fault:
        rig.tick("on-call", by="mallory")
    assert "checklist tick on-call --as NAME" in str(fault.value.next_step)
    assert len(rig.why()) == 1
    rig.tick("on-call", by="bob")
    assert rig.why() == []
    release = rig.release("1.1.0", None, author="Ines")
    (tick,) = Book(rig.store).ticks(release.digest)
    Book(rig.store).tick(replace(tick, by="mallory"))
    assert "who is nobody in [approval.people]" in rig.why()[-1], "written past the command"


def test_what_is_ticked_after_a_deployment_is_about_that_one(listed: Rig) -> None:
    pass_time(listed, hours=1)
    first = listed.deployed(Outcome.RELEASED)
    digest = listed.store.deployments(1)[0].digest
    pass_time(listed, hours=1)
    listed.tick("told")

    def still_open() -> list[str]:
        found = outstanding.look(listed.environment, listed.store, digest, listed.now)
        return [item["item"] for item in found.checklist]

    assert still_open() == []
    pass_time(listed, hours=1)
    listed.deployed(Outcome.RELEASED)
    assert still_open() == ["told"], "deployed once more, it is to be told once more"
    run = next(item for item in listed.store.deployments() if item.id == first)
    stood = {state.item: state.tick for state in attempts.for_run(listed.environment, listed.store, run)}
    assert stood["told"] is not None, "what is on record of the first one stays"


def test_a_record_keeps_what_was_ticked_before_its_run(listed: Rig) -> None:
    listed.tick("on-call")
    pass_time(listed, hours=1)
    first = listed.deployed(Outcome.RELEASED)
    pass_time(listed, hours=1)
    listed.tick("on-call", by="erin")
    pass_time(listed, hours=1)
    second = listed.deployed(Outcome.RELEASED)
    by = {}
    for run in listed.store.deployments():
        states = attempts.for_run(listed.environment, listed.store, run)
        by[run.id] = next(state.tick.by for state in states if state.item == "on-call" and state.tick)
    assert by == {first: "dora@ops", second: "erin@ops"}


def history(rig: Rig, number: int) -> list[str]:
    """What ``history N`` says of the checklist and the sign-offs."""
    run = next(item for item in rig.store.deployments() if item.id == number)
    return outstanding.of_deployment(rig.environment, rig.store, run, rig.now).lines


def test_history_shows_the_checklist_of_its_time(listed: Rig) -> None:
    listed.tick("on-call")
    pass_time(listed, minutes=1)
    run = listed.run()
    permit.write_down(run)
    pass_time(listed, minutes=10)
    listed.store.end(run.deployment, Outcome.RELEASED, [], cases=1, checks=1, report=None)
    then = [
        "  before  On-call is ready (on-call): dora@ops, 2026-11-24 01:30 UTC",
        "  after   The team is told (told): open",
    ]
    assert history(listed, run.deployment) == then

    pass_time(listed, days=40)
    listed.table["checklist"] = {
        "before": {"on-call": "Two people are on call", "plan": "The way back is known"},
        "after": {"told": "The team is told"},
    }
    listed.table["approval"] = {"valid_days": 0.001}
    assert history(listed, run.deployment) == then, "what is asked for today was not asked for then"
    listed.tick("told", "plan")
    assert history(listed, run.deployment)[1] == "  after   The team is told (told): dora@ops, 2027-01-03 01:41 UTC"
    listed.table["checklist"] = {}
    assert len(history(listed, run.deployment)) == 2
    record = permission_of(replace(run, environment=listed.environment))
    assert record is not None
    assert [item.text for item in record.checklist] == ["On-call is ready", "The team is told"]


def test_history_says_that_a_checklist_is_not_on_record(listed: Rig) -> None:
    number = listed.deployed(Outcome.RELEASED)
    assert history(listed, number) == ["  what the checklist said then is not on record"]
    listed.table["checklist"] = {}
    assert history(listed, number) == []


def test_a_deployment_writes_its_checklist_down_or_does_not_begin(listed: Rig) -> None:
    run = listed.run()
    assert pipeline.deploy(run) is Outcome.REFUSED, "on-call is open"
    written = [event.facts for event in listed.store.events(run.deployment) if event.kind == attempts.LISTED]
    assert written == [attempts.listed(listed.environment)]
    lost = listed.run()
    lost.journal = Journal(listed.store, 4711)  # no such deployment: nothing can be written down for it
    assert pipeline.deploy(lost) is Outcome.REFUSED
    assert "permission" in {item.signal for item in lost.evidence.reasons}
    assert "checklist" not in {item.signal for item in lost.evidence.reasons}


def test_a_sign_off_for_the_next_attempt_is_not_shown_for_the_last(rig: Rig) -> None:
    rig.approve("technical", "alice")
    pass_time(rig, hours=1)
    number = rig.deployed(Outcome.ROLLED_BACK)
    pass_time(rig, hours=1)
    rig.approve("security", "bob")
    assert [line.split()[1] for line in history(rig, number)] == ["technical"]
    rig.signing("alice").revoke(None, version="1.1.0", deployment=None)
    assert history(rig, number)[0].endswith(", revoked by alice@ops, 2026-11-24 03:30 UTC")
