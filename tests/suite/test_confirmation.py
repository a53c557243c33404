"""A failed smoke case is run once more: what passes then is flaky, forgiven and charged; everything else stands."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gate.deployment.run import Run
from gate.deployment.view import Silent
from gate.engines.process import ProcessEngine
from gate.judging.confirm import CORRUPTION
from gate.machine import shell
from gate.machine.interrupt import Interrupted, Interrupts
from gate.records.sqlite import SqliteFile
from gate.records.store import Flake, Store
from gate.releases import Release
from gate.results import Case, CaseOutcome, Decision, Outcome, SuiteResult, Verdict
from gate.steps.base import StepFailed
from gate.steps.smoke import judge
from tests.suite.project import Project, case, outcomes

PASSED, FAILED, ERROR = CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.ERROR

HEAD = '''
from pathlib import Path

def runs(name):
    """How often this was called for ``name``, over all processes."""
    file = Path(f"{name}.runs")
    file.write_text((file.read_text() if file.exists() else "") + "x")
    return len(file.read_text())

'''
# Each is right the second time it runs.
FLAKY = """
def test_flaky(measure):
    assert runs("flaky") > 1, "once upon a time"
"""
FLAKY_CRITICAL = f"@pytest.mark.critical{FLAKY}"
GOOD = """
@pytest.mark.critical
def test_good():
    runs("good")
"""
# Still running when the first process is stopped for the case before it.
SLOW = """
def test_slow(context):
    import time
    if not context.cases:
        time.sleep(60)
"""
ENDLESS = """
def test_endless():
    import time
    time.sleep(60)
"""


class Watching(Silent):
    """Remembers what a person is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.cases: list[Case] = []
        self.plans: list[int] = []

    def progress(self, text: str) -> None:
        self.told.append(text)

    def note(self, text: str) -> None:
        self.told.append(text)

    def case(self, case: Case) -> None:
        self.cases.append(case)

    def planned(self, cases: int) -> None:
        self.plans.append(cases)


@dataclass
class Deployment:
    """One deployment of a made-up project, as far as its smoke tests are concerned."""

    project: Project
    run: Run
    view: Watching
    store: Store
    reasons: list[str] = field(default_factory=list)
    decision: Decision = Decision.GO

    def smoke(self, phase: str = "candidate") -> Deployment:
        try:
            judge(self.run, phase)
        except StepFailed as fault:
            self.reasons = [reason.text for reason in fault.reasons]
            self.decision = self.verdict.decision
        return self

    @property
    def result(self) -> SuiteResult:
        return self.run.evidence.suites[-1].result

    @property
    def verdict(self) -> Verdict:
        return self.run.evidence.suites[-1].verdict

    def end(self) -> None:
        self.store.end(self.run.deployment, Outcome.RELEASED, [], cases=0, checks=0, report=None)

    def times(self, name: str) -> int:
        file = self.project.root / f"{name}.runs"
        return len(file.read_text()) if file.exists() else 0


def deployment(project: Project, action: str = "deploy") -> Deployment:
    environment = project.environment
    store = Store(SqliteFile(project.root / "gate.db"))
    facts: dict[str, Any] = {"version": "1.0.0", "digest": "sha256:1", "folder": str(project.root), "by": "me@here"}
    number = store.begin(action=action, commit=None, stable_version=None, stable_instance=None, **facts)
    view = Watching()
    folder = project.root / "out" / str(number)
    run = Run(
        environment=environment,
        engine=ProcessEngine(environment),
        store=store,
        view=view,
        interrupts=Interrupts(lambda: None),
        release=Release("1.0.0", "sha256:1", None, project.root, None),
        stable=None,
        deployment=number,
        action=action,
        by="me@here",
        folder=folder,
        reports=folder,
    )
    return Deployment(project, run, view, store)


@pytest.fixture
def smoke(project: Project) -> Project:
    """The project with its helper at hand; each test writes its smoke tests with ``written``."""
    return project


def written(project: Project, *cases: str) -> Project:
    return project.cases(HEAD + "\n".join(map(textwrap.dedent, cases)), "smoke/test_made_up.py")


def test_fails_once_then_passes(smoke: Project) -> None:
    """GO, with the first failure in the record, a note and a charge."""
    ran = deployment(written(smoke, GOOD, FLAKY)).smoke()
    assert (ran.decision, ran.reasons) == (Decision.GO, [])
    assert outcomes(ran.result) == {"test_good": PASSED, "test_flaky": PASSED}
    found = case(ran.result, "test_flaky")
    assert found.flaky
    assert [(attempt.outcome, attempt.message) for attempt in found.attempts] == [
        (FAILED, "once upon a time"),
        (PASSED, ""),
    ]
    assert "once upon a time" in found.attempts[0].details
    assert (ran.times("good"), ran.times("flaky")) == (1, 2)  # the failed one alone was run once more
    assert ran.store.flakes(20) == [Flake(ran.run.deployment, found.id)]
    assert "confirming 1 failed case" in ran.view.told
    (note,) = ran.run.evidence.notes
    assert note in ran.view.told
    assert note.startswith("flaky: flaky: failed first: once upon a time; passed when it was run once more (1 of 3 in")
    assert ran.view.plans == [2]
    assert ran.run.evidence.decided_at is None
    assert [item.outcome for item in ran.view.cases] == [PASSED, FAILED]


def test_fails_twice(smoke: Project) -> None:
    text = """
    @pytest.mark.critical
    def test_bad():
        assert False, f"{runs('bad')} of 9"
    """
    ran = deployment(written(smoke, text, SLOW, GOOD)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.reasons == ["critical: bad: 1 of 9 (failed again: 2 of 9)"]
    assert [attempt.message for attempt in case(ran.result, "test_bad").attempts] == ["1 of 9", "2 of 9"]
    assert ran.times("good") == 0  # once it is certain nothing more is run
    assert ran.result.stopped
    assert ran.store.flakes(20) == []
    assert ran.run.evidence.notes == []


def test_the_decision_is_certain_after_the_second_run(smoke: Project) -> None:
    text = """
    @pytest.mark.critical
    def test_bad():
        import time
        Path(f"at{runs('bad')}").write_text(str(time.time()))
        assert False
    """
    ran = deployment(written(smoke, text)).smoke()
    decided_at = ran.run.evidence.decided_at
    assert decided_at is not None
    assert decided_at.timestamp() > float((smoke.root / "at2").read_text())


@pytest.mark.parametrize("severity", ["critical", "high"])
def test_wrong_data_stands_at_once(smoke: Project, severity: str) -> None:
    text = f"""
    @pytest.mark.{severity}
    @pytest.mark.corruption
    def test_ledger():
        assert runs("ledger") > 1, "the books do not balance"
    """
    ran = deployment(written(smoke, text, GOOD)).smoke()
    assert ran.decision is (Decision.ROLLBACK if severity == "critical" else Decision.HOLD)
    assert ran.times("ledger") == 1
    assert f"the books do not balance ({CORRUPTION})" in ran.reasons[0]
    assert not any("confirming" in text for text in ran.view.told)


def test_wrong_data_that_was_told_while_another_failure_stopped_the_suite_is_not_lost(smoke: Project) -> None:
    """Both stand in the events file before the gate reads it: neither is run again as if it had never reported."""
    project = smoke.write(
        "conftest.py",
        (smoke.root / "conftest.py").read_text()
        + """
import pytest
from gate.suites import events

class Hold:
    held: list = []

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    # What the file is told is written in one piece at the end of the ledger's case.
    from gate.pytest_plugin.recorder import EventFile
    plain = EventFile.write
    waiting = []
    def write(self, event):
        waiting.append(event)
        if isinstance(event, events.Case) and "flaky" in event.id:
            return
        lines = "".join(events.to_line(each, self._redact) + "\\n" for each in waiting)
        waiting.clear()
        self._stream.write(lines)
        self._stream.flush()
    def started(self, event, _write=write):
        if isinstance(event, events.Started):
            waiting.append(event)
        else:
            _write(self, event)
    EventFile.write = started
""",
    )
    ledger = """
    @pytest.mark.critical
    @pytest.mark.corruption
    def test_ledger():
        assert runs("ledger") > 1, "the books do not balance"
    """
    ran = deployment(written(project, FLAKY_CRITICAL, ledger)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.times("ledger") == 1
    assert any("the books do not balance" in text for text in ran.reasons)


def test_a_spent_budget_lets_the_first_failure_stand(smoke: Project) -> None:
    written(smoke, FLAKY_CRITICAL, GOOD).configure("\n")
    for _ in range(3):
        before = deployment(smoke).smoke()
        before.end()
        (smoke.root / "flaky.runs").unlink()
        assert before.decision is Decision.GO
    ran = deployment(smoke).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.times("flaky") == 1
    assert ran.reasons == [
        "critical: flaky: once upon a time (not run again: the flake budget of 3 is spent: "
        "test_flaky in 1, test_flaky in 2, test_flaky in 3)"
    ]


def test_a_budget_that_does_not_reach_for_all(smoke: Project) -> None:
    smoke.write("environments/here.toml", _with_budget(smoke, 1))
    texts = [FLAKY.replace("flaky", f"flaky_{number}") for number in range(2)]
    ran = deployment(written(smoke, GOOD, *texts)).smoke()
    assert [item.flaky for item in ran.result.cases] == [False, True, False]
    assert ran.decision is Decision.HOLD
    assert "passed when it was run once more, but the flake budget of 1 is spent: test_flaky_0 now" in ran.reasons[0]
    assert len(ran.store.flakes(20)) == 1


@pytest.mark.parametrize("processes", ["", " -n 2"])
def test_a_critical_flake_in_the_middle(smoke: Project, processes: str) -> None:
    """The suite is stopped, and after the second run goes on where it was: every planned case has reported."""
    ini = smoke.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", f"--tb=native{processes}"))
    rest = "\n".join(f"def test_after_{number}(): runs('after_{number}')" for number in range(3))
    ran = deployment(written(smoke, GOOD, FLAKY_CRITICAL, SLOW, rest)).smoke()
    assert ran.decision is Decision.GO
    assert set(outcomes(ran.result).values()) == {PASSED}
    assert len(ran.result.planned) == len(ran.result.cases) == 6
    assert (ran.result.missing, ran.result.stopped, ran.result.broken) == ((), "", "")
    assert ran.verdict.reasons[0].text == "6 of 6 cases passed, 1 flaky"
    if not processes:
        assert [ran.times(name) for name in ("good", "flaky", "after_0", "after_2")] == [1, 2, 1, 1]
    suite = ElementTree.parse(ran.run.folder / "candidate.junit.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["6", "0", "0"]
    assert sorted(file.name for file in ran.run.folder.glob("*.junit.xml")) == ["candidate.junit.xml"]


def test_two_critical_flakes_one_after_the_other(smoke: Project) -> None:
    """The suite is stopped twice, and goes on twice."""
    texts = [FLAKY_CRITICAL.replace("flaky", f"flaky_{number}") for number in range(2)]
    ran = deployment(written(smoke, texts[0], SLOW, texts[1], GOOD)).smoke()
    assert ran.decision is Decision.GO
    assert [item.flaky for item in ran.result.cases] == [True, False, True, False]
    assert [ran.times(name) for name in ("flaky_0", "flaky_1")] == [2, 2]


def test_a_failure_in_the_rest_decides_too(smoke: Project) -> None:
    text = """
    @pytest.mark.critical
    def test_bad(): assert False, "bad"
    """
    ran = deployment(written(smoke, FLAKY_CRITICAL, SLOW, text, ENDLESS, GOOD)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.reasons == ["critical: bad: bad (failed again)"]
    assert outcomes(ran.result) == {"test_flaky": PASSED, "test_slow": PASSED, "test_bad": FAILED}
    assert ran.times("good") == 0


def test_a_rest_that_crashes_is_no_go(smoke: Project) -> None:
    text = """
    def test_ends_it_all():
        import os
        os._exit(0)
    """
    ran = deployment(written(smoke, FLAKY_CRITICAL, text, GOOD)).smoke()
    assert ran.decision is Decision.HOLD
    assert any("never reported" in text for text in ran.reasons)


def test_more_than_two_failures_all_flaky(smoke: Project) -> None:
    """The third failure stops the suite; all three are run once more in one process."""
    texts = [FLAKY.replace("flaky", f"flaky_{number}") for number in range(3)]
    ran = deployment(written(smoke, *texts, SLOW)).smoke()
    assert ran.decision is Decision.GO
    assert ran.verdict.reasons[0].text == "4 of 4 cases passed, 3 flaky"
    assert ran.view.told.count("confirming 3 failed cases") == 1
    assert len(ran.store.flakes(20)) == 3
    assert outcomes(ran.result)["test_slow"] is PASSED


def test_three_failures_of_which_one_is_flaky(smoke: Project) -> None:
    """Two stand, which is inconclusive: all of the suite must be seen."""
    bad = "\n".join(f"def test_bad_{number}(): assert False, 'bad'" for number in range(2))
    ran = deployment(written(smoke, FLAKY, bad, SLOW)).smoke()
    assert ran.decision is Decision.HOLD
    assert ran.reasons[0] == "2 of 4 cases failed: bad 0: bad (failed again); bad 1: bad (failed again)"
    assert outcomes(ran.result)["test_slow"] is PASSED


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ("import os; os._exit(3)", "run once more, it never reported: pytest ended with exit code 3"),
        ("pytest.skip('no time')", "run once more, it did not pass (skipped): no time"),
        ("inconclusive('too dark')", "run once more, it did not pass (warning): cannot tell: too dark"),
        ("measure('no_such_signal', 1)", "run once more, the checker itself broke: "),
    ],
)
def test_a_second_run_that_is_no_pass(smoke: Project, again: str, said: str) -> None:
    text = f"""
    @pytest.mark.critical
    def test_bad(inconclusive, measure):
        assert runs("bad") > 1, "bad"
        {again}
    """
    ran = deployment(written(smoke, text)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.reasons[0].startswith(f"critical: bad: bad ({said}")
    assert outcomes(ran.result) == {"test_bad": FAILED}


def test_a_case_that_is_not_found_again_stands(smoke: Project) -> None:
    text = """
    @pytest.mark.critical
    @pytest.mark.parametrize("number", [runs("collected")])
    def test_bad(number): assert False, "bad"
    """
    ran = deployment(written(smoke, text)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert ran.reasons == ["critical: bad [1]: bad (run once more, it never reported)"]


def test_a_figure_past_its_rollback_limit(smoke: Project) -> None:
    text = """
    def test_disk(measure):
        measure("disk", 0.95 if runs("disk") == 1 else {second})
    """
    once = deployment(written(smoke, text.format(second=0.1), GOOD)).smoke()
    assert once.decision is Decision.GO
    found = case(once.result, "test_disk")
    assert [attempt.measurements[0].value for attempt in found.attempts] == [0.95, 0.1]
    assert found.attempts[0].message == "disk 95 % > 90% (n = 1)"
    (smoke.root / "disk.runs").unlink()

    twice = deployment(written(smoke, text.format(second=0.97), GOOD)).smoke()
    assert twice.decision is Decision.ROLLBACK
    assert twice.reasons == ["disk 95 % > 90% (n = 1): disk (failed again: disk 97 % > 90% (n = 1))"]
    (smoke.root / "disk.runs").unlink()

    between = deployment(written(smoke, text.format(second=0.8), GOOD)).smoke()
    assert between.decision is Decision.HOLD  # flaky, and its figure still neither good nor bad


def test_a_checker_that_broke_is_not_run_again(smoke: Project) -> None:
    text = """
    @pytest.fixture
    def broken():
        runs("broken")
        raise OSError("disk gone")
    def test_broken(broken): pass
    """
    ran = deployment(written(smoke, text, GOOD)).smoke()
    assert outcomes(ran.result)["test_broken"] is ERROR
    assert ran.times("broken") == 1


def test_a_restored_release_is_confirmed_whatever_the_budget_and_never_charged(smoke: Project) -> None:
    smoke.write("environments/here.toml", _with_budget(smoke, 0))
    written(smoke, FLAKY_CRITICAL)
    ran = deployment(smoke).smoke("restored")
    assert ran.decision is Decision.GO
    assert case(ran.result, "test_flaky").flaky
    assert ran.store.flakes(20) == []
    assert "of 0" not in ran.run.evidence.notes[0]
    (smoke.root / "flaky.runs").unlink()
    assert deployment(smoke, "rollback").smoke().decision is Decision.GO  # so is a rollback that was asked for
    (smoke.root / "flaky.runs").unlink()
    assert deployment(smoke).smoke("front").decision is Decision.ROLLBACK


def test_both_phases_of_a_deployment_are_charged(smoke: Project) -> None:
    ran = deployment(written(smoke, FLAKY, GOOD)).smoke()
    (smoke.root / "flaky.runs").unlink()
    ran.smoke("front")
    assert ran.decision is Decision.GO
    assert "(2 of 3 in the last 20 deployments)" in ran.run.evidence.notes[1]


def test_a_suite_s_time_is_for_all_its_processes(smoke: Project) -> None:
    smoke.write(
        "environments/here.toml",
        smoke.environment.file.read_text().replace('"smoke"], timeout = "60s"', '"smoke"], timeout = "4s"'),
    )
    text = """
    @pytest.mark.critical
    def test_hangs():
        import time
        assert runs("hangs") > 1, "bad"
        time.sleep(60)
    """
    ran = deployment(written(smoke, text)).smoke()
    assert ran.decision is Decision.ROLLBACK
    assert "run once more, it never reported: it did not end within 4 s while running" in ran.reasons[0]
    assert ran.result.seconds < 20


@contextmanager
def signalled_when(file: Path) -> Iterator[None]:
    """Interrupts the block as the gate's signal handler does, once ``file`` is there."""

    def interrupt() -> None:
        if shell.wait_until(file.exists, timeout=30):
            os.kill(os.getpid(), signal.SIGUSR1)

    def handle(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def test_interrupted_during_the_confirmation(smoke: Project) -> None:
    """As during the suite: its fixtures clean up, nothing is left, and whoever runs it hears of it."""
    text = """
    import os, time
    @pytest.fixture
    def tidy():
        yield
        Path(f"tidied{runs('tidy')}").touch()
    @pytest.mark.critical
    def test_slow(tidy):
        assert runs("slow") > 1, "bad"
        Path("pid").write_text(str(os.getpid()))
        time.sleep(60)
    """
    ran = deployment(written(smoke, text))
    with signalled_when(smoke.root / "pid"), pytest.raises(Interrupted):
        ran.smoke()
    assert (smoke.root / "tidied1").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((smoke.root / "pid").read_text()), 0)


def test_the_events_of_a_process_that_died_before_are_not_read_again(smoke: Project) -> None:
    ran = deployment(written(smoke, FLAKY, GOOD))
    ran.run.folder.mkdir(parents=True)
    (ran.run.folder / "candidate-rest-7.html").write_text("old")
    ran.smoke()
    assert not (ran.run.folder / "candidate-rest-7.html").exists()


def test_by_hand_nothing_is_run_again(smoke: Project) -> None:
    written(smoke, FLAKY_CRITICAL, GOOD)
    ran = smoke.by_hand("smoke", "--gate-context", str(_context(smoke)))
    assert ran.code == 1
    assert (smoke.root / "flaky.runs").read_text() == "x"


def test_a_corruption_marker_takes_no_argument(project: Project) -> None:
    result = project.cases("@pytest.mark.corruption('books')\ndef test_ledger(): pass\n").run()
    assert "corruption('books'): write corruption without arguments" in result.broken


def _with_budget(project: Project, budget: int) -> str:
    text = project.environment.file.read_text()
    return text.replace('smoke = { folders = ["smoke"]', f'smoke = {{ flake_budget = {budget}, folders = ["smoke"]')


def _context(project: Project) -> Path:
    fields = {"environment": "here", "phase": "front", "deployment": None, "release": None, "stable": None}
    rest: dict[str, object] = {"instance": None, "stable_instance": None, "allow_downgrade": False, "known_digests": {}}
    file = project.root / "context.json"
    file.write_text(json.dumps(fields | rest | {"only": [], "cases": []}))
    return file
