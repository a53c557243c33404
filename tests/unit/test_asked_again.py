"""What changes nothing is asked again where a connection was lost, for its end is noticed a moment later."""

from __future__ import annotations

import pytest

from gate.containers import client
from gate.containers.client import Silent, again
from gate.errors import EngineError


def test_the_next_connection_answers() -> None:
    lost = [Silent("no answer")]

    def ask() -> str:
        if lost:
            raise lost.pop()
        return "told"

    assert again(ask) == "told"


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_NOTICED", 0.1)

    def ask() -> str:
        raise Silent("no answer")

    with pytest.raises(Silent):
        again(ask)


def test_another_fault_is_not_asked_again() -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("once")
        raise EngineError("no such container")

    with pytest.raises(EngineError):
        again(ask)
    assert asked == ["once"]
