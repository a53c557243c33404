"""A container's log is read from its end, whatever its length; what Docker itself says in it is no line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gate.containers import log
from gate.errors import EngineError

BEGAN = datetime(2026, 11, 29, tzinfo=UTC)


class Container:
    """One that has printed so many lines, one a second; as Docker tells them."""

    service = "web"

    def __init__(self, many: int, size: int = 1) -> None:
        self.pieces = [(BEGAN + timedelta(seconds=number), f"{number} " + "x" * size) for number in range(many)]
        self.asked: list[dict[str, Any]] = []

    def printed(self, **wanted: Any) -> bytes:
        self.asked.append(wanted)
        found = self.pieces[-wanted["tail"] :] if "tail" in wanted else self.pieces
        since = wanted.get("since", 0.0)
        told = [f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n" for at, text in found if at.timestamp() >= since]
        return "".join(told).encode()

    def since(self, moment: float) -> list[str]:
        return log.since("web", self.printed, moment)


@pytest.mark.parametrize("new", [0, 1, 199, 200, 201, 9_999, 10_001])
@pytest.mark.parametrize("before", [0, 1, 20_000])
def test_every_line_since_a_moment_is_found(before: int, new: int) -> None:
    container = Container(before + new)
    found = container.since((BEGAN + timedelta(seconds=before)).timestamp())
    assert [int(line.split()[1]) for line in found] == list(range(before, before + new))


def test_of_a_long_log_only_the_end_is_read() -> None:
    container = Container(20_000)
    assert len(container.since((BEGAN + timedelta(seconds=19_990)).timestamp())) == 10
    assert container.asked == [{"tail": 200}]


def test_a_container_that_says_little_is_asked_once() -> None:
    container = Container(3)
    assert len(container.since(BEGAN.timestamp())) == 3
    assert container.asked == [{"tail": 200}]


def test_few_lines_of_many_pieces_are_not_taken_for_all() -> None:
    """Docker counts a long line as several."""

    class InPieces(Container):
        def printed(self, **wanted: Any) -> bytes:
            return super().printed(**(wanted | {"tail": wanted["tail"] // 4}) if "tail" in wanted else wanted)

    container = InPieces(300, 60_000)
    assert len(container.since(BEGAN.timestamp())) == 300


def test_what_docker_says_itself_is_no_line_and_the_log_is_not_read() -> None:
    said = Container(2).printed() + b"Error grabbing logs: unexpected EOF"
    with pytest.raises(EngineError, match="r1-web: the log cannot be read: Error grabbing logs"):
        log.since("r1-web", lambda **_: said, 0.0)


def test_a_line_that_was_stamped_before_the_one_before_it_is_told_and_none_twice() -> None:
    """Docker reads a container's two streams side by side."""
    web = Container(0)
    follow = log.Followed([web], str)
    at = datetime.now(UTC) + timedelta(seconds=5)
    told = []
    for earlier, text in ((0, "one"), (200, "two"), (-300, "three"), (1500, "four"), (1499, "five")):
        web.pieces.append((at + timedelta(milliseconds=earlier), text))
        told += follow()
        assert follow() == []
    assert [text for _, text in told] == ["one", "two", "three", "four", "five"]


def test_lines_of_one_are_kept_while_another_cannot_be_read() -> None:
    class Broken(Container):
        service = "worker"
        broken = True

        def since(self, moment: float) -> list[str]:
            if self.broken:
                raise EngineError("away")
            return super().since(moment)

    web, worker = Container(0), Broken(0)
    follow = log.Followed([web, worker], str)
    web.pieces.append((datetime.now(UTC) + timedelta(seconds=1), "ERROR"))
    for _ in range(2):
        with pytest.raises(EngineError):
            follow()
    worker.broken = False
    assert follow() == [("web", "ERROR")]
    assert follow() == []
