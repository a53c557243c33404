"""Live traffic decides: defects that nothing else sees are rolled back under customers, good releases stay, and where
nothing can be told a person is asked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from example.customers import Customers
from gate.machine.shell import wait_until
from tests.e2e.sites import Ran, Site, few_cases, make_site

STEPS = '["50% 20s", "100% 12s"]'


@dataclass(frozen=True)
class Expected:
    """How the gate must end, and a signal that may decide it."""

    signals: tuple[str, ...]
    code: int = 1
    steps: str = STEPS


# The movements that the defect did not write.
MENDED = """
INSERT INTO stock_movements (sku, change, kind, training, order_id)
SELECT l.sku, -l.quantity, 'sale', s.training, l.order_id FROM sale_lines l JOIN sales s USING (order_id)
WHERE NOT EXISTS (
  SELECT FROM stock_movements m WHERE m.order_id = l.order_id AND m.sku = l.sku AND m.kind = 'sale'
)
"""

LIVE = {
    "fails-real-sales": Expected(("error_rate", "log_error_rate")),
    "slow-real-sales": Expected(("response_time", "slower_than_stable")),
    "leaks-real-sales": Expected(("memory",)),
    "burns-cpu-live": Expected(("cpu", "response_time", "slower_than_stable")),
    "logs-errors-live": Expected(("log_error_rate",)),
    "late-500s": Expected(("error_rate", "log_error_rate"), steps='["50% 20s", "100% 45s"]'),
    # The data stays wrong after the traffic is back: nobody can call that proven.
    "corrupts-stock-live": Expected(("invariants_broken",), code=4),
}
EVERYWHERE_AS_WELL = {"slow-real-sales", "burns-cpu-live", "logs-errors-live"}
"""Of each, every run tries one like it on every engine: ``tests/everywhere``."""


@pytest.fixture(scope="module")
def live() -> Iterator[Site]:
    """1.0.0 serves; deployments are watched, and only a few checks and smoke tests stand before it."""
    folder = Path(tempfile.mkdtemp(prefix="gate-live-"))
    site = make_site(folder, steps=STEPS)
    few_cases(site)
    try:
        assert site.gate("up").code == 0
        first = site.deploy("1.0.0")
        assert first.code == 0, f"{first.reasons}\n{first.told}"
        yield site
    finally:
        site.gate("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def quiet(live: Site) -> Iterator[Site]:
    """The same without customers and without synthetic traffic: nothing is measured."""
    file = live.root / "environments" / "local.toml"
    kept = file.read_text()
    edit(live, 'synthetic = "smoke/store/synthetic.py"', "")
    edit(live, f"steps = {STEPS}", 'steps = ["50% 2s", "100% 2s"]')
    yield live
    file.write_text(kept)
    live.gate("rollback", "--yes")


def edit(site: Site, old: str, new: str) -> None:
    file = site.root / "environments" / "local.toml"
    text = file.read_text()
    assert old in text, f"{old} is not in local.toml any more"
    file.write_text(text.replace(old, new))


def shopping(site: Site) -> Customers:
    return Customers(site.url, count=4, pause=0.02)


def signals(ran: Ran) -> set[str]:
    return {str(reason["signal"]) for reason in ran.document["reasons"]}


def record_of(site: Site, ran: Ran) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((site.root / ran.document["report"]).with_name("decision.json").read_text())
    return document


def back_to_1_0_0(site: Site) -> None:
    if site.serving() != "1.0.0":
        assert site.gate("rollback", "--to", "1.0.0").code == 1


def test_the_first_release_was_proven_by_synthetic_traffic(live: Site) -> None:
    first = live.gate("history").document["deployments"][-1]
    record = json.loads((live.root / first["report"]).with_name("decision.json").read_text())
    assert first["outcome"] == "RELEASED"
    assert any("synthetic traffic" in note for note in record["notes"])
    (verdict,) = [item for item in record["verdicts"] if item["phase"] == "live traffic"]
    assert "of 0 requests" not in verdict["reasons"][0]["text"]


@pytest.mark.parametrize(
    "defect",
    [pytest.param(name, marks=[pytest.mark.whole] if name in EVERYWHERE_AS_WELL else []) for name in LIVE],
)
def test_a_defect_that_only_users_meet_is_rolled_back(live: Site, defect: str) -> None:
    expected = LIVE[defect]
    back_to_1_0_0(live)
    edit(live, f"steps = {STEPS}", f"steps = {expected.steps}")
    try:
        with shopping(live).shopping() as tally:
            ran = live.deploy(f"1.1.0+{defect}")
    finally:
        edit(live, f"steps = {expected.steps}", f"steps = {STEPS}")
    assert ran.code == expected.code, f"{ran.reasons}\n{ran.told}"
    assert signals(ran) & set(expected.signals), f"{ran.reasons}\n{ran.told}"
    assert live.serving() == "1.0.0"
    assert not tally.failed_by.get("", 0), f"failed by nobody: {tally.failures[:5]}"
    assert not tally.failed_by.get("1.0.0", 0), f"failed by stable: {tally.failures[:5]}"
    assert tally.lost(live.database) == []


def test_the_database_is_repaired_by_a_person(live: Site) -> None:
    """After corrupted stock the gate says so until somebody has mended it; then recover proves and ends it."""
    import psycopg

    assert live.deploy("1.1.0").code == 5, "the failed rollback must be dealt with first"
    with psycopg.connect(live.database, connect_timeout=5) as connection:
        connection.execute(MENDED)
    ran = live.gate("recover")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told


def test_a_good_release_stays_and_its_record_can_be_judged_again(live: Site) -> None:
    back_to_1_0_0(live)
    with shopping(live).shopping() as tally:
        ran = live.deploy("1.1.0")
    assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
    assert tally.failures == []
    assert tally.lost(live.database) == []
    record = record_of(live, ran)
    shares = [switch["share"] for switch in record["traffic"]["switches"]]
    assert shares == [0.5, 1.0]
    for switch in record["traffic"]["switches"]:
        assert switch["attempted"] > 10
        assert switch["failed"] == 0
        assert switch["longest_gap_ms"] < 1000
    assert {sample["release"] for sample in record["traffic"]["samples"]} == {"1.0.0", "1.1.0"}

    number = str(ran.document["deployment"])
    same = live.gate("replay", number).document["phases"][-1]
    assert (same["phase"], same["was"], same["now"]) == ("live traffic", "GO", "GO")
    strict = live.root / "strict.toml"
    strict.write_text('[[rules]]\nsignal = "response_time"\ngo = "< 1ms"\nrollback = "> 2ms"\nmin_n = 20\n')
    other = live.gate("replay", number, "--rules", str(strict)).document["phases"][-1]
    assert other["now"] == "HOLD", "beyond the limit, but stable was as well"
    back_to_1_0_0(live)


def test_nothing_measured_is_held_and_a_person_keeps_it(quiet: Site) -> None:
    back_to_1_0_0(quiet)
    held = quiet.deploy("1.1.0")
    assert (held.code, held.document["outcome"]) == (6, "HELD"), held.told
    assert "too little traffic" in held.reasons
    assert held.document["stable"]["version"] == "1.0.0", "the candidate has half of the traffic, and is not stable"
    status = quiet.gate("status").document
    assert status["held"] == held.document["deployment"]
    assert quiet.deploy("1.1.0").code == 5
    assert quiet.gate("recover").code == 5

    again = quiet.gate("keep")  # past the canary; the bake sees no traffic either
    assert again.code == 6, f"{again.reasons}\n{again.told}"
    kept = quiet.gate("keep")
    assert (kept.code, kept.document["outcome"]) == (0, "RELEASED"), f"{kept.reasons}\n{kept.told}"
    assert "kept by" in kept.reasons
    assert quiet.serving() == "1.1.0"
    steps = [step["name"] for step in record_of(quiet, kept)["steps"]]
    assert steps.index("checks") < steps.index("canary") < steps.index("promote") < steps.index("accept")
    assert quiet.gate("keep").code == 2, "nothing is held any more"
    back_to_1_0_0(quiet)


def test_what_is_held_can_be_rolled_back(quiet: Site) -> None:
    back_to_1_0_0(quiet)
    assert quiet.deploy("1.1.0").code == 6
    ran = quiet.gate("rollback")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "not kept" in ran.reasons
    assert quiet.serving() == "1.0.0"
    assert quiet.gate("status").document["held"] is None


def test_nobody_decides_in_time_so_it_rolls_back_by_itself(quiet: Site) -> None:
    back_to_1_0_0(quiet)
    edit(quiet, "[traffic]\n", '[traffic]\nhold_for = "3s"\n')
    held = quiet.deploy("1.1.0")
    assert held.code == 6, held.told

    def outcome() -> str:
        return str(quiet.gate("history").document["deployments"][0]["outcome"])

    assert wait_until(lambda: outcome() == "ROLLED_BACK", timeout=60, every=1)
    assert quiet.serving() == "1.0.0"
    newest = quiet.gate("history").document["deployments"][0]
    assert any("nobody decided" in reason for reason in newest["reasons"])


def test_a_dead_proxy_log_is_never_a_go(live: Site) -> None:
    back_to_1_0_0(live)
    log = live.state / "traffic" / "access.log"
    log.rename(log.with_name("elsewhere.log"))  # the proxy goes on writing there
    try:
        with shopping(live).shopping():
            ran = live.deploy("1.1.0")
    finally:
        log.with_name("elsewhere.log").rename(log)
    assert ran.code == 6, f"{ran.reasons}\n{ran.told}"
    assert "error_rate" in signals(ran)
    assert live.gate("rollback").code == 1
