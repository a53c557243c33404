"""The shop is deployed by environments/staging.toml and production.toml as they are, under users who order.

What is changed in them is listed in changes.py: addresses, folders, durations.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from example.customers import Tally
from gate.machine.shell import wait_until
from tests.containers.conftest import docker_host
from tests.e2e.sites import Ran
from tests.examples.places import Places, Shop, places
from tests.remote.conftest import remote
from tests.remote.server import Server
from tests.swarm.conftest import swarm

__all__ = ["docker_host", "remote", "swarm"]

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1800)]

SIGNERS = {"technical": "alice", "security": "bob", "business": "carol"}


@pytest.fixture(scope="module")
def here(remote: Server, swarm: None, docker_host: str) -> Iterator[Places]:
    with places(remote, docker_host) as made:
        yield made


@pytest.fixture(scope="module")
def first(here: Places) -> tuple[Ran, Tally]:
    """1.0.0 was deployed to staging, where nothing was, and users came as soon as it was open."""
    up = here.staging.gate("up")
    assert up.code == 0, up.told
    with here.staging.ordering(arriving=True) as tally:
        ran = here.staging.release("1.0.0")
    return ran, tally


@pytest.fixture(scope="module")
def second(here: Places, first: tuple[Ran, Tally]) -> tuple[Ran, Tally]:
    """1.1.0 was deployed to staging over it."""
    with here.staging.ordering() as tally:
        ran = here.staging.release("1.1.0")
    return ran, tally


def test_staging_gets_its_first_release(here: Places, first: tuple[Ran, Tally]) -> None:
    ran, tally = first
    released(ran, "1.0.0")
    nothing_lost(here.staging, tally)


def test_staging_gets_the_next_one_and_nobody_notices(here: Places, second: tuple[Ran, Tally]) -> None:
    ran, tally = second
    released(ran, "1.1.0")
    assert tally.releases.keys() == {"1.0.0", "1.1.0"}
    nothing_lost(here.staging, tally)


def test_staging_takes_a_defect_back_by_itself(here: Places, second: tuple[Ran, Tally]) -> None:
    """Before any user has met it."""
    with here.staging.ordering() as tally:
        ran = here.staging.release("1.1.0+checkout-500s")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "4 of 24 sales failed" in ran.reasons, ran.reasons
    assert (here.staging.serving(), ran.document["stable"]["version"]) == ("1.1.0", "1.1.0")
    assert tally.releases.keys() == {"1.1.0"}
    nothing_lost(here.staging, tally)


def test_production_gets_what_has_soaked_once_everybody_has_signed(here: Places, second: tuple[Ran, Tally]) -> None:
    production = here.production
    with here.first_day() as there:
        assert wait_until(lambda: there.running() == ["1.0.0"] * 3, timeout=180), there.running()
        assert wait_until(lambda: production.serving() == "1.0.0", timeout=60)
        refused = production.release("1.1.0")
        assert (refused.code, refused.document["outcome"]) == (3, "REFUSED"), refused.told
        for wanted in (*(f"sign-off {role}: missing" for role in SIGNERS), "monitoring on staging", *here.items()):
            assert wanted in refused.reasons, refused.reasons
        looked_at(here.staging)
        here.tested()
        everybody_signs(here)
        with production.ordering() as tally:
            ran = production.release("1.1.0")
        released(ran, "1.1.0")
        assert (there.running(), production.serving()) == (["1.1.0"] * 3, "1.1.0")
        assert tally.releases.keys() == {"1.0.0", "1.1.0"}
        nothing_lost(production, tally)


def everybody_signs(here: Places) -> None:
    """Each from an account of their own; a fifth person ticks what the checklist wants before."""
    for role, name in SIGNERS.items():
        signed = here.production.typed_by(name, "approve", "--role", role, "--version", "1.1.0")
        assert signed.code == 0, signed.told
    ticked = here.production.typed_by("erin", "checklist", "tick", *here.items(), "--version", "1.1.0")
    assert ticked.code == 0, ticked.told


def looked_at(staging: Shop) -> None:
    """Its monitoring looks as soon as a look is due, and finds it well."""

    def look() -> bool:
        ran = staging.gate("monitor")
        assert ran.code == 0, ran.told
        return ran.document["monitoring"]["tick"] is not None

    assert wait_until(look, timeout=120, every=5), "no look was ever due"


def released(ran: Ran, version: str) -> None:
    assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), f"{ran.reasons}\n{ran.told}"
    assert ran.document["stable"]["version"] == version


def nothing_lost(shop: Shop, tally: Tally) -> None:
    """No request failed, and every order that was acknowledged is there; and there were users at all."""
    assert len(tally.acknowledged) > 100
    assert tally.failures == [], tally.failures[:5]
    assert tally.lost(shop.database) == []
