"""rollback and recover: where they lead, and what stays known of why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from tests.commands.little import Little, little

BROKEN = "assert 2 + 2 == 5, 'the planted fault'"


@pytest.fixture(scope="module")
def here() -> Iterator[Little]:
    with little(None, "1.0.0", "1.1.0") as made:
        yield made


def test_a_rollback_never_leads_forward(here: Little) -> None:
    assert here.gate("rollback").document["stable"]["version"] == "1.0.0"
    assert here.deploy("1.0.0").code == 0
    again = here.gate("rollback")
    assert again.code == 2, again.told
    assert "no accepted release before 1.0.0" in again.told
    assert here.serving() == "1.0.0"
    forward = here.gate("rollback", "--to", "1.1.0")
    assert (forward.code, here.serving()) == (3, "1.0.0"), forward.told
    assert "1.1.0 was rolled back in deployment 3" in forward.told
    assert "--version 1.1.0 --again" in forward.document["next"]
    assert here.deploy("1.1.0", "--again", "it was only tried out").code == 0


def test_recover_keeps_what_is_known_of_a_failed_rollback(here: Little) -> None:
    here.smoke(BROKEN)
    here.release("1.2.0")
    failed = here.deploy("1.2.0")
    assert failed.code == 4, failed.told
    why = [reason["text"] for reason in failed.document["reasons"]]
    assert any("the planted fault" in text for text in why)
    once_more = here.gate("recover")
    assert once_more.code == 4
    here.restore()
    ended = here.gate("recover")
    assert (ended.code, ended.document["outcome"]) == (1, "ROLLED_BACK"), ended.told
    texts = [reason["text"] for reason in ended.document["reasons"]]
    assert set(why) <= set(texts)
    assert len(texts) == len(set(texts))
    assert "died" not in " ".join(texts)
    number = ended.document["deployment"]
    assert here.gate("history", str(number)).document["reasons"] == texts
    record = json.loads((here.root / "reports" / "local" / str(number) / "decision.json").read_text())
    assert [item["text"] for item in record["reasons"]] == texts
    assert {"checks", "backup", "smoke", "verify"} <= {step["name"] for step in record["steps"]}
    assert [suite["phase"] for suite in record["suites"]][:2] == ["checks", "candidate"]
    assert here.serving() == "1.1.0"


def test_nothing_to_recover_is_a_whole_answer(here: Little) -> None:
    ran = here.gate("recover")
    assert ran.code == 0
    assert ran.document.keys() >= {"release", "stable", "next", "report", "reasons", "deployment"}
    assert ran.document["stable"]["version"] == "1.1.0"


def test_a_rollback_that_names_its_release_is_not_stopped_by_one_that_could_not_be_undone(here: Little) -> None:
    here.smoke(BROKEN)
    here.release("1.3.0")
    failed = here.deploy("1.3.0")
    assert failed.code == 4, failed.told
    here.restore()
    refused = here.gate("rollback")
    assert refused.code == 5, refused.told
    assert "rollback --to VERSION" in refused.told
    ran = here.gate("rollback", "--to", "1.0.0")
    assert (ran.code, ran.document["stable"]["version"]) == (1, "1.0.0"), ran.told
    assert here.gate("recover").document["outcome"] != "ROLLED_BACK", "nothing is left to undo"
    assert here.serving() == "1.0.0"
    told = here.gate("history", str(failed.document["deployment"])).document
    assert told["outcome"] == "ROLLBACK_FAILED"
    assert told["reasons"][-1] == "given up for a rollback to 1.0.0"
    assert here.deploy("1.1.0").code == 0


HOLD = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, b'{"told": "recovering by somebody", "since": "now"}')
print("held", flush=True)
open(sys.argv[2]).read()
"""
RIVAL = """
import subprocess, sys
from pathlib import Path
Path({lock!r}).unlink()
argv = [sys.executable, {hold!r}, {lock!r}, {pipe!r}]
other = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
assert other.stdout.readline().strip() == b"held"
raise AssertionError("the planted fault")
"""


def test_nothing_is_undone_beside_another_run_that_has_the_lock_by_now(here: Little, tmp_path: Path) -> None:
    pipe, hold, rival = (tmp_path / name for name in ("pipe", "hold.py", "rival.py"))
    os.mkfifo(pipe)
    hold.write_text(HOLD)
    rival.write_text(RIVAL.format(lock=str(here.state / "lock"), hold=str(hold), pipe=str(pipe)))
    before = here.serving()
    here.smoke(f"import runpy; runpy.run_path({str(rival)!r})")
    here.release("1.4.0")
    ran = here.deploy("1.4.0")
    here.restore()
    assert ran.code == 4, ran.told
    assert "another run has it: recovering by somebody since now" in ran.told
    assert here.gate("recover").code == 5
    with pipe.open("w"):
        pass
    assert wait_until(lambda: here.gate("lock").document["lock"] is None, timeout=10)
    ended = here.gate("recover")
    assert ended.code == 1, ended.told
    assert here.serving() == before
