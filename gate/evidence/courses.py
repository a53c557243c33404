"""Reads from the records how every run went, for the measures of ``gate.judging.dora``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from gate.judging.dora import Course
from gate.records.journal import to_undo
from gate.records.store import Deployment, Event, Store

_USERS = ("canary", "promote")
"""Steps that lead users to the candidate."""
_ACCEPT = "accept"


def read(store: Store) -> list[Course]:
    """Every run, oldest first. Raises OperationFailed."""
    journals = store.journals((*_USERS, _ACCEPT))
    return [_course(item, journals.get(item.id, [])) for item in reversed(store.deployments())]


def _course(item: Deployment, journal: list[Event]) -> Course:
    served = re.fullmatch(r"r(\d+)", item.stable_instance or "")
    ended = _moment(item.ended_at)
    accepted = _first(journal, lambda event: (event.step, event.kind) == (_ACCEPT, "done"))
    return Course(
        id=item.id,
        action=item.action,
        outcome=item.outcome,
        started=datetime.fromisoformat(item.started_at),
        ended=ended,
        committed=_moment(item.committed_at),
        reached=_first(journal, lambda event: event.step in _USERS and event.kind == "do"),
        decided=_first(journal, lambda event: event.kind == "undo"),
        freed=_first(reversed(journal), lambda event: event.step in _USERS and event.kind == "undone"),
        accepted=accepted,
        undid=int(served[1]) if item.action == "rollback" and served and _kept(journal) else None,
    )


def _kept(journal: list[Event]) -> bool:
    """Whether a rollback led back: one that died, and was undone by ``recover``, took nothing back."""
    return any(step.name == _ACCEPT and step.done for step in to_undo(journal))


def _first(journal: Iterable[Event], wanted: Callable[[Event], bool]) -> datetime | None:
    return next((datetime.fromisoformat(event.at) for event in journal if wanted(event)), None)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
