"""What is told, as values: one message for all targets, free of secrets once it went through ``without_secrets``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from gate.config import Environment
from gate.config.notifying import Occasion
from gate.redact import Redactor

_REASONS = 5
_LONGEST = 500
"""Characters of one line; cut after secrets were taken out."""


@dataclass(frozen=True)
class Message:
    """One thing that happened. ``contacts`` are for whoever has to act now, ``id`` is its own over all attempts;
    ``owed`` is what people still have to sign for, a sentence each."""

    event: Occasion
    at: datetime
    environment: str
    app: str
    title: str
    reasons: tuple[str, ...] = ()
    deployment: int | None = None
    version: str = ""
    by: str = ""
    next: str = ""
    report: str = ""
    contacts: Mapping[str, str] = field(default_factory=dict)
    owed: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def subject(self) -> str:
        """One line that says it all."""
        return _line(f"{self.app} {self.environment}: {self.title}")

    @property
    def lines(self) -> list[str]:
        """What is said below the subject."""
        shown = [_line(text) for text in self.reasons[:_REASONS]]
        if len(self.reasons) > _REASONS:
            shown.append(f"and {len(self.reasons) - _REASONS} more, in the report")
        shown += [_line(f"to be signed: {text}") for text in self.owed[:_REASONS]]
        if len(self.owed) > _REASONS:
            shown.append(f"and {len(self.owed) - _REASONS} more to be signed, in status")
        shown += [_line(f"call {role}: {contact}") for role, contact in self.contacts.items()]
        told = {"next": self.next, "report": self.report, "by": self.by}
        return shown + [_line(f"{name}: {text}") for name, text in told.items() if text]

    def document(self) -> dict[str, Any]:
        """The message for machines: builtins only."""
        found = {**asdict(self), "event": str(self.event), "at": self.at.isoformat(timespec="milliseconds")}
        return {
            **found,
            "reasons": [_line(text) for text in self.reasons],
            "owed": [_line(text) for text in self.owed],
            "text": "\n".join([self.subject, *self.lines]),
        }


def without_secrets(message: Message, redact: Redactor) -> Message:
    """The same message, every text of it redacted."""
    return replace(
        message,
        title=redact(message.title),
        reasons=tuple(map(redact, message.reasons)),
        version=redact(message.version),
        by=redact(message.by),
        next=redact(message.next),
        report=redact(message.report),
        contacts={redact(role): redact(contact) for role, contact in message.contacts.items()},
        owed=tuple(map(redact, message.owed)),
    )


def alert(
    environment: Environment, at: datetime, title: str, reasons: Sequence[str], *, deployment: int | None, version: str
) -> Message:
    """What monitoring found after a deployment; a person has to look."""
    return Message(
        Occasion.ALERT,
        at,
        environment.name,
        environment.app.name,
        title,
        tuple(reasons),
        deployment,
        version,
        contacts=environment.contacts,
    )


def test(environment: Environment, at: datetime, by: str) -> Message:
    """Asks every target whether it answers."""
    title = "a test message of the deploy gate; nothing has happened"
    return Message(Occasion.TEST, at, environment.name, environment.app.name, title, by=by)


def _line(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} …"
