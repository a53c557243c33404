"""rollback and recover: where they lead, and what stays known of why."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

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
    assert here.gate("rollback", "--to", "1.1.0").document["stable"]["version"] == "1.1.0"


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
