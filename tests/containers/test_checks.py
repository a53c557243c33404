"""The checks that look at images and containers, each with its fault planted on a real engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gate.releases import Release
from gate.results import Case, CaseOutcome
from gate.suites import suite
from gate.suites.context import CHECKS, Context
from tests.checks.projects import REPOSITORY, toml
from tests.containers.dockered import IMAGE, Dockered, dockered, service

PASSED, FAILED = CaseOutcome.PASSED, CaseOutcome.FAILED


@pytest.fixture(scope="module")
def here(docker_host: str) -> Iterator[Dockered]:
    """1.0.0 serves, and the project has the checks."""
    with dockered(docker_host) as made:
        for name in ("checks", "fixtures"):
            shutil.copytree(REPOSITORY / name, made.environment.root / name)
        for name in ("conftest.py", "pytest.ini"):
            shutil.copy2(REPOSITORY / name, made.environment.root / name)
        written(made)
        made.serve("1.0.0", "r1")
        yield made


def written(here: Dockered, *, services: dict[str, Any] | None = None, **engine: Any) -> None:
    """The environment's file, as the suite's own process reads it."""
    environment = here.environment
    content = {
        "app": {"name": environment.app.name, "url": environment.app.url},
        "releases": {"source": "releases", "image": IMAGE},
        "engine": {"kind": "docker", "host": environment.engine.host, "network": "bridge"} | engine,  # type: ignore[union-attr]
        "services": services or {"web": service()},
        "traffic": {"listen": environment.traffic.listen},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
    }
    environment.file.parent.mkdir(exist_ok=True)
    environment.file.write_text("\n".join(f"{key} = {toml(value)}" for key, value in content.items()))


def checks(here: Dockered, release: Release, files: tuple[str, ...] = ("checks/test_images.py",)) -> dict[str, Case]:
    stable = here.engine.stable()
    assert stable is not None
    serves = here.release("1.0.0")
    context = Context(
        "test", CHECKS, release=release, stable=serves, stable_instance=stable.id, instance=None, deployment=None
    )
    result = suite.run(here.environment, context, list(files), here.environment.root / "run", decide=lambda _: None)
    assert not result.broken, result.broken
    assert not result.missing
    return {case.id.rpartition("::")[2]: case for case in result.cases}


def outcomes(cases: dict[str, Case]) -> dict[str, CaseOutcome]:
    return {name.removeprefix("test_"): case.outcome for name, case in cases.items()}


def test_all_is_well(here: Dockered) -> None:
    assert outcomes(checks(here, here.release("1.1.0"))) == {
        "images_are_on_the_host": PASSED,
        "image_runs_as_nobody_special": PASSED,
        "images_are_pinned": PASSED,
        "disks_have_room": PASSED,
        "every_service_says_whether_it_lives": PASSED,
        "limits_hold_for_what_runs": PASSED,
        "stack_limits_what_runs": CaseOutcome.NOT_APPLICABLE,
    }


def test_images_are_on_the_host(here: Dockered) -> None:
    gone = replace(here.release("1.1.0"), image=f"sha256:{'0' * 64}")
    case = checks(here, gone)["test_images_are_on_the_host"]
    assert case.outcome is FAILED
    assert "has no image" in case.message


@pytest.mark.parametrize("user", ["", "USER root\n", "USER 0:10001\n"])
def test_image_runs_as_nobody_special(here: Dockered, user: str) -> None:
    case = checks(here, here.release("1.3.0", dockerfile=user))["test_image_runs_as_nobody_special"]
    assert case.outcome is FAILED
    assert "runs as root" in case.message


def test_the_environment_may_say_who_runs_it(here: Dockered) -> None:
    written(here, user="10001")
    try:
        release = here.release("1.3.0", dockerfile="USER root\n")
        assert outcomes(checks(here, release))["image_runs_as_nobody_special"] is PASSED
    finally:
        written(here)


def test_every_service_says_whether_it_lives(here: Dockered) -> None:
    written(here, services={"web": service(), "worker": {"command": ["work"]}})
    try:
        release = here.release("1.1.0")
        assert outcomes(checks(here, release))["every_service_says_whether_it_lives"] is FAILED
        checked = here.release("1.4.0", dockerfile="USER 10001\nHEALTHCHECK CMD true\n")
        assert outcomes(checks(here, checked))["every_service_says_whether_it_lives"] is PASSED
    finally:
        written(here)


def test_limits_hold_for_what_runs(here: Dockered) -> None:
    here.container("r1").update(mem_limit=2**30, memswap_limit=2**30)
    try:
        case = checks(here, here.release("1.1.0"))["test_limits_hold_for_what_runs"]
        assert case.outcome is FAILED
        assert "web: 1073741824 bytes of memory, not 268435456" in case.message
    finally:
        here.container("r1").update(mem_limit=256 * 2**20, memswap_limit=256 * 2**20)


OURS = {
    "nano_cpus": 10**9,
    "mem_limit": 256 * 2**20,
    "pids_limit": 100,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
"""How the gate starts what serves."""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"nano_cpus": 2 * 10**9}, "web: 2.0 cores, not 1"),
        ({"nano_cpus": None}, "web: no limit of cores, not 1"),
        ({"mem_limit": None}, "web: no limit of bytes of memory, not 268435456"),
        ({"pids_limit": None}, "web: no limit of processes"),
        ({"read_only": False}, "web: it may write to its root"),
        ({"cap_drop": []}, "web: it may gain privileges"),
        ({"security_opt": []}, "web: it may gain privileges"),
        ({"privileged": True}, "web: it may gain privileges"),
    ],
    ids=[
        "as ours",
        "more cores",
        "any cores",
        "any memory",
        "any processes",
        "writable",
        "capabilities",
        "new privileges",
        "privileged",
    ],
)
def test_limits_hold_for_what_somebody_started_beside(here: Dockered, change: dict[str, Any], told: str) -> None:
    """By hand, as the same service: each limit that it lacks is told."""
    own = here.container("r1")
    wanted = {name: value for name, value in {**OURS, **change}.items() if value is not None}
    other = here.docker.containers.run(
        own.image.id, ["sleep", "600"], entrypoint=[], labels=own.labels, detach=True, **wanted
    )
    try:
        case = checks(here, here.release("1.1.0"))["test_limits_hold_for_what_runs"]
        assert case.outcome is (FAILED if told else PASSED), case.message
        assert told in case.message
    finally:
        other.remove(force=True)


def test_ports_are_free_or_ours(here: Dockered) -> None:
    """The proxy that users come by has the port."""
    case = checks(here, here.release("1.1.0"), ("checks/test_environment.py",))["test_ports_are_free_or_ours"]
    assert case.outcome is PASSED, case.message


def test_images_are_pinned(here: Dockered) -> None:
    """Somebody has started by hand, and by its tag, what serves."""
    own = here.container("r1")
    labels = own.labels
    here.release("1.0.0")
    other = here.docker.containers.run(
        f"{IMAGE}:1.0.0", ["sleep", "600"], entrypoint=[], labels=labels | {"deploy-gate.service": "other"}, detach=True
    )
    try:
        case = checks(here, here.release("1.1.0"))["test_images_are_pinned"]
        assert case.outcome is FAILED
        assert f"other: {IMAGE}:1.0.0 is no digest" in case.message
    finally:
        other.remove(force=True)


def test_disks_have_room(here: Dockered) -> None:
    """A disk that a container may write to is fuller than the rule allows; one that is not there cannot be told of."""
    written(here, mounts=["/srv:/inside"])
    environment = here.environment.file.read_text()
    try:
        here.environment.file.write_text(environment + '\nrules = [{ signal = "disk", rollback = "> 0.01%" }]')
        case = checks(here, here.release("1.1.0"))["test_disks_have_room"]
        assert (case.outcome, "/srv" in case.message) == (FAILED, True), case.message
        written(here, mounts=["/no/such/folder:/inside"])
        case = checks(here, here.release("1.1.0"))["test_disks_have_room"]
        assert (case.outcome, "cannot tell: /no/such/folder" in case.message) == (CaseOutcome.WARNING, True), (
            case.message
        )
    finally:
        written(here)
