"""What ``report`` does with the evidence of deployments that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gate import verify
from gate.config import Environment
from gate.errors import GateError, UsageError
from gate.ledger import Ledger
from gate.store import Store
from gate.terminal import Terminal

Document = dict[str, Any]


class Reporting:
    """The acts of ``report``; each returns its JSON document."""

    def __init__(self, environment: Environment, terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal

    def verify(self, subject: str, expected: str | None) -> Document:
        """Proves the evidence of a deployment by its number, or a copy of it by its path. Raises Refused."""
        name = self._environment.name
        if subject.isdecimal():
            number = int(subject)
            folder = self.folder(number)
            seals = Ledger(Store.of(self._environment)).seals(number)
            proof = verify.prove(
                folder, expected=expected, seals=seals, copy=False, environment=name, deployment=number
            )
        else:
            path = Path(subject)
            number = verify.prove(path, expected=expected, environment=name).checked.manifest.deployment
            try:
                seals = Ledger(Store.of(self._environment)).seals(number)
            except GateError as fault:
                self._terminal.note(f"the gate's records could not be asked: {fault}")
                seals = []
            proof = verify.prove(path, expected=expected, seals=seals, environment=name)
        for line in proof.lines:
            self._terminal.say(line)
        manifest = proof.checked.manifest
        return {
            "deployment": manifest.deployment,
            "sealed_at": manifest.sealed_at.isoformat(),
            "files": len(manifest.files),
            "manifest": proof.checked.sha256,
            "proven": bool(proof.anchor),
            "told": proof.anchor or verify.UNPROVEN,
        }

    def folder(self, deployment: int) -> Path:
        """Where a deployment's evidence lies. Raises UsageError where there is none."""
        folder = self._environment.root / "reports" / self._environment.name / str(deployment)
        if not folder.is_dir():
            raise UsageError(
                f"no report of deployment {deployment} here",
                next_step=f"python deploy_gate.py {self._environment.name} history",
            )
        return folder
