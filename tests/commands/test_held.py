"""What is held: kept or not, everything the journal says was begun has its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gate import engines
from gate.deployment import holding
from gate.machine.shell import wait_until
from gate.records import lock
from gate.releases import source
from tests.commands.little import Little, little

# One that is not critical fails: neither good nor bad.
DOUBTFUL = """
import pytest
pytestmark = pytest.mark.category("Core Business Flows")
def test_doubtful(): assert False, "a doubt"
"""
# Fails as often as the file says.
COUNTED = """
from pathlib import Path
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]
def test_made_up():
    left = int(Path("failures").read_text()) if Path("failures").exists() else 0
    Path("failures").write_text(str(max(0, left - 1)))
    assert not left, "the planted fault"
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Little]:
    """1.0.0 serves, and there is a 1.1.0."""
    with little(None, "1.0.0") as here:
        here.release("1.1.0")
        yield here


@pytest.fixture
def here(served: Little) -> Iterator[Little]:
    """The same, as it was before the test, whatever the test changes; 1.0.0 serves again after it."""
    file = served.root / "environments" / "local.toml"
    text = file.read_text()
    yield served
    served.restore()
    (served.root / "smoke" / "test_doubtful.py").unlink(missing_ok=True)
    (served.root / "failures").unlink(missing_ok=True)
    if last_outcome(served) == "HELD":
        served.gate("rollback")
    file.write_text(text)
    assert running(served) == ["1.0.0"]


@pytest.fixture
def held(here: Little) -> Little:
    """1.1.0 is held after the smoke tests of the candidate."""
    here.write("smoke/test_doubtful.py", DOUBTFUL)
    here.write("smoke/test_made_up.py", COUNTED)
    ran = here.deploy("1.1.0")
    assert (ran.code, ran.document["outcome"]) == (6, "HELD"), f"{ran.reasons}\n{ran.told}"
    return here


def running(here: Little) -> list[str]:
    return [item["version"] for item in here.gate("status").document["instances"]]


def last_outcome(here: Little) -> str | None:
    """How the newest deployment ended; None of one that has no end yet."""
    outcome = here.gate("history").document["deployments"][0]["outcome"]
    return None if outcome is None else str(outcome)


def test_what_fails_after_it_was_kept_undoes_all_of_it(held: Little) -> None:
    held.write("failures", "2")  # at the front door, and when that is confirmed
    number = held.store.deployments(1)[0].id
    (held.root / "reports" / "local" / str(number) / "report.html").write_text("all was well", encoding="utf-8")
    ran = held.gate("keep")
    assert "the evidence from before is not proven: report.html: changed" in ran.told
    assert ran.document["unproven"][0].startswith("report.html: changed")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "the planted fault" in ran.reasons
    assert running(held) == ["1.0.0"], "the candidate, started before it was held, is stopped too"
    assert held.serving() == "1.0.0"
    assert held.gate("recover").code == 0, "nothing is left to undo"


def test_a_keep_that_dies_is_recovered_whole(held: Little) -> None:
    held.smoke("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    assert held.gate("keep").code == -9
    held.smoke("pass")
    refused = held.deploy("1.1.0")
    assert refused.code == 5
    assert "died unfinished" in refused.told
    ran = held.gate("recover")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert running(held) == ["1.0.0"]


def test_servers_are_not_stopped_under_what_is_held(held: Little) -> None:
    ran = held.gate("down")
    assert ran.code == 5, ran.told
    assert "keep" in ran.document["next"]
    assert running(held) == ["1.0.0", "1.1.0"]


def test_what_nobody_watches_is_told_and_watched_again(held: Little) -> None:
    keeper = holding.keeper(held.loaded)
    assert held.gate("status").document["faults"] == []
    keeper.stop(0)
    status = held.gate("status")
    assert status.document["faults"] == [
        "nobody watches what is held, and nobody will roll it back: the process that did is gone"
    ]
    assert "it rolls back at" not in status.told
    assert "up watches it again" in status.document["next"]
    up = held.gate("up")
    assert up.document["faults"] == []
    assert "it rolls back at" in up.told
    assert keeper.alive()


def test_the_keeper_waits_for_a_command_that_only_looks_in(here: Little) -> None:
    """A command that holds the lock when the time is up does not keep what is held for ever."""
    here.write("smoke/test_doubtful.py", DOUBTFUL)
    file = here.root / "environments" / "local.toml"
    here.write("environments/local.toml", file.read_text().replace("{ listen", '{ hold_for = "5s", listen'))
    assert here.deploy("1.1.0").code == 6
    with lock.Lock(here.loaded).held("looking in"):
        assert not wait_until(lambda: running(here) == ["1.0.0"], timeout=7, every=1)
    assert wait_until(lambda: running(here) == ["1.0.0"], timeout=20, every=0.5)
    # What runs is put right first, then proven, then recorded.
    assert wait_until(lambda: last_outcome(here) == "ROLLED_BACK", timeout=20, every=0.5)


def test_the_keeper_goes_on_until_what_is_held_can_be_rolled_back(here: Little) -> None:
    """As while nobody reaches a server: neither when it begins nor when the time is up can anything be told."""
    here.write("smoke/test_doubtful.py", DOUBTFUL)
    file = here.root / "environments" / "local.toml"
    here.write("environments/local.toml", file.read_text().replace("{ listen", '{ hold_for = "6s", listen'))
    assert here.deploy("1.1.0").code == 6
    keeper = holding.keeper(here.loaded)
    keeper.stop(0)
    held = here.store.deployments(1)[0]
    facts = here.state / "rel" / str(held.stable_instance) / "instance.json"
    text = facts.read_text()
    facts.write_text("{")
    holding.start_keeper(here.loaded, held.id)
    assert not wait_until(lambda: not keeper.alive(), timeout=7, every=0.5)
    facts.write_text(text)
    assert wait_until(lambda: last_outcome(here) == "ROLLED_BACK", timeout=90, every=0.5)


def test_recover_stops_what_was_left_without_traffic(here: Little) -> None:
    """As by a connection that was lost when the release before was to be stopped."""
    engines.create(here.loaded).start(source(here.loaded).get("1.1.0"), "r90")
    assert here.gate("status").document["next"].endswith("recover   stops what runs without traffic")
    recovered = here.gate("recover")
    assert recovered.code == 0, recovered.told
    assert "1.1.0 (r90) still ran without traffic, and is stopped" in recovered.told
    assert running(here) == ["1.0.0"]
    assert here.gate("status").document["next"] == ""


def test_a_misspelt_signal_of_ones_own_holds(here: Little) -> None:
    file = here.root / "environments" / "local.toml"
    rule = '[[rules]]\nsignal = "checkout_mss"\nunit = "seconds"\nrollback = "> 1s"\n'
    file.write_text(file.read_text() + rule)
    ran = here.deploy("1.1.0")
    assert (ran.code, ran.document["outcome"]) == (6, "HELD"), ran.told
    assert "checkout_mss: a rule is about it, and no case measured it" in ran.reasons
