"""Evidence that grows is proven as it was sealed last, before it is sealed once more; what is not so is kept, and told.

Nothing here stops anything: whoever tampers with evidence must not be able to hold up a rollback.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from gate import verify
from gate.deployment.run import Run
from gate.evidence import bundle
from gate.records.ledger import Ledger, Seal


def take_up(run: Run) -> None:
    """Looks at the evidence of a run that goes on in another process, and at what its suites had left to be copied."""
    _tell(run, [*_faults(run), *_left(run)])


def prove(run: Run) -> None:
    """Looks at what was sealed, before anything is added to it."""
    _tell(run, _faults(run))


def _tell(run: Run, faults: list[str]) -> None:
    for text in faults:
        if text not in run.evidence.unproven:
            run.evidence.unproven.append(text)
            run.view.note(f"the evidence from before is not proven: {text}")


def _faults(run: Run) -> list[str]:
    """What is not as it was sealed last, and what was not so when that was sealed."""
    seals: list[Seal] = []
    try:
        seals = Ledger(run.store).seals(run.deployment)
        if not seals:
            unsealed = run.reports.is_dir() and any(run.reports.iterdir())
            return ["it was never sealed: who wrote it died before, or could not"] if unsealed else []
        return list(_sealed(run).broken)
    except Exception as fault:  # noqa: BLE001 - no bookkeeping keeps anybody from a decision; it is told
        told = [line.removeprefix(f"{run.reports}: ") for line in str(fault).splitlines()]
    carried: tuple[str, ...] = ()
    with suppress(Exception):
        carried = bundle.check(run.reports).manifest.broken
    since = f"sealed at {seals[0].at}" if seals else "whenever it was sealed"
    return [*carried, *(f"{text} ({since})" for text in told)]


def _left(run: Run) -> list[str]:
    """Files that would be copied over the sealed ones of the same name and are others by now."""
    try:
        files = _sealed(run).files
        left = {name: run.folder / name for name in files if (run.folder / name).is_file()}
        changed = [name for name, file in left.items() if _sha256(file) != files[name].sha256]
    except Exception:  # noqa: BLE001 - as above
        return []  # then there is no seal that could say so
    return [
        f"{name}: {run.folder} has another one than was sealed, by a run that died or by somebody" for name in changed
    ]


def _sealed(run: Run) -> bundle.Manifest:
    """The manifest of the last seal. Raises Refused unless all is as it was sealed."""
    seals = Ledger(run.store).seals(run.deployment)
    name = run.environment.name
    return verify.prove(
        run.reports, seals=seals, copy=False, environment=name, deployment=run.deployment
    ).checked.manifest


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
