"""What decides about the sign-offs on one release: its authors, who deploys it, and how signatures are verified."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gate.approval import authors, signatures
from gate.approval.signoffs import Council, SignOff, Subject
from gate.config import Environment
from gate.errors import OperationFailed


def of(environment: Environment, subject: Subject, deployers: Sequence[str]) -> Council:
    """What decides about sign-offs on ``subject`` here, deployed by ``deployers``."""
    section = environment.approval
    written: list[str] | None = []
    unknown = ""
    if section.four_eyes:
        try:
            written = authors.of(subject, environment.root)
        except OperationFailed as fault:
            written, unknown = None, str(fault)

    def unsigned(_: SignOff) -> str:
        return ""

    verify = unsigned
    if section.allowed_signers is not None:
        verify = partial(signatures.fault, allowed_signers=environment.root / section.allowed_signers)
    return Council(section, written, deployers, verify, unknown)
