"""The recipe for systemd, as it is, on a real server: under users who order and never ask twice.

Whatever the outcome: no request of theirs fails, an order that was acknowledged is kept, and what the gate says is so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.everywhere.grounds import gateway
from tests.recipes.project import Recipe, project
from tests.recipes.server import server


@pytest.fixture(scope="module")
def site(image: str) -> Iterator[Recipe]:
    """1.0.0 was deployed, the first of all, and users came as soon as it answered."""
    with server(image) as there, project("systemd", there, gateway(image)) as made:
        made.offer("1.0.0")
        with made.ordering(arriving=True) as bill:
            ran = made.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        made.first = ran, bill
        yield made


@pytest.fixture
def before(site: Recipe) -> Iterator[str]:
    """The version that serves before a test; afterwards the environment file is as it was, and nothing unfinished."""
    yield str(site.serving())
    site.write()
    status = site.gate("status").document
    if status["unfinished"] or status["held"]:  # after a test that failed
        site.put_in_order()


def test_the_first_release_meets_users_who_notice_nothing(site: Recipe) -> None:
    ran, bill = site.first
    assert (ran.document["outcome"], site.serving()) == ("RELEASED", "1.0.0")
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only("1.0.0")


def test_a_good_release_takes_over_by_a_canary_and_nobody_notices(site: Recipe) -> None:
    site.offer("1.1.0")
    with site.ordering() as bill:
        ran = site.deploy("1.1.0")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert "✓ canary " in ran.told
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only("1.1.0")


@pytest.mark.parametrize(
    ("fault", "step", "words"),
    [("crashes", "health", ("has ended",)), ("slow", "canary", ("slower_than_stable", "response_time"))],
    ids=["crashes", "slow"],
)
def test_a_defect_is_taken_back_and_nobody_notices(
    site: Recipe, before: str, fault: str, step: str, words: tuple[str, ...]
) -> None:
    """One that no user meets, and one that is wrong in orders of users alone: the server's log of requests tells."""
    site.offer(f"1.2.0+{fault}", fault)
    site.write(steps='"50% 30s", "100% 30s"')
    with site.ordering() as bill:
        ran = site.deploy(f"1.2.0+{fault}")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert any(word in ran.reasons for word in words), f"{ran.reasons}\n{ran.told}"
    assert f"✗ {step} " in ran.told
    assert ran.document["stable"]["version"] == before
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only(before)


@pytest.mark.parametrize(
    ("step", "seconds", "steps"),
    [
        pytest.param("canary", 2.0, '"5% 60s", "100% 60s"', id="canary", marks=pytest.mark.whole),
        pytest.param("promote", 0.05, '"100% 60s"', id="promote"),
    ],
)
def test_recover_undoes_what_a_killed_gate_began(
    site: Recipe, before: str, step: str, seconds: float, steps: str
) -> None:
    """With some of the users on the candidate, and in the middle of the switch."""
    site.offer("1.3.0")
    site.write(steps=steps)
    with site.ordering() as bill:
        site.killed("1.3.0", step, seconds)
        assert (site.shared() != "") == (step == "canary")
        recovered = site.gate("recover")
    assert (recovered.code, recovered.document["outcome"]) == (1, "ROLLED_BACK"), recovered.told
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only(before)


@pytest.mark.whole
def test_what_served_serves_again_after_a_restart_of_the_server(site: Recipe, before: str) -> None:
    site.server.restart()
    site.only(before)
    assert site.gate("status").code == 0
