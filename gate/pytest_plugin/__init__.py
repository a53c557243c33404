"""The pytest side of the gate: markers validated, outcomes recorded and streamed, secrets scrubbed, a verdict printed.

Used in two ways. The gate runs pytest as a child with ``--gate-context`` and ``--gate-events``; a person or a CI runs
``pytest checks/`` or ``pytest smoke/``, then the plugin finds out the context and prints the verdict itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gate import environments
from gate.config import Environment
from gate.errors import GateError
from gate.pytest_plugin import alone
from gate.pytest_plugin.collecting import Collecting
from gate.pytest_plugin.html import Html
from gate.pytest_plugin.recorder import EventFile, Recorder
from gate.pytest_plugin.reporting import Reporting
from gate.pytest_plugin.running import Running
from gate.pytest_plugin.session import SESSION, Session, told
from gate.suites.context import Context

_NOTHING_PROVEN = (pytest.PytestReturnNotNoneWarning, pytest.PytestCollectionWarning)
"""What pytest only warns of: a case that returns its finding cannot fail, a class it cannot make is never run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deploy gate")
    group.addoption("--environment", metavar="NAME", help="which file of environments/ the run is about")
    group.addoption("--release", metavar="VERSION", help="the release to check; the newest by default")
    group.addoption("--gate-context", metavar="FILE", help="set by the gate: what the run is part of")
    group.addoption("--gate-events", metavar="FILE", help="set by the gate: where to tell what happens")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.help or config.option.version or getattr(config.option, "markers", False):
        return
    try:
        given = _given(config.getoption("--gate-context"))
        name = (
            given.environment if given else alone.environment_name(config.rootpath, config.getoption("--environment"))
        )
        environment = environments.load(name, config.rootpath)
        if given is not None and given.place:
            environment = _placed(environment, Path(given.place))
    except GateError as fault:
        raise pytest.UsageError(told(fault)) from None
    for warning in _NOTHING_PROVEN:  # a project's own lines come before these, so they cannot silence them
        config.addinivalue_line("filterwarnings", f"error::pytest.{warning.__name__}")
    session = config.stash[SESSION] = Session(config, environment, given)
    worker = hasattr(config, "workerinput")
    if not worker:
        _scrub_terminal(config, session)
    events = None if worker else config.getoption("--gate-events")
    if given is None and not worker and not config.option.collectonly:
        _find_out(config, session)
    recorder = None if worker else Recorder(EventFile(Path(events), session.redact) if events else None)
    plugins = [Collecting(session, recorder), Running(config, session)]
    if recorder is not None:
        plugins += [Reporting(config, session, recorder, alone=given is None), Html(session.redact)]
    for plugin in plugins:
        config.pluginmanager.register(plugin)


def _scrub_terminal(config: pytest.Config, session: Session) -> None:
    """Whatever pytest and its plugins write themselves, a warning or an error of pytest's own, is looked through."""
    if config.pluginmanager.get_plugin("terminalreporter") is None:  # switched off
        return
    writer = config.get_terminal_writer()
    write = writer.write

    def scrubbed(text: str, **how: Any) -> None:
        write(session.redact(text), **how)

    vars(writer)["write"] = scrubbed


def _find_out(config: pytest.Config, session: Session) -> None:
    """Resolves the release before anything is collected, so that a wrong one is told once and not by every case."""
    smoke = alone.about(config.args, config.invocation_params.dir, session.environment)
    if smoke is None:
        return
    session.smoke = smoke
    try:
        session.context  # noqa: B018 - kept from here on
    except GateError as fault:
        raise pytest.UsageError(session.redact(told(fault))) from None


def _placed(environment: Environment, file: Path) -> Environment:
    """The environment of a rehearsal. Raises GateError."""
    from gate.rehearsal.place import Place

    try:
        return Place.read(file).of(environment)
    except (OSError, ValueError, TypeError) as fault:
        raise pytest.UsageError(f"{file}: no place of a rehearsal: {type(fault).__name__}") from None


def _given(file: str | None) -> Context | None:
    if file is None:
        return None
    try:
        return Context.from_json(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise pytest.UsageError(f"--gate-context {file}: not a context: {type(fault).__name__}") from None
