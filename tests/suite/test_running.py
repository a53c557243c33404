"""The child process: decided while it runs, ended at once with all it started, told as it happens."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gate.errors import SuiteError
from gate.judging import verdict
from gate.machine import shell
from gate.machine.interrupt import Interrupted
from gate.releases import Release
from gate.results import Case, CaseOutcome, Decision, Severity, SuiteResult, Verdict
from gate.suites import suite
from gate.suites.context import Context
from tests.engine import disk
from tests.suite.project import Project, outcomes

SLOW = """
def test_slow():
    import time
    time.sleep(60)
"""


def decided(so_far: SuiteResult) -> Verdict | None:
    return verdict.decided(so_far, ())


def gone(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


@pytest.mark.parametrize("processes", ["", " -n 2"])
def test_stops_at_the_first_critical_failure(project: Project, processes: str) -> None:
    """It is decided on the failure itself, before its teardown, and nothing of the run is left behind."""
    text = """
    import os, subprocess, time
    from pathlib import Path

    @pytest.fixture
    def slow_to_clean_up():
        yield
        time.sleep(60)

    @pytest.mark.critical
    def test_fatal(slow_to_clean_up):
        child = subprocess.Popen(["sleep", "60"])
        Path("pids").write_text(f"{os.getpid()} {child.pid}")
        assert False, "fatal"
    """
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", f"--tb=native{processes}"))
    project.cases(text).cases(SLOW, "checks/test_slow.py")
    began = time.monotonic()
    result = project.run(decide=decided)
    assert time.monotonic() - began < 30
    assert result.stopped == "critical: fatal: fatal"
    assert not result.broken
    assert outcomes(result)["test_fatal"] is CaseOutcome.FAILED
    judged = verdict.after(result, ())
    assert judged.decision is Decision.ROLLBACK
    assert all(reason.signal != "coverage" for reason in judged.reasons)  # what was not run is no reason
    pids = [int(pid) for pid in (project.root / "pids").read_text().split()]
    assert shell.wait_until(lambda: all(map(gone, pids)), timeout=5)


def test_stops_when_failures_pass_their_limit(project: Project) -> None:
    text = "\n".join(f"def test_{number}(): assert {number} < 0" for number in range(3)) + SLOW
    result = project.cases(text).run(decide=decided)
    assert result.stopped.startswith("3 > 2 of 4 cases failed")
    assert len(result.cases) == 3


def test_two_failures_do_not_stop(project: Project) -> None:
    text = "\n".join(f"def test_{number}(): assert {number} < 0" for number in range(2)) + "\ndef test_good(): pass\n"
    result = project.cases(text).run(decide=decided)
    assert not result.stopped
    judged = verdict.after(result, ())
    assert judged.decision is Decision.HOLD
    assert judged.reasons[0].text.startswith("2 of 3 cases failed")


def test_cases_are_told_as_they_end(project: Project) -> None:
    """The second case waits for a file that is only written once the first one was told."""
    text = """
    from pathlib import Path
    import time
    def test_first(): pass
    def test_second():
        deadline = time.monotonic() + 20
        while not Path("told").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    """
    planned: list[int] = []

    def told(case: Case) -> None:
        (project.root / "told").touch()

    result = project.cases(text).run(on_case=told, on_planned=planned.append)
    assert set(outcomes(result).values()) == {CaseOutcome.PASSED}
    assert planned == [2]


def test_worse_after_the_teardown_is_told_again(project: Project) -> None:
    text = """
    @pytest.fixture
    def mess():
        yield
        raise OSError("left a mess")
    def test_a(mess): assert False, "first"
    """
    told: list[str] = []
    result = project.cases(text).run(on_case=lambda case: told.append(case.message))
    assert told == ["first", "first; OSError: left a mess"]
    assert len(result.cases) == 1


def test_only_some_severities(project: Project) -> None:
    text = """
    @pytest.mark.critical
    def test_critical(): pass
    def test_high(): assert False
    @pytest.mark.minor
    def test_minor(): assert False
    """
    project.cases(text, "smoke/test_a.py")
    result = project.run("restored", only=(Severity.CRITICAL,))
    assert outcomes(result) == {"test_critical": CaseOutcome.PASSED}
    assert [item.partition("::")[2] for item in result.planned] == ["test_critical"]


def test_no_critical_case_in_a_restored_release_proves_nothing(project: Project) -> None:
    result = project.cases("def test_high(): pass\n", "smoke/test_a.py").run("restored", only=(Severity.CRITICAL,))
    assert verdict.after(result, ()).decision is Decision.HOLD


def test_manual_cases_are_left_to_people(project: Project) -> None:
    project.cases("@pytest.mark.manual\ndef test_by_hand(): assert False\ndef test_good(): pass\n")
    assert set(outcomes(project.run())) == {"test_good"}
    asked = project.by_hand("checks", "-m", "manual")
    assert asked.code == 1
    assert "test_by_hand" in asked.out


def test_interrupted(project: Project) -> None:
    """Ctrl-C ends the run in time for its fixtures to clean up, and goes on to whoever runs the suite."""
    text = """
    import os, time
    from pathlib import Path
    @pytest.fixture
    def tidy():
        yield
        Path("tidied").touch()
    def test_slow(tidy):
        Path("pid").write_text(str(os.getpid()))
        time.sleep(60)
    """

    def interrupt() -> None:
        shell.wait_until((project.root / "pid").exists, timeout=30)
        os.kill(os.getpid(), signal.SIGUSR1)

    def handle(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt)
    try:
        project.cases(text)
        thread.start()
        with pytest.raises(Interrupted):
            project.run()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert (project.root / "tidied").exists()
    assert gone(int((project.root / "pid").read_text()))


def test_context_reaches_the_cases(project: Project, tmp_path: Path) -> None:
    release = Release("1.2.3+x", "sha256:ab", None, tmp_path / "r", tmp_path / "r" / "openapi.json")
    text = f"""
    def test_context(context, release, stable):
        assert (context.phase, context.deployment, context.instance) == ("candidate", 7, None)
        assert context.known_digests == {{"1.0.0": "sha256:00"}}
        assert (release.version, str(release.openapi)) == ("1.2.3+x", "{tmp_path}/r/openapi.json")
        assert stable is None
        assert context.allow_downgrade
    """
    project.cases(text, "smoke/test_a.py")
    result = project.run(
        "candidate",
        deployment=7,
        release=release,
        allow_downgrade=True,
        known_digests={"1.0.0": "sha256:00"},
    )
    assert outcomes(result) == {"test_context": CaseOutcome.PASSED}, result.cases


def test_context_survives_its_json(tmp_path: Path) -> None:
    release = Release("1.0.0", "sha256:ab", "c0ffee", tmp_path, tmp_path / "openapi.json")
    context = Context(
        "here", "front", 3, release, None, "r3", None, known_digests={"1": "2"}, only=(Severity.CRITICAL,)
    )
    assert Context.from_json(context.to_json()) == context
    with pytest.raises(ValueError, match="'later' is not a phase"):
        Context("here", "later")


def test_a_context_that_is_none_is_refused(project: Project) -> None:
    project.write("context.json", "[]")
    ran = project.by_hand("checks", "--gate-context", "context.json")
    assert ran.code == 4
    assert "--gate-context context.json: not a context" in ran.err


CASES_OF_EVERY_KIND = """
def test_passed(): pass
def test_failed(): assert False, "bad <b>character</b> \\x00 \\x1b"
def test_error(no_such_fixture): pass
def test_skipped(): pytest.skip("no")
def test_warning(warn): warn("hm")
@pytest.mark.requires("cache")
def test_not_applicable(): pass
@pytest.mark.parametrize("text", ["<script>alert(1)</script>"])
def test_injection(text): assert False
"""


@pytest.fixture
def every_kind(project: Project) -> SuiteResult:
    return project.cases(CASES_OF_EVERY_KIND).run()


def test_record_junit_and_page_agree(project: Project, every_kind: SuiteResult) -> None:
    suite = ElementTree.parse(project.out / "checks.junit.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    counted = {name: int(suite.get(name, -1)) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": 7, "failures": 2, "errors": 1, "skipped": 2}
    outcome = {
        f"{case.get('name')}": case.find("properties/property[@name='outcome']").get("value")  # type: ignore[union-attr]
        for case in suite.findall("testcase")
    }
    assert outcome == {name: str(value) for name, value in outcomes(every_kind).items()}
    page = (project.out / "checks.html").read_text()
    for text in ("2 Failed", "2 Passed", "2 Skipped", "1 Errors"):
        assert text in page


def test_ids_cannot_inject_into_the_page(project: Project, every_kind: SuiteResult) -> None:
    """The page draws its cells, as HTML, from an attribute that holds all of them as JSON."""
    assert len(every_kind.cases) == 7
    assert "<script>alert" not in (project.out / "checks.junit.xml").read_text()
    page = (project.out / "checks.html").read_text()
    rows = re.search(r'data-jsonblob="([^"]*)"', page)
    assert rows is not None
    tests = json.loads(html.unescape(rows[1]))["tests"]
    drawn = "".join(cell for rows in tests.values() for row in rows for cell in row["resultsTableRow"])
    assert "test_injection[&lt;script&gt;alert(1)&lt;/script&gt;]" in drawn
    for text in (page, drawn):
        assert "<script>alert" not in text


def test_junit_of_an_incomplete_run_is_not_green(project: Project) -> None:
    project.cases("def test_good(): pass\ndef test_a():\n    import os\n    os._exit(0)\n").run()
    suite = ElementTree.parse(project.out / "checks.junit.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert suite.get("errors") == "2"  # the case that never reported, and the suite that broke


def test_an_earlier_run_leaves_nothing_behind(project: Project) -> None:
    project.cases("def test_old(): pass\n").run()
    result = project.cases("import no_such_module\n").run()
    assert not result.cases
    assert result.broken


def test_no_room_for_what_it_tells(project: Project) -> None:
    """A disk that is full or read-only is said for what it is, and is no defect of the gate."""
    with disk.tiny(project.out) as place:
        disk.fill(place)
        with pytest.raises(SuiteError, match=r"the suite's files cannot be written: .*No space left") as caught:
            project.cases("def test_a(): pass").run()
        assert caught.value.next_step == "free some disk space"
    project.out.rmdir()
    project.write("out", "a file where the folder belongs")
    with pytest.raises(SuiteError, match="the suite's files cannot be written"):
        project.run()
    with pytest.raises(SuiteError, match="the suite's files cannot be written"):
        suite.collect(project.environment, Context("here", "candidate"), ["smoke"], project.out)
