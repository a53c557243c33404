"""What a switch cost is counted, or said to be unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.signals.switches import costs
from gate.signals.switching import Recent, Switching
from tests.signals.lines import ORIGIN, line


def recent(*ended: float, failed: tuple[float, ...] = (), kept: int = 100) -> Recent:
    found = Recent(kept)
    for at in sorted([*ended, *failed]):
        found.add(at, failed=at in failed)
    return found


def test_the_window_includes_its_ends() -> None:
    around = recent(8.9, 9.0, 10.0, 11.0, 11.1, failed=(9.5,)).around(10.0, before=1, after=1)
    assert around == Switching(attempted=4, failed=1, longest_gap=1000.0, cut_off=0, complete=True)


def test_a_failure_is_no_answer_and_ends_no_gap() -> None:
    assert recent(9.0, 12.0, failed=(10.0, 11.0)).around(10.5, 1, 1).longest_gap == 3000.0


def test_without_two_answers_no_gap_is_claimed() -> None:
    assert recent(failed=(10.0,)).around(10.0, 1, 1) == Switching(1, 1, None, 0, complete=True)
    assert recent(10.0).around(10.0, 1, 1).longest_gap is None


@pytest.mark.parametrize(("kept", "complete"), [(4, False), (5, True)])
def test_a_window_that_was_forgotten_in_part_says_so(kept: int, complete: bool) -> None:
    found = recent(1.0, 8.0, 9.5, 10.0, 10.5, 10.6, kept=kept)
    assert found.around(10.0, before=1, after=1).complete is complete
    assert found.around(10.0, before=0.25, after=1).complete


def test_a_request_counts_for_one_switch_only(tmp_path: Path) -> None:
    """A pause is two switches, a second or two apart."""
    log = tmp_path / "access.log"
    log.write_text(line(-9) + line(0.1, status=500) + line(0.6) + line(1.1, status=500) + line(1.9) + line(9))
    switched = [datetime.fromtimestamp(ORIGIN + at, UTC) for at in (0.0, 1.0)]
    first, second = costs(log, switched)
    assert first is not None
    assert second is not None
    assert [(each.attempted, each.failed) for each in (first, second)] == [(1, 1), (3, 1)]
