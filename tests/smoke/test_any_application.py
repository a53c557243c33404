"""The smoke tests for any application: each sees its fault, on one that has nothing to do with the shop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count

import pytest

from gate.engines.base import Instance
from gate.machine import shell
from gate.machine.supervise import Process
from gate.results import CaseOutcome
from tests.smoke.rig import LOW_CPU_LIMIT, REPOSITORY, TINY, Place, failed, place, tiny_release

Start = Callable[..., Instance]


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    with place("tiny", TINY + LOW_CPU_LIMIT) as here:
        yield here


@pytest.fixture(scope="module")
def start(tiny: Place) -> Start:
    """Starts the application with faults, or with none."""
    numbers = count(1)

    def with_faults(*faults: str) -> Instance:
        number = next(numbers)
        return tiny.start(tiny_release(tiny.root / "releases" / str(number), faults), f"r{number}")

    return with_faults


@dataclass(frozen=True)
class Seen:
    """The case that sees a fault, and words of its message."""

    case: str
    words: str


# Faults that do not hide one another are planted together, in one application that is judged once.
GROUPS: list[dict[str, Seen]] = [
    {
        "wrong-digest": Seen("test_identity.py::test_identity", "answers with sha256:000"),
        "no-page": Seen("test_page.py::test_page_and_assets", "GET / answers 404"),
        "no-security-headers": Seen("test_security_headers.py::test_security_headers", "no Content-Security-Policy"),
        "slow": Seen("test_response_times.py::test_response_times", "GET /items"),
        "logs-an-error": Seen("test_log.py::test_no_errors_in_the_log", "log_errors 1 > 0"),
        "hoards-memory": Seen("test_resources.py::test_memory", "memory "),
        "document-differs": Seen("test_contract.py::test_api_document", "GET /items"),
        "cuts-off": Seen("test_shutdown.py::test_graceful_shutdown", "cut off"),
    },
    {
        "sometimes-another-release": Seen("test_identity.py::test_identity", "answers as 0.9.0"),
        "asset-missing": Seen("test_page.py::test_page_and_assets", "GET /app.js (script) answers 404"),
        "tells-its-version": Seen("test_security_headers.py::test_security_headers", "tells the version: tiny/1.0.3"),
        "burns-cpu": Seen("test_resources.py::test_cpu", "cpu "),
        "answer-differs": Seen("test_contract.py::test_answers_fit_the_document", "$.items: expected type array"),
        "ignores-sigterm": Seen("test_shutdown.py::test_graceful_shutdown", "still takes new requests"),
    },
    {
        "page-for-everything": Seen("test_page.py::test_page_and_assets", "is served as 'text/html"),
        "fails": Seen("test_response_times.py::test_response_times", "GET /items: 6 of 24 answers failed"),
        "ends-badly": Seen("test_shutdown.py::test_graceful_shutdown", "exit code 3"),
    },
    {"unhealthy": Seen("test_alive.py::test_healthy", "GET /health answers 503")},
    {
        "not-ready": Seen("test_alive.py::test_ready", "GET /ready answers 503"),
        "dies": Seen("test_response_times.py::test_response_times", ""),
    },
]


@pytest.fixture(scope="module")
def judged(tiny: Place, start: Start) -> Callable[[int], dict[str, str]]:
    """What the cases of a group say, asked once."""

    @cache
    def ask(group: int) -> dict[str, str]:
        seen = GROUPS[group]
        instance = start(*seen)
        try:
            return failed(tiny.judge(instance, sorted({f"smoke/{each.case}" for each in seen.values()})))
        finally:
            tiny.engine.stop(instance, grace=0)

    return ask


@pytest.mark.parametrize(("group", "fault"), [(group, fault) for group, seen in enumerate(GROUPS) for fault in seen])
def test_fault_is_seen(judged: Callable[[int], dict[str, str]], group: int, fault: str) -> None:
    expected, found = GROUPS[group][fault], judged(group)
    assert expected.case in found, found
    assert found[expected.case].startswith("failed: "), found
    assert expected.words in found[expected.case]


NOT_ABOUT_THE_SHOP = sorted(f"smoke/{file.name}" for file in (REPOSITORY / "smoke").glob("test_*.py"))


def test_good_application_passes(tiny: Place, start: Start) -> None:
    result = tiny.judge(start(), NOT_ABOUT_THE_SHOP)
    assert not failed(result)
    # It has no database and no traffic: what asks these does not apply, and everything else was really measured.
    assert {case.id.removeprefix("smoke/") for case in result.of(CaseOutcome.NOT_APPLICABLE)} == {
        "test_backup.py::test_last_backup",
        "test_front_door.py::test_front_door",
        "test_invariants.py::test_data_invariants",
    }


@pytest.mark.parametrize(
    ("faults", "words"), [((), ""), (("fails",), "requests failed, the first: GET /items: status 500")]
)
def test_synthetic_traffic_goes_on_whatever_is_answered(
    tiny: Place, start: Start, faults: tuple[str, ...], words: str
) -> None:
    instance = start(*faults)
    [case] = tiny.judge(instance, ["smoke/synthetic.py"]).cases
    assert words in case.message
    assert case.outcome is (CaseOutcome.FAILED if faults else CaseOutcome.PASSED)
    assert [tiny.sent(instance, path) for path in ("/", "/items", "/mine")] == [20, 20, 20]


def test_synthetic_traffic_is_no_smoke_test(tiny: Place, start: Start) -> None:
    argv = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "smoke", "--collect-only", "-q"]
    collected = shell.run([*argv, "--environment", "tiny"], cwd=tiny.root, timeout=60, check=False).out
    assert "smoke/test_alive.py" in collected
    assert "synthetic" not in collected


def test_good_application_passes_at_the_front_door(tiny: Place, start: Start) -> None:
    instance = start()
    tiny.engine.promote(instance)
    files = ["smoke/test_alive.py", "smoke/test_identity.py", "smoke/test_front_door.py"]
    assert {case.outcome for case in tiny.judge(instance, files, phase="front").cases} == {CaseOutcome.PASSED}
    # With the traffic came the worker that only one release may have; its death is seen.
    Process(tiny.environment.state_folder / "rel" / instance.id, "worker").kill()
    found = failed(tiny.judge(instance, files, phase="front"))
    assert found["test_alive.py::test_healthy"] == "failed: 1 of 2 services are down: worker: not running"


def test_workers_are_judged_by_the_same_rules(tiny: Place, start: Start) -> None:
    """By hand under pytest-xdist, where the process that gives the verdict collects nothing itself."""
    tiny.engine.promote(start("no-security-headers"))
    cases = ["smoke/test_identity.py", "smoke/test_security_headers.py"]
    argv = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-n", "2", "-q", *cases]
    ran = shell.run([*argv, "--environment", "tiny"], cwd=tiny.root, timeout=60, check=False)
    assert ran.code == 1
    assert "  1 of 2 cases failed: " in ran.out, ran.out


def test_full_disk_is_seen(tiny: Place, start: Start) -> None:
    """The disk stays as it is: the limit is moved below it."""
    file = tiny.environment.file
    kept = file.read_text()
    file.write_text(kept.replace('rollback = "> 99%"', 'rollback = "> 0.1%"'))
    try:
        found = failed(tiny.judge(start(), ["smoke/test_resources.py::test_disk"]))
    finally:
        file.write_text(kept)
    assert "> 0.1%" in found["test_resources.py::test_disk"]


def test_dead_application(tiny: Place, start: Start) -> None:
    instance = start()
    tiny.engine.stop(instance)
    found = failed(tiny.judge(instance, ["smoke/test_alive.py", "smoke/test_identity.py"]))
    assert found.keys() == {
        "test_alive.py::test_healthy",
        "test_alive.py::test_ready",
        "test_identity.py::test_identity",
    }
    assert "1 of 2 services are down" in found["test_alive.py::test_healthy"]


def test_another_release_at_the_front_door(tiny: Place, start: Start) -> None:
    deployed, serving = start(), start("another-one")
    tiny.engine.promote(serving)
    found = failed(tiny.judge(deployed, ["smoke/test_identity.py", "smoke/test_front_door.py"], phase="front"))
    assert found.keys() == {"test_identity.py::test_identity", "test_front_door.py::test_front_door"}


def test_script_error_is_seen_where_a_browser_is(tiny: Place, start: Start) -> None:
    (case,) = tiny.judge(start("script-throws"), ["smoke/test_page.py::test_page_in_a_browser"]).cases
    if case.outcome is CaseOutcome.WARNING:
        assert "no headless browser" in case.message
        pytest.skip("no headless browser is installed")
    assert case.outcome is CaseOutcome.FAILED
    assert "broken" in case.message
