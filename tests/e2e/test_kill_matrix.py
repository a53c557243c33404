"""A sample of the kill matrix: ``benchmarks/kill_matrix`` dies at every line of the journal."""

from __future__ import annotations

from tests.e2e.kill_kinds import STOPPED
from tests.e2e.kill_matrix import matrix


def test_a_killed_gate_leaves_nothing_that_recover_cannot_put_right() -> None:
    with matrix() as run:
        points = run.walk(STOPPED)
        assert len({point.step for point in points}) >= 9, "every step has its points"
        assert sum(point.event == "undone" for point in points) >= 16, "and every undo, before and after its line"
        sample = points[2::24]
        found = [run.kill(point) for point in sample]
    assert [f"{item.point.told}: {fault}" for item in found for fault in item.faults] == []
    assert {item.outcome for item in found} >= {"ROLLED_BACK"}
