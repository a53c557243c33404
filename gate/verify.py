"""Proves a bundle of evidence: ``python -m gate.verify FOLDER_OR_ZIP [SHA256]`` needs no environment and no records.

Exit code 0: unchanged; 2: there is no bundle; 3: something in it is not as the manifest says, or was not as an earlier
one said when it was added to, or the manifest is another than the one expected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError, Refused, UsageError
from gate.evidence import bundle
from gate.records.ledger import Seal
from gate.results import Outcome

SHOWN = 20
"""Faults that are told one by one."""
UNPROVEN = (
    "not proven: that the manifest is the one the gate made. Whoever changed a file could have made a new manifest too"
)


@dataclass(frozen=True)
class Proof:
    """A bundle in which every file is as its manifest says. ``anchor`` tells what vouches for the manifest itself;
    empty where nothing did."""

    checked: bundle.Checked
    anchor: str

    @property
    def lines(self) -> list[str]:
        manifest = self.checked.manifest
        return [
            f"deployment {manifest.deployment} of {manifest.environment}: all {len(manifest.files)} files are as the "
            f"manifest of {manifest.sealed_at:%Y-%m-%d %H:%M:%S %Z} says",
            f"  manifest  sha256 {self.checked.sha256}",
            f"  {self.anchor or UNPROVEN}",
        ]

    def demand_whole(self, path: Path) -> None:
        """Raises Refused for evidence that grew when it was not as it had been sealed: what was added is proven, what
        was there before is not."""
        broken = self.checked.manifest.broken
        if broken:
            told = "was not as it had been sealed when it was added to"
            raise Refused("\n".join(f"{path}: {told}: {item}" for item in broken))


def prove(
    path: Path,
    *,
    expected: str | None = None,
    seals: Sequence[Seal] | None = None,
    copy: bool = True,
    environment: str | None = None,
    deployment: int | None = None,
) -> Proof:
    """The proof that a folder or a zip is the evidence it says it is.

    ``expected`` is the manifest's SHA-256 as somebody knows it; ``seals`` what the records hold of this deployment,
    newest first, None where there are no records to ask; where these know none, ``expected`` alone vouches for it. A
    ``copy`` may be of an earlier seal. ``environment`` and ``deployment``: whose it must be. Raises Refused for every
    fault found, UsageError where there is no bundle.
    """
    found = bundle.check(path)
    faults = list(found.faults)
    if environment is not None and found.manifest.environment != environment:
        faults.append(f"it is of {found.manifest.environment}, not of {environment}")
    if deployment is not None and found.manifest.deployment != deployment:
        faults.append(f"it is of deployment {found.manifest.deployment}, not of {deployment}")
    anchor = ""
    if expected is not None:
        if found.sha256 != expected.lower().removeprefix("sha256:").strip():
            faults.append(f"{bundle.MANIFEST}: is another one: its SHA-256 is {found.sha256}")
        anchor = "proven: its SHA-256 is the expected one"
    if seals is not None and (seals or not anchor):
        told, fault = _by_records(found, seals, copy=copy)
        anchor = told or anchor
        faults += [fault] if fault else []
    if faults:
        rest = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise Refused("\n".join(f"{path}: {item}" for item in faults[:SHOWN] + rest))
    return Proof(found, anchor)


def _by_records(found: bundle.Checked, seals: Sequence[Seal], *, copy: bool) -> tuple[str, str]:
    """What the records say of a manifest: what vouches for it, or what speaks against it."""
    if not seals:
        # Of a copy from elsewhere these records need not know; of a deployment of their own they must.
        return ("", "") if copy else ("", f"{bundle.MANIFEST}: the gate's records know none of this deployment")
    newest, earlier = seals[0], {seal.sha256: seal for seal in seals[1:]}
    if found.sha256 == newest.sha256:
        return f"proven: the gate's records hold the same SHA-256 since {newest.at}", ""
    if copy and found.sha256 in earlier:
        at = earlier[found.sha256].at
        return (
            f"proven: the gate's records hold the same SHA-256 since {at}; there is newer evidence since {newest.at}",
            "",
        )
    return (
        "",
        f"{bundle.MANIFEST}: is another one than the gate made: its records hold {newest.sha256} since {newest.at}",
    )


def _printable(line: str) -> str:
    """What a terminal shows and does not obey: the names in a zip are whoever's who made it."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2 or arguments[0].startswith("-"):
        print("usage: python -m gate.verify FOLDER_OR_ZIP [SHA256 of its manifest.json]", file=sys.stderr)
        return Outcome.USAGE.exit_code
    try:
        proof = prove(Path(arguments[0]), expected=arguments[1] if len(arguments) > 1 else None)
        print("\n".join(proof.lines))
        proof.demand_whole(Path(arguments[0]))
    except GateError as fault:
        for line in str(fault).splitlines():
            print(f"error: {_printable(line)}", file=sys.stderr)
        return (Outcome.USAGE if isinstance(fault, UsageError) else Outcome.REFUSED).exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
