"""The smoke tests for any application: each sees its fault, on one that has nothing to do with the shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gate.engines.base import Instance
from gate.results import CaseOutcome
from tests.smoke.rig import REPOSITORY, TINY, Place, failed, place, tiny_release

Start = Callable[[str], Instance]


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    with place("tiny", TINY) as here:
        yield here


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(1, 1000))


@pytest.fixture
def start(tiny: Place, numbers: Iterator[int]) -> Iterator[Start]:
    """Starts the application with a fault; it is gone after the test."""
    started: list[Instance] = []

    def with_fault(fault: str) -> Instance:
        number = next(numbers)
        release = tiny_release(tiny.root / "releases" / str(number), fault)
        instance = tiny.start(release, f"r{number}")
        started.append(instance)
        return instance

    yield with_fault
    for instance in started:
        tiny.engine.stop(instance, grace=0)


# fault → the file of cases that is asked, the cases that must fail, and words of the message.
FAULTS = {
    "unhealthy": ("test_alive.py", {"test_healthy", "test_ready"}, "GET /health answers 503"),
    "not-ready": ("test_alive.py", {"test_ready"}, "GET /ready answers 503"),
    "sometimes-another-release": ("test_identity.py", {"test_identity"}, "answers as 0.9.0"),
    "wrong-digest": ("test_identity.py", {"test_identity"}, "answers with sha256:000"),
    "no-page": ("test_page.py", {"test_page_and_assets"}, "GET / answers 404"),
    "asset-missing": ("test_page.py", {"test_page_and_assets"}, "GET /app.js (script) answers 404"),
    "page-for-everything": ("test_page.py", {"test_page_and_assets"}, "is served as 'text/html"),
    "no-security-headers": ("test_security_headers.py", {"test_security_headers"}, "no Content-Security-Policy"),
    "tells-its-version": (
        "test_security_headers.py",
        {"test_security_headers"},
        "Server tells the version: tiny/1.0.3",
    ),
    "slow": ("test_response_times.py", {"test_response_times"}, "GET /items"),
    "fails": ("test_response_times.py", {"test_response_times"}, "GET /items: 6 of 24 answers failed"),
    "dies": ("test_response_times.py", {"test_response_times"}, ""),
    "logs-an-error": ("test_log.py", {"test_no_errors_in_the_log"}, "log_errors 1 > 0"),
    "burns-cpu": ("test_resources.py", {"test_cpu_and_memory"}, "cpu "),
    "hoards-memory": ("test_resources.py", {"test_cpu_and_memory"}, "memory "),
    "document-differs": ("test_contract.py", {"test_api_document"}, "GET /items"),
    "answer-differs": ("test_contract.py", {"test_answers_fit_the_document"}, "$.items: expected type array"),
    "ignores-sigterm": ("test_shutdown.py", {"test_graceful_shutdown"}, "still takes new requests"),
    "cuts-off": ("test_shutdown.py", {"test_graceful_shutdown"}, "cut off"),
    "ends-badly": ("test_shutdown.py", {"test_graceful_shutdown"}, "exit code 3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_seen(tiny: Place, start: Start, fault: str) -> None:
    file, cases, words = FAULTS[fault]
    found = failed(tiny.judge(start(fault), [f"smoke/{file}"]))
    assert {name.split("::")[1] for name in found} >= cases, found
    assert words in found[f"{file}::{sorted(cases)[0]}"], found
    assert all(message.startswith("failed") for message in found.values()), found


NOT_ABOUT_THE_SHOP = sorted(f"smoke/{file.name}" for file in (REPOSITORY / "smoke").glob("test_*.py"))


@pytest.mark.parametrize("phase", ["candidate", "front"])
def test_good_application_passes(tiny: Place, start: Start, phase: str) -> None:
    instance = start("none")
    if phase == "front":
        tiny.engine.promote(instance)
    result = tiny.judge(instance, NOT_ABOUT_THE_SHOP, phase=phase)
    assert not failed(result)
    at_the_door = {case.outcome for case in result.cases if "front_door" in case.id}
    assert at_the_door == {CaseOutcome.PASSED if phase == "front" else CaseOutcome.NOT_APPLICABLE}
    # It has no database: what asks one does not apply, and everything else was really measured.
    unasked = {case.id for case in result.of(CaseOutcome.NOT_APPLICABLE) if "front_door" not in case.id}
    assert unasked == {"smoke/test_backup.py::test_last_backup", "smoke/test_invariants.py::test_data_invariants"}


def test_dead_application(tiny: Place, start: Start) -> None:
    instance = start("none")
    tiny.engine.stop(instance)
    found = failed(tiny.judge(instance, ["smoke/test_alive.py", "smoke/test_identity.py"]))
    assert found.keys() == {
        "test_alive.py::test_healthy",
        "test_alive.py::test_ready",
        "test_identity.py::test_identity",
    }
    assert "1 of 1 services are down" in found["test_alive.py::test_healthy"]


def test_another_release_at_the_front_door(tiny: Place, start: Start) -> None:
    deployed, serving = start("none"), start("elsewhere")
    tiny.engine.promote(serving)
    found = failed(tiny.judge(deployed, ["smoke/test_identity.py", "smoke/test_front_door.py"], phase="front"))
    assert found.keys() == {"test_identity.py::test_identity", "test_front_door.py::test_front_door"}


def test_script_error_is_seen_where_a_browser_is(tiny: Place, start: Start) -> None:
    result = tiny.judge(start("script-throws"), ["smoke/test_page.py"])
    case = next(case for case in result.cases if case.id.endswith("test_page_in_a_browser"))
    if case.outcome is CaseOutcome.WARNING:
        assert "no headless browser" in case.message
        pytest.skip("no headless browser is installed")
    assert case.outcome is CaseOutcome.FAILED
    assert "broken" in case.message


def test_fatal_fault_is_told_first(tiny: Place, start: Start) -> None:
    """The order of the cases: what decides comes first, what looks back comes last."""
    planned = tiny.judge(start("none"), ["smoke"], phase="candidate").planned
    files = list(dict.fromkeys(case_id.split("::")[0] for case_id in planned))
    assert files[:2] == ["smoke/test_alive.py", "smoke/test_identity.py"]
    assert files[-2:] == ["smoke/test_invariants.py", "smoke/test_log.py"]
