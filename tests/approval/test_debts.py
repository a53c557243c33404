"""An emergency nobody has signed for yet: owed whatever the file says later, and shown wherever one looks."""

from __future__ import annotations

import io
import re
import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gate.approval import outstanding, owing
from gate.commands.changing import Commands
from gate.commands.onlooking import line, picture
from gate.commands.past import Past
from gate.deployment.run import Run
from gate.engines.base import Engine
from gate.errors import Refused, UsageError
from gate.evidence import index
from gate.notify import runs
from gate.notify.message import Message, without_secrets
from gate.redact import Redactor
from gate.results import Outcome
from gate.steps import permit
from gate.terminal import actions, answers
from gate.terminal.terminal import Terminal
from gate.watching.onlooker import Onlooker
from gate.watching.serving import Serving
from tests.approval.rig import Rig

WHY = "checkout is down & <b>on fire</b>"


def forced(rig: Rig) -> Run:
    """A deployment that went past what it had to wait for."""
    run = rig.run(emergency=WHY)
    permit.owe(run, permit.ask(run))
    rig.store.end(run.deployment, Outcome.RELEASED, [], cases=1, checks=1, report=None)
    return run


def missing(rig: Rig) -> list[list[str]]:
    return [state.missing for state in owing.open_debts(rig.environment, rig.store)]


def test_where_no_role_signs_anybody_but_who_deployed_answers_for_it(rig: Rig) -> None:
    rig.table["approval"] = {}
    rig.table["schedule"] = {"windows": ["10:00-11:00"]}
    run = forced(rig)
    assert missing(rig) == [["anybody"]]
    (told, command) = outstanding.look(rig.environment, rig.store, None, rig.now).lines
    assert "to be signed by anybody but who deployed it, due by" in told
    assert command.strip() == f"python deploy_gate.py production approve --role anybody --deployment {run.deployment}"
    assert answers.next_step(run, Outcome.RELEASED, "python deploy_gate.py").startswith(command.strip())
    with pytest.raises(Refused, match="is who deploys"):
        rig.approve("anybody", "dora", version=None, deployment=run.deployment)
    with pytest.raises(UsageError, match="no role 'anybody'"):
        rig.approve("anybody", "erin")
    rig.table["approval"] = {"four_eyes": False}
    with pytest.raises(Refused, match="is who deploys"):
        rig.approve("anybody", "dora", version=None, deployment=run.deployment)
    rig.approve("anybody", "ines", version=None, deployment=run.deployment)
    assert missing(rig) == []


def test_what_is_revoked_while_the_last_one_signs_is_owed_still(rig: Rig) -> None:
    run = forced(rig)
    settings: dict[str, Any] = {"version": None, "deployment": run.deployment}
    rig.approve("technical", "alice", **settings)
    rig.approve("security", "bob", **settings)
    records = rig.environment.state_folder / "gate.db"
    with closing(sqlite3.connect(records)) as connection:
        connection.executescript("""
            CREATE TRIGGER meanwhile BEFORE UPDATE ON debts WHEN NEW.settled_at IS NOT NULL BEGIN
                UPDATE signoffs SET revoked_at = '2026-11-28T10:00:00+00:00' WHERE role = 'technical';
            END""")
    rig.approve("business", "carol", **settings)
    assert missing(rig) == [["technical"]]


def test_a_debt_keeps_its_roles_whatever_they_are_called_later(rig: Rig) -> None:
    run = forced(rig)
    rig.table["approval"] = {"roles": ["other"], "people": {"dan": {"roles": ["other"]}, "eve": {}, "dora": {}}}
    assert missing(rig) == [["technical", "security", "business"]]
    for words in ({"role": "other", "by": "dan"}, {"role": "legal", "by": "dan"}):
        with pytest.raises(UsageError, match="there are: technical, security, business"):
            rig.approve(**words, version=None, deployment=run.deployment)
    with pytest.raises(Refused, match="eve may not sign for technical"):
        rig.approve("technical", "eve", version=None, deployment=run.deployment)
    rig.approve("technical", "dan", version=None, deployment=run.deployment)
    assert missing(rig) == [["security", "business"]]
    rig.table["approval"] = {}
    assert missing(rig) == [["security", "business"]], "not even without any roles"


def test_another_commit_in_the_manifest_makes_no_author_a_stranger(rig: Rig) -> None:
    """Who wrote what was deployed is what its manifest said then."""
    rig.table["approval"]["people"]["ines"] = {"roles": ["technical"], "known_as": ["ines@shop.example"]}
    run = forced(rig)
    rig.manifest("1.1.0", author="Somebody Else")
    with pytest.raises(Refused, match="ines is an author"):
        rig.approve("technical", "ines", version=None, deployment=run.deployment)


def finished(rig: Rig) -> tuple[Run, str]:
    """A run that has ended, with what it owes; and that in words."""
    run = forced(rig)
    run.evidence.owed = outstanding.told(rig.environment, rig.store, rig.now)
    (told,) = run.evidence.owed
    assert told.startswith(f"deployment {run.deployment} (1.1.0) was an emergency of dora@ops: {WHY}")
    return run, told


def test_a_message_of_it_says_so_and_every_later_one_says_what_is_owed(rig: Rig) -> None:
    run, told = finished(rig)
    started, ended = runs.started(run), runs.ended(run, Outcome.RELEASED, Serving(None), "", None)
    assert ended is not None
    assert f"an EMERGENCY: {WHY}" in started.title
    assert ended.title.startswith("EMERGENCY, sign-offs and waits skipped: ")
    assert ended.reasons[0] == f"emergency: {WHY}"
    commands = Commands(rig.environment, Terminal(io.StringIO(), Redactor()), door="gate", command="gate")
    sent: list[Message] = []
    commands._notifier = cast(Any, SimpleNamespace(send=sent.append))
    later = runs.ended(rig.run(), Outcome.RELEASED, Serving(None), "", None)
    for store in (rig.store, None):
        commands._tell_people(lambda: later, store)
    assert [message.owed for message in sent] == [(told,), (told,)]
    assert f"to be signed: {told}" in sent[0].lines
    assert sent[0].document()["owed"] == [told]
    assert without_secrets(sent[0], Redactor(["on fire"])).owed[0].count("on fire") == 0


def test_the_page_of_all_deployments_shows_it_until_it_is_signed(rig: Rig) -> None:
    run, _ = finished(rig)
    page = index.write(rig.environment, rig.store, rig.now)
    shown = page.read_text()
    assert "TO BE SIGNED" in shown
    assert ">EMERGENCY<" in shown
    assert "<b>on fire" not in shown
    assert "&lt;b&gt;on fire" in shown
    rig.table["approval"]["four_eyes"] = False
    for role, name in (("technical", "alice"), ("security", "bob"), ("business", "carol")):
        assert "TO BE SIGNED" in page.read_text()
        rig.approve(role, name, version=None, deployment=run.deployment)
    assert "TO BE SIGNED" not in page.read_text()
    assert ">EMERGENCY<" in page.read_text(), "that it was one stays"
    rig.signing("bob").revoke("security", version=None, deployment=run.deployment)
    assert "TO BE SIGNED" in page.read_text()


def test_a_job_of_ci_and_the_answer_for_machines_say_it(rig: Rig) -> None:
    run, told = finished(rig)
    (note,) = actions.annotate(run, Outcome.RELEASED)
    assert (note.level, note.title, note.text) == ("warning", "an emergency is to be signed for", told)
    summary = actions.summary(run, Outcome.RELEASED, "1.1.0 serves", report=None, manifest="")
    assert "**EMERGENCY**" in summary
    assert "- **To be signed**: deployment" in summary
    assert "<b>" not in summary
    assert len(re.findall(r"^- sign&#45;off", summary, re.M)) == 3, "what was not waited for"
    serves = Serving(None)
    assert answers.of(run, Outcome.RELEASED, serves, report=None, next_step="").document["owed"] == [told]
    said: list[str] = []
    answers.tell(lambda text, *_: said.append(text), run, Outcome.RELEASED, serves, report=None, next_step="")
    assert f"  signed  not yet: {told}" in said


def test_watch_and_history_show_it(rig: Rig) -> None:
    _, told = finished(rig)
    nothing = SimpleNamespace(stable=lambda: None, find=lambda _: None)
    onlooker = Onlooker(rig.environment, cast(Engine, nothing), clock=rig.now.timestamp)
    glance = onlooker.look()
    onlooker.close()
    assert [text[:30] for text in glance.owed] == [told[:30]]
    assert "to be signed: deployment" in line(glance, Redactor(), as_json=False)
    assert '"owed":["deployment' in line(glance, Redactor(), as_json=True)
    cells = [str(cell) for column in picture(glance, Redactor()).columns for cell in column.cells]
    assert any(cell.startswith("to be signed: ") for cell in cells)
    out = io.StringIO()
    document = Past(rig.environment, Terminal(out, Redactor())).history(None)
    assert "RELEASED, emergency" in " ".join(out.getvalue().split())
    assert document["deployments"][0]["emergency"] == WHY
    assert [debt["open"] for debt in document["debts"]] == [True]
