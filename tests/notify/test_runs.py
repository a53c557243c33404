"""What is told of a run, by how it ended; and of one that is found dead."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gate.approval.book import Book
from gate.approval.debts import Debt
from gate.approval.signoffs import Subject
from gate.commands.changing import Commands
from gate.config import Environment
from gate.config.parsing import parse
from gate.deployment.evidence import Evidence, reason
from gate.deployment.run import Options, Run
from gate.engines.base import Instance
from gate.errors import Locked
from gate.notify import runs
from gate.records.journal import Begun
from gate.records.store import Store
from gate.results import Outcome
from gate.terminal.terminal import Terminal
from gate.watching.serving import Serving
from tests.notify import listeners
from tests.notify.test_notifier import AT, environment


def ended(
    outcome: Outcome, action: str = "deploy", *, serves: str = "1.0.0", accepted: bool = True, forced: str = ""
) -> Any:
    evidence = Evidence()
    evidence.fail([reason("smoke", "three cases failed"), reason("smoke", "three cases failed")], AT)
    fields = {"environment": environment(), "release": SimpleNamespace(version="1.1.0"), "deployment": 42}
    fields |= {"stable": SimpleNamespace(version="1.0.0"), "action": action, "by": "alice@ops", "clock": lambda: AT}
    fields |= {"journal": SimpleNamespace(to_undo=lambda: [Begun("accept", {}, accepted)]), "emergency": forced}
    instance = cast(Instance, SimpleNamespace(version=serves)) if serves else None
    run = cast(Run, SimpleNamespace(evidence=evidence, **fields))
    return runs.ended(run, outcome, Serving(instance), "type this", "reports/r.html")


@pytest.mark.parametrize(
    ("outcome", "event", "title"),
    [
        (Outcome.RELEASED, "released", "1.1.0 is released and serves"),
        (Outcome.ROLLED_BACK, "rolled_back", "rolled back from 1.1.0; 1.0.0 serves, proven"),
        (Outcome.ROLLBACK_FAILED, "rollback_failed", "the rollback failed: a person is needed now"),
        (Outcome.HELD, "held", "1.1.0 is held: a person decides"),
        (Outcome.REFUSED, "refused", "1.1.0 is refused; nothing was touched"),
        (Outcome.INTERRUPTED, "interrupted", "1.1.0 was interrupted and undone"),
        (Outcome.RESTORED, "restored", "a backup is the live database now, proven"),
    ],
)
def test_every_end_is_told(outcome: Outcome, event: str, title: str) -> None:
    told = ended(outcome)
    assert (told.event, told.title) == (event, title)
    assert (told.reasons, told.next, told.report) == (("three cases failed",), "type this", "reports/r.html")
    assert told.contacts == ({"primary": "+49 30 1234"} if outcome is Outcome.ROLLBACK_FAILED else {})


@pytest.mark.parametrize(
    ("outcome", "action", "serves", "accepted", "title"),
    [
        (Outcome.ROLLED_BACK, "rollback", "1.1.0", True, "rolled back to 1.1.0; 1.1.0 serves, proven"),
        # It died before it was accepted, and ``recover`` has undone it: 1.1.0 was where it was to lead.
        (Outcome.ROLLED_BACK, "rollback", "1.0.0", False, "the rollback to 1.1.0 was undone; 1.0.0 serves, proven"),
        (Outcome.ROLLED_BACK, "restore", "1.1.0", False, "the restore was undone; 1.1.0 serves, proven"),
        (Outcome.ROLLED_BACK, "deploy", "", False, "rolled back from 1.1.0; nothing serves"),
        (Outcome.INTERRUPTED, "rollback", "1.0.0", False, "the rollback to 1.1.0 was interrupted and undone"),
        (Outcome.REFUSED, "restore", "1.1.0", False, "the restore is refused; nothing was touched"),
    ],
)
def test_what_is_told_is_what_became_of_it(
    outcome: Outcome, action: str, serves: str, accepted: bool, title: str
) -> None:
    assert ended(outcome, action, serves=serves, accepted=accepted).title == title


def test_an_emergency_that_another_process_ends_is_called_one() -> None:
    told = ended(Outcome.RELEASED, forced="checkout is down")
    assert told.title == "EMERGENCY, sign-offs and waits skipped: 1.1.0 is released and serves"
    assert told.reasons[0] == "emergency: checkout is down"


def test_a_plan_is_told_to_nobody() -> None:
    assert ended(Outcome.PLANNED, "plan") is None


def project(root: Path, url: str, **more: Any) -> Environment:
    table = {
        "app": {"name": "shop", "url": "http://127.0.0.1:1"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "traffic": {"listen": "127.0.0.1:8080"},
        "services": {"web": {"command": ["true"], "route": "/", "health": "/health", "identity": "/v#v"}},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
        "contacts": {"primary": "+49 30 1234"},
        "notify": {"timeout": "3s", "targets": {"board": {"kind": "webhook", "url": url, "events": ["dead"]}}},
    }
    return parse({**table, **more}, {}, name="local", file=root / "environments" / "local.toml", root=root)


@pytest.mark.parametrize("status", [200, 500])
def test_whoever_finds_a_dead_run_tells_and_is_refused_all_the_same(tmp_path: Path, status: int) -> None:
    with listeners.http(status) as heard:
        here, said = project(tmp_path, heard.url), io.StringIO()
        here.state_folder.mkdir(parents=True)
        store = Store.of(here)
        facts: dict[str, Any] = {"action": "deploy", "version": "1.1.0", "digest": "d", "commit": None, "folder": "f"}
        number = store.begin(**facts, stable_version=None, stable_instance=None, by="bob@ci")
        store.write(number, "start", "do", {})
        commands = Commands(here, Terminal(said, here.redactor), door="gate", command="gate local")
        with pytest.raises(Locked, match="died unfinished"):
            commands.deploy("1.2.0", Options(), dry_run=False, confirm=lambda _: True)
    document = json.loads(heard.requests[0][1])
    assert (document["event"], document["deployment"], document["by"]) == ("dead", number, "bob@ci")
    assert document["contacts"] == {"primary": "+49 30 1234"}
    assert "recover" in document["next"]
    assert ("board was not told" in said.getvalue()) == (status == 500)


def test_an_emergency_that_recover_ends_is_called_one(tmp_path: Path) -> None:
    with listeners.http(200) as heard:
        board = {"kind": "webhook", "url": heard.url, "events": ["rolled_back"]}
        here = project(tmp_path, heard.url, notify={"timeout": "3s", "targets": {"board": board}})
        store = Store.of(here)
        facts: dict[str, Any] = {"action": "deploy", "version": "1.1.0", "digest": "d", "commit": None, "folder": "f"}
        number = store.begin(**facts, stable_version=None, stable_instance=None, by="bob@ci")
        subject = Subject("shop", "local", "1.1.0", "d", "m", "s", "p", "", "ines")
        Book(store).owe(
            Debt(number, "checkout is down", "bob@ci", ("bob@ci",), AT, subject, ("business",), ("window",))
        )
        store.write(number, "start", "do", {})
        Commands(here, Terminal(io.StringIO(), here.redactor), door="gate", command="gate local recover").recover()
    (told,) = [json.loads(body) for _, body in heard.requests]
    assert told["title"] == "EMERGENCY, sign-offs and waits skipped: rolled back from 1.1.0; nothing serves"


def test_monitor_tells_of_a_dead_run_with_the_contacts(tmp_path: Path) -> None:
    with listeners.http(200) as heard:
        here, paged = project(tmp_path, heard.url, monitoring={"phases": ["15m for 2h"]}), list[str]()
        here.state_folder.mkdir(parents=True)
        store = Store.of(here)
        facts: dict[str, Any] = {"action": "deploy", "version": "1.1.0", "digest": "d", "commit": None, "folder": "f"}
        number = store.begin(**facts, stable_version=None, stable_instance=None, by="bob@ci")
        store.write(number, "start", "do", {})
        commands = Commands(here, Terminal(io.StringIO(), here.redactor), door="gate", command="gate local")
        answers = [commands.monitor(paged.append) for _ in range(2)]
    assert [answer.outcome.exit_code for answer in answers] == [6, 5]
    documents = [json.loads(body) for _, body in heard.requests]
    assert [(item["event"], item["deployment"], item["by"]) for item in documents] == [("dead", number, "bob@ci")]
    assert documents[0]["contacts"] == {"primary": "+49 30 1234"}
    assert documents[0]["next"] == "gate local recover"
    assert "  call  primary: +49 30 1234" in paged
