"""A growing log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.signals.lines import Log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    growing = Log(tmp_path)
    yield growing
    growing.close()
