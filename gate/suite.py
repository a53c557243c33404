"""Runs a suite: pytest as a child process whose events decide while they come in.

The child tells what happens in an events file. Its exit code and its pages decide nothing: a crash, a hang or a case
that ends the whole process becomes a suite that is broken or incomplete, and never takes the gate along.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gate
from gate import environments, events, junit, shell
from gate.config import Environment
from gate.context import CHECKS, Context
from gate.errors import ShellError, SuiteError
from gate.events import Broken, Event, Finished, Planned, Started
from gate.results import Case, CaseOutcome, SuiteResult, Verdict

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


def run(
    environment: Environment,
    context: Context,
    folders: Sequence[str],
    out: Path,
    *,
    on_case: Callable[[Case], None] = _ignore,
    on_planned: Callable[[int], None] = _ignore,
    decide: Decide = _ignore,
) -> SuiteResult:
    """Runs the cases in ``folders`` and returns their record; writes it as JUnit and pytest-html pages into ``out``.

    ``decide`` is asked after every case that did not simply pass; once it has a verdict the run is ended at once. A
    case is told to ``on_case`` when it ends, and again if its teardown made it worse. Raises SuiteError when pytest
    cannot be started at all.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = _Files(out, context.phase)
    files.context.write_text(context.to_json(), encoding="utf-8")
    files.events.unlink(missing_ok=True)
    files.html.unlink(missing_ok=True)
    record = _Record(context.phase, on_case, on_planned, decide)
    argv = [
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q", "--color=no"),
        *("--gate-context", str(files.context), "--gate-events", str(files.events)),
        *("--html", str(files.html), "--self-contained-html", *folders),
    ]
    timeout = (environment.checks if context.phase == CHECKS else environment.smoke).timeout
    try:
        with shell.start(argv, cwd=environment.root, env=_variables(environment)) as child:
            follow = _Follower(files.events, record)
            over = shell.wait_until(lambda: follow(child.ended()), timeout=timeout, every=0.01)
            code = child.kill() if over else child.interrupt(grace=5)
            tail = environment.redactor(child.tail())
    except ShellError as fault:
        raise SuiteError(f"pytest could not run: {fault}") from None
    if not over:
        record.broke(f"it did not end within {timeout:g} s{record.running()}")
    elif not record.stopped and (not record.finished or code not in _RAN) and not record.broken:
        last = " | ".join([line.strip() for line in tail.splitlines() if line.strip()][-_LAST_LINES:])
        record.broke(f"pytest ended with exit code {code}{record.running()}: {last}")
    result = record.result()
    files.junit.write_text(junit.of(result), encoding="utf-8")
    _withhold_secrets(files.html, environment)
    return result


def collect(environment: Environment, context: Context, folders: Sequence[str], out: Path) -> Planned:
    """The cases in ``folders`` that would run. Raises SuiteError when they cannot be collected."""
    out.mkdir(parents=True, exist_ok=True)
    files = _Files(out, f"{context.phase}-collected")
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
    """What a run of a suite leaves in the report's folder."""

    def __init__(self, out: Path, phase: str) -> None:
        self.context = (out / f"{phase}.context.json").absolute()
        self.events = (out / f"{phase}.events.jsonl").absolute()
        self.html = (out / f"{phase}.html").absolute()
        self.junit = (out / f"{phase}.junit.xml").absolute()


class _Record:
    """The suite as far as it has told."""

    def __init__(
        self, name: str, on_case: Callable[[Case], None], on_planned: Callable[[int], None], decide: Decide
    ) -> None:
        self._name = name
        self._on_case = on_case
        self._on_planned = on_planned
        self._decide = decide
        self._began = time.monotonic()
        self._planned: tuple[str, ...] = ()
        self._cases: dict[str, Case] = {}
        self._started: dict[str, None] = {}
        self.finished = False
        self.stopped = ""
        self.broken: list[str] = []

    def take(self, event: Event) -> None:
        """Takes in one event, and decides on it."""
        match event:
            case Planned():
                self._planned = event.ids
                self._on_planned(len(event.ids))
            case Started():
                self._started[event.id] = None
            case Broken():
                self.broke(event.text)
            case Finished():
                self.finished = True
            case Case():
                self._cases[event.id] = event
                self._on_case(event)
                if event.outcome not in _UNDECIDING:
                    verdict = self._decide(self.result())
                    if verdict is not None:
                        self.stopped = verdict.reasons[0].text if verdict.reasons else str(verdict.decision)

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
        return SuiteResult(self._name, self._planned, cases, seconds, self.stopped, "; ".join(self.broken))


class _Follower:
    """Reads the events file as it grows."""

    def __init__(self, file: Path, record: _Record) -> None:
        self._file = file
        self._record = record
        self._position = 0

    def __call__(self, ended: bool) -> bool:
        """Hands on what is new; whether the run is over: decided, or the child has ended and told everything."""
        for line in self._new_lines():
            try:
                event = events.from_line(line)
            except (ValueError, KeyError, TypeError, AttributeError):
                self._record.broke("its events file holds a line that is no event")
                continue
            self._record.take(event)
            if self._record.stopped:
                return True
        return ended

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
    kept = {name: value for name, value in os.environ.items() if name in wanted or name.startswith(_PASSED_ON_PREFIXES)}
    return {**kept, "PYTHONPATH": str(Path(gate.__file__).parents[1])}


def _withhold_secrets(page: Path, environment: Environment) -> None:
    """The plugin scrubs every report; this page was drawn by others, so it is looked through once more."""
    if not page.exists():
        return
    text = page.read_text(encoding="utf-8")
    clean = environment.redactor(text)
    if clean != text:
        page.write_text(clean, encoding="utf-8")
