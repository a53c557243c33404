"""Records and lock in a PostgreSQL that machines share; and what still works while it does not answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gate.database.cluster import Cluster, scratch
from gate.machine.shell import wait_until
from gate.records.advisory import AdvisoryLock
from gate.records.postgres import PostgresSchema, schema_name
from tests.commands.little import Little, little
from tests.commands.test_fifty import WAITS

DIES_AT_THE_FRONT = """
import os, signal
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]
def test_made_up(context):
    if context.phase == "front":
        os.kill(os.getppid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with scratch(tmp_path_factory.mktemp("s")) as made:
        yield made


@pytest.fixture(scope="module")
def project(cluster: Cluster) -> Iterator[Little]:
    with little(None, "1.0.0", "1.1.0", state=cluster.url("postgres").reveal()) as made:
        yield made


@pytest.fixture
def here(project: Little) -> Iterator[Little]:
    """1.1.0 serves, 1.0.0 served before."""
    if project.serving() != "1.1.0":
        ran = project.deploy("1.1.0")
        assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
    yield project
    project.restore()
    (project.root / "go").unlink(missing_ok=True)


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    cluster.stop(grace=0)
    try:
        yield
    finally:
        cluster.start()


def shared(here: Little) -> AdvisoryLock:
    url = here.loaded.state.url
    assert url is not None
    return AdvisoryLock(PostgresSchema(url, schema_name("tiny", "local")))


def test_nothing_is_kept_in_a_file(here: Little) -> None:
    versions = [item["version"] for item in here.gate("history").document["deployments"]]
    assert versions[-2:] == ["1.1.0", "1.0.0"]
    assert not (here.state / "gate.db").exists()
    assert here.gate("lock").document["lock"] is None


def test_a_lock_that_is_lost_under_way_undoes_the_deployment(here: Little) -> None:
    here.release("1.2.0")
    here.smoke(WAITS)
    gate = here.start("--version", "1.2.0")
    try:
        assert wait_until(lambda: "deploying 1.2.0" in str(here.gate("lock").document["lock"]), timeout=30)
        assert here.gate("unlock").code == 5, "it runs"
        assert wait_until(lambda: len(here.gate("status").document["instances"]) == 2, timeout=30)
        holder = shared(here).holder()
        assert holder is not None
        shared(here).end(holder)
        (here.root / "go").touch()
        out, err = gate.communicate(timeout=60)
    finally:
        gate.kill()
    ran = here.read(gate.returncode, out, err)
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
    assert "the lock of this environment was lost" in ran.reasons
    assert here.serving() == "1.1.0"


def test_a_gate_killed_elsewhere_is_recovered_from_here(here: Little) -> None:
    here.release("1.3.0")
    here.smoke("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    assert here.deploy("1.3.0").code == -signal.SIGKILL
    here.restore()
    refused = here.deploy("1.1.0")
    assert refused.code == 5, refused.told
    assert "recover" in refused.document["next"]
    ran = here.gate("recover")
    assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), ran.told
    assert here.serving() == "1.1.0"


def test_without_the_records_a_rollback_goes_only_where_a_release_is_proven_to_have_been_kept(
    here: Little, cluster: Cluster
) -> None:
    with away(cluster):
        assert here.deploy("1.1.0").code == 3
        status = here.gate("status")
        assert status.code == 0, status.told
        assert status.document["stable"]["version"] == "1.1.0"
        assert any("the gate's own records cannot be used" in fault for fault in status.document["faults"])
        refused = here.gate("rollback", "--to", "1.3.0")
        assert (refused.code, here.serving()) == (3, "1.1.0"), refused.told
        assert "nothing proves that 1.3.0 was kept here" in refused.told
        assert "rollback   needs no name" in refused.document["next"]
        ran = here.gate("rollback")
        assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
        assert "not recorded, for schema deploy_gate_tiny_local" in ran.told
        assert here.serving() == "1.0.0"
    assert here.gate("status").document["stable"]["version"] == "1.0.0"
    newest = here.gate("history").document["deployments"][0]
    assert newest["action"] == "deploy", "what could not be recorded is not made up afterwards"


def test_without_the_records_the_release_that_still_runs_is_gone_back_to(here: Little, cluster: Cluster) -> None:
    """The gate died at the front door, and the server of its records with it."""
    here.release("1.4.0")
    here.write("smoke/test_made_up.py", DIES_AT_THE_FRONT)
    assert here.deploy("1.4.0").code == -signal.SIGKILL
    here.restore()
    assert here.serving() == "1.4.0", "it died before it could take this back"
    with away(cluster):
        ran = here.gate("rollback")
        assert (ran.code, ran.document["outcome"]) == (1, "ROLLED_BACK"), f"{ran.reasons}\n{ran.told}"
        assert here.serving() == "1.1.0"
    ran = here.gate("recover")
    assert ran.code == 1, ran.told
    assert here.serving() == "1.1.0"
