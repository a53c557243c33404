"""Whose word a deployment needs: sign-offs, and the items of a checklist that people tick."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gate.config.fields import Section

_ROLE = r"[a-z][a-z0-9-]{0,31}"
NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}"
"""How a person is called: no blank, so that it can stand in a line of its own."""


def _role(value: str) -> str:
    if not re.fullmatch(_ROLE, value):
        raise ValueError(f"{value!r}: a role is small letters, digits and dashes, such as technical")
    return value


Role = Annotated[str, AfterValidator(_role)]


class Person(Section):
    """Somebody who may sign. Who several logins and authors are is known only from here."""

    roles: list[Role] = Field([], description="What this person may sign for")
    known_as: list[str] = Field(
        [], description="Logins, CI users, names and addresses in commits that are the same person"
    )


class Approval(Section):
    """Sign-offs that a deployment needs, one for each role. Without roles it needs none."""

    roles: list[Role] = Field([], description="All of them must have signed")
    valid_days: Annotated[float, Field(gt=0, le=366)] = Field(
        30.0, description="How long a sign-off counts, and a tick of the checklist"
    )
    four_eyes: bool = Field(
        True, description="Neither an author of the release's commit nor whoever deploys it may sign for it"
    )
    allowed_signers: str | None = Field(
        None,
        description="File of public keys (ssh-keygen's ALLOWED SIGNERS) whose principals are the people below; with it "
        "only a signature is a sign-off, without it a login's word",
    )
    people: dict[str, Person] = Field(
        {}, description="Name = who that is; without any, everybody with a login may sign for every role, and tick"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Approval:
        if len(set(self.roles)) != len(self.roles):
            raise ValueError("roles: one is there twice")
        for name, person in self.people.items():
            if not re.fullmatch(NAME, name):
                raise ValueError(f"people: {name!r} has a blank or a sign that no name has here")
            unknown = [role for role in person.roles if role not in self.roles]
            if unknown:
                raise ValueError(f"people.{name}.roles: {unknown[0]!r} is none of [approval] roles")
        for role in self.roles if self.people or self.allowed_signers else ():
            if not any(role in person.roles for person in self.people.values()):
                raise ValueError(f"people: nobody may sign for {role!r}: give somebody that role")
        return self


class Checklist(Section):
    """What a person has to see to, ticked by name for one deployment: key = what has to be so."""

    before: dict[str, str] = Field({}, description="Must be ticked, or the deployment is refused")
    during: dict[str, str] = Field({}, description="Seen to while it runs; shown where it is open")
    after: dict[str, str] = Field({}, description="Shown as open by status and history until it is ticked")

    @model_validator(mode="after")
    def _told_apart(self) -> Checklist:
        seen: set[str] = set()
        for phase in ("before", "during", "after"):
            for item in getattr(self, phase):
                if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", item):
                    raise ValueError(f"{phase}.{item}: a key is small letters, digits and dashes, such as on-call")
                if item in seen:
                    raise ValueError(f"{phase}.{item}: the same key is in another phase")
                seen.add(item)
        return self

    @property
    def items(self) -> dict[str, tuple[str, str]]:
        """Every item by its key: its phase, and what has to be so."""
        return {
            item: (phase, text)
            for phase in ("before", "during", "after")
            for item, text in getattr(self, phase).items()
        }
