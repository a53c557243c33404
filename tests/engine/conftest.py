"""An environment with its proxy up, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.site import Site, site


@pytest.fixture
def here() -> Iterator[Site]:
    with site() as made:
        yield made
