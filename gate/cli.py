"""The command line: arguments (``gate.commands.arguments``) in, one exit code out.

Heavy modules are imported only by the command that needs them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import select
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gate.commands.arguments import parse
from gate.errors import GateError, Locked, Refused, UsageError
from gate.machine.interrupt import HEARD
from gate.results import Outcome

if TYPE_CHECKING:
    from gate.config import Environment
    from gate.redact import Redactor
    from gate.terminal.answers import Answer
    from gate.terminal.strays import Strays
    from gate.terminal.terminal import Terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code and never raises for what a user can cause."""
    try:
        _hear()
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # before there was anything to do, or once all had been said
        return Outcome.INTERRUPTED.exit_code
    finally:
        _settle()


def _hear() -> None:
    """Makes SIGTERM and SIGHUP what Ctrl-C is, from the first moment on; what is ignored (nohup) stays ignored."""
    for number in HEARD:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _settle() -> None:
    """Flushes what was said; where nobody listens, Python's own flush at exit must not change the exit code."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _main(words: list[str]) -> int:
    for name in ("stdout", "stderr"):  # closed by whoever started us
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we run
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # a sign that a terminal's encoding has not must not silence it
            stream.reconfigure(errors="backslashreplace")
    door = _door()
    as_json = "--json" in words
    try:
        arguments = parse(words, door)
    except GateError as fault:
        return _fail(fault, as_json, words[0] if words and not words[0].startswith("-") else "")
    except SystemExit:  # --help
        return 0
    from gate.terminal import runner, strays

    with strays.heard(lambda text: _write(sys.stderr, runner.plain(text))) as heard:
        return _obeyed(arguments, words, door, heard)


def _obeyed(arguments: argparse.Namespace, words: list[str], door: str, heard: Strays) -> int:
    """Does what the command says, and says what became of it."""
    from gate.environments import load
    from gate.redact import Redactor

    as_json = arguments.json
    redact = Redactor()  # until the environment has told its secrets: what looks like one
    try:
        environment = load(arguments.environment, _root())
        redact = heard.redact = environment.redactor
        return _command(arguments, environment, door, f"{door} {shlex.join(words)}")
    except GateError as fault:
        return _fail(fault, as_json, arguments.environment, redact)
    except Exception as fault:  # noqa: BLE001 - a defect of ours must not pass for one of the contract's exit codes
        _write(sys.stderr, redact(traceback.format_exc()))
        text = f"a defect of the gate: {type(fault).__name__}; look at what serves before anything else"
        door_status = f"{door} {arguments.environment} status"
        return _end(Outcome.ROLLBACK_FAILED, text, door_status, as_json, arguments.environment, redact=redact)
    except KeyboardInterrupt:
        text, step = "interrupted; nothing was touched", None
        if arguments.action in ("up", "down", "recover"):
            text, step = "interrupted half-way; what was done stays", f"{door} {shlex.join(words)}   does the rest"
        return _end(Outcome.INTERRUPTED, text, step, as_json, arguments.environment, redact=redact)


def _door() -> str:
    script = Path(sys.argv[0])
    return f"python {script.name}" if script.suffix == ".py" else script.name


def _root() -> Path:
    """The project: this folder or the nearest above it that holds environments/; else this folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "environments").is_dir()), here)


def _command(arguments: argparse.Namespace, environment: Environment, door: str, command: str) -> int:
    from gate.environments import demand_files
    from gate.terminal.terminal import Terminal

    if arguments.action in ("deploy", "plan", "status", "monitor"):
        demand_files(environment)
    terminal = Terminal(sys.stderr if arguments.json else sys.stdout, environment.redactor)
    for line in environment.exposed:
        terminal.note(f"{environment.file.name}: {line}")
    listing = arguments.action == "restore" and arguments.backup is None
    runs = ("deploy", "plan", "rollback", "restore", "recover", "keep", "monitor")
    if arguments.action in runs and not listing:
        return _run(arguments, environment, terminal, door, command)
    if arguments.action == "watch":
        return _watch(environment, as_json=arguments.json)
    if arguments.action in ("approve", "revoke", "checklist"):
        return _signing(arguments, environment, terminal, door)
    if arguments.action == "report":
        return _report(arguments, environment, terminal)
    if arguments.action == "notify":
        return _done(_trial(environment, terminal), arguments, environment)
    from gate.commands.past import Past
    from gate.commands.servers import Servers

    servers, past = Servers(environment, terminal), Past(environment, terminal)
    documents: dict[str, Callable[[], dict[str, Any]]] = {
        "status": servers.status,
        "releases": past.releases,
        "restore": past.backups,
        "lock": servers.lock,
        "unlock": servers.unlock,
        "up": servers.up,
        "down": servers.down,
        "history": lambda: past.history(arguments.deployment),
        "replay": lambda: past.replay(arguments.deployment, arguments.rules),
    }
    return _done(documents[arguments.action](), arguments, environment)


def _done(document: dict[str, Any], arguments: argparse.Namespace, environment: Environment) -> int:
    if arguments.json:
        # The keys every answer has, then what this command found.
        head = {"outcome": "DONE", "exit_code": 0, "environment": environment.name, "reasons": [], "report": None}
        _print(environment.redactor.tree({**head, **document}))
    return 0


def _trial(environment: Environment, terminal: Terminal) -> dict[str, Any]:
    from gate.machine.account import whoami
    from gate.notify.trial import trial

    with terminal.working("telling"):
        return trial(environment, terminal.say, whoami(), datetime.now(UTC))


def _watch(environment: Environment, *, as_json: bool) -> int:
    """Ctrl-C is how it ends: nothing was begun, so nothing is undone, and nothing went wrong."""
    from gate import engines
    from gate.commands import onlooking
    from gate.watching.onlooker import Onlooker

    try:
        onlooker = Onlooker(environment, engines.create(environment))
        onlooking.watch(onlooker, sys.stdout, environment.redactor, as_json=as_json)
    except KeyboardInterrupt:
        return Outcome.INTERRUPTED.exit_code
    return 0


def _report(arguments: argparse.Namespace, environment: Environment, terminal: Terminal) -> int:
    from gate.commands.reporting import Reporting

    reporting = Reporting(environment, terminal)
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "verify": lambda: reporting.verify(arguments.subject, arguments.expect),
        "publish": lambda: reporting.publish(arguments.deployment, arguments.to),
    }
    return _done(acts[arguments.act](), arguments, environment)


def _signing(arguments: argparse.Namespace, environment: Environment, terminal: Terminal, door: str) -> int:
    from gate.commands.signing import Signing

    if arguments.action == "checklist" and bool(arguments.act) != bool(arguments.item):
        raise UsageError("say which items to tick", next_step=f"{door} {environment.name} checklist   shows their keys")
    signing = Signing(environment, terminal)
    wanted = {"version": arguments.version}
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "approve": lambda: signing.approve(
            arguments.role, arguments.person, deployment=arguments.deployment, key=arguments.key, **wanted
        ),
        "revoke": lambda: signing.revoke(arguments.role, deployment=arguments.deployment, **wanted),
        "checklist": lambda: signing.checklist(arguments.act, arguments.item, arguments.person, arguments.version),
    }
    return _done(acts[arguments.action](), arguments, environment)


def _run(arguments: argparse.Namespace, environment: Environment, terminal: Terminal, door: str, command: str) -> int:
    from gate.commands.changing import Commands
    from gate.deployment.holding import asker
    from gate.deployment.run import Options

    person = sys.stdin.isatty() and not arguments.json and not getattr(arguments, "yes", False)
    # Elsewhere a terminal cannot be looked at without waiting for it: a person decides with another command.
    ask = asker(environment, terminal.say, _typed) if person and os.name == "posix" else None
    commands = Commands(environment, terminal, door=door, command=command, ask=ask)

    def confirm(question: str) -> bool:
        if getattr(arguments, "yes", False) or not sys.stdin.isatty() or environment.stack is not None:
            return True  # no person at a terminal, or a local environment that holds nothing to lose
        sys.stderr.write(f"{environment.redactor(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def named(question: str) -> bool:
        if arguments.confirm is None and sys.stdin.isatty():
            sys.stderr.write(environment.redactor(question))
            sys.stderr.flush()
            return sys.stdin.readline().strip() == environment.name
        return bool(arguments.confirm == environment.name)

    acts: dict[str, Callable[[], Answer]] = {
        "recover": commands.recover,
        "keep": commands.keep,
        "monitor": lambda: commands.monitor(lambda text: _write(sys.stderr, f"{environment.redactor(text)}\n")),
        "rollback": lambda: commands.rollback(arguments.to, confirm=confirm),
        "restore": lambda: commands.restore(
            arguments.backup, Options(without_backup=arguments.without_backup), confirm=named
        ),
    }

    def deploy() -> Answer:
        return commands.deploy(
            arguments.version,
            Options(
                allow_downgrade=arguments.allow_downgrade,
                again=arguments.again.strip(),
                roll_forward=arguments.roll_forward_only.strip(),
                emergency=arguments.emergency.strip(),
            ),
            dry_run=arguments.action == "plan" or arguments.dry_run,
            confirm=confirm,
        )

    try:
        answer = acts.get(arguments.action, deploy)()
    except KeyboardInterrupt:
        if commands.answer is None:
            raise
        answer = commands.answer  # the signal came when all was decided and done
    if arguments.json:
        _print(answer.document)
    return answer.outcome.exit_code


def _typed() -> str | None:
    """The line a person has typed by now."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return sys.stdin.readline() if ready else None


def _fail(fault: GateError, as_json: bool, environment: str, redact: Redactor | None = None) -> int:
    outcome = Outcome.USAGE
    if isinstance(fault, Locked):
        outcome = Outcome.LOCKED
    elif isinstance(fault, Refused) or not isinstance(fault, UsageError):
        outcome = Outcome.REFUSED
    return _end(outcome, str(fault), fault.next_step, as_json, environment, redact=redact)


def _end(
    outcome: Outcome,
    text: str,
    next_step: str | None,
    as_json: bool,
    environment: str,
    *,
    redact: Redactor | None = None,
) -> int:
    from gate.redact import Redactor
    from gate.terminal import runner

    redact = redact or Redactor()
    for line in redact(text).splitlines():  # all of it at once: a secret may go over several lines
        _write(sys.stderr, f"error: {runner.plain(line)}\n")
    if runner.runs_here(os.environ):
        _write(sys.stderr, f"{runner.Annotation('error', f'{environment} {outcome}'.strip(), redact(text))}\n")
    if next_step:
        _write(sys.stderr, f"  next  {redact(next_step)}\n")
    if as_json:
        reasons = [{"signal": str(outcome).lower(), "value": None, "limit": "", "n": None, "text": redact(text)}]
        _print(
            {
                "outcome": str(outcome),
                "exit_code": outcome.exit_code,
                "environment": environment,
                "deployment": None,
                "release": None,
                "stable": None,
                "reasons": reasons,
                "report": None,
                "next": redact(next_step or ""),
            }
        )
    return outcome.exit_code


def _print(document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:  # in JSON every sign can be said in ASCII
        text = json.dumps(document, indent=2)
    _write(sys.stdout, text.replace("##[", "##\\u005b") + "\n")


def _write(stream: TextIO | None, text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads any more: that never changes an exit code
        if stream is not None:
            stream.write(text)
