"""The recipe for Ansible, as it is, on a real server: under users who order and never ask twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.everywhere.grounds import gateway
from tests.recipes.project import Recipe, project
from tests.recipes.server import server


@pytest.fixture(scope="module")
def site(image: str) -> Iterator[Recipe]:
    """1.0.0 was deployed, the first of all."""
    with (
        server(image, sudo="ALL=(root) NOPASSWD: ALL") as there,
        project("ansible", there, gateway(image)) as made,
    ):
        made.offer("1.0.0")
        ran = made.deploy("1.0.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
        yield made


def test_a_good_release_takes_over_and_nobody_notices(site: Recipe) -> None:
    site.offer("1.1.0")
    with site.ordering() as bill:
        ran = site.deploy("1.1.0")
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only("1.1.0")


def test_a_defect_is_taken_back_by_playing_the_version_before(site: Recipe) -> None:
    """Users meet it until then: what is wrong with it fails nobody's order."""
    before = str(site.serving())
    site.offer("1.2.0+logs-errors", "logs-errors")
    with site.ordering() as bill:
        ran = site.deploy("1.2.0+logs-errors")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "log_errors" in ran.reasons
    assert ran.document["stable"]["version"] == before
    assert set(bill.answers) == {201}
    site.nothing_lost(bill)
    site.only(before)
