"""The same deployments on every engine, under users who order and never ask twice.

Whatever the outcome: an order that was acknowledged is kept, and what the gate says is so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.everywhere.defects import DEFECTS
from tests.everywhere.project import Project


@pytest.fixture
def before(site: Project) -> Iterator[str]:
    """The version that serves before a test; afterwards the environment file is as it was."""
    yield str(site.serving())
    site.write()


def test_the_first_release_meets_users_who_notice_nothing(site: Project) -> None:
    ran, bill = site.first
    assert (ran.document["outcome"], site.serving()) == ("RELEASED", "1.0.0")
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only("1.0.0")


def test_a_good_release_takes_over_and_nobody_notices(site: Project) -> None:
    site.offer("1.1.0")
    before = site.ground.broken(site)
    with site.ordering() as bill:
        ran = site.deploy("1.1.0")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    assert site.ground.broken(site) == before, "an order was sent twice"
    site.only("1.1.0")


@pytest.mark.parametrize("fault", DEFECTS)
def test_a_defect_is_stopped_and_what_served_serves(site: Project, before: str, fault: str) -> None:
    defect = DEFECTS[fault]
    expected = defect.on(site.ground.kind)
    if isinstance(expected, str):
        pytest.skip(f"{site.ground.kind}: {expected}")
    version = f"1.2.0+{fault}"
    site.offer(version, fault)
    # Whoever is stopped does not wait for the end of a step: it may be long.
    site.write(start_timeout=defect.start_timeout, cpu=defect.cpu, steps='"50% 30s", "100% 30s"')
    with site.ordering() as bill:
        ran = site.deploy(version)
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert any(word in ran.reasons for word in expected.words), f"{ran.reasons}\n{ran.told}"
    assert any(f"✗ {step} " in ran.told for step in expected.steps), ran.told
    assert ran.document["stable"]["version"] == before
    assert set(bill.answers) <= {201, *expected.answers}
    site.nothing_lost(bill)
    site.only(before)


@pytest.mark.parametrize("step", ["promote", "bake"])
def test_recover_undoes_what_a_killed_gate_began(site: Project, before: str, step: str) -> None:
    site.offer("1.3.0")
    site.write(steps='"100% 60s"')
    with site.ordering() as bill:
        site.killed("1.3.0", step, site.ground.half_way)
        recovered = site.gate("recover")
    assert (recovered.code, recovered.document["outcome"]) == (1, "ROLLED_BACK"), recovered.told
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only(before)
