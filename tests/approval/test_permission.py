"""What the pipeline does with it: refused before anything is touched, an emergency with its debt, the checklist."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gate import cli
from gate.approval import attempts, outstanding, owing
from gate.approval.book import Book
from gate.conditions.permission import waits
from gate.config import Environment
from gate.config.approval import Approval, Checklist
from gate.deployment import before, pipeline
from gate.deployment.view import Silent
from gate.errors import OperationFailed, Refused, UsageError
from gate.evidence.recorded_permission import permission_of as recorded
from gate.results import Outcome
from gate.steps import permit
from tests.approval.rig import Rig
from tests.unit import forging

TOML = """
app = { name = "tiny", url = "http://127.0.0.1:8080" }
releases = { source = "releases" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:8080" }
checks = { folders = ["checks"] }
smoke = { folders = ["smoke"] }
services.web = { command = ["serve"], route = "/", health = "/health", identity = "/version#version" }
approval = { roles = ["technical"], people = { alice = { roles = ["technical"] }, bob = { } } }
checklist = { before = { team = "The team is briefed" } }
"""
LIST = {
    "before": {"team": "The team is briefed", "on-call": "On-call is ready"},
    "during": {"look": "Looked at by hand"},
    "after": {"told": "The team is told"},
}


@pytest.fixture
def strict(rig: Rig) -> Rig:
    """Signatures of three roles, a window that is closed now, and a list."""
    rig.table["schedule"] = {"windows": ["02:00-04:00"], "zone": "Europe/Berlin"}
    rig.table["checklist"] = LIST
    rig.now = rig.now.replace(hour=12)
    return rig


def test_a_deployment_is_refused_before_anything_is_touched(strict: Rig) -> None:
    run = strict.run()
    assert pipeline.deploy(run) is Outcome.REFUSED
    signals = [reason.signal for reason in run.evidence.reasons]
    assert signals == ["sign-off"] * 3 + ["window"] + ["checklist"] * 2
    assert all(reason.next_step.startswith("python deploy_gate.py production ") for reason in run.evidence.reasons)
    written = [event.kind for event in strict.store.events(run.deployment)]
    assert written == [attempts.LISTED], "the journal announces nothing"
    assert not run.folder.exists(), "not even the checks ran"
    assert owing.open_debts(strict.environment, strict.store) == []


class Listener(Silent):
    """Remembers what a person was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_plan_shows_every_condition_met_or_not(strict: Rig) -> None:
    strict.approve("technical", "alice")
    strict.tick("team", "on-call")
    view = Listener()
    run = replace(strict.run(action="plan"), view=view)
    assert before.permitted(run) is Outcome.REFUSED
    assert view.notes == [
        "met: sign-off technical: alice, valid to 2026-12-24",
        "not met: sign-off security: missing",
        "not met: sign-off business: missing",
        "not met: window: 2026-11-24 13:30 CET lies outside of the window 02:00-04:00 Europe/Berlin",
        "met: checklist: 2 of 2 items are ticked",
    ]


@pytest.mark.parametrize("act", ["rollback", "recover", "keep", "give_up", "restore"])
def test_no_way_back_and_no_way_on_asks(strict: Rig, act: str) -> None:
    """Each of them goes on to the engine, or to the journal, without a look at what a deployment would wait for."""
    run = strict.run(action="rollback" if act == "rollback" else "deploy")
    acts: dict[str, Callable[[], object]] = {
        "rollback": lambda: pipeline.rollback(run),
        "recover": lambda: pipeline.recover(run, strict.store.deployments(1)[0]),
        "keep": lambda: pipeline.keep(run),
        "give_up": lambda: pipeline.give_up(run, "x"),
        "restore": lambda: pipeline.restore(run),
    }
    with suppress(AssertionError, OperationFailed, AttributeError):
        acts[act]()
    assert run.evidence.permission is None
    assert not {reason.signal for reason in run.evidence.reasons} & {"sign-off", "window", "checklist", "permission"}


COMMANDS: list[tuple[str, int]] = [
    ("approve --role technical --as alice --version 1.1.0 --json", 0),
    ("approve --role technical --as bob --version 1.1.0", 3),
    ("approve --role legal --version 1.1.0", 2),
    ("approve --version 1.1.0", 2),
    ("approve --role technical", 2),
    ("revoke --version 1.1.0", 2),
    ("checklist --version 1.1.0", 0),
    ("checklist tick team --as bob --version 1.1.0 --json", 0),
    ("checklist tick team --as erin --version 1.1.0", 3),
    ("checklist tick", 2),
    ("checklist tick nothing --version 1.1.0", 2),
    ("checklist toggle team", 2),
]


@pytest.mark.parametrize(("words", "code"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_the_commands_as_they_are_typed(
    strict: Rig, words: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (strict.root / "environments").mkdir()
    (strict.root / "environments" / "production.toml").write_text(TOML)
    monkeypatch.chdir(strict.root)
    assert cli._main(["production", *words.split()]) == code
    told = capsys.readouterr()
    if "--json" in words:
        document = json.loads(told.out)
        assert (document["outcome"], document["exit_code"]) == ("DONE", 0)
        assert document["release"]["version"] == "1.1.0"
    elif code:
        assert "  next  " in told.err or "nothing to revoke" in told.err


def test_what_cannot_be_told_is_no_permission(strict: Rig) -> None:
    (strict.root / "releases" / "1.1.0" / "migrations" / "0001_first.down.sql").unlink()
    (strict.root / "releases" / "1.1.0" / "migrations" / "0001_first.up.sql").rename(
        strict.root / "releases" / "1.1.0" / "migrations" / "nonsense.sql"
    )
    run = strict.run()
    assert pipeline.deploy(run) is Outcome.REFUSED
    assert "cannot be told" in run.evidence.reasons[0].text
    forced = strict.run(emergency="the shop is down")
    assert before.permitted(forced) is None, "what cannot be told is gone past as well"
    assert forced.evidence.permission is not None
    assert forced.evidence.permission.skipped[0].startswith("signed: cannot be told")
    assert before.permitted_still(forced) is Outcome.REFUSED, "what is owed could not be written down"


def test_nothing_to_wait_for_is_as_before(rig: Rig) -> None:
    rig.table["approval"] = {}
    rig.table["checklist"] = {"after": {"told": "The team is told"}}
    assert not waits(rig.environment)
    assert before.permitted(rig.run()) is None
    assert rig.run().evidence.steps == []


def test_what_changes_while_the_checks_run_refuses_too(strict: Rig) -> None:
    strict.table["schedule"] = {}
    strict.table["checklist"] = {}
    strict.approve_all()
    run = strict.run()
    assert before.permitted(run) is None
    (strict.root / "checks" / "test_made_up.py").write_text("")
    assert before.permitted_still(run) is Outcome.REFUSED
    assert "the check suite has changed" in run.evidence.reasons[0].text


def emergency(rig: Rig) -> int:
    """A deployment that went past everything, as far as what waits is concerned; its number."""
    run = rig.run(emergency="the shop is down")
    assert before.permitted(run) is None
    assert before.permitted_still(run) is None
    rig.store.end(run.deployment, Outcome.RELEASED, [], cases=1, checks=1, report=None)
    return run.deployment


def look(rig: Rig) -> outstanding.Owed:
    return outstanding.look(rig.environment, rig.store, None, rig.now)


def test_an_emergency_goes_on_and_leaves_a_debt_until_every_role_has_signed(strict: Rig) -> None:
    number = emergency(strict)
    (debt,) = look(strict).debts
    assert (debt["deployment"], debt["reason"], debt["by"]) == (number, "the shop is down", "dora@ops")
    assert debt["missing"] == ["technical", "security", "business"]
    assert [text.partition(":")[0] for text in debt["skipped"]] == [
        "sign-off technical", "sign-off security", "sign-off business", "window", "checklist",
    ]  # fmt: skip
    assert debt["due_at"] == (strict.now + timedelta(hours=24)).isoformat()
    assert "due by 2026-11-25 12:30 UTC" in look(strict).lines[0]
    strict.now += timedelta(hours=24)
    assert "overdue since 2026-11-25 12:30 UTC" in look(strict).lines[0]
    strict.approve("technical", "alice", version=None, deployment=number)
    strict.approve("security", "bob", version=None, deployment=number)
    assert look(strict).debts[0]["missing"] == ["business"]
    told = strict.approve("business", "carol", version=None)
    assert (told["deployment"], told["missing"]) == (number, []), "without a version the debt is meant"
    assert look(strict).debts == []
    strict.now += timedelta(days=400)
    assert look(strict).debts == [], "what was signed for afterwards does not expire"


def test_what_was_signed_before_or_for_another_deployment_pays_no_debt(strict: Rig) -> None:
    first, second = emergency(strict), emergency(strict)
    strict.approve_all()
    for role, name in (("technical", "alice"), ("security", "bob"), ("business", "carol")):
        strict.approve(role, name, version=None, deployment=second)
    assert [debt["deployment"] for debt in look(strict).debts] == [first]
    strict.signing("bob").revoke("security", version=None, deployment=second)
    assert [debt["deployment"] for debt in look(strict).debts] == [first, second]


def test_who_deployed_in_an_emergency_may_not_sign_for_it(strict: Rig) -> None:
    strict.table["approval"]["people"]["alice"]["known_as"] = ["dora@ops"]
    number = emergency(strict)
    with pytest.raises(Refused, match="alice is who deploys"):
        strict.approve("technical", "alice", version=None, deployment=number)
    with pytest.raises(UsageError, match="was no emergency"):
        strict.approve("technical", "alice", version=None, deployment=number + 1)


def test_an_emergency_that_had_nothing_to_go_past_owes_nothing(strict: Rig) -> None:
    strict.table["schedule"] = {}
    strict.approve_all()
    strict.tick("team", "on-call")
    emergency(strict)
    assert look(strict).debts == []


def test_a_dry_run_of_an_emergency_owes_nothing(strict: Rig) -> None:
    run = strict.run(emergency="the shop is down", action="plan")
    assert before.permitted(run) is None
    assert Book(strict.store).debts() == []


def test_the_checklist_is_ticked_by_name_for_one_digest(strict: Rig) -> None:
    strict.table["approval"] = strict.table["schedule"] = {}
    assert strict.why() == ["checklist: The team is briefed (team)", "checklist: On-call is ready (on-call)"]
    assert "checklist tick team --version 1.1.0" in strict.ask().reasons[0].next_step
    told = strict.tick("team", "on-call", by="erin")
    assert [(item["item"], item["by"]) for item in told["checklist"]] == [
        ("team", "erin@ops"), ("on-call", "erin@ops"), ("look", None), ("told", None),
    ]  # fmt: skip
    assert strict.why() == [], "what is seen to during and after holds nothing up"
    strict.tick("team", act="untick")
    assert strict.why() == ["checklist: The team is briefed (team)"]
    strict.tick("team")
    strict.manifest("1.1.0", author="Ines")
    assert strict.why() == [], "the manifest is no part of the digest"
    (strict.root / "releases" / "1.1.0" / "new.py").write_text("")
    strict.manifest("1.1.0", author="Ines")
    assert len(strict.why()) == 2, "another artifact: nobody has looked at it"


def test_an_item_that_says_something_else_is_open_again(strict: Rig) -> None:
    strict.table["approval"] = strict.table["schedule"] = {}
    strict.tick("team", "on-call")
    strict.table["checklist"] = {**LIST, "before": {**LIST["before"], "team": "The team and the shops are briefed"}}
    (why,) = strict.why()
    assert why.startswith("checklist: The team and the shops are briefed (team), ticked by dora@ops, ")
    assert why.endswith(": when it said something else")
    with pytest.raises(UsageError, match="no item 'nothing'"):
        strict.tick("nothing")


def test_what_is_open_afterwards_is_told(strict: Rig) -> None:
    number = strict.deployed(Outcome.RELEASED)
    strict.store.write(number, "checklist", attempts.LISTED, attempts.listed(strict.environment))
    digest = strict.store.deployments(1)[0].digest
    told = outstanding.look(strict.environment, strict.store, digest, strict.now)
    assert [item["item"] for item in told.checklist] == ["told"]
    assert "The team is told (told)" in told.lines[0]
    strict.tick("told")
    assert outstanding.look(strict.environment, strict.store, digest, strict.now).checklist == []
    strict.approve("business", "carol")
    whole = outstanding.of_deployment(strict.environment, strict.store, strict.store.deployments(1)[0], strict.now)
    assert number == strict.store.deployments(1)[0].id
    assert whole.signoffs[0]["by"] == "carol"
    assert any("The team is told (told): dora," in line for line in whole.lines)


def test_the_record_says_who_signed_when_and_for_what(strict: Rig) -> None:
    strict.table["schedule"] = {}
    strict.approve_all()
    strict.tick("team", "on-call")
    run = strict.run()
    found = permit.ask(run)
    record = recorded(run)
    assert record is not None
    assert [(item.role, item.by, item.signed) for item in record.signoffs] == [
        ("technical", "alice", False), ("security", "bob", False), ("business", "carol", False),
    ]  # fmt: skip
    subject = found.conditions[0].signoff
    assert subject is not None
    assert record.signoffs[0].suite == subject.subject.suite
    assert [(item.item, item.by) for item in record.checklist][:2] == [("team", "dora"), ("on-call", "dora")]
    assert (record.emergency, record.debts) == ("", ())


def test_the_record_of_every_later_run_shows_the_debt(strict: Rig) -> None:
    number = emergency(strict)
    for action in ("deploy", "rollback", "restore"):
        record = recorded(strict.run(action=action))
        assert record is not None
        assert [item.deployment for item in record.debts] == [number]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"roles": ["a", "a"]}, "twice"),
        ({"roles": ["Tech Lead"]}, "small letters"),
        ({"roles": ["a"], "people": {"x": {"roles": ["b"]}}}, "none of"),
        ({"roles": ["a", "b"], "people": {"x": {"roles": ["a"]}}}, "nobody may sign for 'b'"),
        ({"roles": ["a"], "allowed_signers": "f"}, "nobody may sign for 'a'"),
        ({"people": {"two words": {}}}, "blank"),
        ({"valid_days": 0.0}, "greater than 0"),
    ],
)
def test_a_faulty_approval_is_told(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Approval.model_validate(section)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"before": {"a": "x"}, "after": {"a": "y"}}, "another phase"),
        ({"before": {"On Call": "x"}}, "small letters"),
    ],
)
def test_a_faulty_checklist_is_told(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Checklist.model_validate(section)


def test_every_table_of_the_file_is_policy_unless_it_is_named_as_none() -> None:
    """A table that is added later voids sign-offs when it changes, until somebody decides otherwise."""
    from gate.approval.subjects import BESIDE

    assert set(Environment.model_fields) > BESIDE


@pytest.mark.parametrize(
    ("action", "emergency", "stays"), [("deploy", "", False), ("plan", "", True), ("deploy", "it burns", True)]
)
def test_bytecode_in_place_of_a_check_is_gone_before_the_checks_run(
    rig: Rig, action: str, emergency: str, stays: bool
) -> None:
    rig.approve_all()
    planted = forging.plant(rig.root / "checks" / "test_made_up.py", "")
    assert permit.ask(rig.run(action=action, emergency=emergency)).reasons == []
    assert planted.exists() is stays
