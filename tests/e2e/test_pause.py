"""Migrations that the serving release cannot live with: users wait, nothing is lost, and the schema goes back; or
there is no way back, which somebody has signed for."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from example.customers import Customers
from tests.e2e.sites import Ran, Site, make_site
from tests.e2e.test_killed import DRIVER

STEPS = '["100% 10s"]'
WAITED = re.compile(r"users waited up to ([\d.]+) s, until (\S+) had the traffic")


@contextmanager
def selling_1_1_0() -> Iterator[Site]:
    """1.1.0 serves; the migration checks and a few smoke tests stand before whatever comes."""
    folder = Path(tempfile.mkdtemp(prefix="gate-pause-"))
    site = make_site(folder, steps=STEPS)
    file = site.root / "environments" / "local.toml"
    text = file.read_text()
    checks = 'folders = ["checks/test_deployment_scripts.py", "checks/test_migrations.py"]'
    smoke = 'folders = ["smoke/test_identity.py", "smoke/test_invariants.py", "smoke/store/test_checkout.py"]'
    text = text.replace('folders = ["checks"]', checks).replace('folders = ["smoke"]', smoke)
    file.write_text(text + "\n[readiness]\nminimum = 80\n")  # with so few checks reservations weigh more
    try:
        assert site.gate("up").code == 0
        first = site.deploy("1.1.0")
        assert first.code == 0, f"{first.reasons}\n{first.told}"
        yield site
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with selling_1_1_0() as made:
        yield made


@pytest.fixture
def one_way() -> Iterator[Site]:
    with selling_1_1_0() as made:
        yield made


def shopping(site: Site) -> Customers:
    return Customers(site.url, count=2, pause=0.05)


def waits(ran: Ran) -> list[float]:
    """Seconds of each time that users had to wait."""
    return [float(found[1]) for note in ran.document["notes"] if (found := WAITED.search(note))]


def schema(site: Site) -> str:
    return str(site.traces()["schema"])


def test_a_bad_release_is_taken_back_with_its_schema_while_users_wait(site: Site) -> None:
    customers = shopping(site)
    with customers.shopping() as tally:
        ran = site.deploy("1.2.0+fails-real-sales")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert tally.failed_by.keys() <= {"1.2.0+fails-real-sales"}, tally.failures[:5]
    assert tally.lost(site.database) == []
    assert tally.releases["1.2.0+fails-real-sales"] > 0
    assert (site.serving(), schema(site)) == ("1.1.0", "0005")
    there, back = waits(ran)
    assert 0 < there < 8
    assert 0 < back < 8
    kept = next((site.state / "aside").rglob("public.sales.csv"))
    with kept.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    sold = [row for row in rows if row["order_id"] in tally.acknowledged]
    assert sold, "orders of the customers are among what was kept aside"
    assert {row["place"] for row in rows} == {"counter"}
    record = json.loads((site.root / ran.document["report"]).with_name("decision.json").read_text())
    assert record["migrations"]["revisions"][0]["kind"] == "contract"
    assert record["migrations"]["way_back"].startswith("users wait about ")
    steps = [step["name"] for step in record["steps"]]
    assert "pause" in steps
    assert "canary" not in steps


@pytest.mark.parametrize("step", ["migrate"])
def test_a_gate_killed_while_users_wait_is_undone(site: Site, step: str) -> None:
    argv = [sys.executable, str(DRIVER), "1.2.0", step, "0.2", "SIGKILL"]
    killed = subprocess.run(argv, cwd=site.root, env=site.environment, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    assert site.gate("up").code == 0, "the servers start; who can live on the schema only the undo knows"
    recovered = site.gate("recover")
    assert (recovered.code, recovered.document["outcome"]) == (1, "ROLLED_BACK"), recovered.told
    assert (site.serving(), schema(site)) == ("1.1.0", "0005")


@pytest.mark.whole
def test_a_candidate_that_dies_while_users_wait_gives_the_traffic_back(site: Site) -> None:
    with shopping(site).shopping() as tally:
        argv = [sys.executable, str(DRIVER), "1.2.0", "health", "0.1", "CANDIDATE"]
        ran = subprocess.run(argv, cwd=site.root, env=site.environment, capture_output=True, timeout=120, check=False)
    assert ran.returncode == 1, ran.stderr.decode()
    assert tally.failures == []
    assert tally.lost(site.database) == []
    assert (site.serving(), schema(site)) == ("1.1.0", "0005")


def test_plan_says_how_long_users_would_wait(site: Site) -> None:
    ran = site.deploy("1.2.0", "--dry-run")
    assert ran.code == 0, ran.told
    way = next(note for note in ran.document["notes"] if note.startswith("way back: "))
    assert re.search(r"users wait about [\d.]+ s while it is migrated, and about [\d.]+ s while", way), way


def test_a_good_one_is_kept_and_nobody_goes_back_to_what_cannot_live(site: Site) -> None:
    with shopping(site).shopping() as tally:
        ran = site.deploy("1.2.0")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert tally.failures == []
    assert tally.lost(site.database) == []
    assert len(waits(ran)) == 1
    assert schema(site) == "0006"
    back = site.gate("rollback")
    assert back.code == 4, back.told
    assert (site.serving(), schema(site)) == ("1.2.0", "0006"), (
        "what cannot live there is proven before it is switched to"
    )
    assert site.gate("recover").code == 1


@pytest.mark.whole
def test_without_a_way_back_it_is_signed_for_and_rolls_forward(one_way: Site) -> None:
    bad, site = "1.2.0+no-way-back.fails-real-sales", one_way
    refused = site.deploy(bad)
    assert refused.code == 3, refused.told
    assert "--roll-forward-only" in refused.reasons
    assert (site.serving(), schema(site)) == ("1.1.0", "0005")
    with shopping(site).shopping() as tally:
        stuck = site.deploy(bad, "--roll-forward-only", "the old form is worthless")
    assert (stuck.code, stuck.document["outcome"]) == (4, "ROLLBACK_FAILED"), stuck.told
    assert any("signed by" in note and "worthless" in note for note in stuck.document["notes"])
    assert "deploys a mended release" in stuck.document["next"]
    assert (site.serving(), schema(site)) == (bad, "0006")
    assert tally.failed_by.keys() <= {bad}
    assert tally.lost(site.database) == []
    mended = site.deploy("1.2.0")
    assert (mended.code, site.serving()) == (0, "1.2.0"), f"{mended.reasons}\n{mended.told}"
