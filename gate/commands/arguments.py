"""The arguments of a command, parsed; what ``--help`` teaches. What they lead to is ``gate.cli``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from gate.errors import UsageError

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


def parse(words: list[str], door: str) -> argparse.Namespace:
    """The arguments; ``door`` is how a command begins. Raises UsageError, SystemExit after ``--help``."""
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
            help="wait for no sign-off, soak, window, freeze, checklist; all else holds; the roles sign within 24 h",
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
