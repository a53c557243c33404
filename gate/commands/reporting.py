"""What ``report`` does with the evidence of deployments that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gate import verify
from gate.config import Environment
from gate.errors import GateError, OperationFailed, UsageError
from gate.records.ledger import Ledger
from gate.records.store import Store
from gate.terminal.terminal import Terminal

Document = dict[str, Any]


class Reporting:
    """The acts of ``report``; each returns its JSON document."""

    def __init__(self, environment: Environment, terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal

    def publish(self, number: int, names: list[str]) -> Document:
        """Takes the evidence of a deployment to each target, all that are configured where ``names`` says none.

        Raises Refused for evidence that is not what it was, OperationFailed when a target failed.
        """
        from gate.publish import pack

        wanted = names or list(self._environment.publish.targets)
        if not wanted:
            raise UsageError(
                f"{self._environment.name} has no [publish], so say where to",
                next_step=f"python deploy_gate.py {self._environment.name} report publish {number} --to ./FOLDER",
            )
        folder, store = self.folder(number), Store.of(self._environment)
        seals = Ledger(store).seals(number)
        proof = verify.prove(folder, seals=seals, copy=False, environment=self._environment.name, deployment=number)
        deployed = next(item for item in store.deployments() if item.id == number)
        with self._terminal.working("publishing"):
            done = pack(self._environment, folder, (deployed.version, deployed.commit), wanted).send()
        for item in done:
            self._terminal.say(f"{item.target:<10}{item.place or f'failed: {item.fault}'}")
        self._terminal.say(f"manifest  sha256 {proof.checked.sha256}")
        failed = [item for item in done if item.fault]
        if failed:
            raise OperationFailed(
                "\n".join(f"not published to {item.target}: {item.fault}" for item in failed),
                next_step=next((item.next_step for item in failed if item.next_step), None),
            )
        return {
            "deployment": number,
            "manifest": proof.checked.sha256,
            "published": [{"target": item.target, "place": item.place} for item in done],
        }

    def verify(self, subject: str, expected: str | None) -> Document:
        """Proves the evidence of a deployment by its number, or a copy of it by its path. Raises Refused."""
        name = self._environment.name
        if subject.isdecimal():
            number = int(subject)
            path = self.folder(number)
            seals = Ledger(Store.of(self._environment)).seals(number)
            proof = verify.prove(path, expected=expected, seals=seals, copy=False, environment=name, deployment=number)
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
        proof.demand_whole(path)
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
