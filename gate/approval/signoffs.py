"""Sign-offs: what one is for, and which of those that were given count now. Pure, the moment is passed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from gate.approval import logins
from gate.approval.people import keys_of, stranger
from gate.config.approval import Approval

TEXT_FORMAT = 2
ANYBODY = "anybody"
"""Signs for an emergency where no roles are configured: anybody but who deployed it."""
SKEW = timedelta(minutes=5)
"""What the clocks of two machines may differ by."""


@dataclass(frozen=True)
class Subject:
    """What is signed for: one release in one place, under the checks and rules of now. Hashes are SHA-256.

    ``migrations`` are those that the release carries; ``suite`` is every file of the checks and smoke tests and what
    they run with; ``policy`` is what the environment file decides by. ``commit`` and ``author`` are as the release's
    manifest names them, empty where it does not: whose release it is decides who may sign.
    """

    application: str
    environment: str
    version: str
    digest: str
    migrations: str
    suite: str
    policy: str
    commit: str
    author: str

    def changed(self, now: Subject) -> str:
        """What of it is another thing now, in words; empty when nothing is."""
        told = {
            "application": "signed for another application",
            "environment": "signed for another environment",
            "version": f"signed for {self.version}",
            "digest": "the artifact has changed since it was signed",
            "migrations": "the migration set has changed since it was signed",
            "suite": "the check suite has changed since it was signed",
            "policy": "the policy (rules, settings and allowed signers here) has changed since it was signed",
            "commit": "the commit that the release names has changed since it was signed",
            "author": "the author that the release names has changed since it was signed",
        }
        return next(
            (told[item.name] for item in fields(self) if getattr(self, item.name) != getattr(now, item.name)), ""
        )


@dataclass(frozen=True)
class SignOff:
    """One sign-off as it is remembered. ``by`` is the person, ``login`` the account it was given with, and what else
    that is known as.

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
        untimely = self._untimely(item, now) if now is not None else ""
        if untimely:
            return untimely
        return item.subject.changed(subject) or self.may_not(item.role, item.by, item.login) or self.verify(item)

    def _untimely(self, item: SignOff, now: datetime) -> str:
        """Why a sign-off does not count at this time. Both times are its signer's own word: what a signature covers is
        still no longer life than the environment gives."""
        if now >= item.expires_at:
            return f"expired at {item.expires_at:%Y-%m-%d %H:%M} UTC"
        if item.signed_at > now + SKEW:
            return f"signed at {item.signed_at:%Y-%m-%d %H:%M} UTC, which is still to come"
        if item.expires_at > item.signed_at + timedelta(days=self.section.valid_days):
            return (
                f"made to count until {item.expires_at:%Y-%m-%d}, longer than valid_days = {self.section.valid_days:g}"
            )
        return ""

    def may_not(self, role: str, by: str, login: str) -> str:
        """Why somebody may not sign for a role; empty when they may."""
        people = self.section.people
        if people and not self._is_theirs(role, by):
            return f"{by} may not sign for {role}: it is not among their roles in [approval.people]"
        anybody = role == ANYBODY and role not in self.section.roles
        return self._second_eyes(by, login, anybody=anybody) if self.section.four_eyes or anybody else ""

    def _second_eyes(self, by: str, login: str, *, anybody: bool) -> str:
        """Why somebody is none of two; ``anybody``: who wrote the release may be the second."""
        people = self.section.people
        # A signature proves who it was; without one the login counts as well, whatever name was given.
        mine = keys_of([by] if self.section.allowed_signers else [by, *logins.split(login)], people)
        if mine & keys_of(self.deployers, people):
            return f"{by} is who deploys (four eyes)"
        unknown = stranger(self.deployers, people)
        if unknown is not None:
            told = f"{unknown}, who deploys, is nobody in [approval.people], so it may be {by} (four eyes)"
            return f"{told}: put it down there"
        if anybody:
            return ""
        if self.authors is None:
            return f"the authors of the commit are not known (four eyes): {self.unknown}"
        if mine & keys_of(self.authors, people):
            return f"{by} is an author of the release's commit (four eyes)"
        return ""

    def _is_theirs(self, role: str, by: str) -> bool:
        """Whether somebody has a role. For one that is none any more, which only debts still name, it is whoever has
        another one now: somebody must be able to answer for it."""
        person = self.section.people.get(by)
        if person is None or role in person.roles:
            return person is not None
        return role not in self.section.roles and (bool(person.roles) or not self.section.roles)
