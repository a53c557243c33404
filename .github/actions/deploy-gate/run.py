"""The step of the action: runs the gate, here or on a server, and tells the workflow how it ended.

Its inputs are variables named GATE_…; it writes the step's outputs, a summary of the job and an annotation, and ends
with the gate's exit code. In another CI it does the same without the telling (docs/ci.md). Where the gate's own answer
is missing, or says otherwise than its exit code, the outcome is UNKNOWN and the exit code never 0. The standard library
is enough: a runner that only reaches a server installs nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import brought
import server
import told

NOBODY_KNOWS = 4
"""The exit code where no other is certain: a person is needed."""


class Refused(Exception):  # noqa: N818 - as in the gate
    """The step cannot start; the message says which input to mend."""


@dataclass(frozen=True)
class Inputs:
    """What the workflow asked for."""

    environment: str
    version: str
    arguments: tuple[str, ...]
    folder: Path
    server: str

    @classmethod
    def read(cls) -> Inputs:
        """Raises Refused naming the input that is wrong."""
        environment, version = _given("ENVIRONMENT"), _given("VERSION")
        for name, value in (("environment", environment), ("version", version)):
            if not value or value.startswith("-"):
                raise Refused(f"input {name}: {value!r} is none")
        try:
            arguments = tuple(shlex.split(_given("ARGUMENTS")))
        except ValueError as fault:
            raise Refused(f"input arguments: {fault}") from None
        folder = Path(_given("FOLDER") or ".")
        if not (folder / "environments").is_dir():
            raise Refused(f"input folder: {folder} holds no environments/; is the repository checked out?")
        return cls(environment, version, arguments, folder, _given("SERVER"))

    @property
    def words(self) -> list[str]:
        """The gate's arguments."""
        return [self.environment, "--version", self.version, "--json", "--yes", *self.arguments]


def main() -> int:
    """Runs the step; returns its exit code."""
    before = told.summarised()
    try:
        inputs = Inputs.read()
        code, document, report = _at_server(inputs) if inputs.server else _here(inputs)
    except (Refused, server.Unreachable) as fault:  # before the gate was started: nothing was touched
        told.annotate("error", "deploy gate", str(fault))
        told.outputs({"outcome": "UNKNOWN", "exit-code": "2", "deployment": "", "report": ""})
        return 2
    if document is None:
        document = {
            "outcome": "UNKNOWN",
            "exit_code": NOBODY_KNOWS,
            "environment": inputs.environment,
            "reasons": [{"text": f"the gate ended with {code} and no answer that can be read"}],
            "next": f"python deploy_gate.py {inputs.environment} status",
        }
        if inputs.server:
            document["reasons"].append({"text": "where the connection was lost, the run on the server goes on"})
    told.outputs(
        {
            "outcome": str(document["outcome"]),
            "exit-code": str(document["exit_code"]),
            "deployment": brought.number(document),
            "report": str(inputs.folder / report) if report else "",
        }
    )
    if told.summarised() == before:  # a gate on this very runner has its own, when it came so far
        told.summary(document, inputs.version)
    if document["exit_code"] and (inputs.server or document["outcome"] == "UNKNOWN" or not told.heard()):
        reasons = "; ".join(str(reason["text"]) for reason in document["reasons"]) or "no reason was given"
        told.annotate("error", f"{inputs.environment}: {document['outcome']}", reasons)
    return int(document["exit_code"])


def _here(inputs: Inputs) -> tuple[int, dict[str, Any] | None, Path | None]:
    """The gate's end on this machine: exit code, answer, and its report where there is one."""
    code, out = _run([*_door(inputs.folder), *inputs.words], inputs.folder)
    document = _document(out, code)
    report = None
    try:
        report = brought.named(document or {}, inputs.environment)
    except brought.Misplaced as fault:
        told.annotate("warning", "the report is not told", str(fault))
    return code, document, report if report and brought.lies(inputs.folder, report) else None


def _at_server(inputs: Inputs) -> tuple[int, dict[str, Any] | None, Path | None]:
    """The gate's end on the server, with its report brought back; nothing that is said there is a command here."""
    target = server.Server.read(inputs.server, inputs.folder)
    report, stayed = None, ""
    with target.reached(), told.hushed():
        target.ship()
        if target.prepare.strip():
            code, said = _run(target.shell(), script=target.preparation())
            print(said, end="", file=sys.stderr, flush=True)
            if code != 0:
                raise Refused(f"input prepare: ended with {code}; what it said stands in the log")
        code, out = _run(target.shell(), script=target.script(inputs.words))
        document = _document(out, code)
        try:
            wanted = brought.named(document or {}, inputs.environment)
            if wanted:
                target.fetch(wanted)
                report = wanted if brought.lies(inputs.folder, wanted) else None
        except (server.Unreachable, brought.Misplaced) as fault:  # the outcome stands, whatever becomes of the report
            stayed = str(fault)
    if stayed:
        told.annotate("warning", "the report stayed on the server", stayed)
    return code, document, report


def _given(name: str) -> str:
    return os.environ.get(f"GATE_{name}", "").strip()


def _door(folder: Path) -> list[str]:
    """What starts the gate here: the project's own door, or the installed command."""
    if (folder / "deploy_gate.py").is_file():
        return [sys.executable, "deploy_gate.py"]
    installed = shutil.which("deploy-gate")
    if installed is None:
        raise Refused("neither deploy_gate.py in the project's folder nor the command deploy-gate: is it installed?")
    return [installed]


def _run(argv: Sequence[str], folder: Path | None = None, script: str | None = None) -> tuple[int, str]:
    """Runs a command to its end: exit code, negative for a signal, and what it printed on standard output.

    What it says on the way goes to the job's log: a gate here knows how to speak to the runner, and keeps others from
    it. A signal is handed on and the command's own end waited for: the gate undoes first. No time-out: the job has one.
    """
    child = subprocess.Popen(
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL if script is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # else Ctrl-C's signal would come twice: from the terminal and from here
    )

    def hand_on(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        out, _ = child.communicate(script)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return child.returncode, out


def _document(out: str, code: int) -> dict[str, Any] | None:
    """The gate's answer; None where it is none, or is not about this end."""
    try:
        found = json.loads(out)
    except (ValueError, RecursionError):
        return None
    known = isinstance(found, dict) and {"outcome", "exit_code", "reasons"} <= found.keys()
    if not known or found["exit_code"] != code or not isinstance(found["reasons"], list):
        return None
    reasons = all(isinstance(reason, dict) and "text" in reason for reason in found["reasons"])
    releases = all(isinstance(found.get(name) or {}, dict) for name in ("release", "stable"))
    return found if reasons and releases and isinstance(found.get("owed") or [], list) else None


if __name__ == "__main__":
    sys.exit(main())
