"""A sample of the cuts: ``benchmarks/ssh_cuts`` cuts the connection in every step of every kind of run."""

from __future__ import annotations

from tests.remote.cut_matrix import GOOD, Point, matrix
from tests.remote.server import Server


def test_a_cut_connection_is_told_and_leaves_nothing_that_a_person_cannot_put_right(remote: Server) -> None:
    """Away for a moment when traffic is switched; gone from the canary on."""
    sample = [Point(GOOD, "away", "promote"), Point(GOOD, "gone", "canary")]
    with matrix(remote) as run:
        found = [run.cut(point) for point in sample]
    assert [f"{item.point.told}: {fault}" for item in found for fault in item.faults] == []
    # Held, for nothing can be measured; or what was begun could not be undone. Never a release.
    assert found[-1].outcome in {"ROLLBACK_FAILED", "HELD"}
