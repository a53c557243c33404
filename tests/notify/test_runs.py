"""What is told of a run, by how it ended; and of one that is found dead."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gate.commands import Commands
from gate.config import Environment
from gate.errors import Locked
from gate.evidence import Evidence, reason
from gate.notify import runs
from gate.parsing import parse
from gate.results import Outcome
from gate.run import Options, Run
from gate.store import Store
from gate.terminal import Terminal
from tests.notify import listeners
from tests.notify.test_notifier import AT, environment


def ended(outcome: Outcome, action: str = "deploy") -> Any:
    evidence = Evidence()
    evidence.fail([reason("smoke", "three cases failed"), reason("smoke", "three cases failed")], AT)
    fields = {"environment": environment(), "release": SimpleNamespace(version="1.1.0"), "deployment": 42}
    fields |= {"stable": SimpleNamespace(version="1.0.0"), "action": action, "by": "alice@ops", "clock": lambda: AT}
    return runs.ended(cast(Run, SimpleNamespace(evidence=evidence, **fields)), outcome, "type this", "reports/r.html")


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


def test_a_rollback_that_was_asked_for_is_told_as_one() -> None:
    assert ended(Outcome.ROLLED_BACK, "rollback").title == "rolled back to 1.1.0, which serves, proven"


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
