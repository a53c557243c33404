"""Some of the points at which ``python -m benchmarks.ssh_cuts`` cuts the connection.

The whole run has each way of a cut once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.remote.cut_matrix import BACK, GOOD, Matrix, Point, matrix
from tests.remote.server import Server

POINTS = (
    Point(GOOD, "silent", "start"),
    Point(GOOD, "killed", "canary"),
    pytest.param(Point(GOOD, "away", "promote"), marks=pytest.mark.whole),
    pytest.param(Point(BACK, "gone", "promote"), marks=pytest.mark.whole),
)


@pytest.fixture(scope="module")
def cuts(remote: Server) -> Iterator[Matrix]:
    with matrix(remote) as made:
        yield made


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.told)
def test_what_is_cut_off_is_told_and_can_be_settled(cuts: Matrix, point: Point) -> None:
    """And users notice nothing of it, whatever becomes of the run."""
    assert cuts.cut(point).faults == []
