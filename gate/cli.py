"""The command line: arguments in, one exit code out. Heavy modules are imported only by the command that needs them."""

from __future__ import annotations

import argparse
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
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from gate.errors import GateError, Locked, Refused, UsageError
from gate.interrupt import HEARD
from gate.results import Outcome

if TYPE_CHECKING:
    from gate.answers import Answer
    from gate.config import Environment
    from gate.redact import Redactor
    from gate.terminal import Terminal

ACTIONS = {
    "rollback": "make the release before serve again, proven first; or undo what is held",
    "keep": "go on with a deployment that is held",
    "restore": "make a backup the live database again, proven; without BACKUP: list the backups",
    "recover": "finish what a run that died left behind",
    "monitor": "look at what serves, if a look is due; roll back or alert by policy (for cron, a timer, a CI schedule)",
    "watch": "what serves, live: its share, requests, errors, p95, cpu, memory, health; Ctrl-C ends it (exit code 130)",
    "status": "what runs, what serves, who holds the lock",
    "history": "all deployments; with a number, one whole",
    "plan": "run the checks for a version and say GO or NO-GO; touch nothing",
    "replay": "judge a past deployment again, by the rules of today or of a file",
    "report": "verify N: prove that the evidence of a deployment is unchanged; publish N: take it elsewhere",
    "notify": "send a test message to everybody that [notify] names, and say who answered",
    "releases": "versions that can be deployed",
    "approve": "sign for a release in a role (--role), or afterwards for an emergency (--deployment)",
    "revoke": "take back what was signed",
    "checklist": "what people have to see to; tick ITEM … or untick ITEM …, by name",
    "lock": "who holds the lock",
    "unlock": "free the lock from a run that is provably gone (only a lock that machines share can need it)",
    "up": "start the environment's own servers (database, cache, proxy)",
    "down": "stop the releases and the servers; data stays",
}

DESCRIPTION = """\
Deploys a release, proves it with the pytest suites in checks/ and smoke/, and rolls it back when they say so.

  %(prog)s ENV --version V            deploy V: checks, backup, migration, start, smoke, traffic, smoke, keep or undo
  %(prog)s ENV --version V --dry-run  only the checks; nothing is touched
"""

EPILOG = """\
exit codes
  0    RELEASED         the new release serves and was proven (also: RESTORED, a plan that says GO, a look)
  1    ROLLED_BACK      the earlier release serves, and was proven again
  2    USAGE            the command or the configuration is wrong; nothing was touched
  3    REFUSED          NO-GO; nothing was touched
  4    ROLLBACK_FAILED  a person is needed now
  5    LOCKED           another run holds the environment, or a dead one left it unfinished (recover)
  6    HELD             inconclusive: a person decides, keep or rollback; nobody in time: rolled back
  130  INTERRUPTED      Ctrl-C or SIGTERM: undone first

an environment is a file in environments/, such as environments/local.toml
first steps:  %(prog)s local up   then   %(prog)s local --version 1.0.0
"""


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments as an error of the contract instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, next_step=f"{self.prog} --help")


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
    door = _door()
    as_json = "--json" in words
    try:
        arguments = _parse(words, door)
    except GateError as fault:
        return _fail(fault, as_json, words[0] if words and not words[0].startswith("-") else "")
    except SystemExit:  # --help
        return 0
    from gate.environments import load
    from gate.redact import Redactor

    redact = Redactor()  # until the environment has told its secrets: what looks like one
    try:
        environment = load(arguments.environment, _root())
        redact = environment.redactor
        return _command(arguments, environment, door, f"{door} {shlex.join(words)}")
    except GateError as fault:
        return _fail(fault, as_json, arguments.environment, redact)
    except Exception as fault:  # noqa: BLE001 - a defect of ours must not pass for one of the contract's exit codes
        _write(sys.stderr, redact(traceback.format_exc()))
        text = f"a defect of the gate: {type(fault).__name__}; look at what serves before anything else"
        door_status = f"{door} {arguments.environment} status"
        return _end(Outcome.ROLLBACK_FAILED, text, door_status, as_json, arguments.environment)
    except KeyboardInterrupt:
        text, step = "interrupted; nothing was touched", None
        if arguments.action in ("up", "down", "recover"):
            text, step = "interrupted half-way; what was done stays", f"{door} {shlex.join(words)}   does the rest"
        return _end(Outcome.INTERRUPTED, text, step, as_json, arguments.environment)


def _door() -> str:
    script = Path(sys.argv[0])
    return f"python {script.name}" if script.suffix == ".py" else script.name


def _root() -> Path:
    """The project: this folder or the nearest above it that holds environments/; else this folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "environments").is_dir()), here)


def _parse(words: list[str], door: str) -> argparse.Namespace:
    actions = "\n".join(f"  {name:<10} {text}" for name, text in ACTIONS.items())
    top = _Parser(
        prog=door,
        usage=f"{door} ENV [ACTION] [options]",
        description=DESCRIPTION + "\nactions, when it is not to deploy\n" + actions,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("environment", metavar="ENV", help="name of a file in environments/, without .toml")
    action = words[1] if len(words) > 1 and not words[1].startswith("-") else "deploy"
    if action in ACTIONS:
        top = _Parser(
            prog=f"{door} {words[0]} {action}",
            usage=None,
            description=ACTIONS[action],
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        top.add_argument("environment", metavar="ENV", help=argparse.SUPPRESS)
        top.add_argument("action", help=argparse.SUPPRESS)
    elif action != "deploy":
        raise UsageError(f"no action {action!r}; there are: {', '.join(ACTIONS)}", next_step=f"{door} --help")
    top.add_argument("--json", action="store_true", help="print one JSON document at the end; the rest to stderr")
    if action in ("deploy", "plan"):
        top.add_argument("--version", metavar="V", help="the release: a SemVer tag, v1.1.0 and 1.1.0 alike")
        top.add_argument("--allow-downgrade", action="store_true", help="let V be older than the release that serves")
        top.add_argument(
            "--again",
            metavar="WHY",
            default="",
            help="let V be a release that was rolled back here, by the gate or by a person",
        )
        top.add_argument(
            "--roll-forward-only",
            metavar="WHY",
            default="",
            help="sign for a migration that leaves no way back: what serves cannot live on it, and it has no downgrade",
        )
        top.add_argument(
            "--emergency",
            metavar="REASON",
            default="",
            help="wait for no sign-off, window, freeze or checklist; all else holds, and the roles sign within 24 h",
        )
    if action == "deploy":
        top.add_argument("--dry-run", action="store_true", help="only run the checks (the same as plan)")
    if action == "rollback":
        top.add_argument("--to", metavar="V", help="a release kept earlier; default: the one kept before")
    if action in ("deploy", "rollback"):
        top.add_argument("--yes", action="store_true", help="do not ask on a terminal")
    if action == "restore":
        top.add_argument("backup", nargs="?", metavar="BACKUP", help="id of a backup, or latest; default: list them")
        top.add_argument("--confirm", metavar="ENV", help="the environment's name, instead of typing it")
        top.add_argument(
            "--without-backup",
            action="store_true",
            help="do not back up the present first (where it cannot be read); its database is kept under another name",
        )
    if action == "history":
        top.add_argument("deployment", nargs="?", type=int, help="number of a deployment")
    if action == "report":
        _add_report(top)
    if action in ("approve", "revoke", "checklist"):
        _add_signing(top, action)
    if action == "replay":
        top.add_argument("deployment", type=int, help="number of a deployment")
        top.add_argument(
            "--rules", metavar="FILE", type=Path, help="TOML file with [[rules]]; default: the environment"
        )
    arguments = top.parse_args(words)
    arguments.action = action
    if action in ("deploy", "plan") and not arguments.version:
        raise UsageError(
            "say which release: --version V", next_step=f"{door} {arguments.environment} releases   lists them"
        )
    return arguments


def _add_report(top: argparse.ArgumentParser) -> None:
    acts = top.add_subparsers(dest="act", metavar="ACT", required=True)
    verify = acts.add_parser("verify", help="prove that the evidence of a deployment is unchanged", allow_abbrev=False)
    verify.add_argument("subject", metavar="N|PATH", help="a deployment's number, or a copy of its folder, or a zip")
    verify.add_argument("--expect", metavar="SHA256", help="the SHA-256 of its manifest, as you know it from elsewhere")
    publish = acts.add_parser("publish", help="take it to where [publish] says", allow_abbrev=False)
    publish.add_argument("deployment", metavar="N", type=int, help="a deployment's number")
    publish.add_argument(
        "--to",
        metavar="TARGET",
        action="append",
        default=[],
        help="folder, s3 or github as [publish] describes them, or the path of a folder, with a slash; "
        "may be given several times; default: all that [publish] has",
    )
    for act in (verify, publish):
        act.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document")


def _add_signing(top: argparse.ArgumentParser, action: str) -> None:
    top.add_argument("--version", metavar="V", help="the release; default: the one that was refused or planned last")
    if action != "checklist":
        top.add_argument("--role", metavar="R", required=action == "approve", help="one of [approval] roles")
        top.add_argument("--deployment", type=int, metavar="N", help="afterwards: the emergency that is signed for")
    if action == "checklist":
        top.add_argument("act", nargs="?", choices=("tick", "untick"), help="default: show the list")
        top.add_argument("item", nargs="*", metavar="ITEM", help="keys of items, as the list shows them")
    if action != "revoke":
        top.add_argument("--as", dest="person", metavar="NAME", help="who you are; default: this login")
    if action == "approve":
        top.add_argument("--key", type=Path, metavar="FILE", help="SSH key that signs, where signatures are demanded")


def _command(arguments: argparse.Namespace, environment: Environment, door: str, command: str) -> int:
    from gate.environments import demand_files
    from gate.terminal import Terminal

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
    from gate.inspection import Inspection

    inspection = Inspection(environment, terminal)
    documents: dict[str, Callable[[], dict[str, Any]]] = {
        "status": inspection.status,
        "releases": inspection.releases,
        "restore": inspection.backups,
        "lock": inspection.lock,
        "unlock": inspection.unlock,
        "up": inspection.up,
        "down": inspection.down,
        "history": lambda: inspection.history(arguments.deployment),
        "replay": lambda: inspection.replay(arguments.deployment, arguments.rules),
    }
    return _done(documents[arguments.action](), arguments, environment)


def _done(document: dict[str, Any], arguments: argparse.Namespace, environment: Environment) -> int:
    if arguments.json:
        # The keys every answer has, then what this command found.
        head = {"outcome": "DONE", "exit_code": 0, "environment": environment.name, "reasons": [], "report": None}
        _print(environment.redactor.tree({**head, **document}))
    return 0


def _trial(environment: Environment, terminal: Terminal) -> dict[str, Any]:
    from gate.lock import whoami
    from gate.notify.trial import trial

    with terminal.working("telling"):
        return trial(environment, terminal.say, whoami(), datetime.now(UTC))


def _watch(environment: Environment, *, as_json: bool) -> int:
    """Ctrl-C is how it ends: nothing was begun, so nothing is undone, and nothing went wrong."""
    from gate import engines, onlooking
    from gate.onlooker import Onlooker

    try:
        onlooker = Onlooker(environment, engines.create(environment))
        onlooking.watch(onlooker, sys.stdout, environment.redactor, as_json=as_json)
    except KeyboardInterrupt:
        return Outcome.INTERRUPTED.exit_code
    return 0


def _report(arguments: argparse.Namespace, environment: Environment, terminal: Terminal) -> int:
    from gate.reporting import Reporting

    reporting = Reporting(environment, terminal)
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "verify": lambda: reporting.verify(arguments.subject, arguments.expect),
        "publish": lambda: reporting.publish(arguments.deployment, arguments.to),
    }
    return _done(acts[arguments.act](), arguments, environment)


def _signing(arguments: argparse.Namespace, environment: Environment, terminal: Terminal, door: str) -> int:
    from gate.signing import Signing

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
    from gate.commands import Commands
    from gate.holding import asker
    from gate.run import Options

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
            sys.stderr.write(question)
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
    from gate import runner
    from gate.redact import Redactor

    redact = redact or Redactor()
    for line in text.splitlines():
        _write(sys.stderr, f"error: {runner.plain(redact(line))}\n")
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
    _write(sys.stdout, json.dumps(document, indent=2, ensure_ascii=False).replace("##[", "##\\u005b") + "\n")


def _write(stream: TextIO | None, text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads any more: that never changes an exit code
        if stream is not None:
            stream.write(text)
