"""Runs a suite: pytest as a child process whose events decide while they come in.

The child tells what happens in an events file. Its exit code and its pages decide nothing: a crash, a hang or a case
that ends the whole process becomes a suite that is broken or incomplete, and never takes the gate along.

With a confirmation, a suite may take several children: it is stopped when its failures would decide, these are run
once more in a fresh one, and what had not reported yet runs on in a third if they did not stand.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import gate
from gate import environments
from gate.config import Environment
from gate.errors import ShellError, SuiteError
from gate.judging.confirm import Confirmation, suspect
from gate.machine import shell, surroundings
from gate.results import Case, CaseOutcome, SuiteResult, Verdict
from gate.suites import events, junit
from gate.suites.context import CHECKS, Context
from gate.suites.events import Broken, Event, Finished, Planned, Started

Decide = Callable[[SuiteResult], Verdict | None]

# A case that ended well cannot be the one that decides.
_UNDECIDING = (CaseOutcome.PASSED, CaseOutcome.NOT_APPLICABLE)
# Passed, some failed, none collected: pytest ran to its end. What that means, the record says.
_RAN = (0, 1, 5)
_LAST_LINES = 5
COLLECT_TIMEOUT = 60.0
"""Seconds that collecting a suite may take."""

# What a child needs of its surroundings. Anything else, a CI's tokens first of all, stays with the gate; a case that
# needs a variable gets it through the environment file: options = { name = "${NAME}" }.
_PASSED_ON = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CI",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSH_AUTH_SOCK", "DOCKER_HOST",
    "PLAYWRIGHT_BROWSERS_PATH",
}  # fmt: skip
_PASSED_ON_PREFIXES = ("PIP_", "UV_")


def _ignore(_: object) -> None:
    """Nobody watches, nobody decides."""


Stop = Callable[[], str]


def never() -> str:
    """Nothing but the suite itself ends it."""
    return ""


def run(
    environment: Environment,
    context: Context,
    folders: Sequence[str],
    out: Path,
    *,
    on_case: Callable[[Case], None] = _ignore,
    on_planned: Callable[[int], None] = _ignore,
    decide: Decide = _ignore,
    confirmation: Confirmation | None = None,
    stop: Stop = never,
) -> SuiteResult:
    """Runs the cases in ``folders`` and returns their record; writes it as JUnit and pytest-html pages into ``out``.

    ``decide`` is asked after every case that did not simply pass; once it has a verdict the run is ended at once. A
    case is told to ``on_case`` when it ends, and again if its teardown made it worse. With a ``confirmation``, failed
    cases are run once more, and only what stands ends the run: ``decide`` is asked about that first, then about all.
    ``stop`` is asked all the time; the reason it gives ends the run at once, and nothing is confirmed any more.
    Raises SuiteError when pytest cannot be started at all, or when what it tells cannot be kept.
    """
    record = _Record(context.phase, on_case, on_planned, decide, confirmation)
    with _kept_in(out):
        children = _Children(environment, context, out, stop)
        children.run(record, "", folders, context)
        if confirmation is not None:
            _confirm(record, confirmation, children, folders)
        result = record.result()
        (out / f"{context.phase}.junit.xml").write_text(junit.of(result), encoding="utf-8")
    return result


@contextmanager
def _kept_in(out: Path) -> Iterator[None]:
    """Makes the folder for what a suite leaves. Raises SuiteError for whatever the system refuses about it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as fault:
        step = "free some disk space" if fault.errno in {errno.ENOSPC, errno.EDQUOT} else None
        text = f"{fault.filename or out}: {fault.strerror}"
        raise SuiteError(f"the suite's files cannot be written: {text}", next_step=step) from None


def _confirm(record: _Record, confirmation: Confirmation, children: _Children, folders: Sequence[str]) -> None:
    """Runs failed cases once more and, if the suite was stopped for failures that do not stand, the rest of it."""
    while not (record.halted or record.certain()):
        suspects = record.suspects()
        if suspects:
            confirmation.begins(len(suspects))
            again = _Record(children.context.phase)
            ids = tuple(case.id for case in suspects)
            files = sorted({case_id.partition("::")[0] for case_id in ids})
            children.run(again, "again", files, replace(children.context, cases=ids))
            if again.halted:
                record.halt(again.stopped)
                return
            record.settle(suspects, again.result())
        if record.halted or not record.stopped or record.certain():
            return
        record.stopped = ""
        rest = record.result().missing
        if rest:
            children.run(record, "rest", folders, replace(children.context, cases=rest))


class _Children:
    """The processes of one suite. They share its time: the last one has what the others left of it."""

    def __init__(self, environment: Environment, context: Context, out: Path, stop: Stop) -> None:
        self.context = context
        self._stop = stop
        self._environment = environment
        self._out = out
        self._timeout = (environment.checks if context.phase == CHECKS else environment.smoke).timeout
        self._deadline = time.monotonic() + self._timeout
        self._started = 0
        for name in ("again", "rest"):  # of a run that died
            for file in out.glob(f"{context.phase}-{name}*"):
                file.unlink()

    def run(self, record: _Record, part: str, wanted: Sequence[str], context: Context) -> None:
        """Runs what ``context`` names of the cases in ``wanted``, and has them recorded. Raises SuiteError."""
        self._started += 1
        files = _Files(self._out, f"{context.phase}-{part}-{self._started}" if part else context.phase)
        files.context.write_text(context.to_json(), encoding="utf-8")
        files.events.unlink(missing_ok=True)
        files.html.unlink(missing_ok=True)
        argv = [
            *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "--color=no"),
            *("--gate-context", str(files.context), "--gate-events", str(files.events)),
            *("--html", str(files.html), "--self-contained-html", *wanted),
        ]
        record.begins()
        try:
            with shell.start(argv, cwd=self._environment.root, env=_variables(self._environment)) as child:
                follow = _Follower(files.events, record, self._stop)
                left = max(0.0, self._deadline - time.monotonic())
                over = shell.wait_until(lambda: follow(child.ended()), timeout=left, every=0.01)
                code = child.kill() if over else child.interrupt(grace=5)
                if over:
                    follow(True)  # what it told before it was killed is known, too
                tail = self._environment.redactor(child.tail())
        except ShellError as fault:
            raise SuiteError(f"pytest could not run: {fault}") from None
        if not over:
            record.broke(f"it did not end within {self._timeout:g} s{record.running()}")
        elif not record.stopped and (not record.finished or code not in _RAN) and not record.broken:
            last = " | ".join([line.strip() for line in tail.splitlines() if line.strip()][-_LAST_LINES:])
            record.broke(f"pytest ended with exit code {code}{record.running()}: {last}")
        _withhold_secrets(files.html, self._environment)


def collect(environment: Environment, context: Context, folders: Sequence[str], out: Path) -> Planned:
    """The cases in ``folders`` that would run. Raises SuiteError when they cannot be collected."""
    files = _Files(out, f"{context.phase}-collected")
    with _kept_in(out):
        files.context.write_text(context.to_json(), encoding="utf-8")
        files.events.unlink(missing_ok=True)
    argv = [
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "--color=no", "--collect-only"),
        *("--gate-context", str(files.context), "--gate-events", str(files.events), *folders),
    ]
    try:
        shell.run(argv, cwd=environment.root, env=_variables(environment), timeout=COLLECT_TIMEOUT, check=False)
        told = [events.from_line(line) for line in files.events.read_text(encoding="utf-8").splitlines()]
    except (ShellError, OSError, ValueError, KeyError, TypeError) as fault:
        raise SuiteError(f"the cases in {', '.join(folders)} cannot be collected: {fault}") from None
    broken = [event.text for event in told if isinstance(event, Broken)]
    planned = [event for event in told if isinstance(event, Planned)]
    if broken or not planned:
        raise SuiteError(f"the cases in {', '.join(folders)} cannot be collected: {'; '.join(broken) or 'no answer'}")
    return planned[-1]


class _Files:
    """What one process of a suite leaves in the report's folder."""

    def __init__(self, out: Path, name: str) -> None:
        self.context = (out / f"{name}.context.json").absolute()
        self.events = (out / f"{name}.events.jsonl").absolute()
        self.html = (out / f"{name}.html").absolute()


class _Record:
    """The suite as far as it has told, over all its processes."""

    def __init__(
        self,
        name: str,
        on_case: Callable[[Case], None] = _ignore,
        on_planned: Callable[[int], None] = _ignore,
        decide: Decide = _ignore,
        confirmation: Confirmation | None = None,
    ) -> None:
        self._name = name
        self._on_case = on_case
        self._on_planned = on_planned
        self._decide = decide
        self._confirmation = confirmation
        self._began = time.monotonic()
        self._planned: tuple[str, ...] | None = None
        self._cases: dict[str, Case] = {}
        self._started: dict[str, None] = {}
        self.finished = False
        self.halted = False
        self.stopped = ""
        self.broken: list[str] = []

    def begins(self) -> None:
        """A process begins."""
        self._started.clear()
        self.finished = False

    def take(self, event: Event) -> None:
        """Takes in one event, and decides on it."""
        match event:
            case Planned():
                if self._planned is None:  # by the first process; another one plans a part of the same
                    self._planned = event.ids
                    self._on_planned(len(event.ids))
            case Started():
                self._started[event.id] = None
            case Broken():
                self.broke(event.text)
            case Finished():
                self.finished = True
            case Case():
                ended = self._confirmation.first(event) if self._confirmation else event
                self._cases[ended.id] = ended
                self._on_case(ended)
                undecided = not self.stopped and ended.outcome not in _UNDECIDING and not self.certain()
                if undecided and self.suspects():
                    self._stop(self._decide(self.result()))

    def halt(self, reason: str) -> None:
        """Somebody else has decided: nothing more is run."""
        self.stopped, self.halted = reason, True

    def certain(self) -> bool:
        """Whether what stands already decides, whatever becomes of the failures that may not."""
        standing = tuple(case for case in self._cases.values() if not self._may_fall(case))
        return self._stop(self._decide(replace(self.result(), cases=standing)))

    def suspects(self) -> list[Case]:
        """Failures to be run once more."""
        return list(filter(self._may_fall, self._cases.values()))

    def settle(self, suspects: Iterable[Case], again: SuiteResult) -> None:
        """Takes in what the second run of ``suspects`` said."""
        said = {case.id: case for case in again.cases}
        if self._confirmation is not None:
            for case in suspects:
                self._cases[case.id] = self._confirmation.settled(case, said.get(case.id), again.broken)

    def _may_fall(self, case: Case) -> bool:
        return self._confirmation is not None and suspect(case)

    def _stop(self, verdict: Verdict | None) -> bool:
        if verdict is not None:
            self.stopped = verdict.reasons[0].text if verdict.reasons else str(verdict.decision)
        return verdict is not None

    def broke(self, text: str) -> None:
        if text not in self.broken:
            self.broken.append(text)

    def running(self) -> str:
        """The cases that began and never reported, as the end of a sentence."""
        running = [case_id for case_id in self._started if case_id not in self._cases]
        return f" while running {', '.join(running)}" if running else ""

    def result(self) -> SuiteResult:
        cases = tuple(self._cases.values())
        seconds = time.monotonic() - self._began
        return SuiteResult(self._name, self._planned or (), cases, seconds, self.stopped, "; ".join(self.broken))


class _Follower:
    """Reads the events file as it grows."""

    def __init__(self, file: Path, record: _Record, stop: Stop) -> None:
        self._stop = stop
        self._file = file
        self._record = record
        self._position = 0

    def __call__(self, ended: bool) -> bool:
        """Hands on all that is new; whether the run is over: decided, or the child has ended and told everything."""
        for line in self._new_lines():
            try:
                event = events.from_line(line)
            except (ValueError, KeyError, TypeError, AttributeError):
                self._record.broke("its events file holds a line that is no event")
                continue
            self._record.take(event)
        reason = self._stop()
        if reason:
            self._record.halt(reason)
        return ended or bool(self._record.stopped)

    def _new_lines(self) -> list[str]:
        """Whole lines since the last call; half a line waits for its end."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as stream:
            stream.seek(self._position)
            whole = stream.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._position += len(whole) + 1
        return whole.decode("utf-8", errors="replace").split("\n")


def _variables(environment: Environment) -> dict[str, str]:
    """The child's whole environment: what it needs to run, and the variables its environment file names."""
    wanted = _PASSED_ON | environments.variable_names(environment.name, environment.root)
    return {**surroundings.kept(wanted, _PASSED_ON_PREFIXES), "PYTHONPATH": str(Path(gate.__file__).parents[1])}


def _withhold_secrets(page: Path, environment: Environment) -> None:
    """The plugin scrubs every report; this page was drawn by others, so it is looked through once more."""
    if not page.exists():
        return
    text = page.read_text(encoding="utf-8")
    clean = environment.redactor(text)
    if clean != text:
        page.write_text(clean, encoding="utf-8")
