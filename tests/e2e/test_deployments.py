"""Good deployments: the first ever, the next one, the way back; under customers that never retry."""

from __future__ import annotations

import json

import pytest

from example.customers import Customers
from tests.e2e.sites import CHECKS_OF_DEFECTS, Site, folders


def test_the_site_went_from_nothing_to_1_1_0(site: Site) -> None:
    rows = site.gate("history").document["deployments"]
    first, second = rows[-1], rows[-2]
    assert (first["from"], first["version"], first["outcome"]) == (None, "1.0.0", "RELEASED")
    assert (second["from"], second["version"], second["outcome"]) == ("1.0.0", "1.1.0", "RELEASED")
    record = json.loads((site.root / first["report"]).with_name("decision.json").read_text())
    assert record["first_deployment"] is True


def test_the_report_lies_where_the_answer_says(site: Site) -> None:
    report = site.root / site.gate("history").document["deployments"][-1]["report"]
    assert report.is_file()
    assert "Released" in report.read_text()


def test_no_request_and_no_order_is_lost_in_a_good_and_a_bad_deployment(site: Site) -> None:
    assert site.serving() == "1.1.0"
    folders(site, CHECKS_OF_DEFECTS, '["checks"]')  # all of them, once
    customers = Customers(site.url, count=6, pause=0.02)
    with customers.shopping() as tally:
        back = site.gate("rollback", "--to", "1.0.0")
        further = site.gate("rollback")
        good = site.deploy("1.1.0")
        bad = site.deploy("1.1.0+checkout-500s")
    assert further.code == 2, "1.1.0 was rolled back from: it is no way back, and before 1.0.0 there was nothing"
    assert (back.code, good.code, bad.code) == (1, 0, 1), f"{back.told}\n{good.told}\n{bad.told}"
    assert tally.failures == []
    assert tally.lost(site.database) == []
    assert tally.releases.keys() == {"1.0.0", "1.1.0"}
    assert len(tally.acknowledged) > 100
    record = json.loads((site.root / bad.document["report"]).with_name("decision.json").read_text())
    assert record["kept"]["instances"] == ["1.0.0"], "what was rolled back from is no way back"


def test_dry_run_says_go_and_touches_nothing(site: Site) -> None:
    before = site.traces()
    ran = site.deploy("1.1.0", "--dry-run")
    assert (ran.code, ran.document["outcome"]) == (0, "PLANNED"), ran.told
    assert site.traces() == before


def test_a_downgrade_must_be_asked_for(site: Site) -> None:
    before = site.traces()
    ran = site.deploy("1.0.0")
    assert ran.code == 3, ran.told
    assert "--allow-downgrade" in ran.reasons + ran.told
    assert site.traces() == before


def test_decision_record_has_no_secret(site: Site) -> None:
    secrets = list(json.loads((site.state / "secrets.json").read_text()).values())
    assert len(secrets) >= 4
    evidence = [file for file in (site.root / "reports").rglob("*") if file.is_file()]
    assert len(evidence) >= 4
    for file in evidence:
        text = file.read_text(errors="replace")
        for secret in secrets:
            assert secret not in text, f"{file} holds a secret"


@pytest.fixture(autouse=True)
def on_1_1_0(site: Site) -> None:
    if site.serving() != "1.1.0":
        site.deploy("1.1.0")
