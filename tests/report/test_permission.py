"""The part of the report on whose word a deployment had: all of it told, and nothing where there is nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from gate.redact import Redactor
from gate.report import document
from gate.report.permission import ConditionRecord, DebtRecord, ItemRecord, PermissionRecord, SignOffRecord
from tests.report import samples
from tests.report.page import page_of
from tests.report.shop import NEW, START, digest

HASHES = (NEW.digest, digest("migrations"), digest("suite"), digest("policy"))
SIGNED = SignOffRecord("business", "carol", "ci@ops", START, START + timedelta(days=30), *HASHES, signed=True)
DEBT = DebtRecord(41, "1.0.1", "<b>the shop</b> is down", "dora@ops", START, START, ("technical",), ("window: closed",))
GIVEN = PermissionRecord(
    conditions=(ConditionRecord("sign-off business", True, "carol, valid to 2026-12-24"),
                ConditionRecord("window", False, "2026-11-24 14:00 CET lies outside of the window")),
    emergency="checkout is down",
    signoffs=(SIGNED,),
    checklist=(ItemRecord("before", "on-call", "On-call is ready", "bob", START),
               ItemRecord("after", "told", "The team is told")),
    debts=(DEBT,),
)  # fmt: skip


def test_who_signed_when_for_what_and_what_is_owed_is_on_the_page() -> None:
    page = page_of(replace(samples.released(), permission=GIVEN))
    wanted = [*HASHES, "carol", "signed with an SSH key", "2026-11-24 02:13:04 UTC", "On-call is ready bob", "open"]
    wanted += ["EMERGENCY checkout is down", "outside of the window", "TO BE SIGNED Deployment 41", "window: closed"]
    for text in [*wanted, "<b>the shop</b> is down", "overdue"]:
        assert text in page.text, text
    assert not page.all("b", "permission"), "a reason stays text"


def test_nothing_waited_for_is_nothing_on_the_page() -> None:
    assert "Permission" not in page_of(samples.released()).text


def test_it_comes_back_whole_from_the_document() -> None:
    record = replace(samples.released(), permission=GIVEN)
    assert document.from_json(json.loads(json.dumps(document.to_json(record, Redactor())))) == record
