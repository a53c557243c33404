"""What ``approve``, ``revoke`` and ``checklist`` do: people give their word for a release, and take it back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from gate import engines
from gate.approval import attempts, councils, logins, outstanding, owing, signatures, subjects
from gate.approval.book import Book
from gate.approval.checklists import ItemState, Tick
from gate.approval.debts import Debt
from gate.approval.people import named
from gate.approval.signoffs import Council, RoleState, SignOff, Subject
from gate.config import Environment
from gate.config.approval import NAME
from gate.errors import OperationFailed, Refused, UsageError
from gate.evidence import index
from gate.machine import account
from gate.records.store import Deployment, Store
from gate.releases import source
from gate.results import Outcome
from gate.terminal.terminal import Terminal

Document = dict[str, Any]


@dataclass(frozen=True)
class _Target:
    """What is signed for: a release that is to come, or with ``debt`` a deployment that was an emergency."""

    subject: Subject
    council: Council
    debt: Debt | None = None


class Signing:
    """The three commands on one environment; each returns its JSON document."""

    def __init__(
        self,
        environment: Environment,
        terminal: Terminal,
        *,
        login: str = "",
        variables: Mapping[str, str] = os.environ,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._environment = environment
        self._section = environment.approval
        self._terminal = terminal
        self._clock = clock
        self._login = login or account.whoami()
        self._logins = logins.joined(logins.known_as(self._login, variables))
        self._store = Store.of(environment)
        self._book = Book(self._store)
        self._door = f"python deploy_gate.py {environment.name}"

    def approve(
        self, role: str, name: str | None, *, version: str | None, deployment: int | None, key: Path | None
    ) -> Document:
        """Signs for a role. Raises UsageError for what does not exist, Refused for who may not."""
        by = self._person(name)
        target = self._target(version, deployment)
        self._demand_role(role, target.debt)
        refusal = target.council.may_not(role, by, self._logins)
        if refusal:
            raise Refused(f"not signed: {refusal}", next_step=f"{self._door} approve --role {role}   by somebody else")
        now = self._clock().replace(microsecond=0)
        item = SignOff(
            role=role,
            by=by,
            login=self._logins,
            subject=target.subject,
            signed_at=now,
            expires_at=now + timedelta(days=self._section.valid_days),
            deployment=target.debt.deployment if target.debt is not None else None,
        )
        item = self._with_signature(item, key, target.council)
        self._book.sign(item)
        states = self._standing(target)
        if target.debt is not None and not any(state.counts is None for state in states):
            self._book.settle(target.debt.deployment, now)
            states = self._standing(target)
            if any(state.counts is None for state in states):  # somebody has taken one back meanwhile
                self._book.settle(target.debt.deployment, None)
        self._show_debts(target)
        until = "" if target.debt is not None else f", valid to {item.expires_at:%Y-%m-%d %H:%M} UTC"
        self._terminal.say(f"signed for {role} by {by}{until}: {self._told(target)}", "green")
        return self._shown(target, states)

    def revoke(self, role: str | None, *, version: str | None, deployment: int | None) -> Document:
        """Takes back what was signed, for one role or for all. Raises UsageError where there is nothing."""
        target = self._target(version, deployment)
        if role is not None:
            self._demand_role(role, target.debt)
        found = [item for item in self._given(target) if item.revoked_at is None and role in (None, item.role)]
        if not found:
            raise UsageError(
                f"nothing is signed for {self._told(target)}, so there is nothing to revoke",
                next_step=f"{self._door} plan --version {target.subject.version}   shows who has signed",
            )
        self._book.revoke(found, self._login, self._clock())
        if target.debt is not None:
            self._book.settle(target.debt.deployment, None)
        self._show_debts(target)
        self._terminal.say(f"revoked: {', '.join(f'{item.role} by {item.by}' for item in found)}")
        return self._shown(target, self._standing(target))

    def checklist(self, act: str | None, items: Sequence[str], name: str | None, version: str | None) -> Document:
        """Shows the list as it stands for a release; first ticks items, or takes that back. Raises UsageError."""
        section = self._environment.checklist
        if not section.items:
            raise UsageError(
                f"{self._environment.name} has no checklist",
                next_step=f"edit environments/{self._environment.file.name}: [checklist] before, during, after",
            )
        unknown = [item for item in items if item not in section.items]
        if unknown:
            raise UsageError(
                f"no item {unknown[0]!r} in [checklist]; there are: {', '.join(section.items)}",
                next_step=f"{self._door} checklist   shows them",
            )
        told, digest, run = self._ticked_for(version)
        by = self._person(name)
        people = self._section.people
        if act == "tick" and people and by not in people:
            raise Refused(
                f"not ticked: {by} is nobody in [approval.people]",
                next_step=f"{self._door} checklist tick {items[0]} --as NAME   one of {', '.join(people)}",
            )
        for item in items:
            self._book.tick(
                Tick(
                    item=item,
                    text=section.items[item][1],
                    digest=digest,
                    version=told,
                    done=act == "tick",
                    by=by,
                    login=self._login,
                    at=self._clock(),
                )
            )
        if run is not None:
            states = attempts.for_run(self._environment, self._store, run)
        else:
            states = attempts.for_next(self._environment, self._store, digest, self._clock())
        self._terminal.say(f"checklist for {told} ({digest[:19]})")
        self._terminal.table(_items_table(states))
        return {
            "release": {"version": told, "digest": digest},
            "checklist": [outstanding.item_row(state) for state in states],
        }

    def _demand_role(self, role: str, debt: Debt | None) -> None:
        if debt is not None and role not in debt.roles:
            raise UsageError(
                f"nobody signs for {role!r} after deployment {debt.deployment}; there are: {', '.join(debt.roles)}",
                next_step=f"{self._door} approve --role {debt.roles[0]} --deployment {debt.deployment}",
            )
        if debt is None and role not in self._section.roles:
            known_roles = ", ".join(self._section.roles) or "none: this environment needs no sign-off"
            raise UsageError(
                f"no role {role!r} in [approval]; there are: {known_roles}",
                next_step=f"edit environments/{self._environment.file.name}",
            )

    def _person(self, name: str | None) -> str:
        if name is None:
            return named(self._login, self._section.people) or self._login
        if not re.fullmatch(NAME, name):
            raise UsageError(
                f"--as {name!r}: a name has no blank here, such as alice or alice@example.com",
                next_step="the same command with --as and one word",
            )
        return name

    def _with_signature(self, item: SignOff, key: Path | None, council: Council) -> SignOff:
        """The sign-off with its signature where one is demanded; it is verified as a deployment will."""
        if self._section.allowed_signers is None:
            if key is not None:
                raise UsageError("--key: nothing is signed with keys here", next_step="set [approval] allowed_signers")
            return item
        if key is None:
            raise UsageError(
                "a sign-off needs a signature here ([approval] allowed_signers): say with which key",
                next_step=f"{self._door} approve --role {item.role} --as {item.by} --key ~/.ssh/id_ed25519",
            )
        signed = replace(item, signature=signatures.sign(item, key.expanduser()))
        refusal = council.verify(signed)
        if refusal:
            raise Refused(
                f"not signed: {refusal}",
                next_step=self._to_be_verified(item),
            )
        return signed

    def _to_be_verified(self, item: SignOff) -> str:
        name = self._section.allowed_signers or ""
        others = signatures.writable_by_others(self._environment.root / name)
        if others is not None:
            return f"chmod go-w {others}"
        return f"put the key's public half into {name}, for {item.by} and the namespace {item.namespace}"

    def _target(self, version: str | None, deployment: int | None) -> _Target:
        if deployment is None and version is None:
            wanted = self._wanted()
            version = wanted.version if wanted is not None else None
            owed = owing.open_debts(self._environment, self._store) if version is None else []
            if version is None and not owed:
                raise UsageError("say for which release: --version V", next_step=f"{self._door} releases   lists them")
            deployment = owed[-1].debt.deployment if owed else None
        if deployment is not None:
            return self._debt(deployment)
        release = source(self._environment).get(version or "")
        subject = subjects.of(self._environment, release)
        return _Target(subject, councils.of(self._environment, subject, ()))

    def _debt(self, deployment: int) -> _Target:
        debt = next((item for item in self._book.debts() if item.deployment == deployment), None)
        if debt is None:
            raise UsageError(
                f"deployment {deployment} was no emergency: nobody has to sign for it afterwards",
                next_step=f"{self._door} status   shows what is to be signed for",
            )
        return _Target(debt.subject, councils.of(self._environment, debt.subject, debt.deployers), debt)

    def _wanted(self) -> Deployment | None:
        """The run whose release waits for a deployment: the newest one, if it was refused or only planned."""
        newest = next((item for item in self._store.deployments() if item.action in ("deploy", "plan")), None)
        waits = newest is not None and newest.outcome in (Outcome.REFUSED, Outcome.PLANNED)
        return newest if waits else None

    def _ticked_for(self, version: str | None) -> tuple[str, str, Deployment | None]:
        """Version and digest of the release that ticks are about, and its run unless that is to come: the release that
        is named, else what waits for a deployment, else what is being deployed, else what serves."""
        wanted = self._wanted()
        if version is None and wanted is None:
            running = self._store.unfinished()
            if running is not None and running.action == "deploy":
                return running.version, running.digest, running
            serves = engines.create(self._environment).stable()
            if serves is None:
                raise UsageError("say for which release: --version V", next_step=f"{self._door} releases   lists them")
            return serves.version, serves.digest, attempts.last_of(self._store, serves.digest)
        release = source(self._environment).get(version or (wanted.version if wanted is not None else ""))
        return release.version, release.digest, None

    def _show_debts(self, target: _Target) -> None:
        """The page of all deployments shows what is still to be signed for: it is made anew where that has changed."""
        if target.debt is None:
            return
        try:
            index.write(self._environment, self._store, self._clock())
        except (OSError, OperationFailed) as fault:
            self._terminal.note(f"the page of all deployments is not fresh: {fault}")

    def _given(self, target: _Target) -> list[SignOff]:
        if target.debt is not None:
            return self._book.signoffs(deployment=target.debt.deployment)
        return self._book.signoffs(version=target.subject.version)

    def _standing(self, target: _Target) -> Sequence[RoleState]:
        if target.debt is not None:
            return owing.standing(self._environment, self._store, target.debt).roles
        return target.council.standing(self._given(target), target.subject, self._clock())

    def _told(self, target: _Target) -> str:
        after = f", deployment {target.debt.deployment}" if target.debt is not None else ""
        return f"{target.subject.version} ({target.subject.digest[:19]}){after}"

    def _shown(self, target: _Target, states: Sequence[RoleState]) -> Document:
        table = Table(box=None, pad_edge=False)
        for column in ("role", "state", "by"):
            table.add_column(column)
        for state in states:
            counts = state.counts
            table.add_row(state.role, "signed" if counts else "not signed", counts.by if counts else state.why)
        self._terminal.table(table)
        missing = [state.role for state in states if state.counts is None]
        return {
            "release": {"version": target.subject.version, "digest": target.subject.digest},
            "deployment": target.debt.deployment if target.debt is not None else None,
            "signoffs": [role_row(state) for state in states],
            "missing": missing,
        }


def role_row(state: RoleState) -> Document:
    """A role's state for ``--json``."""
    item = state.counts
    return {
        "role": state.role,
        "signed": item is not None,
        "by": item.by if item else None,
        "signed_at": item.signed_at.isoformat() if item else None,
        "expires_at": item.expires_at.isoformat() if item else None,
        "why": state.why,
    }


def _items_table(states: Sequence[ItemState]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "phase", "item", "what has to be so", "by", "at"):
        table.add_column(column)
    for state in states:
        by, at = (state.tick.by, f"{state.tick.at:%Y-%m-%d %H:%M} UTC") if state.tick else (state.why, "")
        table.add_row("✓" if state.tick else "·", state.phase, state.item, state.text, by, at)
    return table
