"""The gate on a real swarm: what was rolled out, what was taken back, and a node that dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.swarm.conftest import Swarmed, swarmed
from tests.team.users import shopping


@pytest.fixture(scope="module")
def site(swarm: str) -> Iterator[Swarmed]:
    """1.0.0 was deployed by the gate over what had been there."""
    with swarmed() as made:
        made.release("1.0.0")
        with shopping(made):
            ran = made.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        yield made


def test_a_good_release_is_rolled_out_and_nobody_notices(site: Swarmed) -> None:
    site.release("1.1.0")
    with shopping(site) as answers:
        ran = site.deploy("1.1.0")
    assert (ran.code, site.running()) == (0, ["1.1.0"] * 3), f"{ran.reasons}\n{ran.told}"
    assert set(answers) == {200}
    assert len(answers) > 100
    back = site.gate("rollback")
    assert (back.code, site.running()) == (1, ["1.0.0"] * 3), f"{back.reasons}\n{back.told}"


@pytest.mark.parametrize("fault", ["crash", "lies"])
def test_a_bad_one_is_taken_back_and_what_served_is_proven(site: Swarmed, fault: str) -> None:
    version = {"crash": "1.2.0", "lies": "1.3.0"}[fault]
    site.release(version, fault)
    with shopping(site) as answers:
        ran = site.deploy(version)
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert site.running() == ["1.0.0"] * 3
    assert set(answers) == {200}
