"""A sample of the kill matrix: ``benchmarks/kill_matrix`` dies at every line of the journal."""

from __future__ import annotations

from tests.e2e.kill_matrix import GOOD, STOPPED, matrix


def test_a_killed_gate_leaves_nothing_that_recover_cannot_put_right() -> None:
    with matrix() as run:
        good, stopped = run.walk(GOOD), run.walk(STOPPED)
        assert len({point.step for point in good}) >= 11, "every step has its points"
        assert sum(point.event == "undone" for point in stopped) >= 16, "and every undo, before and after its line"
        sample = good[1::9] + [point for point in stopped if point.event.startswith("undo")][::9]
        found = [run.kill(point) for point in sample]
    assert [f"{item.point.told}: {fault}" for item in found for fault in item.faults] == []
    assert {item.outcome for item in found} >= {"ROLLED_BACK"}
