"""Sign-offs: what one is for, and which of those that were given count now. Pure, the moment is passed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from gate.approval.people import keys_of
from gate.config.approval import Approval

TEXT_FORMAT = 1


@dataclass(frozen=True)
class Subject:
    """What is signed for: one release in one place, under the checks and rules of now. Hashes are SHA-256.

    ``migrations`` are those that the release carries; ``suite`` is every file of the checks and smoke tests and what
    they run with; ``policy`` is what the environment file decides by.
    """

    application: str
    environment: str
    version: str
    digest: str
    migrations: str
    suite: str
    policy: str

    def changed(self, now: Subject) -> str:
        """What of it is another thing now, in words; empty when nothing is."""
        told = {
            "application": "signed for another application",
            "environment": "signed for another environment",
            "version": f"signed for {self.version}",
            "digest": "the artifact has changed since it was signed",
            "migrations": "the migration set has changed since it was signed",
            "suite": "the check suite has changed since it was signed",
            "policy": "the policy (rules and settings of the environment file) has changed since it was signed",
        }
        return next(
            (told[item.name] for item in fields(self) if getattr(self, item.name) != getattr(now, item.name)), ""
        )


@dataclass(frozen=True)
class SignOff:
    """One sign-off as it is remembered. ``by`` is the person, ``login`` the account it was given with.

    ``deployment``: the one it was given for afterwards, None for one that is to come. ``signature``: made with the
    person's SSH key over ``text``; empty where no signatures are demanded.
    """

    role: str
    by: str
    login: str
    subject: Subject
    signed_at: datetime
    expires_at: datetime
    deployment: int | None = None
    signature: str = ""
    revoked_at: datetime | None = None
    revoked_by: str = ""
    id: int = 0

    @property
    def text(self) -> str:
        """What is signed: everything that the sign-off says."""
        lines = [f"deploy gate sign-off {TEXT_FORMAT}"]
        lines += [f"{item.name} {getattr(self.subject, item.name)}" for item in fields(self.subject)]
        lines += [
            f"role {self.role}",
            f"by {self.by}",
            f"signed {self.signed_at.isoformat()}",
            f"expires {self.expires_at.isoformat()}",
            f"deployment {self.deployment if self.deployment is not None else 'to come'}",
        ]
        return "\n".join(lines) + "\n"

    @property
    def namespace(self) -> str:
        """What the signature is bound to besides its text: a key may be allowed for some of these only."""
        return f"deploy-gate.{self.subject.environment}.{self.role}"


Verify = Callable[[SignOff], str]
"""Why the signature of a sign-off is not one of the person it names; empty when it is."""


@dataclass(frozen=True)
class RoleState:
    """How one role stands: ``counts`` is the sign-off that counts; without one, ``why`` there is none."""

    role: str
    counts: SignOff | None
    why: str = ""


@dataclass(frozen=True)
class Council:
    """What decides whether a sign-off counts: the section, the authors of the commit, who deploys, and how a signature
    is verified. ``authors`` None: they cannot be told, which is ``unknown`` why."""

    section: Approval
    authors: Collection[str] | None
    deployers: Collection[str]
    verify: Verify
    unknown: str = ""

    def standing(self, given: Sequence[SignOff], subject: Subject, now: datetime) -> list[RoleState]:
        """Each role's state for a release that is to be deployed."""
        mine = [item for item in given if item.deployment is None and item.subject.version == subject.version]
        return [self._role(role, mine, subject, now) for role in self.section.roles]

    def afterwards(
        self, given: Sequence[SignOff], subject: Subject, deployment: int, roles: Sequence[str]
    ) -> list[RoleState]:
        """Each role's state for a deployment that was made without it; what was signed then does not expire."""
        mine = [item for item in given if item.deployment == deployment]
        return [self._role(role, mine, subject, None) for role in roles]

    def _role(self, role: str, given: Sequence[SignOff], subject: Subject, now: datetime | None) -> RoleState:
        newest_first = sorted((item for item in given if item.role == role), key=lambda item: item.id, reverse=True)
        faults = []
        for item in newest_first:
            fault = self.fault(item, subject, now)
            if not fault:
                return RoleState(role, item)
            faults.append(f"{item.by}, {item.signed_at:%Y-%m-%d %H:%M} UTC: {fault}")
        return RoleState(role, None, faults[0] if faults else "missing")

    def fault(self, item: SignOff, subject: Subject, now: datetime | None) -> str:
        """Why a sign-off does not count; empty when it does."""
        if item.revoked_at is not None:
            return f"revoked by {item.revoked_by} at {item.revoked_at:%Y-%m-%d %H:%M} UTC"
        if now is not None and now >= item.expires_at:
            return f"expired at {item.expires_at:%Y-%m-%d %H:%M} UTC"
        return item.subject.changed(subject) or self.may_not(item.role, item.by, item.login) or self.verify(item)

    def may_not(self, role: str, by: str, login: str) -> str:
        """Why somebody may not sign for a role; empty when they may."""
        people = self.section.people
        if people and (by not in people or role not in people[by].roles):
            return f"{by} may not sign for {role}: it is not among their roles in [approval.people]"
        if not self.section.four_eyes:
            return ""
        # A signature proves who it was; without one the login counts as well, whatever name was given.
        mine = keys_of([by] if self.section.allowed_signers else [by, login], people)
        if mine & keys_of(self.deployers, people):
            return f"{by} is who deploys (four eyes)"
        if self.authors is None:
            return f"the authors of the commit are not known (four eyes): {self.unknown}"
        if mine & keys_of(self.authors, people):
            return f"{by} is an author of the release's commit (four eyes)"
        return ""
